"""Training of the network of series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import Seeds, spawn, torch_generator
from trajinfer.data import IrregularSeries
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.correction import Learned, Schedule, learn_correction
from trajinfer.scores.density_model import denoised_draws
from trajinfer.scores.knot_law import KnotLaw, reach_of
from trajinfer.scores.seen import Seen
from trajinfer.scores.series_examples import SeriesExamples, SeriesLaw
from trajinfer.scores.series_network import SeriesNetwork

_MOST_ENTRIES = 256
_MOST_HELD = 64
_QUESTIONS = 4


def learn_series(
    law: SeriesLaw,
    series: Sequence[Seen],
    held: Sequence[Seen],
    sizes: dict[str, int],
    schedule: Schedule,
    seeds: Seeds,
    device: torch.device,
) -> tuple[SeriesNetwork, Learned]:
    """Train a network on series, on a device, until held-out ones are denoised no better."""
    held = held[:_MOST_HELD]
    network = SeriesNetwork(law.knots.n_channels, seed=seeds.weights, **sizes).to(device)
    law = replace(law, network=network)
    examples = SeriesExamples.of(law, series)
    learned = learn_correction(
        network,
        examples,
        len(series),
        _questions(SeriesExamples.of(law, held), seeds.split),
        law.levels,
        lambda n: _drawn(law, held[:n], seeds.draws),
        tuple(np.stack([_at_knots(law.knots, one) for one in part]) for part in (series, held)),  # type: ignore[arg-type]
        schedule,
        seeds,
    )
    return network, learned


def require_short(data: IrregularSeries) -> None:
    """Refuse series of more values than attention is for.

    Raises:
        InputError: naming the number.
    """
    longest = int(data.mask.sum(axis=(1, 2)).max())
    if longest > _MOST_ENTRIES:
        raise InputError(
            f"a series has {longest} values, attention is between {_MOST_ENTRIES} at most; use "
            "model='mixture', or cut the series by trajinfer.data.Windows (--window)"
        )


def _questions(held: SeriesExamples, seed: int) -> list[tuple[Corrected, Tensor]]:
    """Held-out series of which, one after the other, several random masks are hidden."""
    generator = torch_generator(seed)
    rows = torch.arange(len(held.values))
    return [held.draw(rows, generator) for _ in range(_QUESTIONS)]


def _drawn(law: SeriesLaw, like: Sequence[Seen], seed: int) -> Array:
    """A draw at the entries of every series, as it stands at the knots."""
    rows = []
    for one, own in zip(like, spawn(seed, len(like)), strict=True):
        known = torch.zeros(len(one.values), dtype=torch.bool)
        denoiser = law.given(one.times, one.channels, known, torch.zeros(1, len(known)).double())
        values = denoised_draws(denoiser, 1, n_evaluations=6, random_state=own)[0].numpy()
        rows.append(_at_knots(law.knots, replace(one, values=values)))
    return np.stack(rows)


def _at_knots(law: KnotLaw, one: Seen) -> Array:
    """The mean at the knots given a series, under one Gaussian, so that all can be compared."""
    reach = reach_of(one.times, one.channels, law.knots, law.n_channels)
    mean, covariance = law.mixture.mean.numpy(), law.mixture.covariance.numpy()
    cross = covariance @ reach.T
    noise = np.diag(np.maximum(law.noise[one.channels], 1e-3) ** 2)
    moved = mean + cross @ np.linalg.solve(reach @ cross + noise, one.values - reach @ mean)
    return np.asarray(moved)
