"""Limits from exchangeability: what relabelling of series that share one law can give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import gammaln

from trajinfer._core.checks import Array

_MOST_PERMUTED = 512
_PERMUTATIONS = 199

Measures = Callable[[Array, Array], Mapping[str, float]]


def permuted_draws(
    measures: Measures, x: Array, y: Array, rng: np.random.Generator
) -> dict[str, Array]:
    r"""Values (199,) of every measure between random relabellings of two samples.

    Under one law the labels are exchangeable, so these are draws of the null distribution. Of large
    samples 512 a side are relabelled, and the draws are brought to the sizes given, since measures
    of this kind scale as $\sqrt{1/n + 1/m}$.

    Args:
        measures: of two samples of paths, by name.
        x: (n, T, C).
        y: (m, T, C).
        rng: of the labels.
    """
    sizes = len(x), len(y)
    few = [min(size, _MOST_PERMUTED) for size in sizes]
    shrink = np.sqrt((1 / sizes[0] + 1 / sizes[1]) / (1 / few[0] + 1 / few[1]))
    pooled = np.concatenate([x, y])
    draws: dict[str, list[float]] = {}
    for _ in range(_PERMUTATIONS):
        order = rng.permutation(len(pooled))
        first, second = pooled[order[: few[0]]], pooled[order[few[0] : few[0] + few[1]]]
        for name, value in measures(first, second).items():
            draws.setdefault(name, []).append(value * shrink)
    return {name: np.array(values) for name, values in draws.items()}


def joint_limits(draws: Mapping[str, Array], alpha: float) -> dict[str, float]:
    """Limits that all measures together exceed in a share alpha of the relabellings.

    The limit of a measure lies z standard deviations above the mean of its draws, with one z for
    all: the 1 - alpha quantile of the largest standardised draw.

    References:
        Westfall and Young, Resampling-based multiple testing, Wiley 1993, section 2.6.
    """
    table = np.stack(list(draws.values()))
    mean, std = table.mean(axis=1, keepdims=True), table.std(axis=1, ddof=1, keepdims=True)
    largest = ((table - mean) / np.where(std > 0, std, 1.0)).max(axis=0)
    rank = int(np.ceil((1 - alpha) * (len(largest) + 1))) - 1
    z = np.sort(largest)[min(rank, len(largest) - 1)]
    return {name: float(mean[k, 0] + z * std[k, 0]) for k, name in enumerate(draws)}


def fewest_alone(n: int, n_others: int, alpha: float) -> int:
    """The least number of n exchangeable series that show alone what none of the others shows.

    If k of all n + n_others series show something, all of them are among the n by chance with
    probability C(n, k) / C(n + n_others, k); the number is the first k at which this is at most
    alpha, or n + 1.
    """
    k = np.arange(1, n + 1)
    total = n + n_others
    log_p = _log_choose(n, k) - _log_choose(total, k)
    enough = np.flatnonzero(log_p <= np.log(alpha))
    return int(k[enough[0]]) if len(enough) else n + 1


def random_splits(
    values: Array, n: int, n_draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Values (N,) split at random: (n_draws, n) and (n_draws, N - n)."""
    order = rng.random((n_draws, len(values))).argsort(axis=1)
    return values[order[:, :n]], values[order[:, n:]]


def _log_choose(n: int, k: Array) -> Array:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
