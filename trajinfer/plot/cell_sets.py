"""Where cells go: fates on the embedding, and the flow from sets of cells to later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.plot.style import CATEGORIES, GREY, fading, legend_above, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_REST = "other"
_BAR, _GAP, _STEPS = 0.06, 0.03, 60
_TOLERANCE = 1e-6


def fate_map(
    points: Any, fates: Any, *, of: str | None = None, size: float = 6.0, ax: Axes | None = None
) -> Axes:
    """Fates of cells on two coordinates.

    Args:
        points: (n, 2 or more) positions of the cells; the first two coordinates are drawn.
        fates: their fates, one column per set, as of `SchrodingerBridge.fates`.
        of: the set whose share is drawn; None colours cells by their likeliest set, the fainter
            the less sure it is.
        size: area of a dot, in square points.
        ax: axes to draw into; None makes a figure.

    Raises:
        InputError: if points and fates are not of the same cells, or there is no such set.
        MissingExtra: if matplotlib is not installed.
    """
    where, shares = as_array(points, "points", ndim=2), _shares(fates)
    if len(where) != len(shares) or where.shape[1] < 2:
        raise InputError(
            f"points must have two coordinates for each of the {len(shares)} rows of fates, got "
            f"shape {where.shape}"
        )
    if of is not None and of not in shares.columns:
        raise InputError(f"no set '{of}' among the fates; {nearest(of, list(shares.columns))}")
    axes = new_axes(ax)
    if of is None:
        _likeliest(axes, where, shares, size)
    else:
        order = np.argsort(shares[of].to_numpy(), kind="stable")  # the surest on top
        x, y = where[order, 0], where[order, 1]
        dots = axes.scatter(x, y, c=shares[of].to_numpy()[order], s=size, vmin=0, vmax=1)
        dots.set(linewidths=0, rasterized=True)
        axes.figure.colorbar(dots, ax=axes, label=f"share of descendants in {of}")
    axes.set_xlabel("coordinate 1")
    axes.set_ylabel("coordinate 2")
    return axes


def flow(table: pd.DataFrame, *, sizes: Any = None, ax: Axes | None = None) -> Axes:
    """Bands from sets of cells to the sets of their descendants.

    Args:
        table: one row per earlier set and one column per later set, rows sum to 1, as of
            `SchrodingerBridge.transition_table`.
        sizes: how large the earlier sets are; None draws them alike.
        ax: axes to draw into; None makes a figure.

    Raises:
        InputError: if rows do not sum to 1 or sizes do not fit.
        MissingExtra: if matplotlib is not installed.
    """
    shares = _shares(table)
    weights = np.ones(len(shares)) if sizes is None else as_array(sizes, "sizes", ndim=1)
    if len(weights) != len(shares) or not (weights >= 0).all() or weights.sum() <= 0:
        raise InputError(f"sizes must be {len(shares)} non-negative numbers, got {sizes!r}")
    mass = shares.to_numpy() * (weights / weights.sum())[:, None]
    axes = new_axes(ax)
    names = [str(name) for name in shares.columns]
    colour = {name: _colour(k, name) for k, name in enumerate(names)}
    left, right = _ends(mass.sum(1)), _ends(mass.sum(0))
    below = left.copy(), right.copy()
    for i in range(len(mass)):
        for j, name in enumerate(names):
            _band(axes, below[0][i], below[1][j], mass[i, j], colour[name])
            below[0][i] += mass[i, j]
            below[1][j] += mass[i, j]
    for i, name in enumerate(map(str, shares.index)):
        shade = colour.get(name, GREY)
        _block(axes, -_BAR, left[i], mass[i].sum(), shade, name, "right")
    for j, name in enumerate(names):
        _block(axes, 1.0, right[j], mass[:, j].sum(), colour[name], name, "left")
    axes.set_xlim(-0.4, 1.4)
    axes.set_axis_off()
    return axes


def _shares(table: Any) -> pd.DataFrame:
    """The table, with the rows of cells without a fate left as they are.

    Raises:
        InputError: if it is no table, or rows do not sum to 1.
    """
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"expected a table with one column per set, got {type(table).__name__}")
    totals = table.sum(axis=1, skipna=False).to_numpy(dtype=float)
    if not (np.abs(totals - 1) <= _TOLERANCE).all():
        raise InputError("rows must sum to 1; leave out cells without a fate: fates.dropna()")
    return table


def _likeliest(axes: Axes, where: Array, shares: pd.DataFrame, size: float) -> None:
    values = shares.to_numpy()
    best = values.argmax(1)
    sure = values.max(1) * fading(len(values), least=0.3, full=3000)
    for k, name in enumerate(map(str, shares.columns)):
        mine = best == k
        x, y = where[mine, 0], where[mine, 1]
        shade = _colour(k, name)
        axes.scatter(x, y, s=size, color=shade, alpha=sure[mine], linewidths=0, rasterized=True)
        axes.scatter([], [], s=30, color=shade, label=name)
    legend_above(axes)


def _colour(k: int, name: str) -> str:
    return GREY if name == _REST else CATEGORIES[k % len(CATEGORIES)]


def _ends(sizes: Array) -> Array:
    """Where blocks of these sizes begin, one above the other with gaps."""
    return np.asarray(np.cumsum(sizes) - sizes + _GAP * np.arange(len(sizes)))


def _band(axes: Axes, start: float, end: float, width: float, colour: str) -> None:
    x = np.linspace(0, 1, _STEPS)
    lower = start + (end - start) * x**2 * (3 - 2 * x)
    axes.fill_between(x, lower, lower + width, color=colour, alpha=0.45, linewidth=0)


def _block(
    axes: Axes, x: float, y: float, height: float, colour: str, name: str, side: str
) -> None:
    if height <= 0:
        return
    patches = import_extra("matplotlib.patches", "plot")
    axes.add_patch(patches.Rectangle((x, y), _BAR, height, facecolor=colour, edgecolor="white"))
    place = x - 0.02 if side == "right" else x + _BAR + 0.02
    axes.text(place, y + height / 2, name, ha=side, va="center", fontsize="small")
    axes.autoscale_view()
