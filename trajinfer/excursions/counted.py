"""Stays counted in data: Kaplan-Meier with censored ends and gaps, bands by bootstrap."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError

_LONG_GAP = 0.25


def stays_of(times: Array, values: Array, level: float, longest_gap: float) -> list[Any]:
    """Stays of one series: (above, length, whether its end was seen), crossings interpolated.

    The first stay and those that begin after a long gap have an unknown start and are left out; the
    last one, and one that a long gap cuts, are censored.
    """
    seen = np.isfinite(values)
    t, x = times[seen], values[seen]
    stays: list[Any] = []
    begun: float | None = None
    for k in range(len(x) - 1):
        up = x[k] > level
        if t[k + 1] - t[k] > longest_gap:
            if begun is not None:
                stays.append((up, t[k] - begun, False))
            begun = None
        elif (x[k + 1] > level) != up:
            crossing = t[k] + (level - x[k]) / (x[k + 1] - x[k]) * (t[k + 1] - t[k])
            if begun is not None:
                stays.append((up, crossing - begun, True))
            begun = crossing
    if begun is not None and len(x):
        stays.append((x[-1] > level, t[-1] - begun, False))
    return [stay for stay in stays if stay[1] > 0]


def counted(series: list[tuple[Array, Array]], level: float) -> list[list[Any]]:
    """Stays of every series; gaps longer than a quarter of the median stay are censoring.

    Raises:
        InputError: if no stay has a start and an end that were seen.
    """
    first = [stays_of(t, x, level, np.inf) for t, x in series]
    lengths = [stay[1] for part in first for stay in part if stay[2]]
    if not lengths:
        raise InputError(
            f"no stay above or below {level:g} begins and ends within the data; take another level"
        )
    gap = _LONG_GAP * float(np.median(lengths))
    usual = float(np.median(np.concatenate([np.diff(t) for t, _ in series])))
    if usual > gap:
        warnings.warn(
            f"observations are {usual:.3g} apart, half of the stays shorter than {4 * gap:.3g}: "
            "many crossings are missed, and the law is one at this gap of sampling",
            UserWarning,
            stacklevel=4,
        )
        gap = 1.5 * usual
    return [stays_of(t, x, level, gap) for t, x in series]


def kaplan_meier(stays: list[Any], above: bool, t: Array) -> Array:
    """Survival (T,) of stays on one side."""
    lengths = np.array([stay[1] for stay in stays if bool(stay[0]) == above])
    ended = np.array([stay[2] for stay in stays if bool(stay[0]) == above], dtype=bool)
    if not ended.any():
        return np.full(len(t), np.nan)
    order = np.argsort(lengths, kind="stable")
    lengths, ended = lengths[order], ended[order]
    at_risk = len(lengths) - np.arange(len(lengths))
    survival = np.cumprod(1 - ended / at_risk)
    place = np.searchsorted(lengths, t, side="right") - 1
    return np.where(place >= 0, survival[np.maximum(place, 0)], 1.0)


def band(
    parts: list[list[Any]], above: bool, t: Array, level: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Interval (T,) of the survival: series are drawn anew, or runs of stays of a single one.

    Distances from the estimate grow by the root of B / (B - 1) and by the ratio of the quantiles of
    Student's law and the normal one: the spread between B blocks is known from these alone.
    """
    blocks = parts if len(parts) > 5 else _runs(parts)
    draws = []
    for _ in range(200):
        chosen = [blocks[k] for k in rng.integers(len(blocks), size=len(blocks))]
        draws.append(kaplan_meier([s for part in chosen for s in part], above, t))
    tail = (1 - level) / 2
    ends = np.nanquantile(np.stack(draws), [tail, 1 - tail], axis=0)
    found, free = kaplan_meier([s for part in blocks for s in part], above, t), len(blocks) - 1
    wider = np.sqrt(1 + 1 / max(free, 1)) * stdtrit(max(free, 1), 1 - tail) / ndtri(1 - tail)
    low, high = np.clip(found + wider * (ends - found), 0.0, 1.0)
    return low, high


def _runs(parts: list[list[Any]]) -> list[list[Any]]:
    stays = [stay for part in parts for stay in part]
    size = max(2, 2 * round(len(stays) ** (1 / 3)))
    return [stays[k : k + size] for k in range(0, len(stays), size)]
