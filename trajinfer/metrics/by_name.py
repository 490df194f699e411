"""Distances by name, between a weighted prediction and a weighted snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.metrics.kernel import energy_distance, mmd
from trajinfer.metrics.transport import wasserstein

Cloud = tuple[Array, Array | None]
MetricName = Literal["w1", "w2", "mmd", "energy"]

METRICS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "w1": partial(wasserstein, p=1),
        "w2": partial(wasserstein, p=2),
        "mmd": mmd,
        "energy": energy_distance,
    }
)
"""Distances that tables are made of: W1, W2 (a root), MMD squared, energy distance."""


def score_of(metric: str, predicted: Cloud, observed: Cloud) -> float:
    """Distance of a predicted cloud to an observed one; smaller is better.

    Args:
        metric: a name in `METRICS`.
        predicted: points (n, D) and their weights (n,), or None for equal ones.
        observed: likewise, (m, D) and (m,).

    Raises:
        InputError: for an unknown metric; also what the metric itself refuses.

    Example:
        >>> import numpy as np
        >>> score_of("w1", (np.zeros((3, 1)), None), (np.ones((2, 1)), None))
        1.0
    """
    (metric,) = metric_names(metric)
    (x, a), (y, b) = predicted, observed
    return METRICS[metric](x, y, weights=(a, b))


def metric_names(scoring: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several, checked.

    Raises:
        InputError: for none, or for an unknown one, naming the nearest.
    """
    names = (scoring,) if isinstance(scoring, str) else tuple(scoring)
    if not names:
        raise InputError(f"scoring names no metric; known: {', '.join(METRICS)}")
    for name in names:
        if name not in METRICS:
            raise InputError(f"unknown scoring {name!r}; {nearest(str(name), METRICS)}")
    return names
