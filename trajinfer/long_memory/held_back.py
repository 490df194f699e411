"""The later part of every series, held back so that a forecast of it can be scored."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries

_SHARE = 0.2


def last_fifth(series: IrregularSeries) -> tuple[IrregularSeries, Array, Array]:
    """The series without the last fifth of their rows, and what that holds.

    Args:
        series: B of them; the first row of each always stays.

    Returns:
        What comes before; the times (B, Q) held back, the last one repeated where a series has
        fewer; and the values (B, Q, C) there, NaN where none is known.
    """
    layout = series.layout
    cut = np.maximum((series.lengths * (1 - _SHARE)).astype(int), 1) - 1
    cutoff = series.flat_times[layout.starts + cut]
    later = series.flat_times > np.repeat(cutoff, series.lengths)
    count = np.add.reduceat(later.astype(int), layout.starts)
    held = np.arange(count.max()) < count[:, None]
    asked = np.repeat(series.last_times[:, None], held.shape[1], axis=1)
    values = np.full((*held.shape, series.flat_values.shape[1]), np.nan)
    asked[held], values[held] = series.flat_times[later], series.flat_values[later]
    return series.until(series.axis.decode(cutoff)), asked, values
