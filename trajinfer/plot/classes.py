"""Predicted classes of series against those that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError
from trajinfer.plot.style import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NUMBERS_UP_TO = 12
_DARK = 0.6
_LETTERS = 15  # that stand beside each other


def classes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Numbers of series by their class (rows) and the one predicted (columns).

    The shade is the share of the row, so that rare classes are seen as well as frequent ones. Where
    no class is known all series are one row.

    Args:
        table: one row per series with the columns `predicted`, `label` where classes are known, and
            `p_<class>` for every class that can be predicted.
        ax: axes to draw into; None makes a figure.

    Returns:
        The axes.

    Raises:
        InputError: if the table holds no predictions.
        MissingExtra: if matplotlib is not installed.
    """
    if "predicted" not in table or not len(table):
        raise InputError("a table of predictions is needed, with the column 'predicted' and a row")
    predicted = table["predicted"].astype(str)
    known = table["label"].astype(str) if "label" in table else pd.Series("all", table.index)
    able = [str(name).removeprefix("p_") for name in table if str(name).startswith("p_")]
    columns = list(dict.fromkeys([*able, *predicted]))
    rows = list(dict.fromkeys([*(name for name in able if (known == name).any()), *known]))
    count = pd.crosstab(known, predicted).reindex(rows, columns=columns, fill_value=0).to_numpy()
    share = count / count.sum(axis=1, keepdims=True)
    ax = new_axes(ax)
    image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="share of the row")
    if max(count.shape) <= _NUMBERS_UP_TO:
        for i, j in np.ndindex(count.shape):
            shade = "white" if share[i, j] > _DARK else "black"
            ax.text(j, i, str(count[i, j]), ha="center", va="center", color=shade)
    long = len(columns) * max(map(len, columns)) > _LETTERS
    ax.set_xticks(range(len(columns)), columns, rotation=90 if long else 0)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("class" if "label" in table else "class not known")
    return ax
