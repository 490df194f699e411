"""Forecasts to learn from: pasts cut out of series, and what followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries

_ENOUGH = 200
_ENOUGH_SERIES = 8


@dataclass(frozen=True)
class Examples:
    """E cut series.

    Attributes:
        past: what was known at each cutoff.
        future: what followed within the horizon.
        cutoff: (E,) times.
        rows: (E,) index of the series that each was cut from.
    """

    past: IrregularSeries
    future: IrregularSeries
    cutoff: Array
    rows: Array

    def subset(self, index: Array) -> Examples:
        """Some of the examples."""
        return Examples(self.past[index], self.future[index], self.cutoff[index], self.rows[index])


def examples_of(
    series: IrregularSeries, horizon: float, window: float, n_cutoffs: int | None
) -> Examples:
    """Cut every series at even spaces, the last time one horizon before its end.

    Args:
        series: without times at which nothing was observed.
        horizon: duration of the futures.
        window: duration of the pasts.
        n_cutoffs: cuts per series; None: so many that there are 200 in all.

    Raises:
        InputError: if no series has observations both before and after a cut.
    """
    n = len(series)
    count = max(1, -(-_ENOUGH // n)) if n_cutoffs is None else n_cutoffs
    first, last = series.times[:, 0], series.last_times - horizon
    earliest = np.minimum(first + 0.3 * (last - first), last)
    shares = np.ones(1) if count == 1 else np.linspace(0.0, 1.0, count)
    cutoff = (earliest[:, None] + shares * (last - earliest)[:, None]).ravel()
    rows = np.repeat(np.arange(n), count)
    times, real = series.times[rows], series.present[rows]
    before = real & (times <= cutoff[:, None]) & (times > cutoff[:, None] - window)
    after = real & (times > cutoff[:, None]) & (times <= cutoff[:, None] + horizon * (1 + 1e-9))
    usable = before.any(1) & after.any(1)
    if not usable.any():
        raise InputError(
            f"no series has observations both before and within horizon={horizon:g} after a cut, "
            f"{horizon:g} before its end; series need two times at least, and the horizon must be "
            "shorter than they are"
        )
    rows, cutoff = rows[usable], cutoff[usable]
    whole = series[rows]
    past = whole.until(cutoff)
    if np.isfinite(window):
        past = past.after(cutoff - window)
    future = whole.after(cutoff).until(cutoff + horizon * (1 + 1e-9))
    return Examples(past, future, cutoff, rows)


def holdout_split(examples: Examples, horizon: float, seed: int) -> tuple[Array, Array]:
    """Rows of examples to learn from, and rows to be tried on, nothing of which was learned.

    A quarter of the series is tried; of fewer than 8 series the last quarter of the cutoffs of
    each, after examples whose futures end before.
    """
    names = np.unique(examples.rows)
    if len(names) >= _ENOUGH_SERIES:
        chosen = np.random.default_rng(seed).permutation(names)[: len(names) // 4]
        tried = np.isin(examples.rows, chosen)
        return np.flatnonzero(~tried), np.flatnonzero(tried)
    border = np.zeros(len(examples.rows))
    for name in names:
        own = examples.rows == name
        border[own] = np.quantile(examples.cutoff[own], 0.75)
    learned = examples.cutoff + horizon <= border
    return np.flatnonzero(learned), np.flatnonzero(examples.cutoff > border)


def default_horizon(series: IrregularSeries) -> float:
    """A quarter of the median span, but no less than the median gap, which reaches the next row."""
    gaps = np.delete(np.diff(series.flat_times), series.layout.starts[1:] - 1)
    gap = float(np.median(gaps)) if len(gaps) else 0.0
    span = float(np.median(series.last_times - series.first_times))
    return max(0.25 * span, gap) or 1.0
