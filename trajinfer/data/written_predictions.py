"""What is predicted of more series than fit in memory: tables of some series at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.forecast import Forecast
from trajinfer.data.input import as_series
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.open_table import OpenTable
from trajinfer.data.pieces import NOTHING, PIECE, identity_of, write_pieces


def written_predictions(
    out: str | Path,
    X: Any,
    model: Any,
    asked: Mapping[str, Any],
    predict: Callable[..., Forecast | pd.DataFrame],
    *,
    settings: Mapping[str, Any] = NOTHING,
    read: Callable[[Any], IrregularSeries | JumpSeries] = as_series,
) -> Path:
    """Write what `predict` gives, some series at a time; a call that was killed goes on.

    Args:
        out: the folder.
        X: an open table, or what `read` takes.
        model: the fitted model, which belongs to what the folder is of.
        asked: the question, likewise, by name.
        predict: some of the series, the question -> means as a forecast of one path, or a table.
        settings: of the estimator, that the answers depend on.
        read: from data to series.

    Raises:
        InputError: for times of single series, or if the folder holds the answer to another call.
    """
    if np.ndim(asked["ts"]) > 1:
        raise InputError("out= takes times that all series share; give one row of them")
    series = X if isinstance(X, OpenTable) else read(X)
    at_once = min(PIECE, series.at_once()) if isinstance(series, OpenTable) else PIECE

    def identity() -> dict[str, Any]:
        return {**asked, **settings, "series": series, "model": identity_of(model)}

    def answer(rows: slice) -> pd.DataFrame:
        found = predict(series[rows], **asked)
        return found if isinstance(found, pd.DataFrame) else found.to_frame(())

    return write_pieces(out, "predictions", identity, len(series), at_once, answer)


def mean_path(means: Array, series: IrregularSeries, times: Array) -> Forecast:
    """Means (B, T, C) of series at times (B, T), as a forecast of one path each."""
    return Forecast(means[:, None], times, series.channels, series.ids, series.axis, series)


def require_no_times(ts: Any) -> None:
    """Refuse times where a table has one row per series.

    Raises:
        InputError: if there are some.
    """
    if ts is not None:
        raise InputError("out= writes one row per series; leave ts= out")
