"""Distances to snapshots that were held out, beside what makes them readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError, nearest
from trajinfer.plot.style import BLUE, GREEN, GREY, ORANGE, legend_above, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIGNS = {
    "estimator": (BLUE, "o", "model"),
    "exact_ot_line": (ORANGE, "s", "exact OT line"),
    "persistence": (GREY, "v", "previous snapshot"),
    "sampling_floor": (GREEN, "d", "sampling floor"),
}
_LONG, _SIZE = 40, 40


def scores(table: pd.DataFrame, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Distance to every snapshot that was held out, of a model and of its anchors.

    Smaller is better, and nothing can be expected below the sampling floor. Snapshots outside the
    times learned from are hollow: there the model extrapolates.

    Args:
        table: of `evaluation.leave_one_snapshot_out` or `evaluation.held_out_table`.
        metric: whose rows are drawn; None takes the first one.
        ax: axes to draw into; None makes a figure.

    Returns:
        The axes.

    Raises:
        InputError: if the table holds no scores, or not this metric.
        MissingExtra: if matplotlib is not installed.
    """
    missing = [name for name in ("time", "metric", "estimator") if name not in table]
    if missing or not len(table):
        raise InputError(f"a table of scores is needed, got none or one without {missing}")
    chosen = table["metric"].iloc[0] if metric is None else metric
    rows = table[table["metric"] == chosen]
    if not len(rows):
        raise InputError(f"no metric '{chosen}'; {nearest(chosen, table['metric'].unique())}")
    ax = new_axes(ax)
    place, outside = np.arange(len(rows)), rows["extrapolation"].to_numpy(dtype=bool)
    for name, (color, marker, label) in _SIGNS.items():
        if name not in rows:
            continue
        value = rows[name].to_numpy(dtype=np.float64)
        faces = ["none" if far else color for far in outside]
        ax.scatter(place, value, c=faces, edgecolors=color, marker=marker, s=_SIZE)
        ax.scatter([], [], c=color, marker=marker, label=label, s=_SIZE)  # filled in the legend
    words = [str(time).removesuffix(" 00:00:00") for time in rows["time"]]
    ax.set_xticks(place, words, rotation=0 if len("".join(words)) < _LONG else 90)
    ax.set_xlabel("time that was held out (hollow: extrapolated)")
    ax.set_ylabel(f"{str(chosen).upper()} to the snapshot")
    ax.set_ylim(bottom=0)
    legend_above(ax)
    return ax
