"""Windows of one recording put together again: memory needs what came before a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries

_SLACK = 1e-6


@dataclass(frozen=True)
class Records:
    """R recordings on steps of equal length.

    Attributes:
        first: (R,) time of the first row.
        lengths: (R,) number of rows.
        values: (R, T, C), NaN after the end.
        step: time from row to row.
        window: rows of one of the series the records were made of.
        starts: times at which these series began.
    """

    first: Array
    lengths: Array
    values: Array
    step: float
    window: int
    starts: Array

    @property
    def times(self) -> Array:
        """(R, T) times of the rows."""
        return np.asarray(self.first[:, None] + self.step * np.arange(self.values.shape[1]))

    @property
    def present(self) -> Array:
        """(R, T) bool, False after the end."""
        return np.asarray(np.arange(self.values.shape[1]) < self.lengths[:, None])


def join_windows(series: IrregularSeries) -> Records:
    """Join series that overlap in time with equal values, or follow one another without a gap.

    Series that share their times with other values, such as several persons counted from 0, stay
    apart. Rows with a missing channel are left out and split a record.

    Raises:
        InputError: if the series have unequal steps or lengths.
    """
    step = _common_step(series)
    if series.lengths.min() != series.lengths.max():
        raise InputError(
            "this transform needs windows of equal length, got "
            f"{series.lengths.min()} to {series.lengths.max()} rows; cut them first"
        )
    window, starts = int(series.lengths[0]), series.times[:, 0]
    complete = series.mask.all(axis=2)
    times, values = series.times[complete], series.values[complete]
    owner = np.nonzero(complete)[0]
    if _one_recording(times, values, step):
        times, index = np.unique(np.round((times - times.min()) / step), return_index=True)
        times, values = series.times[complete].min() + step * times, values[index]
        owner = np.zeros(len(times), dtype=int)
    breaks = (np.diff(times) > step * (1 + _SLACK) + 1e-12) | (np.diff(owner) != 0)
    edges = np.concatenate([[0], np.flatnonzero(breaks) + 1, [len(times)]])
    lengths = np.diff(edges)
    padded = np.full((len(lengths), lengths.max(), values.shape[1]), np.nan)
    padded[np.arange(lengths.max()) < lengths[:, None]] = values
    return Records(times[edges[:-1]], lengths, padded, step, window, starts)


def _common_step(series: IrregularSeries) -> float:
    inside = series.present[:, 1:]
    gaps = np.diff(series.times, axis=1)[inside]
    step = float(np.median(gaps))
    if (np.abs(gaps - step) > 1e-3 * step).any():
        raise InputError(
            f"this transform needs rows at equal steps, got steps from {gaps.min():g} to "
            f"{gaps.max():g}; number the rows (trading days, say), or use transform='standard'"
        )
    return step


def _one_recording(times: Array, values: Array, step: float) -> bool:
    """Whether rows at the same time agree, so that they can be rows of one recording."""
    _, index, inverse = np.unique(
        np.round((times - times.min()) / step), return_index=True, return_inverse=True
    )
    same = np.isclose(values, values[index][inverse], rtol=1e-9, atol=0)
    return bool(same.all())
