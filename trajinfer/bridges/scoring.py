"""Distances by name, between drawn marginals and held-out snapshots."""

from __future__ import annotations

from typing import Any, Literal

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.metrics import energy_distance, mmd, wasserstein

Scoring = Literal["w1", "w2", "mmd", "energy"]
_DISTANCES: dict[str, Any] = {
    "w1": lambda x, y, weights: wasserstein(x, y, p=1, weights=weights),
    "w2": lambda x, y, weights: wasserstein(x, y, p=2, weights=weights),
    "mmd": lambda x, y, weights: mmd(x, y, weights=weights),
    "energy": lambda x, y, weights: energy_distance(x, y, weights=weights),
}


def check_scoring(scoring: str) -> None:
    """Refuse unknown names.

    Raises:
        InputError: naming the nearest known one.
    """
    if scoring not in _DISTANCES:
        raise InputError(f"unknown scoring {scoring!r}; {nearest(str(scoring), _DISTANCES)}")


def distance(scoring: str, drawn: Array, held_out: Array, weights: Array | None = None) -> float:
    """Distance of a drawn sample (n, D) to held-out points (m, D) with weights (m,)."""
    check_scoring(scoring)
    return float(_DISTANCES[scoring](drawn, held_out, None if weights is None else (None, weights)))
