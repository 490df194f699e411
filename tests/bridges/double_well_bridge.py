"""The bridge of a double well between points on a line, by its generator on a grid."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

HALF_WIDTH, NODES = 2.8, 201
TINY = 1e-300  # where no path comes, rounding leaves nothing or less


class DoubleWellBridge:
    """Densities and drifts of the bridge between two clouds (N,) and (M,), one unit of time apart.

    Central differences; the points are shared out between their neighbouring nodes. Times are
    quarters of the unit.
    """

    def __init__(self, start, end, strength, volatility):
        self.grid = np.linspace(-HALF_WIDTH, HALF_WIDTH, NODES)
        self.drift = strength * (self.grid - self.grid**3)
        self.volatility = volatility
        spacing = self.grid[1] - self.grid[0]
        even, odd = volatility**2 / (2 * spacing**2), self.drift / (2 * spacing)
        up, down = np.maximum(even + odd, 0)[:-1], np.maximum(even - odd, 0)[1:]
        generator = np.diag(up, 1) + np.diag(down, -1)
        self.quarter = expm((generator - np.diag(generator.sum(1))) / 4)
        before, after = self._shared(start), self._shared(end)
        kernel, self.last = np.linalg.matrix_power(self.quarter, 4), np.ones(NODES)
        for _ in range(500):
            self.first = before / np.maximum(kernel @ self.last, TINY)
            self.last = after / np.maximum(kernel.T @ self.first, TINY)

    def at(self, t):
        """Weights of the nodes at a time in between, and the drift there."""
        quarters = round(4 * t)
        onward = np.linalg.matrix_power(self.quarter, 4 - quarters) @ self.last
        reached = np.linalg.matrix_power(self.quarter, quarters).T @ self.first
        weights = onward * reached
        slope = np.gradient(np.log(np.maximum(onward, TINY)), self.grid)
        return weights / weights.sum(), self.drift + self.volatility**2 * slope

    def distance(self, t, drawn):
        """W1 of points (n,) from the law at t, by 200 quantiles."""
        levels = (np.arange(200) + 0.5) / 200
        quantiles = np.interp(levels, np.cumsum(self.at(t)[0]), self.grid)
        return np.abs(np.quantile(drawn, levels) - quantiles).mean()

    def error(self, t, velocity):
        """How far a velocity of positions (n, 1) is off, relative to its size."""
        weights, drift = self.at(t)
        off = velocity(self.grid[:, None])[:, 0] - drift
        return np.sqrt((weights @ off**2) / (weights @ drift**2))

    def _shared(self, points):
        place = (points + HALF_WIDTH) / (self.grid[1] - self.grid[0])
        node = place.astype(int)
        weights = np.zeros(NODES)
        np.add.at(weights, node, 1 - (place - node))
        np.add.at(weights, node + 1, place - node)
        return weights / len(points)
