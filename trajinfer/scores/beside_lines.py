"""What entries of a series are beside the lines between knots, at a cost in proportion to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from trajinfer._core.checks import Array
from trajinfer.scores.knot_law import KnotLaw

_LEAST_STEP = 1e-12


@dataclass(frozen=True)
class Chain:
    """Entries of one channel on one side of the knots, outward: Brownian motion and noise.

    With W the covariance of the motion and N that of the noise, $(W + N)^{-1} = N^{-1} - N^{-1}
    (W^{-1} + N^{-1})^{-1} N^{-1}$, where W^-1 has three diagonals.

    Attributes:
        places: (m,) of the entries.
        knot: number of the value at a knot that the motion starts from.
        along: (m,) variance of the motion up to every entry, rising.
        noise: variance of the noise of an entry.
    """

    places: Array
    knot: int
    along: Array
    noise: float

    def solve(self, columns: Array) -> Array:
        """(W + N)^-1 times columns (m, k)."""
        pivots, below = self._pivots(*self._inner)
        moved, _ = lapack.dpttrs(pivots, below, columns / self.noise)
        return np.asarray((columns - moved) / self.noise)

    @property
    def precision(self) -> Array:
        """(m,) diagonal of (W + N)^-1."""
        diagonal, beside = self._inner
        out, _ = self._pivots(diagonal, beside)
        back, _ = self._pivots(diagonal[::-1].copy(), beside[::-1].copy())
        return np.asarray((1 - 1 / (out + back[::-1] - diagonal) / self.noise) / self.noise)

    @property
    def log_det(self) -> float:
        """Of W + N."""
        pivots, _ = self._pivots(*self._inner)
        return float(
            np.log(pivots).sum() + np.log(self._steps).sum() + len(pivots) * np.log(self.noise)
        )

    def motion(self, along: Array, pulls: Array) -> Array:
        """Covariance of the motion at `along` (a,) with that at the entries, times pulls (m, n)."""
        total = np.concatenate([np.zeros((1, pulls.shape[1])), pulls.cumsum(0)])
        weighted = np.concatenate(
            [np.zeros((1, pulls.shape[1])), (self.along[:, None] * pulls).cumsum(0)]
        )
        n = np.searchsorted(self.along, along, side="right")
        return np.asarray(weighted[n] + along[:, None] * (total[-1] - total[n]))

    @property
    def _steps(self) -> Array:
        return np.maximum(np.diff(self.along, prepend=0.0), _LEAST_STEP * self.noise)

    @property
    def _inner(self) -> tuple[Array, Array]:
        """Diagonals of W^-1 + N^-1."""
        sure = 1 / self._steps
        diagonal = sure + 1 / self.noise
        diagonal[:-1] += sure[1:]
        return diagonal, -sure[1:]

    @staticmethod
    def _pivots(diagonal: Array, beside: Array) -> tuple[Array, Array]:
        # lapack wants a place beside the diagonal of a single entry, too
        pivots, below, _ = lapack.dpttrf(diagonal, beside if len(beside) else np.zeros(1))
        return pivots, below


@dataclass(frozen=True)
class Beside:
    """What n entries are beside lines: noise, and Brownian motion outside the knots.

    Attributes:
        noise: (n,) variances.
        inside: (n,) bool, between the knots.
        chains: the entries outside.
    """

    noise: Array
    inside: Array
    chains: tuple[Chain, ...]

    @classmethod
    def of(cls, law: KnotLaw, times: Array, channels: Array) -> Beside:
        """Of entries, each a time and a channel."""
        noise, chains = law.variance(channels), []
        first, last = law.knots[[0, -1]]
        ends = ((first - times, 0), (times - last, len(law.knots) - 1))
        for far, knot in ends:
            for c in np.unique(channels[far > 0]):
                own = np.flatnonzero((far > 0) & (channels == c))
                own = own[np.argsort(far[own], kind="stable")]
                column = knot * law.n_channels + int(c)
                variance = float(noise[own[0]])
                chains.append(Chain(own, column, law.rate[c] * far[own], variance))
        return cls(noise, (times >= first) & (times <= last), tuple(chains))
