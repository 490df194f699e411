"""Series to learn from: entries of which some times, some values or the end are hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.knot_law import KnotLaw
from trajinfer.scores.posterior_mixture import PosteriorMixture
from trajinfer.scores.seen import Seen
from trajinfer.scores.series_network import Places, SeriesNetwork

_UNCONDITIONAL = 0.25


@dataclass(frozen=True, eq=False)
class SeriesLaw:
    """The law of series in closed form, and the network that moves it.

    Attributes:
        knots: the law in closed form.
        network: of the correction, or None.
        levels: (rho_max, rho_min).
    """

    knots: KnotLaw
    network: SeriesNetwork | None
    levels: tuple[float, float]

    def given(
        self,
        times: Array,
        channels: Array,
        known: Tensor,
        values: Tensor,
        present: Array | None = None,
    ) -> Corrected:
        """The denoiser of rows (B, n) given their known entries.

        Args:
            times, channels: (n,) where all rows have the same entries, else (B, n).
            known: (n,) or (B, n) bool.
            values: (B, n).
            present: (B, n) bool, False on padding, which counts as known; None where there is none.
        """
        if times.ndim == 1:
            means, covariances = self.knots.at(times, channels)
        else:
            parts = [self.knots.at(t, c) for t, c in zip(times, channels, strict=True)]
            means, covariances = (torch.stack(part) for part in zip(*parts))
        if present is not None:
            means, covariances = _without_padding(means, covariances, torch.as_tensor(present))
        weights = self.knots.mixture.weights
        law = PosteriorMixture.of(weights, means, covariances, known, values)
        linear = law
        if self.network is not None and len(weights) > 1:
            linear = PosteriorMixture.of(*_matched(weights, means, covariances), known, values)
        return Corrected(
            law, linear, self.network, self.places(times, channels, present), self.levels
        )

    def places(self, times: Array, channels: Array, present: Array | None) -> Places:
        """Where entries stand, as the network is shown it."""
        first, last = self.knots.knots[[0, -1]]
        span = float(last - first) or 1.0
        when = torch.as_tensor(np.atleast_2d((times - first) / span))
        which = torch.as_tensor(np.atleast_2d(channels))
        if present is None:
            return Places(when, which, torch.ones_like(which, dtype=torch.bool))
        return Places(when, which, torch.as_tensor(present))


def _without_padding(means: Tensor, covariances: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Padding as independent entries of variance one around zero."""
    there = present[:, None]
    both = there[..., :, None] & there[..., None, :]
    eye = torch.eye(means.shape[-1], dtype=means.dtype)
    return torch.where(there, means, 0.0), torch.where(both, covariances, eye)


def _matched(weights: Tensor, means: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The one Gaussian with the moments of the parts (K, n) and (K, n, n)."""
    mean = torch.einsum("k,...kn->...n", weights, means)
    off = means - mean[..., None, :]
    between = torch.einsum("k,...kn,...km->...nm", weights, off, off)
    within = torch.einsum("k,...knm->...nm", weights, covariances)
    one = torch.ones(1, dtype=means.dtype)
    return one, mean[..., None, :], (within + between)[..., None, :, :]


@dataclass(frozen=True, eq=False)
class SeriesExamples:
    """B series as rows of entries.

    Attributes:
        law: of the series.
        times, channels: (n,) where all series share their entries, else (B, n).
        values: (B, n) standardised.
        present: (B, n) bool, or None where there is no padding.
    """

    law: SeriesLaw
    times: Array
    channels: Array
    values: Tensor
    present: Array | None

    @classmethod
    def of(cls, law: SeriesLaw, series: Sequence[Seen]) -> Self:
        """Entries of series, padded where they differ."""
        first = series[0]
        if all(_same_entries(one, first) for one in series):
            same = torch.as_tensor(np.stack([one.values for one in series]))
            return cls(law, first.times, first.channels, same, None)
        n = max(len(one.values) for one in series)
        times, values = np.zeros((len(series), n)), np.zeros((len(series), n))
        channels, present = np.zeros((len(series), n), int), np.zeros((len(series), n), bool)
        for i, one in enumerate(series):
            size = len(one.values)
            times[i], channels[i] = one.times[-1], np.arange(n) % law.knots.n_channels
            times[i, :size], channels[i, :size] = one.times, one.channels
            values[i, :size], present[i, :size] = one.values, True
        return cls(law, times, channels, torch.as_tensor(values), present)

    def draw(self, rows: Tensor, generator: torch.Generator) -> tuple[Corrected, Tensor]:
        """Rows, and their denoiser given what a random mask leaves."""
        index = rows.numpy()
        clean = self.values[rows]
        if self.present is None:
            known = hidden_from(self.times[None], generator)[0]
            return self.law.given(self.times, self.channels, ~known, clean), clean
        times, channels, present = self.times[index], self.channels[index], self.present[index]
        hidden = hidden_from(times, generator) & torch.as_tensor(present)
        return self.law.given(times, channels, ~hidden, clean, present), clean


def _same_entries(one: Seen, other: Seen) -> bool:
    return np.array_equal(one.times, other.times) and np.array_equal(one.channels, other.channels)


def hidden_from(times: Array, generator: torch.Generator) -> Tensor:
    """(B, n) bool: all entries, or of each row a random share of values, of times, or its end."""
    shape, kind = times.shape, float(torch.rand((), generator=generator))
    if kind < _UNCONDITIONAL:
        return torch.ones(shape, dtype=torch.bool)
    share = torch.rand(shape[0], 1, generator=generator)
    if kind < 0.5:  # values
        hidden = torch.rand(shape, generator=generator) < share
    else:
        places = np.stack([np.unique(row, return_inverse=True)[1].reshape(-1) for row in times])
        place = torch.as_tensor(places)
        if kind < 0.75:  # times
            hidden = (torch.rand(shape, generator=generator) < share).gather(1, place)
        else:
            hidden = place >= (1 - share) * (place.max(1, keepdim=True).values + 1)
    hidden[torch.arange(shape[0]), torch.randint(shape[1], (shape[0],), generator=generator)] = True
    return hidden
