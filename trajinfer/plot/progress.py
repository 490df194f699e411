"""Lines over rounds and over time: the course of a fit, and the fan of a forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.data import Forecast, IrregularSeries, Snapshots, TimeAxis, Trajectories
from trajinfer.plot.style import (
    BLUE,
    GREY,
    VERMILION,
    choose_dims,
    coordinate_names,
    fading,
    legend_above,
    new_axes,
    show_times,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAST, _LEAST_DOTS = 4.0, 30  # how long the past is drawn, in lengths of the fan


def history(
    records: Sequence[float] | Sequence[Mapping[str, Any]],
    *,
    key: str = "objective",
    ax: Axes | None = None,
    label: str | None = None,
    color: Any = BLUE,
) -> Axes:
    """A quantity per round of a fit, such as the objective.

    Args:
        records: the values, or the records of `history_` with one entry `key` each.
        key: which entry; also the label of the axis.
        ax: axes to draw into; None makes a figure.
        label: name in a legend, to compare several fits on the same axes.
        color: of the line.

    Returns:
        The axes.

    Raises:
        InputError: if there is nothing to draw or a record lacks the entry.
        MissingExtra: if matplotlib is not installed.
    """
    values = _values(records, key)
    ax = new_axes(ax)
    marker = "o" if len(values) <= 60 else None
    rounds = np.arange(len(values))
    ax.plot(rounds, values, color=color, marker=marker, markersize=3.5, linewidth=1.3, label=label)
    ax.set_xlabel("round")
    ax.set_ylabel(key.replace("_", " "))
    ticker = import_extra("matplotlib.ticker", "plot")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if label is not None:
        ax.legend(fontsize="small")
    return ax


def forecast(
    data: Trajectories | Forecast,
    *,
    series: int = 0,
    dim: int | str = 0,
    observed: Snapshots | IrregularSeries | None = None,
    cutoff: Any = None,
    levels: Sequence[float] = (0.5, 0.8, 0.95),
    ax: Axes | None = None,
    color: Any = BLUE,
) -> Axes:
    """The fan of a forecast: median and central bands of one coordinate over time.

    Args:
        data: sample paths on a shared time grid, or the forecasts of several series.
        series: which of several series.
        dim: the coordinate, by index or name.
        observed: snapshots or series to draw as dots, those after `cutoff` in another colour; None
            takes the history that a `Forecast` knows. Of series without a cutoff the last stretch
            is drawn: four times as long as the fan, or the last 30 values.
        cutoff: last time that was learned from (a number or a label of the time axis), drawn as a
            dashed line.
        levels: probabilities of the bands.
        ax: axes to draw into; None makes a figure.
        color: of the fan.

    Returns:
        The axes.

    Raises:
        InputError: for a coordinate that is not there, a level outside (0, 1), or paths with times
            of their own.
        MissingExtra: if matplotlib is not installed.
    """
    title = None
    if isinstance(data, Forecast):
        title = str(data.ids[series]) if len(data) > 1 else None
        observed = data.history if observed is None else observed
        data = data.trajectories(series)
    data = data.in_order()
    if data.ts.ndim != 1:
        raise InputError("a fan needs paths that share their times")
    names = coordinate_names(data.features or getattr(observed, "features", None), data.dim)
    (d,) = choose_dims(dim, names)
    bands = [(level, *data.interval(level)) for level in sorted(levels, reverse=True)]
    last = None if cutoff is None else float(data.axis.encode(np.atleast_1d(cutoff))[0])
    dots = None if observed is None else _observations(observed, series, data.axis, d)
    ts, before = data.ts, np.zeros(0)
    if isinstance(observed, IrregularSeries) and dots is not None and cutoff is None:
        dots = _recent(ts, *dots)
        ts, before = _joined(ts, *dots[:2])
    ax = new_axes(ax)
    for k, (level, lower, upper) in enumerate(bands):
        ax.fill_between(
            ts,
            np.concatenate([before, lower[:, d]]),
            np.concatenate([before, upper[:, d]]),
            color=color,
            alpha=0.16 + 0.12 * k,
            linewidth=0,
            label=f"{level:.0%}",
            zorder=1,
        )
    middle = np.concatenate([before, data.quantile(0.5)[:, d]])
    ax.plot(ts, middle, color=color, linewidth=1.5, label="median", zorder=2)
    if dots is not None:
        _dots(ax, *dots, last)
    if cutoff is not None:
        ax.axvline(
            cutoff, color=GREY, linestyle="--", linewidth=1.0, label="last time learned from"
        )
    show_times(ax.xaxis, data.axis)
    ax.set_ylabel(names[d])
    legend_above(ax, title, markerscale=1.8)
    return ax


def forecasts(
    data: Forecast, *, series: int = 0, observed: IrregularSeries | None = None, ax: Sequence[Axes]
) -> Sequence[Axes]:
    """The fans of the first channels of a series, one below the other.

    Args:
        data: forecasts of several series.
        series: which of them.
        observed: see `forecast`.
        ax: one Axes per channel.

    Returns:
        The axes.
    """
    for channel, panel in enumerate(ax):
        forecast(data, series=series, dim=channel, observed=observed, ax=panel)
        legend = panel.get_legend()
        if channel > 0 and legend is not None:
            legend.remove()
    return ax


def _recent(ts: Array, times: Array, values: Array, size: int) -> tuple[Array, Array, int]:
    """The dots near a fan and those in it: a long past would leave the fan no room."""
    before = np.sort(times[times < ts[0]])
    start = ts[0] - _PAST * (ts[-1] - ts[0])
    if len(before):
        start = min(start, before[-_LEAST_DOTS:][0])
    near = times >= start
    return times[near], values[near], size


def _joined(ts: Array, times: Array, values: Array) -> tuple[Array, Array]:
    """Times of a fan that starts at the last observation before it, and the value there (1,)."""
    earlier = np.flatnonzero(times < ts[0])
    if not len(earlier):
        return ts, np.zeros(0)
    last = earlier[times[earlier].argmax()]
    return np.concatenate([times[[last]], ts]), values[[last]]


def _observations(
    observed: Snapshots | IrregularSeries, series: int, axis: TimeAxis, d: int
) -> tuple[Array, Array, int]:
    """Times and values of the dots of one coordinate, and how many share a time at most."""
    if isinstance(observed, Snapshots):
        points, times = observed.stacked()
        return times, points[:, d], max(len(p) for p in observed.points)
    one = (observed[series] if len(observed) > 1 else observed).on_axis(axis)
    seen = one.mask[0, :, d]
    return one.times[0, seen], one.values[0, seen, d], 1


def _dots(ax: Axes, times: Array, values: Array, size: int, cutoff: float | None) -> None:
    later = np.zeros(len(times), dtype=bool) if cutoff is None else times > cutoff
    for chosen, color, label in (
        (~later, "black", "observed"),
        (later, VERMILION, "observed later"),
    ):
        if chosen.any():
            ax.scatter(
                times[chosen],
                values[chosen],
                c=color,
                s=9,
                linewidths=0,
                alpha=fading(size, most=0.7, full=200),
                label=label,
                zorder=3,
            )


def _values(records: Sequence[Any], key: str) -> Array:
    if len(records) == 0:
        raise InputError("the history is empty; fit first")
    if not isinstance(records[0], Mapping):
        return as_array(records, "history", ndim=1)
    for record in records:
        if key not in record:
            raise InputError(f"the history has no '{key}'; {nearest(key, record)}")
    return as_array([record[key] for record in records], key, ndim=1)
