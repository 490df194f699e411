"""Dependence of generated paths on their seed paths."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import rankdata

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.metrics.paths import as_path_pair


def path_dependence(x: Any, partners: Any) -> float:
    r"""Largest rank correlation, over all times and pairs of channels, of paths and partners.

    .. math:: \max_{t, c, c'} \left| \mathrm{corr}\bigl( \mathrm{rank}\, x^c_t,
        \mathrm{rank}\, \tilde x^{c'}_t \bigr) \right|

    Ranks, because a few stragglers can make the correlation of independent values large.

    All times count: starts are often drawn independently while the rest of a path follows its
    partner. Independent samples of n paths do not give 0 but about $\sqrt{2 \log(m) / n}$ for m
    unrelated entries; see `independent_dependence`.

    Args:
        x: (n, T, C).
        partners: (n, T, C), row i is the partner of path i.

    Returns:
        A number in [0, 1].

    Raises:
        InputError: if the numbers of paths differ.
    """
    first, second = (_standardised(paths) for paths in _paired(x, partners))
    return float(np.abs(_correlations(first, second)).max())


def independent_dependence(x: Any, partners: Any, n_draws: int, rng: np.random.Generator) -> Array:
    """`path_dependence` after the partners have been dealt out at random, (n_draws,)."""
    first, second = (_standardised(paths) for paths in _paired(x, partners))
    draws = (second[:, rng.permutation(second.shape[1])] for _ in range(n_draws))
    return np.array([np.abs(_correlations(first, dealt)).max() for dealt in draws])


def _paired(x: Any, partners: Any) -> tuple[Array, Array]:
    first, second = as_path_pair(x, partners)
    if len(first) != len(second):
        raise InputError(f"every path needs one partner, got {len(second)} for {len(first)} paths")
    return first, second


def _standardised(paths: Array) -> Array:
    """(T, n, C) ranks among the paths, with mean 0 and unit length."""
    ranks = rankdata(paths, axis=0)
    centred = np.moveaxis(ranks - ranks.mean(axis=0), 1, 0)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(size > 0, size, 1.0))


def _correlations(first: Array, second: Array) -> Array:
    return np.asarray(np.moveaxis(first, 1, 2) @ second)
