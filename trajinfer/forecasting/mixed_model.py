r"""Linear mixed models: a common curve, levels and slopes of the series, errors that are forgotten.

$$y_i(t) = x(t)'\beta + (1, a)\,b_i + e_i(t), \qquad b_i \sim N(0, \sigma^2 D), \quad
\mathrm{corr}(e_i(t), e_i(s)) = \varphi^{|t - s| / g},$$

with x the columns of `CommonCurve`, whose bends have the prior $N(0, \sigma^2 \tau)$, the clock a
and the usual gap g. Differences $(e_k - \varphi_k e_{k-1}) / \sqrt{1 - \varphi_k^2}$ of neighbours
are independent, so that all that the law says of a series are sums along it. D, $\tau$ and
$\varphi$ are those of largest restricted likelihood on a grid; forecasts are best linear unbiased
ones, averaged over $\varphi$ by the likelihood.

References:
    Patterson and Thompson, Biometrika 58 (1971), 545; Henderson, Biometrics 31 (1975), 423; Laird
    and Ware, Biometrics 38 (1982), 963.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.observations import Channel, segment_scan

MEMORIES = np.array([0.0, 0.4, 0.7, 0.9, 0.98])
"""Correlations of errors a usual gap apart that are tried."""
_LEVELS = (0.0, 0.1, 0.4, 1.5, 6.0, 25.0, 100.0, 1000.0)
_TILTS = (-0.6, 0.0, 0.6)
_BENDS = (1e-4, 1e-2, 0.3, 10.0, 300.0)
_RIDGE = 1e-9
_SMALLEST_SHARE = 1e-3
_LARGEST = 0.9999


def _covariances() -> Array:
    """(G, 2, 2) of levels and slopes, in units of the variance of the errors."""
    found = []
    for level, slope in itertools.product(_LEVELS, _LEVELS):
        for tilt in _TILTS if level * slope > 0 else (0.0,):
            across = tilt * np.sqrt(level * slope)
            found.append([[level, across], [across, slope]])
    return np.array(found)


_COVARIANCES = _covariances()


def independent_rows(channel: Channel, curve: CommonCurve, gap: float) -> tuple[Array, Array]:
    """Columns and values as independent errors see them (n, M, p + 1), for M memories.

    Returns:
        The rows, and the logarithms (n, M) of the factors that made them.
    """
    lengths = np.diff(channel.starts)
    series = np.repeat(np.arange(len(lengths)), lengths)
    first = channel.starts[series]
    every = np.column_stack([curve(channel.times, channel.times[first]), channel.values])
    inner = np.arange(len(series)) > first
    steps = np.diff(channel.times, prepend=channel.times[:1]) / gap
    with np.errstate(over="ignore"):
        kept = np.where(inner[:, None], MEMORIES ** np.maximum(steps, 0.0)[:, None], 0.0)
    kept = np.minimum(kept, _LARGEST)
    factor = 1 / np.sqrt(1 - kept**2)
    before = np.where(inner[:, None], np.roll(every, 1, axis=0), 0.0)
    rows = factor[:, :, None] * (every[:, None] - kept[:, :, None] * before[:, None])
    return rows, np.log(factor)


def sums_so_far(rows: Array, starts: Array) -> Array:
    """Sums (n, M, 2, p + 1) along each series of products with level and slope."""
    products = rows[:, :, :2, None] * rows[:, :, None, :]
    return segment_scan(products.reshape(len(rows), -1), starts, np.add).reshape(products.shape)


@packable
@dataclass(frozen=True)
class MixedModel:
    """A fitted law of one channel, for each of K memories that count.

    Attributes:
        share: (K,) in the forecasts.
        memory: (K,) places in `MEMORIES`.
        coefficients: (K, p) of the common curve.
        covariance: (K, 2, 2) of levels and slopes in units of the variance of the errors.
    """

    share: Array
    memory: Array
    coefficients: Array
    covariance: Array

    def __call__(
        self, ahead: Array, here: Array, last: Array, seen: Array, sums: Array, steps: Array
    ) -> Array:
        """Values (P,) that are expected.

        Args:
            ahead, here: (P, p) columns at the times asked about and at the last values.
            last: (P,) values; any where nothing was seen.
            seen: (P,) whether something was.
            sums: (P, M, 2, p + 1) of the past.
            steps: (P,) usual gaps since the last value.
        """
        found = np.zeros(len(last))
        for share, k, beta, own in zip(
            self.share, self.memory, self.coefficients, self.covariance, strict=True
        ):
            past = sums[:, k]
            rest = past[:, :, -1] - past[:, :, :-1] @ beta
            effect = np.einsum("pij,pj->pi", _shrinkage(past[:, :, :2], own), rest)
            error = last - here @ beta - (here[:, :2] * effect).sum(axis=1)
            kept = np.where(seen, MEMORIES[k] ** np.maximum(steps, 1e-9), 0.0)
            found += share * (ahead @ beta + (ahead[:, :2] * effect).sum(axis=1) + kept * error)
        return found


def _shrinkage(squares: Array, covariance: Array) -> Array:
    """D (1 + Z'Z D)^-1 for squares Z'Z (..., 2, 2)."""
    return np.asarray(covariance @ np.linalg.inv(np.eye(2) + squares @ covariance))


def fit_mixed_model(
    rows: Array, log_factor: Array, series: Array, curve: CommonCurve, weight: Array | None = None
) -> MixedModel:
    """The law of largest restricted likelihood.

    Args:
        rows: (n, M, p + 1) as independent errors see them, series after series.
        log_factor: (n, M) logarithms of their factors.
        series: (n,) of the rows, ascending.
        curve: whose columns they are.
        weight: (n,) how often each row's series counts; None: once.
    """
    starts = np.flatnonzero(np.diff(series, prepend=-1))
    counts = np.ones(len(starts)) if weight is None else weight[starts]
    fits = []
    for k in range(len(MEMORIES)):
        own = rows[:, k]
        grams = np.add.reduceat(own[:, :, None] * own[:, None, :], starts, axis=0)
        n = float(counts @ np.diff(np.append(starts, len(series))))
        jacobian = float(counts @ np.add.reduceat(log_factor[:, k], starts))
        fits.append((*_restricted(grams, counts, n, curve.bends), jacobian))
    likelihood = np.array([fit[0] + fit[3] for fit in fits])
    share = np.exp(likelihood - likelihood.max())
    kept = np.flatnonzero(share > _SMALLEST_SHARE)
    return MixedModel(
        share[kept] / share[kept].sum(),
        kept,
        np.stack([fits[k][1] for k in kept]),
        np.stack([fits[k][2] for k in kept]),
    )


def _restricted(grams: Array, counts: Array, n: float, bends: Array) -> tuple[float, Array, Array]:
    """Largest log-likelihood without constants, coefficients (p,) and covariance (2, 2).

    Args:
        grams: (B, p + 1, p + 1) sums of products of every series.
        counts: (B,) how often each series counts.
        n: number of rows.
        bends: (p,) which columns have a prior.
    """
    every, log_det = _without_effects(grams, counts)
    total, width, n_bends = np.tensordot(counts, grams, 1), len(bends), bends.sum()
    free = max(n - (width - n_bends), 1.0)
    ridge = _RIDGE * np.trace(total[:-1, :-1]) / width
    floor = 1e-12 * total[-1, -1] + 1e-300
    likelihoods, coefficients = [], []
    for tau in _BENDS if n_bends else (1.0,):
        matrix = every[:, :-1, :-1] + np.diag(np.where(bends, 1 / tau, ridge))
        beta = np.linalg.solve(matrix, every[:, :-1, -1:])[:, :, 0]
        square = every[:, -1, -1] - np.einsum("gp,gp->g", beta, every[:, :-1, -1])
        size = np.log(np.maximum(square, floor) / free)
        of_beta = np.linalg.slogdet(matrix)[1] + n_bends * np.log(tau)
        likelihoods.append(-0.5 * (log_det + of_beta + free * size))
        coefficients.append(beta)
    found = np.array(likelihoods)
    tau_at, at = np.unravel_index(int(np.argmax(found)), found.shape)
    return float(found[tau_at, at]), coefficients[tau_at][at], _COVARIANCES[at]


def _without_effects(grams: Array, counts: Array) -> tuple[Array, Array]:
    """Sums (G, p + 1, p + 1) with levels and slopes integrated out, and log-determinants (G,)."""
    size, width = len(_COVARIANCES), grams.shape[1]
    inner = np.eye(2) + grams[:, None, :2, :2] @ _COVARIANCES
    shrink = _COVARIANCES @ np.linalg.inv(inner)  # (B, G, 2, 2)
    left = (counts[:, None, None] * grams[:, :2]).transpose(2, 0, 1).reshape(width, -1)
    right = (shrink @ grams[:, None, :2]).transpose(1, 0, 2, 3).reshape(size, -1, width)
    log_det = counts @ np.log(np.maximum(np.linalg.det(inner), 1e-300))
    return np.tensordot(counts, grams, 1) - left @ right, log_det
