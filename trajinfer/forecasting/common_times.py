"""Series that live at the same times: origins common to all, and how alike their shocks are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs

_MOST_ORIGINS = 4
_FEWEST_KNOWN = 0.2


@dataclass(frozen=True)
class CommonOrigins:
    """K times after which all series are predicted from what came before in any of them.

    A shock that all series share is not told by the others, and the times themselves are new: this
    is what a forecast meets beyond the end of a table. The last part holds nothing out: the law
    keeps what was learned from all pairs.

    Attributes:
        times: (K,) the origins, ascending.
        known: (K,) the share of all pairs that may be learned from at each.
    """

    times: Array
    known: Array
    averaged = slice(-1, None)

    @classmethod
    def of(cls, data: Observations, pairs: Pairs) -> CommonOrigins | None:
        """At most four, even among the times of cuts; None where no past is long enough."""
        ends = np.sort(data.times[pairs.target])
        cuts = np.unique(data.times[pairs.cut])
        known = np.searchsorted(ends, cuts, side="right") / max(len(ends), 1)
        usable = np.flatnonzero(known >= _FEWEST_KNOWN)
        if not len(usable):
            return None
        parts = np.array_split(usable, min(_MOST_ORIGINS, len(usable)))
        first = np.array([part[0] for part in parts])
        return cls(cuts[first], known[first])

    @property
    def count(self) -> int:
        """Number K + 1 of parts."""
        return len(self.times) + 1

    def held(self, data: Observations, pairs: Pairs) -> Array:
        """(P,) the part that each pair is held out in; -1 for cuts before the first origin."""
        return np.searchsorted(self.times, data.times[pairs.cut], side="right") - 1

    def trains(self, data: Observations, pairs: Pairs, part: int) -> Array:
        """(P,) whether a pair may be learned from where a part is held out."""
        if part == len(self.times):
            return np.ones(len(pairs), dtype=bool)
        return np.asarray(data.times[pairs.target] <= self.times[part])

    def weight(self, held: Array) -> Array:
        """(P,) of the pairs held out in these parts: the square of the share learned from.

        What was learned from little says less of what will be learned from all.
        """
        return np.asarray(self.known[held] ** 2)


@dataclass(frozen=True)
class Independent:
    """Numbers of independent stretches that many stretches of alike errors are worth.

    Attributes:
        of_means: for the mean of the errors.
        of_squares: for the mean of their squares, which are less alike than the errors.
    """

    of_means: float
    of_squares: float

    @classmethod
    def all(cls, stretches: float) -> Independent:
        """As many as there are."""
        return cls(stretches, stretches)


def independent_stretches(
    errors: Array, series: Array, times: Array, horizon: float, stretches: float
) -> Independent:
    r"""Number of independent stretches among n whose errors are alike at one time.

    With m_b series in stretch b of the clock and the correlation $\rho$ of the errors of two of
    them in the same stretch, a mean over n stretches varies as one over

    $$n \cdot \frac{\sum_b m_b}{\sum_b m_b (1 + (m_b - 1)\rho)}$$

    independent ones (the design effect of Kish, Survey Sampling, 1965, 5.4). Squares of normal
    errors have the correlation $\rho^2$. A mean that all errors share counts as likeness.

    Args:
        errors: (P, C) in units of the expected size, NaN = not observed.
        series: (P,) the series of each.
        times: (P,) of the cuts.
        horizon: length of a stretch.
        stretches: n.
    """
    stretch = np.floor((times - times.min()) / horizon).astype(int)
    found = []
    for c in range(errors.shape[1]):
        known = ~np.isnan(errors[:, c])
        if known.any():
            found.append(_independent(errors[known, c], series[known], stretch[known]))
    if not found:
        return Independent.all(stretches)
    means, squares = np.mean(found, axis=0).tolist()
    return Independent(stretches * means, stretches * squares)


def _independent(errors: Array, series: Array, stretch: Array) -> tuple[float, float]:
    """Shares of the stretches of one channel that are independent, for means and for squares."""
    cells, place = np.unique(np.stack([stretch, series]), axis=1, return_inverse=True)
    mean = np.bincount(place.ravel(), errors) / np.bincount(place.ravel())
    _, of = np.unique(cells[0], return_inverse=True)
    m = np.bincount(of)
    square = mean @ mean / len(mean)
    between = np.bincount(of, mean) ** 2 - np.bincount(of, mean**2)
    pairs = (m * (m - 1)).sum()
    if not pairs or not square:
        return 1.0, 1.0
    alike = float(np.clip(between.sum() / pairs / square, 0.0, 1.0))
    means, squares = (m.sum() / (m * (1 + (m - 1) * a)).sum() for a in (alike, alike**2))
    return float(means), float(squares)
