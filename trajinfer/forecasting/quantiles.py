"""Quantiles of held-out errors, by third of the horizon."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

PLACES = np.linspace(-3.0, 3.0, 25)
WEIGHTS = np.exp(-0.5 * PLACES**2) / np.exp(-0.5 * PLACES**2).sum()
_PER_UNIT = 4
_FEWEST = 60
_TAIL = 2.0
_FEWEST_INDEPENDENT = 3.0
_SURE = 4.0
_NORMAL_SHAPE = 20.0


@packable
@dataclass(frozen=True)
class ErrorQuantiles:
    """Maps from a standard normal variable to standardised errors, one per third and channel.

    Between the centres of the thirds they are interpolated in the lead. They are increasing and
    piecewise linear in 25 places from -3 to 3; beyond, they go on with the slope of the last normal
    unit, at most up to twice the largest held-out error.

    Attributes:
        values: (3, C, 25) errors at the places.
        largest: (C,) absolute value that no error exceeds.
    """

    values: Array
    largest: Array

    @classmethod
    def fit(cls, errors: Array, share: Array) -> ErrorQuantiles:
        """Read off quantiles of held-out errors.

        Args:
            errors: (P, C) standardised, NaN = not observed.
            share: (P, C) leads as shares of the horizon.
        """
        n_channels = errors.shape[1]
        values, largest = np.empty((3, n_channels, len(PLACES))), np.empty(n_channels)
        for c in range(n_channels):
            known = ~np.isnan(errors[:, c])
            own, third = errors[known, c], np.clip((3 * share[known, c]).astype(int), 0, 2)
            whole = _quantiles(own)
            largest[c] = _TAIL * np.abs(own).max() if len(own) else _TAIL * 3
            for k in range(3):
                part = own[third == k]
                weight = len(part) / (len(part) + _FEWEST)
                values[k, c] = (
                    whole if not len(part) else weight * _quantiles(part) + (1 - weight) * whole
                )
        return cls(values, np.maximum(largest, 1e-12))

    def of_errors_to_come(
        self,
        n_means: float,
        n_squares: float | None = None,
        of_thirds: Array | None = None,
        *,
        biased: bool = True,
    ) -> ErrorQuantiles:
        r"""Quantiles that allow for their having been read off few independent errors.

        As in the predictive law of normal errors of unknown mean and variance, distances from the
        mean are multiplied by

        $$\frac{t_{k-1}^{-1}(\Phi(z))}{z} \sqrt{\frac{n + 1}{n - 1}},$$

        which tends to 1 for many. Before that their shape, which few tell badly, is moved towards
        that of a normal law of the same spread: it is a mean of the two, in which k errors count as
        they are and the normal law as twenty. The mean $\bar e$ itself is a bias that the few may
        show by chance; it is multiplied by $1 - s^2 / (n \bar e^2)$ (James and Stein) where it is
        larger than two standard errors, and left out where it is not. Where a mean of that size is
        known to be a shock that is over, it widens the law instead, by
        $\sqrt{1 + \bar e^2 / s^2}$, so that the mean square of the errors stays. Far quantiles on
        one side are multiplied by more than near ones on the other; the mean that this alone would
        add is taken off. For distances the leads of the first third count thrice as many, those of
        the second 3 / 2 as many; a bias is common to all.

        Args:
            n_means: number n of independent stretches of a horizon.
            n_squares: number k of them for squares of errors; None: n.
            of_thirds: (3, C) number of independent errors of each third, for distances instead.
            biased: whether the mean of the errors may go on; else it is a shock.
        """
        mean = self.mean[:, :, None]
        counts = [n_means, n_means if n_squares is None else n_squares]
        by_third = [count * 3.0 / np.arange(1, 4)[:, None] for count in counts]
        n, k = (
            np.maximum(count if of_thirds is None else of_thirds, _FEWEST_INDEPENDENT)[:, :, None]
            for count in by_third
        )
        z = np.where(PLACES == 0, 1e-6, PLACES)
        factor = stdtrit(k - 1, ndtr(z)) / z * np.sqrt((n + 1) / (n - 1))
        spread = self.values - mean
        square = np.maximum((spread**2 @ WEIGHTS)[:, :, None], 1e-300)
        told = k / (k + _NORMAL_SHAPE)
        shaped = told * spread + (1 - told) * np.sqrt(square) * PLACES
        chance = square / max(n_means, _FEWEST_INDEPENDENT)
        clear = mean**2 > _SURE * chance
        kept = np.where(clear & biased, 1 - chance / np.maximum(mean**2, 1e-300), 0.0)
        shock = np.where(clear & (not biased), mean**2 / square, 0.0)
        wider = shaped * factor * np.sqrt(1 + shock)
        return replace(self, values=kept * mean + wider - (wider @ WEIGHTS)[:, :, None])

    @property
    def mean(self) -> Array:
        """(3, C) means of the errors."""
        return np.asarray(self.values @ WEIGHTS)

    def mean_at(self, share: Array) -> Array:
        """Means (..., C) of the errors at shares of the horizon (..., C)."""
        return interpolated(self.mean, share)

    def width(self, level: float) -> Array:
        """(3, C) widths of central intervals, in those of a standard normal law."""
        z = float(ndtri((1 + level) / 2))
        centre = np.repeat([[1 / 6], [1 / 2], [5 / 6]], self.values.shape[1], axis=1)
        high, low = (self(np.full(centre.shape, side), centre) for side in (z, -z))
        return np.asarray((high - low) / (2 * z))

    def table(self, share: Array) -> Array:
        """The errors (..., C, 25) at the places, for shares of the horizon (..., C)."""
        return interpolated(self.values, share)

    def __call__(self, z: Array, share: Array) -> Array:
        """Errors (..., C) that stand for standard normal z (..., C) at shares of the horizon."""
        position = (z - PLACES[0]) / (PLACES[1] - PLACES[0])
        inner = np.clip(position, 0, len(PLACES) - 1)
        left = np.minimum(inner.astype(int), len(PLACES) - 2)
        table = np.broadcast_to(self.table(share), (*z.shape, len(PLACES)))

        def at(index: Array) -> Array:
            return np.take_along_axis(table, index[..., None], axis=-1)[..., 0]

        below = at(left)
        errors = below + (inner - left) * (at(left + 1) - below)
        per_unit = _PER_UNIT
        high = (table[..., -1] - table[..., -1 - per_unit]) / per_unit
        low = (table[..., per_unit] - table[..., 0]) / per_unit
        beyond = position - inner
        errors = errors + beyond * np.where(beyond > 0, high, low)
        return np.asarray(np.clip(errors, -self.largest, self.largest))

    def normal(self, errors: Array, share: Array) -> Array:
        """The standard normal z (P, C) that errors stand for, within [-3, 3]; NaN stays."""
        table = self.table(share)
        left = np.clip((table <= errors[..., None]).sum(axis=-1) - 1, 0, len(PLACES) - 2)
        below, above = (
            np.take_along_axis(table, index[..., None], axis=-1)[..., 0]
            for index in (left, left + 1)
        )
        step = np.where(above > below, above - below, 1.0)
        part = np.clip((errors - below) / step, 0.0, 1.0)
        return np.where(np.isnan(errors), np.nan, PLACES[left] + part * (PLACES[1] - PLACES[0]))


def interpolated(of_thirds: Array, share: Array) -> Array:
    """Values (3, C, ...) at the centres of the thirds, at shares of the horizon (..., C)."""
    position = np.clip(3 * share - 0.5, 0.0, 2.0)
    low = np.minimum(position.astype(int), 1)
    right = (position - low).reshape(*share.shape, *[1] * (of_thirds.ndim - 2))
    channel = np.arange(of_thirds.shape[1])
    return np.asarray((1 - right) * of_thirds[low, channel] + right * of_thirds[low + 1, channel])


def _quantiles(errors: Array) -> Array:
    """Quantiles at the normal places; beyond the data by the spread of the outermost ones."""
    if len(errors) < 2:
        return PLACES * (np.abs(errors).max() if len(errors) else 1.0)
    ranks = (np.arange(len(errors)) + 0.5) / len(errors)
    z, x = ndtri(ranks), np.sort(errors)
    inside = np.interp(PLACES, z, x)
    scale = max(float(x.std()), 1e-12)
    above, below = np.maximum(PLACES - z[-1], 0.0), np.maximum(z[0] - PLACES, 0.0)
    return np.asarray(inside + scale * (above - below))
