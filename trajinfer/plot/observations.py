"""Irregular series as they were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.plot.style import BLUE, GREY, choose_dims, fading, new_axes, show_times, spread_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES, _DOTS = 60, 4000


def series(
    data: IrregularSeries,
    *,
    channel: int | str = 0,
    max_series: int = _LINES,
    ax: Axes | None = None,
) -> Axes:
    """One channel of irregular series: a dot where it was seen, joined within each series.

    Args:
        data: the series.
        channel: which channel, by index or name.
        max_series: at most that many are drawn, evenly chosen; the title says how many of how many.
        ax: axes to draw into; None makes a figure.

    Returns:
        The axes.

    Raises:
        InputError: for a channel that is not there, or `max_series` below 1.
        MissingExtra: if matplotlib is not installed.
    """
    (c,) = choose_dims(channel, tuple(map(str, data.channels)))
    if max_series < 1:
        raise InputError(f"max_series must be at least 1, got {max_series}")
    ax = new_axes(ax)
    who = spread_out(len(data), max_series)
    dots = 0
    for i in who:
        one = data[int(i)]
        seen = np.flatnonzero(one.mask[0, :, c])
        times, values = one.times[0, seen], one.values[0, seen, c]
        ax.plot(times, values, color=GREY, linewidth=0.7, alpha=fading(len(who), full=15), zorder=1)
        if dots < _DOTS:
            ax.plot(times, values, ".", color=BLUE, markersize=3, alpha=0.6, zorder=2)
        dots += len(seen)
    show_times(ax.xaxis, data.axis)
    ax.set_ylabel(str(data.channels[c]))
    count = f"{len(who)} of {len(data)} series" if len(who) < len(data) else f"{len(data)} series"
    ax.set_title(count, fontsize="medium")
    return ax


def channels(data: IrregularSeries, *, ax: list[Axes]) -> list[Axes]:
    """The first channels, one below the other.

    Args:
        data: the series.
        ax: one Axes per channel.

    Returns:
        The axes.
    """
    for c, panel in enumerate(ax):
        series(data, channel=c, ax=panel)
        if c > 0:
            panel.set_title("")
    return ax
