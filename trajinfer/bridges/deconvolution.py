r"""Where individuals stand, if what was measured is their position plus noise of known size.

Individuals of different snapshots are different, so that noise of measurement acts on every
snapshot alone: the law of the measured y is that of the positions x, widened by N(0, R). In units
of the noise (R = I) the law of y is fitted by a Gaussian mixture whose covariances $C_c$ have no
eigenvalue below 1, so that $C_c - I$ can be the covariance of positions. Every measured point is
then moved towards the centres of its components,

$x = \sum_c p(c \mid y)\, [\mu_c + (I - C_c^{-1})^{1/2} (y - \mu_c)]$,

and the whole is stretched until its covariance is $\sum_c w_c (C_c - I) +$ that of the centres. For
one component this is the optimal transport from the law of y to that of x. It keeps individuals
apart, where the posterior mean would draw them too close together.

References:
    Bovy, Hogg, Roweis, "Extreme deconvolution", Annals of Applied Statistics 5 (2011).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots
from trajinfer.diffusion.em import log_densities
from trajinfer.diffusion.first_shares import first_shares

_MOST_PARTS, _FEWEST_POINTS = 8, 10
_ROUNDS, _STILL = 200, 1e-5
_SMALLEST = 1e-12


def noise_by_coordinate(measurement_noise: Any, dim: int) -> Array:
    """Standard deviations (D,) of the noise; None is none.

    Raises:
        InputError: for values that are negative, not finite, or not one per coordinate.
    """
    values = as_array(0.0 if measurement_noise is None else measurement_noise, "measurement_noise")
    if values.shape not in {(), (dim,)}:
        raise InputError(
            f"measurement_noise must be a standard deviation or one per coordinate ({dim}), got "
            f"shape {values.shape}"
        )
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(
            "measurement_noise must be a standard deviation, 0 or more in the units of the data, "
            f"got {values.tolist()}"
        )
    return np.array(np.broadcast_to(values, (dim,)), dtype=float)


def without_noise(snapshots: Snapshots, noise: Array, seed: int) -> Snapshots:
    """The same individuals where they stand; the same snapshots where there is no noise.

    Args:
        snapshots: measured with noise.
        noise: (D,) standard deviations; coordinates of 0 stay as they are.
        seed: of the first parts of the mixtures.
    """
    noisy = noise > 0
    if not noisy.any():
        return snapshots
    points = []
    for k, measured in enumerate(snapshots.points):
        moved = measured.copy()
        moved[:, noisy] = noise[noisy] * _positions(
            measured[:, noisy] / noise[noisy], snapshots.probabilities(k), seed
        )
        points.append(moved)
    return replace(snapshots, times=snapshots.labels, points=tuple(points))


@dataclass(frozen=True)
class NoisyMixture:
    """Gaussian parts of what was measured, in units of the noise.

    Attributes:
        weights: (K,).
        means: (K, D).
        covariances: (K, D, D) without eigenvalues below 1.
        likelihood: mean log density.
        shares: (N, K) of the parts in every point.
    """

    weights: Array
    means: Array
    covariances: Array
    likelihood: float
    shares: Array

    @classmethod
    def of(cls, y: Array, mass: Array, shares: Array) -> NoisyMixture:
        """The parts of highest likelihood under these shares (N, K) of points of a mass (N,)."""
        owned = shares * mass[:, None]
        weights = owned.sum(0)
        means = owned.T @ y / weights[:, None]
        covariances = np.stack(
            [
                _at_least_one((own[:, None] * (y - m)).T @ (y - m) / w)
                for own, m, w in zip(owned.T, means, weights)
            ]
        )
        logits = log_densities(y, weights, means, covariances)
        top = logits.max(1, keepdims=True)
        density = np.exp(logits - top)
        total = density.sum(1, keepdims=True)
        likelihood = float(mass @ (top + np.log(total))[:, 0])
        return cls(weights, means, covariances, likelihood, density / total)

    @property
    def n_numbers(self) -> int:
        """How many numbers were fitted."""
        k, dim = self.means.shape
        return int(k * (1 + dim + dim * (dim + 1) // 2) - 1)

    def criterion(self, n: float) -> float:
        """Bayesian information criterion for n points."""
        return float(self.n_numbers * np.log(n) - 2 * n * self.likelihood)

    @property
    def covariance(self) -> Array:
        """Covariance (D, D) of the positions."""
        off = self.means - self.weights @ self.means
        own = np.tensordot(self.weights, self.covariances, 1) - np.eye(off.shape[1])
        return np.asarray(own + (off * self.weights[:, None]).T @ off)

    def positions(self, y: Array, mass: Array) -> Array:
        """Where the measured points stand, (N, D)."""
        moved = np.zeros_like(y)
        for share, mean, covariance in zip(self.shares.T, self.means, self.covariances):
            values, axes = np.linalg.eigh(covariance)
            shrink = np.sqrt(np.maximum(1 - 1 / values, 0.0))
            moved += share[:, None] * (mean + (y - mean) @ (axes * shrink) @ axes.T)
        return _stretched(moved, mass, self.covariance)


def _positions(y: Array, mass: Array, seed: int) -> Array:
    """Positions (N, D) of points measured with unit noise, by the number of parts of least BIC."""
    n = 1 / np.square(mass).sum()
    best = _fitted(y, mass, 1, seed)
    for k in range(2, _MOST_PARTS + 1):
        if n < k * (_FEWEST_POINTS + y.shape[1]):
            break
        found = _fitted(y, mass, k, seed)
        if found.criterion(n) >= best.criterion(n):
            break
        best = found
    return best.positions(y, mass)


def _fitted(y: Array, mass: Array, k: int, seed: int) -> NoisyMixture:
    """A mixture of K parts by expectation and maximisation."""
    shares = np.ones((len(y), 1))
    if k > 1:
        shares = first_shares(y, k, seed, mass)
    current = NoisyMixture.of(y, mass, shares)
    for _ in range(_ROUNDS):
        after = NoisyMixture.of(y, mass, current.shares)
        if after.likelihood - current.likelihood < _STILL:
            break
        current = after
    return current


def _at_least_one(covariance: Array) -> Array:
    """The most likely covariance without eigenvalues below 1, that of the noise."""
    values, axes = np.linalg.eigh(covariance)
    return np.asarray((axes * np.maximum(values, 1.0)) @ axes.T)


def _stretched(x: Array, mass: Array, covariance: Array) -> Array:
    """Points (N, D) moved, as little as can be, until they have this covariance."""
    mean = mass @ x
    off = x - mean
    values, axes = np.linalg.eigh((off * mass[:, None]).T @ off)
    real = values > _SMALLEST * max(values.max(), _SMALLEST)
    root = (axes * np.sqrt(np.where(real, values, 0.0))) @ axes.T
    inverse = (axes * np.where(real, 1 / np.sqrt(np.where(real, values, 1.0)), 0.0)) @ axes.T
    between, turn = np.linalg.eigh(root @ covariance @ root)
    middle = (turn * np.sqrt(np.maximum(between, 0.0))) @ turn.T
    return np.asarray(mean + off @ inverse @ middle @ inverse)
