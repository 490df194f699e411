"""Windows of one recording put together again: memory needs what came before a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries


@dataclass(frozen=True)
class Recordings:
    """R recordings on steps of equal length.

    Attributes:
        first: (R,) time of the first row.
        lengths: (R,) number of rows.
        values: (R, T, C), NaN after the end.
        step: time from row to row.
        window: rows of one of the series the records were made of.
    """

    first: Array
    lengths: Array
    values: Array
    step: float
    window: int

    @property
    def times(self) -> Array:
        """(R, T) times of the rows."""
        return np.asarray(self.first[:, None] + self.step * np.arange(self.values.shape[1]))

    @property
    def present(self) -> Array:
        """(R, T) bool, False after the end."""
        return np.asarray(np.arange(self.values.shape[1]) < self.lengths[:, None])


def join_windows(series: IrregularSeries) -> Recordings:
    """Join series that are pieces of one recording.

    Series with times of their own are joined where these overlap with equal values or follow one
    another without a gap. Series that all share their times are joined where the rows one ends
    with are the rows the next one begins with (sliding windows); others stay apart. Rows with a
    missing channel are left out and split a record.

    Raises:
        InputError: if the series have unequal steps or lengths.
    """
    step = _common_step(series)
    if series.lengths.min() != series.lengths.max():
        raise InputError(
            "this transform needs windows of equal length, got "
            f"{series.lengths.min()} to {series.lengths.max()} rows; cut them first"
        )
    complete = series.mask.all(axis=2)
    origin = float(series.times.min())
    number = np.round((series.times - origin) / step).astype(int)
    recording = np.zeros(len(series), dtype=int)
    if (number == number[0]).all() and len(series) > 1:
        recording, shift = _slide(series.values)
        number = number + shift[:, None]
    elif not _agree(number[complete], series.values[complete]):
        recording = np.arange(len(series))
    keys = np.stack([np.repeat(recording, complete.sum(axis=1)), number[complete]], axis=1)
    keys, index = np.unique(keys, axis=0, return_index=True)
    values = series.values[complete][index]
    apart = (np.diff(keys[:, 0]) != 0) | (np.diff(keys[:, 1]) != 1)
    edges = np.concatenate([[0], np.flatnonzero(apart) + 1, [len(keys)]])
    lengths = np.diff(edges)
    padded = np.full((len(lengths), lengths.max(), values.shape[1]), np.nan)
    padded[np.arange(lengths.max()) < lengths[:, None]] = values
    return Recordings(
        origin + step * keys[edges[:-1], 1], lengths, padded, step, int(series.lengths[0])
    )


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


def _agree(number: Array, values: Array) -> bool:
    """Whether rows (N, C) of the same number (N,) are the same row."""
    _, index, inverse = np.unique(number, return_index=True, return_inverse=True)
    return bool(np.isclose(values, values[index][inverse], rtol=1e-9, atol=0).all())


def _slide(values: Array) -> tuple[Array, Array]:
    """Recording of every window (B, T, C), and rows by which it lies behind the recording's first.

    A window goes on from the one before if it begins with the rows that one ends with.
    """
    n, length, _ = values.shape
    step = np.full(n - 1, length)
    for shift in range(length - 1, 0, -1):
        overlap = values[1:, : length - shift] == values[:-1, shift:]
        step = np.where(overlap.all(axis=(1, 2)), shift, step)
    begins = np.concatenate([[True], step == length])
    recording = np.cumsum(begins) - 1
    travelled = np.concatenate([[0], np.cumsum(np.where(step == length, 0, step))])
    return recording, travelled - travelled[begins][recording]
