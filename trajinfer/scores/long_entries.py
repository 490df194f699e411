r"""Series of many entries under a law at knots, at a cost in proportion to their number.

Entries are $y = R x + e$: R has two shares a row, x is one of K Gaussians of D values at knots, and
e is noise, beyond the knots with Brownian motion, whose precision V^-1 has few diagonals. All that
y says of x is in $G = R' V^{-1} R$ and $R' V^{-1} y$. With a covariance $L L'$ of x and
$A = 1 + L' G L$, x given y has the covariance $L A^{-1} L'$ (matrix inversion lemma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from trajinfer._core.checks import Array
from trajinfer.scores.beside_lines import Beside, Chain
from trajinfer.scores.knot_law import KnotLaw, sparse_reach
from trajinfer.scores.seen import Seen
from trajinfer.scores.surprise import Surprise, among_parts, surprise_of

_LOG_TWO_PI = math.log(2 * math.pi)
_MANY = 400


def is_long(n: int) -> bool:
    """Whether n entries are so many that no covariance of theirs is made."""
    return n > _MANY


def log_density_along(law: KnotLaw, past: Seen) -> float:
    """Of the entries of a series, which may be many."""
    if not is_long(len(past.values)):
        values = torch.as_tensor(past.values)[None]
        return float(law.entries(past.times, past.channels).log_prob(values)[0])
    return float(np.logaddexp.reduce(_Given.of(law, past).log_parts))


def surprise_along(law: KnotLaw, past: Seen) -> Surprise:
    """Of every entry of a series given all others; see `surprise_of`."""
    if not is_long(len(past.values)):
        return surprise_of(law.entries(past.times, past.channels), past.values)
    return _Given.of(law, past).surprise()


def drawn_along(law: KnotLaw, past: Seen, asked: Seen, n: int, seed: int) -> Array:
    """Draws (n, m) of other entries given a series."""
    rng = np.random.default_rng(seed)
    given = _Given.of(law, past)
    knots = given.draws(n, rng)
    reach = sparse_reach(asked.times, asked.channels, law.knots, law.n_channels)
    drawn = (reach @ knots.T).T
    beside = Beside.of(law, asked.times, asked.channels)
    known = {chain.knot: chain for chain in given.beside.chains}
    for chain in beside.chains:
        drawn[:, chain.places] += _motion(chain, known.get(chain.knot), past.values, knots, rng).T
    return np.asarray(drawn + np.sqrt(beside.noise) * rng.standard_normal(drawn.shape))


@dataclass(frozen=True)
class _Given:
    """The law of D values at knots given n entries of a series.

    Attributes:
        past: the series.
        reach: (n, D) sparse.
        beside: what entries are beside lines.
        sums: (D,) of V^-1 along the entries of chains, for the knots these start from.
        log_parts: (K,) logarithm of weight times density of the entries.
        means: (K, D).
        roots: (K, D, D) S with S S' the covariance.
    """

    past: Seen
    reach: sparse.csr_array[np.float64]
    beside: Beside
    log_parts: Array
    means: Array
    roots: Array

    @classmethod
    def of(cls, law: KnotLaw, past: Seen) -> _Given:
        beside = Beside.of(law, past.times, past.channels)
        reach = sparse_reach(past.times, past.channels, law.knots, law.n_channels)
        weights = np.where(beside.inside, 1 / beside.noise, 0.0)
        gram = (reach.T @ (reach * weights[:, None])).toarray()
        right = reach.T @ (weights * past.values)
        log_det = float(np.log(beside.noise[beside.inside]).sum())
        for chain in beside.chains:
            ones, pulls = chain.solve(_with_ones(past.values[chain.places])).T
            gram[chain.knot, chain.knot] += ones.sum()
            right[chain.knot] += pulls.sum()
            log_det += chain.log_det
        parts, means, roots = [], [], []
        mixture = law.mixture
        for prior, mean, covariance in zip(
            mixture.weights.numpy(), mixture.means.numpy(), mixture.covariances.numpy(), strict=True
        ):
            factor = np.linalg.cholesky(covariance)
            inner = np.linalg.cholesky(np.eye(len(mean)) + factor.T @ gram @ factor)
            root = np.linalg.solve(inner, factor.T).T
            step = np.linalg.solve(inner, factor.T @ (right - gram @ mean))
            step = np.linalg.solve(inner.T, step)
            moved = mean + factor @ step
            off = past.values - reach @ moved
            square = float(off @ _solved(beside, off)) + float(step @ step)
            size = log_det + 2 * float(np.log(np.diag(inner)).sum())
            parts.append(math.log(prior) - 0.5 * (square + size + len(off) * _LOG_TWO_PI))
            means.append(moved)
            roots.append(root)
        return cls(past, reach, beside, np.array(parts), np.stack(means), np.stack(roots))

    def surprise(self) -> Surprise:
        """Of every entry given all others: the diagonal of the precision, and its pull."""
        inside = self.beside.inside
        own = np.where(inside, 1 / self.beside.noise, 0.0)
        shares = np.where(inside, own, 0.0)
        for chain in self.beside.chains:
            own[chain.places] = chain.precision
            shares[chain.places] = chain.solve(_with_ones(own[chain.places]))[:, 0]
        offs, variances = [], []
        for moved, root in zip(self.means, self.roots, strict=True):
            pull = _solved(self.beside, self.past.values - self.reach @ moved)
            spread = np.square(self.reach @ root).sum(axis=1)
            variance = 1 / (own - shares**2 * spread)
            offs.append(pull * variance)
            variances.append(variance)
        parts = torch.as_tensor(self.log_parts)
        return among_parts(
            torch.as_tensor(np.stack(offs)), torch.as_tensor(np.stack(variances)), parts
        )

    def draws(self, n: int, rng: np.random.Generator) -> Array:
        """Values at the knots, (n, D)."""
        weights = np.exp(self.log_parts - np.logaddexp.reduce(self.log_parts))
        part = rng.choice(len(weights), n, p=weights / weights.sum())
        z = rng.standard_normal((n, self.means.shape[1]))
        drawn = self.means[part]
        for k in range(len(weights)):
            drawn[part == k] += z[part == k] @ self.roots[k].T
        return drawn


def _with_ones(values: Array) -> Array:
    return np.stack([np.ones(len(values)), values], axis=1)


def _solved(beside: Beside, off: Array) -> Array:
    """V^-1 off."""
    answer = np.where(beside.inside, off / beside.noise, 0.0)
    for chain in beside.chains:
        answer[chain.places] = chain.solve(off[chain.places, None])[:, 0]
    return answer


def _motion(
    asked: Chain, known: Chain | None, values: Array, knots: Array, rng: np.random.Generator
) -> Array:
    """Brownian motion (m, n) outward from the knots (n, D), given what is known of it.

    A draw of the motion is corrected by what the known entries say beyond it.

    References:
        Durbin, Koopman, Biometrika 89 (2002).
    """
    n = len(knots)
    along = asked.along if known is None else np.union1d(asked.along, known.along)
    steps = np.sqrt(np.diff(along, prepend=0.0))[:, None]
    walk = (steps * rng.standard_normal((len(along), n))).cumsum(axis=0)
    drawn = walk[np.searchsorted(along, asked.along)]
    if known is None:
        return np.asarray(drawn)
    pretended = walk[np.searchsorted(along, known.along)]
    pretended += math.sqrt(known.noise) * rng.standard_normal(pretended.shape)
    off = values[known.places, None] - knots[:, known.knot] - pretended
    return np.asarray(drawn + known.motion(asked.along, known.solve(off)))
