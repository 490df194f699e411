"""Labelled arrays of xarray."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.data import Forecast, IrregularSeries, TimeAxis, Trajectories


@singledispatch
def to_xarray(value: Any) -> Any:
    """A labelled array of what a container holds; needs the extra `xarray`.

    Args:
        value: a `Forecast`, `Trajectories` or `IrregularSeries`.

    Returns:
        A `Dataset`. A forecast has `samples` (series, draw, time, channel); trajectories have
        `values` (path, time, feature), and `weight`; series have `values` (series, time, channel)
        with NaN where nothing was observed. Where series have times of their own the dimension is
        `step`, and `time` (series, step) a coordinate.

    Raises:
        InputError: for another kind of value.
        MissingExtra: where xarray is not installed.
    """
    raise InputError(
        "expected a Forecast, Trajectories or IrregularSeries, got "
        f"{type(value).__name__}; tables are made by to_frame"
    )


@to_xarray.register
def _(value: Forecast) -> Any:
    times, along = _times(value.ts, value.axis, "series")
    labels = {"series": _labels(value.ids), "channel": list(value.channels)}
    return _dataset(
        {"samples": (("series", "draw", along, "channel"), value.samples)}, labels | times
    )


@to_xarray.register
def _(value: Trajectories) -> Any:
    times, along = _times(value.ts, value.axis, "path")
    names = value.features or tuple(f"x{d}" for d in range(value.values.shape[2]))
    columns: dict[str, Any] = {"values": (("path", along, "feature"), value.values)}
    for name, entry in (("weight", value.weights), ("branches", value.branches)):
        if entry is not None:
            columns[name] = (("path", along)[: np.ndim(entry)], entry)
    return _dataset(columns, {"feature": list(names)} | times)


@to_xarray.register
def _(value: IrregularSeries) -> Any:
    times, along = _times(value.times, value.axis, "series")
    labels: dict[str, Any] = {"series": _labels(value.ids), "channel": list(value.channels)}
    columns: dict[str, Any] = {"values": (("series", along, "channel"), value.values)}
    if value.labels is not None:
        columns["label"] = (("series",), value.labels)
    if value.statics is not None:
        columns["statics"] = (("series", "static"), value.statics)
        labels["static"] = list(value.static_names)
    return _dataset(columns, labels | times)


def _dataset(columns: dict[str, Any], coordinates: dict[str, Any]) -> Any:
    return import_extra("xarray", "xarray").Dataset(columns, coordinates)


def _times(ts: Array, axis: TimeAxis, rows: str) -> tuple[dict[str, Any], str]:
    """Coordinates of the times, and the dimension along them."""
    if ts.ndim == 2 and (ts == ts[0]).all():
        ts = ts[0]
    labels = np.asarray(axis.decode(ts.ravel())).reshape(ts.shape)
    if ts.ndim == 1:
        return {"time": ("time", labels)}, "time"
    return {"time": ((rows, "step"), labels)}, "step"


def _labels(ids: tuple[Any, ...]) -> Array:
    """Identifiers as an index: of one type where they have one."""
    labels = np.array(ids, dtype=object)
    kinds = {type(entry) for entry in ids}
    return np.array(ids) if len(kinds) == 1 and kinds <= {int, float, str} else labels
