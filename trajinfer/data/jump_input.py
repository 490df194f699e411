"""Paths of states from arrays, lists and tables: flattening, checks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, as_rows, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data.columns import (
    as_table,
    is_number,
    numbers_of,
    require_columns,
    series_of_rows,
    times_of,
)
from trajinfer.data.jump_labels import OBSERVATION_KINDS, as_objects, encode, observation_codes
from trajinfer.data.names import listed
from trajinfer.data.ragged import RaggedLayout
from trajinfer.data.series_arrays import parse_times, require_order
from trajinfer.data.time_axis import TimeAxis, TimeUnit

_CENSORED = OBSERVATION_KINDS.index("censored")


def from_arrays(
    times: Any,
    states: Any,
    observation: Any,
    signal: Any,
    categories: Sequence[Hashable] | None,
    ids: Sequence[Hashable] | None,
    time_unit: TimeUnit,
) -> dict[str, Any]:
    """The fields of a `JumpSeries` from arrays or lists of arrays.

    Raises:
        InputError: see `JumpSeries.from_arrays`.
    """
    if states is None and signal is None:
        raise InputError("give states or a signal; got neither")
    leading, name = (signal, "signal") if states is None else (states, "states")
    flat, layout = _flattened(leading, name)
    numbers, axis = parse_times(times, layout, time_unit)
    return checked(
        layout,
        numbers,
        None if states is None else flat,
        None if observation is None else _like(observation, layout, "observation"),
        None if signal is None else _like(signal, layout, "signal"),
        categories,
        ids,
        axis,
    )


def from_frame(
    df: Any,
    *,
    id: str | None,
    time: str,
    state: str | None,
    observation: str | None,
    signal: str | None,
    covariates: Sequence[str],
    categories: Sequence[Hashable] | None,
    time_unit: TimeUnit,
) -> dict[str, Any]:
    """The fields of a `JumpSeries` from a table with one row per observation.

    Raises:
        InputError: see `JumpSeries.from_frame`.
    """
    df = as_table(df)
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    named = (id, time, state, observation, signal, *covariates)
    require_columns(df, [name for name in named if name is not None])
    if state is None and signal is None:
        raise InputError("name the column of states= or of signal=")
    codes, ids = series_of_rows(df, id)
    axis, numbers = times_of(df, time, time_unit)
    order = np.lexsort((numbers, codes))
    if state is not None and isinstance(df[state].dtype, pd.CategoricalDtype):
        categories = list(df[state].cat.categories) if categories is None else categories
    labels, kinds, measured = (
        None if name is None else df[name].to_numpy()[order]
        for name in (state, observation, signal)
    )
    layout = RaggedLayout(np.bincount(codes))
    ids = list(ids)
    fields = checked(layout, numbers[order], labels, kinds, measured, categories, ids, axis)
    if covariates:
        values = [_covariate(df, name, id)[order] for name in covariates]
        fields |= {"flat_covariates": np.stack(values, axis=1), "covariate_names": covariates}
    return fields


def _covariate(df: pd.DataFrame, name: str, id: str | None) -> Array:
    """A column of covariates as numbers (N,); truth values are 0 and 1.

    Raises:
        InputError: for missing values, and for columns that are no numbers.
    """
    column = df[name]
    if not (is_number(column) or pd.api.types.is_bool_dtype(column)):
        raise InputError(
            f"covariate '{name}' is a column of {column.dtype}; make it numbers, one column of 0 "
            "and 1 per category but one, as pandas.get_dummies(..., drop_first=True) does"
        )
    values = numbers_of(df, name)
    if not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        path = "" if id is None else f" ({id} {df[id].iloc[row]!r})"
        raise InputError(
            f"covariate '{name}' has no number in row {row}{path}; carry the "
            "last one forward with groupby(...).ffill(), or drop the path"
        )
    return values


def checked(
    layout: RaggedLayout,
    times: Array,
    labels: Array | None,
    observation: Array | None,
    signal: Array | None,
    categories: Sequence[Hashable] | None,
    ids: Sequence[Hashable] | None,
    axis: TimeAxis,
) -> dict[str, Any]:
    """The fields of a `JumpSeries` from flat arrays (N,) that belong together.

    Raises:
        InputError: for a path without observations, times out of order, labels or kinds of
            observation that are unknown or do not fit each other.
    """
    if (layout.lengths < 1).any():
        raise InputError(f"path {int(layout.lengths.argmin())} has no observation; leave it out")
    named = listed(ids, "ids")
    if ids is not None and len(named) != len(layout.lengths):
        raise InputError(f"{len(named)} ids for {len(layout.lengths)} paths; give one each")
    require_order(times, layout, named or None, kind="path")
    labels = np.full(layout.size, None, dtype=object) if labels is None else labels
    codes, names, candidates = encode(labels, categories)
    kinds = None if observation is None else observation_codes(observation)
    censored = codes <= -2
    if kinds is not None and (censored != (kinds == _CENSORED)).any():
        row = int(np.argmax(censored != (kinds == _CENSORED)))
        raise InputError(
            f"row {row}: a censored observation needs a list of labels, and only that has one; got "
            f"{labels[row]!r} as {OBSERVATION_KINDS[kinds[row]]!r}"
        )
    if candidates is not None and kinds is None:
        kinds = np.where(censored, _CENSORED, 0).astype(np.int8)
    measured = None if signal is None else as_array(signal, "signal")
    if measured is not None and np.isinf(measured).any():
        raise InputError("the signal holds infinite values; drop them or make them NaN")
    return {
        "flat_times": times,
        "flat_states": codes,
        "lengths": layout.lengths,
        "categories": names,
        "flat_observation": kinds,
        "candidates": candidates,
        "flat_signal": measured,
        "ids": named,
        "axis": axis,
    }


def _flattened(values: Any, name: str) -> tuple[Array, RaggedLayout]:
    """Entries (N,) of paths and where they stand; censored lists stay single entries."""
    values = unmasked(values)
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.ndim not in (1, 2):
            raise InputError(f"{name} must be (B, T) or (T,), got shape {values.shape}")
        array = np.atleast_2d(values)
        if not len(array):
            raise InputError(f"{name} holds no path; give one at least")
        return array.ravel(), RaggedLayout(np.full(len(array), array.shape[1]))
    rows = as_rows(values, name)
    if not rows:
        raise InputError(f"{name} holds no path; give one at least")
    nested = [hasattr(row, "__len__") and not isinstance(row, (str, bytes)) for row in rows]
    paths = [_flat_path(path) for path in (rows if all(nested) else [rows])]
    plain = all(path.dtype != object for path in paths)
    entries = np.concatenate(paths) if plain else as_objects([x for p in paths for x in p])
    return entries, RaggedLayout(np.array([len(path) for path in paths]))


def _flat_path(path: Any) -> Array:
    if isinstance(path, np.ndarray) or not any(isinstance(x, (list, set, tuple)) for x in path):
        array = np.asarray(path)
        if array.dtype.kind in "biufmM" or array.dtype == object:
            return array
    return as_objects(list(path))


def _like(values: Any, layout: RaggedLayout, name: str) -> Array:
    """Entries (N,) of paths whose lengths are known; one word stands for all."""
    if isinstance(values, str):
        return np.full(layout.size, values, dtype=object)
    flat, own = _flattened(values, name)
    if not np.array_equal(own.lengths, layout.lengths):
        raise InputError(
            f"{name} has {own.lengths.tolist()[:5]} entries per path, expected as states: "
            f"{layout.lengths.tolist()[:5]}"
        )
    return flat
