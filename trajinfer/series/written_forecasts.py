"""Forecasts of more series than fit in memory: tables of some series at a time, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.input import as_series
from trajinfer.data.open_table import OpenTable
from trajinfer.data.pieces import identity_of, write_pieces

_STEPS_OF_A_HORIZON, _PIECE = 20, 10_000
_WORK_PER_DRAW = 6 * 8  # bytes: the draws, their sorted copy, and what they are made of


def written_forecasts(
    out: str | Path,
    X: Any,
    model: Any,
    asked: Mapping[str, Any],
    forecast: Callable[[IrregularSeries], Forecast],
) -> Path:
    """Write forecasts of all series; a call that was killed goes on.

    Args:
        out: the folder.
        X: an open table, or what `as_series` takes.
        model: the fitted model, which belongs to what the folder is of.
        asked: the question, likewise: `ts` (None is a horizon in 20 steps), `n` and what else.
        forecast: of some of the series.

    Raises:
        InputError: if the folder holds the answer to another call.
    """
    series = X if isinstance(X, OpenTable) else as_series(X)
    n_times = _STEPS_OF_A_HORIZON if asked["ts"] is None else np.size(asked["ts"])
    drawn = asked["n"] * n_times * len(model.channels) * _WORK_PER_DRAW
    at_once = series.at_once(drawn) if isinstance(series, OpenTable) else _PIECE

    def identity() -> dict[str, Any]:
        return {**asked, "series": series, "model": identity_of(model)}

    return write_pieces(
        out,
        "forecast",
        identity,
        len(series),
        at_once,
        lambda rows: forecast(series[rows]).to_frame(),
    )
