"""The later part of every series, held back so that a forecast of it can be scored."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries

_SHARE = 0.2


def last_fifth(series: IrregularSeries) -> tuple[IrregularSeries, Array, Array]:
    """The series without the last fifth of their rows, and what to ask of them.

    Args:
        series: B of them; the first row of each always stays.

    Returns:
        What comes before; times (B, T) to ask for, where those that stay repeat the last of them;
        and which values (B, T, C) are observed in the part held back.

    Raises:
        InputError: if nothing is observed in that part.
    """
    cut = np.maximum((series.lengths * (1 - _SHARE)).astype(int), 1) - 1
    cutoff = series.flat_times[series.layout.starts + cut]
    later = series.times > cutoff[:, None]
    scored = later[..., None] & series.mask
    if not scored.any():
        raise InputError(
            "nothing is observed in the last fifth of the series, so that no forecast can be "
            "scored; give longer series"
        )
    asked = np.where(later, series.times, cutoff[:, None])
    return series.until(series.axis.decode(cutoff)), asked, scored
