"""The report on generated series as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.errors import InputError
from trajinfer.plot.style import BLUE, GREY, VERMILION, legend_above, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINEAR = 2.0
_COLUMNS = ("value", "lower", "upper", "floor", "limit", "flagged")


def generation(table: Any, *, ax: Axes | None = None) -> Axes:
    """Every measure on one scale: 0 is what real series give, 1 is where it is flagged.

    Args:
        table: from `GenerationReport.to_frame`.
        ax: axes to draw into; None makes a figure.

    Returns:
        The axes: a point and its interval per measure, flagged ones in another colour.

    Raises:
        InputError: if the table lacks a column or holds no measure.
        MissingExtra: if matplotlib is not installed.
    """
    missing = [name for name in _COLUMNS if name not in table]
    if missing or not len(table):
        raise InputError(f"the table of a report is needed, got none or one without {missing}")
    span = (table["limit"] - table["floor"]).to_numpy(dtype=np.float64)
    value, lower, upper = (
        ((table[name] - table["floor"]) / span).to_numpy(dtype=np.float64)
        for name in ("value", "lower", "upper")
    )
    ax = new_axes(ax)
    rows = np.arange(len(table))[::-1]
    ax.axvline(0, color=GREY, linewidth=1, label="real against real")
    ax.axvline(1, color=VERMILION, linewidth=1, linestyle="--", label="flagged beyond")
    for flagged, color in ((False, BLUE), (True, VERMILION)):
        chosen = table["flagged"].to_numpy(dtype=bool) == flagged
        ends = np.sort(np.stack([lower, upper]), axis=0)[:, chosen]
        ax.hlines(rows[chosen], *ends, color=color, linewidth=1.5)
        ax.plot(value[chosen], rows[chosen], "o", color=color, markersize=5)
    _show_limits(ax, float(np.nanmax(np.abs([value, lower, upper]), initial=0.0)))
    ax.set_yticks(rows, [str(name).replace("_", " ") for name in table.index])
    legend_above(ax)
    return ax


def _show_limits(ax: Axes, farthest: float) -> None:
    """Name the axis of limits: a copy can lie a hundred away; it stays linear around the first."""
    ax.set_xlabel("distance from real against real, in units of the limit")
    if farthest <= _LINEAR:
        return
    low, high = ax.get_xlim()
    ax.set_xscale("symlog", linthresh=_LINEAR)
    tens = 10.0 ** np.arange(1, 16)
    ticks = np.concatenate([-tens[::-1], [-1, 0, 1], tens])
    ax.set_xticks(ticks[(ticks >= low) & (ticks <= high)])
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlim(low, high)
