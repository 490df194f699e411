"""Data sets of GluonTS: an entry per series, with a start and a target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.data import IrregularSeries

_KNOWN = ("target", "start", "item_id", "feat_static_real", "feat_static_cat", "feat_dynamic_real")


def from_gluonts(
    dataset: Iterable[Mapping[str, Any]],
    *,
    freq: str | None = None,
    channels: Sequence[str] | None = None,
) -> IrregularSeries:
    """Series from the entries of a data set as GluonTS has it; GluonTS need not be installed.

    Args:
        dataset: entries with `target`, (T,) or (C, T) with NaN = not observed, and `start`, a
            period or a date; `item_id`, `feat_static_real`, `feat_static_cat` and
            `feat_dynamic_real` (K, T or longer) are read where they are. Dynamic features become
            channels behind those of the target: name them in `future=` of a forecaster.
        freq: step of the times as pandas writes it, such as "D"; needed where the starts are dates.
        channels: names of the C channels of the target.

    Raises:
        InputError: for entries without target or start, of different layouts, or without a step.

    Example:
        >>> entry = {"start": pd.Period("2020-01", "M"), "target": [1.0, float("nan"), 2.0]}
        >>> series = from_gluonts([entry])
        >>> len(series), series.n_observations
        (1, 2)
    """
    entries = list(dataset)
    if not entries:
        raise InputError("the data set has no entries; give one per series")
    targets = [_rows(_of(entry, k, "target"), k, "target") for k, entry in enumerate(entries)]
    dynamic = [_dynamic(entry, k, len(t)) for k, (entry, t) in enumerate(zip(entries, targets))]
    widths = {(t.shape[1], d.shape[1]) for t, d in zip(targets, dynamic)}
    if len(widths) > 1:
        raise InputError(
            f"entries must have as many channels and dynamic features each, got {sorted(widths)}"
        )
    n_targets, n_dynamic = widths.pop()
    names = tuple(channels or (f"x{c}" for c in range(n_targets)))
    return IrregularSeries.from_arrays(
        [_times(entry, k, len(t), freq) for k, (entry, t) in enumerate(zip(entries, targets))],
        [np.hstack(pair) for pair in zip(targets, dynamic)],
        channels=[*names, *(f"feat_dynamic_real{c}" for c in range(n_dynamic))],
        statics=_statics(entries),
        ids=[entry.get("item_id", k) for k, entry in enumerate(entries)],
    )


def _of(entry: Mapping[str, Any], k: int, name: str) -> Any:
    """A field that every entry has."""
    if not isinstance(entry, Mapping) or name not in entry:
        got = list(entry) if isinstance(entry, Mapping) else type(entry).__name__
        near = nearest(name, _KNOWN) if isinstance(entry, Mapping) else "give mappings"
        raise InputError(f"entry {k} has no '{name}', it has {got}; {near}")
    return entry[name]


def _rows(values: Any, k: int, name: str) -> Array:
    """Values (T, C) of a field (T,) or (C, T)."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"'{name}' of entry {k} must hold numbers: {error}") from error
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"'{name}' of entry {k} must be (T,) or (C, T), got {array.shape}")
    return array[:, None] if array.ndim == 1 else array.T


def _dynamic(entry: Mapping[str, Any], k: int, length: int) -> Array:
    """Dynamic features (T, K) along the target; what they hold beyond it is left out."""
    if entry.get("feat_dynamic_real") is None:
        return np.empty((length, 0))
    rows = _rows(np.atleast_2d(entry["feat_dynamic_real"]), k, "feat_dynamic_real")
    if len(rows) < length:
        raise InputError(
            f"'feat_dynamic_real' of entry {k} has {len(rows)} times, its target {length}; give a "
            "value at every time of the target"
        )
    return rows[:length]


def _times(entry: Mapping[str, Any], k: int, length: int, freq: str | None) -> pd.DatetimeIndex:
    """The times (T,) of an entry."""
    start = _of(entry, k, "start")
    if not isinstance(start, pd.Period):
        if freq is None:
            raise InputError(
                f"the start of entry {k}, {start!r}, says no step; give freq=, such as 'D'"
            )
        start = pd.Period(start, freq)
    return pd.period_range(start, periods=length).to_timestamp()


def _statics(entries: list[Mapping[str, Any]]) -> pd.DataFrame | None:
    """Static features, a row per entry."""
    columns: dict[str, list[Any]] = {}
    for name in ("feat_static_real", "feat_static_cat"):
        rows = [np.atleast_1d(entry.get(name, [])) for entry in entries]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise InputError(f"'{name}' must have one length, got {sorted(widths)}")
        columns |= {f"{name}{c}": [row[c] for row in rows] for c in range(widths.pop())}
    return pd.DataFrame(columns) if columns else None
