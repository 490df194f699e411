"""Exits between the steps of a simulation: whether a wall was touched on the way, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.questions.region import Region

Exits = Literal["bridge", "weights", "plain"]
Covariance = Array | Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Touch:
    """What a step of each of n paths did to K regions.

    Attributes:
        chance: (n, K) probability that the region was touched within the step.
        start: (n, K) distance before the step.
        end: (n, K) distance after it.
        variance: (n, K) of the step along the normal.
    """

    chance: Array
    start: Array
    end: Array
    variance: Array

    @classmethod
    def of(
        cls, regions: Sequence[Region], x: Array, y: Array, covariance: Covariance, *, plain: bool
    ) -> Touch:
        """The touches of a step from x to y, both (n, D).

        Args:
            regions: K of them.
            x: states before the step.
            y: states after it.
            covariance: of the step, (n, D, D) where it is the same everywhere, or a function of the
                state. The noise is then taken at both ends and at the wall: distances in units of
                the noise are exact to second order.
            plain: whether to look at y alone.

        A region without a distance, or any with `plain`, counts as touched only where y is inside.
        """
        n = len(x)
        columns = [_of_region(region, x, y, covariance, plain) for region in regions]
        stacked = [np.stack(part, axis=1) for part in zip(*columns)]
        if not columns:
            stacked = [np.zeros((n, 0))] * 4
        return cls(*stacked)

    def share(self, uniform: Array, normal: Array) -> Array:
        """Shares (n, K) of the step after which a touched region was reached."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = inverse_gaussian(
                self.start / np.maximum(np.abs(self.end), 1e-300),
                self.start**2 / self.variance,
                uniform,
                normal,
            )
            share = np.where(np.isfinite(ratio), ratio / (1 + ratio), 1.0)
        return np.asarray(np.where(self.variance > 0, share, 1.0))

    def first(
        self, regions: Sequence[Region], x: Array, y: Array, uniform: Array, normal: Array
    ) -> tuple[Array, Array, Array]:
        """The first region that was touched.

        Args:
            regions: K of them.
            x: states before the step.
            y: states after it.
            uniform: (n, 2 K) draws, for touches and their times.
            normal: (n, K) draws for the times.

        Returns:
            Share of the step that was walked (n,), where it ended (n, D), and the region that
            stopped it (n,), -1 for none.
        """
        n, k = self.chance.shape
        if not k:
            return np.ones(n), y, np.full(n, -1)
        touched = uniform[:, :k] < self.chance
        shares = np.where(touched, self.share(uniform[:, k : 2 * k], normal[:, :k]), np.inf)
        nearest, stopped = shares.argmin(axis=1), touched.any(axis=1)
        share = np.where(stopped, shares[np.arange(n), nearest], 1.0)
        which = np.where(stopped, nearest, -1)
        place = y.copy()
        for index, region in enumerate(regions):
            mine = which == index
            if mine.any() and (self.variance[mine, index] > 0).any():
                between = x[mine] + share[mine, None] * (y[mine] - x[mine])
                place[mine] = onto_wall(region, between)
        return share, place, which


def _of_region(
    region: Region, x: Array, y: Array, covariance: Covariance, plain: bool
) -> tuple[Array, Array, Array, Array]:
    inside = region.contains(y)
    start, end = (None, None) if plain else (region.distance(x), region.distance(y))
    if start is None or end is None:
        zero = np.zeros(len(x))
        return inside.astype(float), zero, zero, zero
    normal = region.normal(x)
    if callable(covariance):
        wall = x - start[:, None] * normal
        at_x, at_wall, at_y = (_along(normal, covariance(z)) for z in (x, wall, y))
        variance = np.sqrt(at_wall * np.sqrt(at_x * at_y))
    else:
        variance = _along(normal, covariance)
    return touch_probability(start, end, variance), start, end, variance


def _along(normal: Array, covariance: Array) -> Array:
    return np.asarray(np.einsum("nd,nde,ne->n", normal, covariance, normal))


def touch_probability(start: Array, end: Array, variance: Array) -> Array:
    """Probability that a Brownian bridge between two distances touches zero.

    Args:
        start: (n,) distance at the start, positive.
        end: (n,) distance at the end.
        variance: (n,) of the increment.
    """
    outside = (start > 0) & (end > 0)
    safe = np.where(variance > 0, variance, 1.0)
    exponent = np.where(outside & (variance > 0), -2 * start * end / safe, -np.inf)
    return np.asarray(np.where(outside, np.exp(exponent), 1.0))


def inverse_gaussian(mean: Array, shape: Array, uniform: Array, normal: Array) -> Array:
    """Inverse Gaussian draws from a uniform and a normal draw each."""
    square = normal**2
    # the smaller root in the form that does not cancel
    half = mean * square / (2 * shape)
    small = mean / (1 + half + np.sqrt(half * (2 + half)))
    return np.asarray(np.where(uniform * (mean + small) <= mean, small, mean**2 / small))


def onto_wall(region: Region, x: Array) -> Array:
    """The states x (n, D) moved along the normal onto the wall of a region."""
    distance = region.distance(x)
    return x if distance is None else x - distance[:, None] * region.normal(x)
