"""Scores of a probabilistic forecast against what was observed."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError


def crps(samples: Any, observed: Any, *, axis: int = 0) -> float | Array:
    r"""Continuous ranked probability score of a sample forecast (smaller is better).

    .. math:: \mathrm{CRPS} = \frac1n \sum_i |x_i - y|
        - \frac{1}{2 n (n - 1)} \sum_{ij} |x_i - x_j|

    The spread term runs over the n(n-1) pairs of different members, so the expectation is the
    score of the distribution itself whatever n is (it may be slightly negative for a single
    forecast). The sum over pairs is taken from the sorted members, O(n log n).

    Args:
        samples: members of the forecast along `axis`, n >= 2: (n,) for one number, else
            (n, ...) with the shape of `observed` on the other axes.
        observed: a number or an array (...).
        axis: which axis of `samples` counts the members.

    Returns:
        A float for one number, else an array of the shape of `observed`: average it as the
        problem asks.

    Raises:
        InputError: if shapes disagree, there is only one member, or a value is not finite.

    References:
        Gneiting, Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102
        (2007), equation 21; Ferro, "Fair scores for ensemble forecasts", QJRMS 140 (2014).

    Example:
        >>> crps([0.0, 2.0], 1.0)
        0.0
        >>> crps([1.0, 1.0, 1.0], 3.0)
        2.0
    """
    members, truth = as_array(samples, "samples"), as_array(observed, "observed")
    if members.ndim == 0 or not -members.ndim <= axis < members.ndim:
        raise InputError(f"samples of shape {members.shape} have no axis {axis}")
    members = np.moveaxis(members, axis, 0)
    if members.shape[1:] != truth.shape:
        raise InputError(
            f"samples without axis {axis} have shape {members.shape[1:]}, observed has "
            f"{truth.shape}; they must agree"
        )
    n = len(members)
    if n < 2:
        raise InputError(f"at least two members are needed to measure spread, got {n}")
    require_finite(members, "samples")
    require_finite(truth, "observed")
    errors = np.sort(members - truth, axis=0)
    ranks = (2 * np.arange(1, n + 1) - n - 1).reshape(-1, *[1] * truth.ndim)
    score = np.abs(errors).mean(axis=0) - (ranks * errors).sum(axis=0) / (n * (n - 1))
    return float(score) if score.ndim == 0 else score
