"""Values of a series with those marked that surprise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.plot.style import (
    GREY,
    VERMILION,
    coordinate_names,
    legend_above,
    new_axes,
    show_times,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOTS, _STRETCHES = 800, 200


def anomalies(
    data: IrregularSeries,
    scores: Array,
    *,
    above: float = 10.0,
    series: int = 0,
    dim: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """The values of one channel over time; those whose score lies above a bound are marked.

    Of more than 800 values the range and the mean are drawn, stretch by stretch.

    Args:
        data: the series.
        scores: (B, T, C), as `ScoreSeries.anomaly` gives them.
        above: the bound; 10 is four standard deviations off.
        series: which of the series.
        dim: which channel.
        ax: axes to draw into; None makes a figure.

    Returns:
        The axes.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    seen = data.mask[series, :, dim]
    times, values = data.times[series, seen], data.values[series, seen, dim]
    odd = scores[series, seen, dim] > above
    ax = new_axes(ax)
    if len(times) > _DOTS:
        _range_and_mean(ax, times, values)
    else:
        ax.plot(times, values, ".-", color=GREY, linewidth=1.0, markersize=4, label="observed")
    if odd.any():
        label = f"score above {above:g}"
        ax.scatter(times[odd], values[odd], color=VERMILION, s=28, zorder=3, label=label)
    show_times(ax.xaxis, data.axis)
    ax.set_ylabel(coordinate_names(data.channels, len(data.channels))[dim])
    legend_above(ax)
    return ax


def _range_and_mean(ax: Axes, times: Array, values: Array) -> None:
    """Of each of even stretches of time: where dots would be one mass. Empty ones stay empty."""
    edges = np.linspace(times[0], times[-1], _STRETCHES + 1)
    stretch = np.searchsorted(edges[1:-1], times, side="right")
    some, first = np.unique(stretch, return_index=True)
    low, mean, high = np.full((3, _STRETCHES), np.nan)
    low[some], high[some] = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    mean[some] = np.add.reduceat(values, first) / np.diff([*first, len(values)])
    middle = (edges[:-1] + edges[1:]) / 2
    ax.fill_between(middle, low, high, color=GREY, alpha=0.35, linewidth=0, label="range observed")
    ax.plot(middle, mean, color=GREY, linewidth=1.0, label="mean")


def anomalies_by_channel(
    data: IrregularSeries, scores: Array, *, above: float, series: int, ax: Sequence[Axes]
) -> Sequence[Axes]:
    """The first channels of a series, one below the other; see `anomalies`."""
    for dim, panel in enumerate(ax):
        anomalies(data, scores, above=above, series=series, dim=dim, ax=panel)
    return ax
