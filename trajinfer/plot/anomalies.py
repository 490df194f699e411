"""Values of a series with those marked that surprise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
    ax.plot(times, values, color=GREY, linewidth=1.0, marker=".", markersize=4, label="observed")
    if odd.any():
        label = f"score above {above:g}"
        ax.scatter(times[odd], values[odd], color=VERMILION, s=28, zorder=3, label=label)
    show_times(ax.xaxis, data.axis)
    ax.set_ylabel(coordinate_names(data.channels, len(data.channels))[dim])
    legend_above(ax)
    return ax


def anomalies_by_channel(
    data: IrregularSeries, scores: Array, *, above: float, series: int, ax: Sequence[Axes]
) -> Sequence[Axes]:
    """The first channels of a series, one below the other; see `anomalies`."""
    for dim, panel in enumerate(ax):
        anomalies(data, scores, above=above, series=series, dim=dim, ax=panel)
    return ax
