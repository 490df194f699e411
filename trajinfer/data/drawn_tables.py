"""Drawn series as the table they were learned from: its columns, their types, its categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from trajinfer.data.categories import CategoryCodes
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.series_tables import Table
from trajinfer.data.trajectories import Trajectories


def table_of_draws(
    drawn: Trajectories, series: IrregularSeries, categories: Mapping[str, CategoryCodes]
) -> pd.DataFrame:
    """The draws with the columns of the table of `series`, and its types where they still fit.

    Args:
        drawn: series with the channels of `series`.
        series: what they were learned from.
        categories: codes of the channels that were text.

    Returns:
        One row per series and time, numbered from 0.
    """
    times = np.broadcast_to(drawn.ts, drawn.values.shape[:2])
    made = IrregularSeries.from_arrays(times, drawn.values, channels=series.channels)
    known = series.table or Table()
    dtypes = {name: dtype for name, dtype in known.dtypes.items() if name != known.id}
    table = replace(known, dtypes=dtypes)
    frame = replace(made, axis=drawn.axis, table=table).to_frame()
    for name, codes in categories.items():
        frame[name] = codes.decode(frame[name].to_numpy(dtype=float)).to_numpy()
        frame[name] = frame[name].astype(codes.dtype)
    return frame
