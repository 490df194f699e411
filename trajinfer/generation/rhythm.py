r"""What a period that all series share foretells, learned from all rows of a series so far.

A channel with a line in its spectrum,

$$x_s = \mu + a\cos\omega s + b\sin\omega s + \sigma\epsilon_s,$$

with level and amplitudes of every series its own, is foretold by the posterior mean of the
regression on the rows before. A few lags know the phase no better than their noise lets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_FEWEST_ROWS = 12
_FEWEST_TURNS = 2
# how far a line stands above the spectrum, and above the frequencies just beside it
_CLEAR = 4.0
_ABOVE_BESIDE = 1.5
_PADDING = 16
_EXACT = 1e-6


@packable
@dataclass(frozen=True)
class Rhythm:
    r"""Periods of channels in rows, and what is known of level and amplitudes beforehand.

    Attributes:
        channels: (A,) those that have a period.
        frequency: (A,) $\omega$, radians a row.
        mean: (A,) of the channel.
        ridge: (A, 3) $\sigma^2$ over the variance of level and amplitudes among series.
    """

    channels: Array
    frequency: Array
    mean: Array
    ridge: Array

    @classmethod
    def none(cls) -> Self:
        """No channel has a period."""
        return cls(np.empty(0, dtype=int), np.empty(0), np.empty(0), np.empty((0, 3)))

    @classmethod
    def of(cls, rows: Array, lengths: Array) -> Self:
        """Find the periods of series (B, T, D) of so many rows; rows after the end are not read."""
        found: list[tuple[int, float, float, tuple[float, float, float]]] = []
        long = np.flatnonzero(lengths >= max(_FEWEST_ROWS, 0.5 * lengths.max()))
        for c in range(rows.shape[2]):
            line = _line([rows[i, : lengths[i], c] for i in long]) if len(long) > 1 else None
            if line is not None:
                found.append((c, *line))
        if not found:
            return cls.none()
        channels, frequency, mean, ridge = (np.array(part) for part in zip(*found, strict=True))
        return cls(channels, frequency, mean, ridge)

    def waves(self, row: int | Array) -> Array:
        """(..., A, 3) regressors of rows: one, cosine and sine."""
        turns = np.asarray(row)[..., None] * self.frequency
        return np.stack([np.ones_like(turns), np.cos(turns), np.sin(turns)], axis=-1)

    def gains(self, n_rows: int) -> Array:
        """(T, A, 3) by which sums of rows times regressors foretell the next row."""
        waves = self.waves(np.arange(n_rows))
        before = np.cumsum(waves[..., :, None] * waves[..., None, :], axis=0)
        before = np.concatenate([np.zeros_like(before[:1]), before[:-1]])
        known = before + self.ridge[:, :, None] * np.eye(3)
        return np.asarray(np.linalg.solve(known, waves[..., None])[..., 0])

    def terms(self, values: Array, row: int | Array) -> Array:
        """(..., A, 3) what rows (..., D) add to the sums."""
        return (values[..., self.channels] - self.mean)[..., None] * self.waves(row)

    def foretold(self, rows: Array) -> Array:
        """(B, T, A) every row as those before foretell it."""
        terms = self.terms(rows, np.arange(rows.shape[1]))
        sums = np.cumsum(terms, axis=1) - terms
        return np.asarray((self.gains(rows.shape[1]) * sums).sum(axis=-1))


def _line(series: list[Array]) -> tuple[float, float, tuple[float, float, float]] | None:
    """Frequency of the clearest line of a channel, its mean and ridges; None without one."""
    longest = max(map(len, series))
    mean = float(np.mean(np.concatenate(series)))
    means = np.array([part.mean() for part in series])
    variance = float(np.mean([part.var() for part in series]))
    size = float(np.mean([1 / len(part) for part in series]))
    power = _spectrum(series, _PADDING * longest)
    slow = _PADDING * _FEWEST_TURNS
    top = slow + int(power[slow:].argmax())
    beside = max(power[top - _PADDING], power[min(top + _PADDING, len(power) - 1)])
    # of a line with amplitudes of variance c in noise: power c / 2 + (variance - c) / length
    amplitude = (float(power[top]) - variance * size) / (0.5 - size)
    is_line = power[top] > max(_CLEAR * np.median(power[slow:]), _ABOVE_BESIDE * beside)
    if not is_line or amplitude <= 0:
        return None
    noise = max(variance - amplitude, _EXACT * variance)
    level = max(float(means.var()), _EXACT * variance)
    frequency = 2 * np.pi * top / (_PADDING * longest)
    return frequency, mean, (noise / level, noise / amplitude, noise / amplitude)


def _spectrum(series: list[Array], n_padded: int) -> Array:
    """Mean power of series about their means, per row, at multiples of 2 pi / n_padded."""
    power = np.zeros(n_padded // 2 + 1)
    for part in series:
        power += np.abs(np.fft.rfft(part - part.mean(), n_padded)) ** 2 / len(part) ** 2
    return power / len(series)
