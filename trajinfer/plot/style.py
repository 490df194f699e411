"""House style of figures: colours, labels of coordinates and times, thinning of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.data import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colour-blind safe palette of Okabe and Ito (2008).
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
GREY = "#6E6E6E"
TIME_MAP = "viridis"
SPEED_MAP = "cividis"
MAX_PATHS = 200

Dims = int | str | Sequence[int | str] | None


def new_axes(ax: Axes | None) -> Axes:
    """The axes given, or those of a new figure.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    if ax is not None:
        return ax
    pyplot = import_extra("matplotlib.pyplot", "plot")
    axes: Axes = pyplot.subplots(layout="constrained")[1]
    return axes


def coordinate_names(features: tuple[str, ...] | None, dim: int) -> tuple[str, ...]:
    """Names of the coordinates as in the tables: the features, else x0, x1, ..."""
    return features or tuple(f"x{d}" for d in range(dim))


def choose_dims(dims: Dims, names: tuple[str, ...]) -> tuple[int, ...]:
    """Indices of the one or two coordinates to draw; None takes the first two, or the only one.

    Raises:
        InputError: for an unknown coordinate, or neither one nor two of them.
    """
    if dims is None:
        return tuple(range(min(2, len(names))))
    chosen = (dims,) if isinstance(dims, (int, np.integer, str)) else tuple(dims)
    if len(chosen) not in (1, 2):
        raise InputError(f"dims must name one coordinate (against time) or two, got {dims!r}")
    return tuple(_index(d, names) for d in chosen)


def _index(dim: int | str, names: tuple[str, ...]) -> int:
    if isinstance(dim, str):
        if dim not in names:
            raise InputError(f"no coordinate '{dim}'; {nearest(dim, names)}")
        return names.index(dim)
    if not 0 <= dim < len(names):
        raise InputError(f"coordinate {dim} does not exist; there are {len(names)}")
    return int(dim)


def time_label(axis: TimeAxis) -> str:
    """Label of a time axis in numbers, with unit and origin where there are any."""
    if axis.kind == "number":
        return "time"
    since = f" since {axis.origin:%Y-%m-%d}" if axis.kind == "datetime" else ""
    return f"time ({axis.unit}{since})"


def label_axes(ax: Axes, chosen: tuple[int, ...], names: tuple[str, ...], axis: TimeAxis) -> None:
    """Name both axes: two coordinates, or one against time."""
    horizontal = names[chosen[0]] if len(chosen) == 2 else time_label(axis)
    ax.set_xlabel(horizontal)
    ax.set_ylabel(names[chosen[-1]])


def fading(n: int, most: float = 0.9, least: float = 0.1, full: int = 100) -> float:
    """Opacity that falls with the number of things drawn, from `most` up to `full` of them."""
    return float(np.clip(most * np.sqrt(full / max(n, 1)), least, most))


def spread_out(n: int, most: int) -> Array:
    """At most `most` of n indices, evenly spaced, the same at every call."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def add_time_bar(ax: Axes, mappable: Any, axis: TimeAxis) -> None:
    """A colour bar, opaque whatever the dots are, that says which colour is which time."""
    opaque = import_extra("matplotlib.cm", "plot").ScalarMappable(mappable.norm, mappable.cmap)
    ax.figure.colorbar(opaque, ax=ax, label=time_label(axis))


def opaque_legend(ax: Axes) -> None:
    """A legend whose signs can be seen although what they stand for is faint."""
    for handle in ax.legend(loc="best", fontsize="small", framealpha=0.8).legend_handles:
        if handle is not None:
            handle.set_alpha(1)
