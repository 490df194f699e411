"""What an estimator of series may be given, and how it becomes one container."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import as_array
from trajinfer._core.errors import InputError
from trajinfer.data.irregular_series import IrregularSeries


def as_series(series: Any) -> IrregularSeries:
    """Series from whatever a user has.

    Args:
        series: an `IrregularSeries`; values (B, T, C), or (B, T) for one channel, with NaN = not
            observed; a list of values (T_i, C); or a list of pairs (times (T_i,), values (T_i, C)).
            Where there are no times, unit steps are assumed, and a warning says so.

    Raises:
        InputError: for anything else, or as for `IrregularSeries.from_arrays`.

    Warns:
        UserWarning: if times are made up.
    """
    if isinstance(series, IrregularSeries):
        return series
    if isinstance(series, pd.DataFrame):
        raise InputError(
            "a table does not say which column is which; read it with "
            "IrregularSeries.from_frame(df, id=..., time=...)"
        )
    if isinstance(series, (list, tuple)) and len(series) and _is_pair(series[0]):
        return IrregularSeries.from_arrays([t for t, _ in series], [x for _, x in series])
    lists = isinstance(series, (list, tuple)) and len(series) and np.ndim(series[0]) >= 1
    values: Any = list(series) if lists else as_array(series, "series")
    grid = [np.arange(len(row)) for row in values]
    made = IrregularSeries.from_arrays(grid, values)
    warnings.warn(
        f"no times were given: {len(made)} series are taken to be observed at 0, 1, 2, ...; "
        "give an IrregularSeries to use real times",
        UserWarning,
        stacklevel=3,
    )
    return made


def _is_pair(entry: Any) -> bool:
    """Whether an entry of a list is (times, values)."""
    return (
        isinstance(entry, tuple)
        and len(entry) == 2
        and np.ndim(entry[0]) == 1
        and np.ndim(entry[1]) >= 1
        and len(entry[0]) == len(entry[1])
    )
