"""The most surprising values of series, one row each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries


def anomaly_table(
    series: IrregularSeries, scores: Array, p_values: Array | None = None
) -> pd.DataFrame:
    """Observed values by how surprising they are, the most surprising first.

    Args:
        series: B series at T times with C channels.
        scores: (B, T, C), as `ScoreSeries.anomaly` gives them; NaN where nothing was observed.
        p_values: (B, T, C), as `ScoreSeries.p_values` gives them; None leaves their column out.

    Returns:
        One row per observed value with the columns `series`, `time`, `channel`, `value`, `score`
        and, where they are given, `p_value`.

    Raises:
        InputError: if the scores have another shape.

    Example:
        >>> series = IrregularSeries.from_arrays([0.0, 1.0], [[[5.0], [9.0]]], channels=["x"])
        >>> anomaly_table(series, np.array([[[0.5], [12.0]]]))["value"].tolist()
        [9.0, 5.0]
    """
    for given, name, verb in ((scores, "scores", "anomaly"), (p_values, "p_values", "p_values")):
        if given is not None and given.shape != series.values.shape:
            raise InputError(
                f"{name} must have the shape {series.values.shape} of the values, got "
                f"{given.shape}; ScoreSeries.{verb}(series) has it"
            )
    who, when, what = np.nonzero(series.mask & np.isfinite(scores))
    found = scores[who, when, what]
    order = np.argsort(-found, kind="stable")
    who, when, what = who[order], when[order], what[order]
    columns = {
        "series": np.asarray(series.ids)[who],
        "time": series.axis.decode(series.times[who, when]),
        "channel": np.asarray(series.channels)[what],
        "value": series.values[who, when, what],
        "score": found[order],
    }
    if p_values is not None:
        columns["p_value"] = p_values[who, when, what]
    return pd.DataFrame(columns)
