"""Training of the network that moves the closed form between snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.seeding import Seeds, torch_generator
from trajinfer.scores.correction import Schedule
from trajinfer.scores.coupled_ends import CoupledEnds
from trajinfer.scores.interpolant_field import InterpolantField
from trajinfer.training import Loss, Recipe, Report

_PLACES = 16
_STEPS_A_VALIDATION = 100
_HALF_LIFE = 0.05
_MOST_HELD = 200
_HELD_PLACES = 8


@dataclass(frozen=True)
class Batch:
    """Pairs of ends of a segment with places between them and noise, (n, r, D) each.

    Attributes:
        segment: number.
        u: (n,).
        start, end, z: (n, r, D).
    """

    segment: int
    u: Tensor
    start: Tensor
    end: Tensor
    z: Tensor


class PairBatches:
    """A source of batches: pairs of one segment after the other, drawn afresh at every step.

    Args:
        ends: coupled ends of every segment.
        size: rows of a batch, about.
        seed: what a step draws depends on it and the step alone.

    Attributes:
        per_epoch: steps in which segments give as many pairs as their larger snapshots have points.
    """

    def __init__(self, ends: Sequence[CoupledEnds], size: int, seed: int) -> None:
        self.ends, self.size, self.seed = ends, size, seed
        self.per_epoch = sum(-(-one.size // size) for one in ends)

    def at(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        segment = step % len(self.ends)
        generator = torch_generator(int(np.random.default_rng([self.seed, step]).integers(2**62)))
        offset = torch.rand(1, generator=generator, dtype=torch.float64)
        angle = (torch.arange(_PLACES, dtype=torch.float64) + offset) / _PLACES * (torch.pi / 2)
        each = -(-self.size // _PLACES)
        return batch_at(self.ends[segment], segment, angle.sin().square(), each, generator)


def batch_at(
    ends: CoupledEnds, segment: int, u: Tensor, each: int, generator: torch.Generator
) -> Batch:
    """So many pairs at each of some places."""
    start, end = ends.draw(len(u) * each, generator)
    shape = (len(u), each, start.shape[1])
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Batch(segment, u, start.reshape(shape), end.reshape(shape), z)


def misses(field: InterpolantField, batch: Batch) -> tuple[Tensor, Tensor]:
    r"""Squared errors of the mean slope and of $-\gamma\sigma$ score as a guess of z, (n,) each.

    The first in units of the deviation of slopes given positions.
    """
    at = field.at(batch.u)
    x, slope = field.law.place(batch.start, batch.end, batch.z, batch.u)
    mean, score = at.moments(x)
    left = at.linear.spread()[1][:, None]
    noise = field.law.path.at(batch.u).variance.sqrt()[:, None, None] * field.law.volatility
    return (
        ((mean - slope) / left).square().mean((1, 2)),
        (noise * score + batch.z).square().mean((1, 2)),
    )


class FieldLoss:
    """Mean of the squared errors of slope and noise; the mean field makes it least."""

    def __init__(self, fields: Sequence[InterpolantField]) -> None:
        self.fields = fields

    def __call__(self, batch: Batch, step: int) -> Loss:
        """The loss of a batch."""
        slope, noise = misses(self.fields[batch.segment], batch)
        return Loss(slope.mean() + noise.mean())


class HeldOutPlaces:
    """Held-out losses by place within the segments, over those of the closed form.

    Args:
        fields: of every segment.
        ends: held-out coupled ends of every segment.
        seed: of the fixed pairs and noise.
    """

    def __init__(
        self, fields: Sequence[InterpolantField], ends: Sequence[CoupledEnds], seed: int
    ) -> None:
        generator = torch_generator(seed)
        angle = (torch.arange(_HELD_PLACES, dtype=torch.float64) + 0.5) / _HELD_PLACES
        self.u = (angle * (torch.pi / 2)).sin().square()
        self.fields = fields
        self.batches = [
            batch_at(pairs, k, self.u, min(pairs.size, _MOST_HELD), generator)
            for k, pairs in enumerate(ends)
        ]
        self._closed = self._errors([InterpolantField(f.law, None, f.span) for f in fields])

    def by_place(self) -> Array:
        """(places,) losses of slope and noise together, means over the segments."""
        return (self._errors(self.fields) / self._closed).mean((0, 1)).numpy()

    def __call__(self) -> float:
        """Their mean: every place, segment and target counts alike."""
        return float(self.by_place().mean())

    def _errors(self, fields: Sequence[InterpolantField]) -> Tensor:
        """(segments, 2, places)."""
        return torch.stack([torch.stack(misses(fields[b.segment], b)) for b in self.batches])


@dataclass(frozen=True)
class LearnedField:
    """What came of a training.

    Attributes:
        helps: whether held-out losses fell below those of the closed form.
        report: of the training.
        places, by_place: held-out loss by place within a segment over that of the closed form.
    """

    helps: bool
    report: Report
    places: Array
    by_place: Array


def learn_field(
    network: nn.Module,
    fields: Sequence[InterpolantField],
    ends: Sequence[CoupledEnds],
    held: Sequence[CoupledEnds],
    schedule: Schedule,
    seeds: Seeds,
) -> LearnedField:
    """Train in place until held-out pairs are met no better, every place counting alike."""
    batches = PairBatches(ends, schedule.batch_size, seeds.batches)
    held_out = HeldOutPlaces(fields, held, seeds.split)
    n_steps = schedule.max_epochs * batches.per_epoch
    recipe = Recipe(
        seed=seeds.batches,
        epochs=schedule.max_epochs,
        lr=schedule.lr,
        clip=10.0,
        average=0.5 ** (1 / max(1.0, _HALF_LIFE * n_steps)),
        floor=0.1,
        warmup=50,
        patience=schedule.patience,
        validation_interval=_STEPS_A_VALIDATION,
        name="interpolant",
        verbose=schedule.verbose,
    )
    report = recipe.fit(network, FieldLoss(fields), batches, held_out)
    with torch.no_grad():
        by_place = held_out.by_place()
    return LearnedField(float(by_place.mean()) < 1.0, report, held_out.u.numpy(), by_place)
