"""Calibration figure: observed against nominal coverage of intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from trajinfer._core.errors import InputError, nearest
from trajinfer.plot.style import BLUE, GREY, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def calibration(
    table: pd.DataFrame, *, ax: Axes | None = None, label: str | None = None, color: Any = BLUE
) -> Axes:
    """Share of the observations inside the intervals of each level; on the diagonal if calibrated.

    Args:
        table: columns level and coverage, as `evaluation.calibration` gives; with a column
            standard_error, bars of two standard errors are drawn.
        ax: axes to draw into; None makes a figure.
        label: name in a legend, to compare several forecasts on the same axes.
        color: of the points.

    Returns:
        The axes.

    Raises:
        InputError: if the table is empty or lacks a column.
        MissingExtra: if matplotlib is not installed.
    """
    for name in ("level", "coverage"):
        if name not in table:
            raise InputError(f"the table has no column '{name}'; {nearest(name, table.columns)}")
    if not len(table):
        raise InputError("the table has no rows; give at least one level")
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    bars = 2 * table["standard_error"] if "standard_error" in table else None
    ax.errorbar(
        table["level"],
        table["coverage"],
        yerr=bars,
        color=color,
        marker="o",
        markersize=4,
        linewidth=1.3,
        label=label,
        zorder=2,
    )
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal coverage", ylabel="observed coverage")
    if label is not None:
        ax.legend(fontsize="small")
    return ax
