"""Expectation maximisation of a mixture at knots, seen through lines, holes and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from trajinfer._core.checks import Array
from trajinfer.diffusion.first_shares import first_shares

_ROUNDS = 10
_LEAST_NOISE = 1e-4

_LEAST_SHARE = 1e-12


@dataclass(frozen=True)
class Observed:
    """Values of a series, as lines between D knots and noise.

    A series of more values than there are knots is turned: some D values carry all that is said of
    the knots, the others are noise alone.

    Attributes:
        values: (n,).
        reach: (n, D) shares of the knots in them.
        n_rest, rest: number of values that are noise alone, and the sum of their squares.
    """

    values: Array
    reach: Array
    n_rest: int = 0
    rest: float = 0.0

    @classmethod
    def of(cls, values: Array, reach: sparse.csr_array[np.float64]) -> Self:
        """From the values and shares of all entries."""
        n, dim = reach.shape
        if n <= dim:
            return cls(values, reach.toarray())
        spectrum, axes = np.linalg.eigh((reach.T @ reach).toarray())
        kept = spectrum > _LEAST_SHARE * spectrum[-1]
        root, axes = np.sqrt(spectrum[kept]), axes[:, kept]
        turned = axes.T @ (reach.T @ values) / root
        rest = max(float(values @ values - turned @ turned), 0.0)
        return cls(turned, root[:, None] * axes.T, n - len(root), rest)


@dataclass(frozen=True)
class Parts:
    """K Gaussians of D values at knots, and the noise of what is observed.

    Attributes:
        weights: (K,).
        means: (K, D).
        covariances: (K, D, D).
        noise: standard deviation of an observation.
    """

    weights: Array
    means: Array
    covariances: Array
    noise: float

    def log_density(self, seen: Observed) -> float:
        """Of the values of a series."""
        return float(np.logaddexp.reduce(self.log_parts(seen)))

    def log_parts(self, seen: Observed) -> Array:
        """(K,) logarithm of weight times density, up to a constant."""
        values, reach = seen.values, seen.reach
        total = reach @ self.covariances @ reach.T + self.noise**2 * np.eye(len(values))
        factor = np.linalg.cholesky(total)
        off = values - self.means @ reach.T
        z = np.linalg.solve(factor, off[..., None])[..., 0]
        log_det = np.log(np.einsum("knn->kn", factor)).sum(-1)
        alone = 0.5 * seen.rest / self.noise**2 + seen.n_rest * np.log(self.noise)
        return np.asarray(np.log(self.weights) - 0.5 * (z**2).sum(-1) - log_det - alone)

    def posterior(self, seen: Observed) -> tuple[Array, Array]:
        """Means (K, D) and covariances (K, D, D) at the knots given a series."""
        values, reach = seen.values, seen.reach
        cross = self.covariances @ reach.T
        total = reach @ cross + self.noise**2 * np.eye(len(values))
        gain = np.linalg.solve(total, cross.swapaxes(1, 2)).swapaxes(1, 2)
        moved = self.means + np.einsum("kdn,kn->kd", gain, values - self.means @ reach.T)
        return moved, self.covariances - gain @ cross.swapaxes(1, 2)


def maximised(
    series: Sequence[Observed], start: Parts, count: int, strength: float, seed: int
) -> Parts:
    """Rounds of expectation maximisation from one Gaussian, whose covariance is the prior.

    Args:
        series: what is observed.
        start: one Gaussian.
        count: parts.
        strength: the prior counts like strength x D series in every part.
        seed: of the first parts.
    """
    parts, shares = start, None
    if count > 1:
        rows = np.stack([start.posterior(one)[0][0] for one in series])
        shares = first_shares(rows, count, seed)
    for _ in range(_ROUNDS):
        parts, shares = _round(series, parts, start, shares, strength)
    return parts


def _round(
    series: Sequence[Observed], parts: Parts, start: Parts, shares: Array | None, strength: float
) -> tuple[Parts, None]:
    """Moments of every part given the series; shares are those of the parts, unless given."""
    dim, k = start.means.shape[1], len(parts.weights) if shares is None else shares.shape[1]
    mass, first = np.full(k, 1e-9), np.zeros((k, dim))
    second, errors, n_values = np.zeros((k, dim, dim)), 0.0, 0
    for i, one in enumerate(series):
        moved, left = parts.posterior(one)
        if shares is None:
            logits = parts.log_parts(one)
            share = np.exp(logits - np.logaddexp.reduce(logits))
        else:
            share, moved, left = shares[i], np.repeat(moved, k, 0), np.repeat(left, k, 0)
        mass += share
        first += share[:, None] * moved
        second += share[:, None, None] * (left + moved[:, :, None] * moved[:, None, :])
        reach = one.reach
        off = (one.values - moved @ reach.T) ** 2
        off += np.einsum("nd,kde,ne->kn", reach, left, reach)
        errors += float((share[:, None] * off).sum()) + one.rest
        n_values += len(one.values) + one.n_rest
    means = (first + start.means) / (mass + 1)[:, None]
    spread = second / mass[:, None, None] - _outer(first / mass[:, None], means)
    weight = strength * dim
    prior = start.covariances * weight
    covariances = (mass[:, None, None] * spread + prior) / (mass + weight)[:, None, None]
    noise = max(float(np.sqrt(errors / n_values)), _LEAST_NOISE)
    symmetric = (covariances + covariances.swapaxes(1, 2)) / 2
    return Parts(mass / mass.sum(), means, symmetric, noise), None


def _outer(first: Array, means: Array) -> Array:
    """Sum x m' + m x' - m m': what centring at m takes from second moments with mean x."""
    cross = first[:, :, None] * means[:, None, :]
    return np.asarray(cross + cross.swapaxes(1, 2) - means[:, :, None] * means[:, None, :])
