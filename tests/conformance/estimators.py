"""One row per estimator: how it is made small, and what it is fed.

An estimator exported by `trajinfer` without a row fails tests/conformance/test_estimators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from trajinfer.bridges import SchrodingerBridge


class Case(NamedTuple):
    name: str
    make: Callable[..., Any]
    data: Callable[[], tuple[Any, ...]]
    draw: Callable[[Any], np.ndarray]
    # the checks of scikit-learn that cannot pass, each with its reason
    expected_failures: dict[str, str] = {}  # noqa: RUF012 (never written to)


def stacked_snapshots():
    """30 points at three times, stacked, with the time of every row."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(k, 1.0, (10, 2)) for k in range(3)])
    return X, np.repeat([0.0, 1.0, 2.5], 10)


CASES = (
    Case(
        "SchrodingerBridge",
        SchrodingerBridge,
        stacked_snapshots,
        lambda bridge: bridge.sample(5, [0.0, 0.5, 2.5]).values,
    ),
)
