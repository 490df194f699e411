"""A path-dependent law of rows, learned by likelihood and drawn with the residuals of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.models.generation.memory_law import MemoryLaw, train_law
from trajinfer.models.generation.memory_settings import Memory
from trajinfer.models.generation.memory_state import MemoryState, Past
from trajinfer.models.generation.row_transform import Latents
from trajinfer.training import Callback, Report

_FEWEST_ROWS = 100


@dataclass(frozen=True)
class Scales:
    """Units of latent rows.

    Attributes:
        mean: (D,) of the rows.
        std: (D,) of the rows.
        target: (D,) standard deviation of what is modelled, in standardised units.
        bounds: (2, D) what rows are clipped to.
        hurdles: (Z,) numbers of the channels with a mass at zero.
    """

    mean: Array
    std: Array
    target: Array
    bounds: Array
    hurdles: Array


@dataclass(frozen=True)
class Residuals:
    """Residual vectors of the training rows, sorted by which hurdles are at zero and by phase.

    Attributes:
        values: (N, D).
        first: (2^Z, P) where the group of a pattern of zeros and a phase begins in `values`.
        count: (2^Z, P) size of the group; that of all phases where the group itself is empty.
        spread: (D,) standard deviation.
    """

    values: Array
    first: Array
    count: Array
    spread: Array

    @classmethod
    def of(cls, values: Array, pattern: Array, phase: Array, n_patterns: int, period: int) -> Any:
        """Sort residuals (N, D) by pattern (N,) and phase (N,)."""
        order = np.lexsort((phase, pattern))
        count = np.zeros((n_patterns, period), dtype=int)
        np.add.at(count, (pattern, phase), 1)
        ends = count.ravel().cumsum().reshape(count.shape)
        first = ends - count
        whole = count.sum(axis=1, keepdims=True)
        empty = count == 0
        first = np.where(empty, first[:, :1], first)
        count = np.where(empty, whole, count)
        alone = count == 0
        count[alone], first[alone] = len(values), 0
        return cls(values[order], first, count, values.std(axis=0))

    def draw(self, pattern: Array, phase: Array, jitter: float, rng: np.random.Generator) -> Array:
        """One residual (n, D) each, of the same pattern and of this phase or one beside it."""
        beside = (phase + rng.integers(-1, 2, len(phase))) % self.first.shape[1]
        first, count = self.first[pattern, beside], self.count[pattern, beside]
        rows = first + (rng.random(len(phase)) * count).astype(int)
        noise = rng.standard_normal((len(phase), self.values.shape[1]))
        return np.asarray(self.values[rows] + jitter * self.spread * noise)


class MemoryModel:
    """A fitted law of the next row.

    Args:
        memory: settings.
        scales: units.
        laws: the ensemble.
        residuals: what draws are made of.
    """

    def __init__(
        self, memory: Memory, scales: Scales, laws: nn.ModuleList, residuals: Residuals | None
    ) -> None:
        self.memory, self.scales, self.laws, self.residuals = memory, scales, laws, residuals

    def past(self, latents: Latents, number: Array) -> Past:
        """What the rows of records remember; number (R, T) are their row numbers."""
        rows = (latents.rows - self.scales.mean) / self.scales.std
        return Past.of(self.memory, rows, latents.zero[..., self.scales.hurdles], number)

    def predict(self, features: Array) -> tuple[Array, Array, Array]:
        """Place, scale (n, D) and probability of zero (n, Z), averaged over the ensemble."""
        given = torch.as_tensor(features, dtype=torch.float32)
        with torch.no_grad():
            parts = [law(given) for law in self.laws]
        place, log_scale, logits = (torch.stack(part).mean(0) for part in zip(*parts))
        numbers = (place, log_scale.exp(), logits.sigmoid())
        return tuple(part.double().numpy() for part in numbers)  # type: ignore[return-value]

    def simulate(
        self, state: MemoryState, n_rows: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Latent rows (n, n_rows, D) and their zeros (n, n_rows, D) that go on from a state."""
        n, d = state.recent.shape[0], state.recent.shape[2]
        rows, zeros = np.empty((n, n_rows, d)), np.zeros((n, n_rows, d), dtype=bool)
        for t in range(n_rows):
            rows[:, t], zero = self._next(state, rng)
            zeros[:, t, self.scales.hurdles] = zero
        return rows, zeros

    def _next(self, state: MemoryState, rng: np.random.Generator) -> tuple[Array, Array]:
        scales = self.scales
        place, scale, chance = self.predict(state.features())
        zero = rng.random(chance.shape) < chance
        residual = self._residuals().draw(
            _pattern(zero), _phase(self.memory, state.row), self.memory.jitter, rng
        )
        target = (place + scale * residual) * scales.target
        rows = target + (state.recent[:, -1] if self.memory.target == "increment" else 0)
        latent = np.clip(rows * scales.std + scales.mean, *scales.bounds)
        columns = latent[:, scales.hurdles]
        latent[:, scales.hurdles] = np.where(zero, 0.0, columns)
        state.advance((latent - scales.mean) / scales.std, zero)
        return latent, zero

    def _residuals(self) -> Residuals:
        if self.residuals is None:
            raise InputError("the model has no residuals to draw from; fit it first")
        return self.residuals


def fit_memory(
    memory: Memory,
    latents: Latents,
    number: Array,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> tuple[MemoryModel, list[Report]]:
    """Learn the law of the next row from records.

    Args:
        memory: settings.
        latents: latent rows of records.
        number: (R, T) row numbers, for the calendar.
        seed: of everything random.
        callbacks: of the trainings.

    Raises:
        InputError: if too few rows have a past.
    """
    scales = _scales(memory, latents)
    model = MemoryModel(memory, scales, nn.ModuleList(), None)
    past = model.past(latents, number)
    usable = past.usable()
    if usable.sum() < _FEWEST_ROWS:
        raise InputError(
            f"only {int(usable.sum())} rows have the {max(memory.lags)} rows before them that the "
            f"memory sees, at least {_FEWEST_ROWS} are needed; give longer series, or "
            "transform='standard'"
        )
    record, column = np.nonzero(usable)
    features = past.before(record, column).features()
    rows, before = past.rows[record, column], past.rows[record, column - 1]
    target = (rows - before if memory.target == "increment" else rows) / scales.target
    zero = past.zero[record, column]
    free = np.ones(rows.shape, dtype=bool)
    free[:, scales.hurdles] = ~zero
    data = (_tensor(features), _tensor(target), torch.as_tensor(free), torch.as_tensor(zero))
    blocks = record * past.rows.shape[1] + column // memory.block
    reports = []
    for child in spawn(seed, memory.ensemble):
        first, second = spawn(child, 2)
        law = MemoryLaw(features.shape[1], rows.shape[1], zero.shape[1], memory.hidden, first)
        reports.append(train_law(law, memory, data, blocks, second, callbacks))
        model.laws.append(law)
    place, scale, _ = model.predict(features)
    residual = np.where(free, (target - place) / scale, 0.0)
    phase = _phase(memory, past.number[record, column])
    period = memory.calendar.period if memory.calendar else 1
    n_patterns = 2 ** zero.shape[1]
    model.residuals = Residuals.of(residual, _pattern(zero), phase, n_patterns, period)
    return model, reports


def _scales(memory: Memory, latents: Latents) -> Scales:
    rows = latents.rows.reshape(-1, latents.rows.shape[-1])
    mean, std = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    std = np.where(std > 0, std, 1.0)
    target = np.ones_like(std)
    if memory.target == "increment":
        target = np.nanstd(np.diff(latents.rows, axis=1), axis=(0, 1)) / std
    hurdles = np.flatnonzero(latents.zero.any(axis=(0, 1)))
    return Scales(mean, std, np.where(target > 0, target, 1.0), latents.bounds, hurdles)


def _pattern(zero: Array) -> Array:
    """(n,) number of the pattern of zeros (n, Z)."""
    return np.asarray(zero @ (2 ** np.arange(zero.shape[1])), dtype=int)


def _phase(memory: Memory, row: Array) -> Array:
    """(n,) phase of row numbers, 0 without a calendar."""
    if memory.calendar is None:
        return np.zeros(len(row), dtype=int)
    return memory.calendar.phase(row).astype(int)


def _tensor(array: Array) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float32)
