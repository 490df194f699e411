"""House style of figures: colours, labels of coordinates and times, thinning of points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.data import TimeAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colour-blind safe palette of Okabe and Ito (2008).
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
GREY = "#6E6E6E"
CATEGORIES = (BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9")
TIME_MAP = "viridis"
SPEED_MAP = "cividis"
MAX_PATHS = 200
_COLUMNS = 6
_MANY_DECADES, _FEW_TICKS, _SAME = 3, 3, 1e-9
_FIRST_YEAR, _LAST_YEAR = 1000, 9000  # of dates that matplotlib can show
_UNITS = ("D", "h", "min", "s", "ms", "us", "ns")

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
    """Label of a time axis: its column's name, with the unit of durations; dates stand at ticks."""
    name = axis.name or "time"
    return f"{name} ({axis.unit})" if axis.kind == "timedelta" else name


def in_fitting_unit(durations: Array, unit: str) -> tuple[Array, str]:
    """Durations in the largest unit, at most the one given, of which the longest is one or more.

    Those in no unit of time stay as they are.

    Example:
        >>> in_fitting_unit(np.array([0.125, 0.5]), "D")
        (array([ 3., 12.]), 'h')
    """
    if unit not in _UNITS or not durations.max(initial=0.0) > 0:
        return durations, unit
    own = pd.Timedelta(1, unit)
    for shorter in _UNITS[_UNITS.index(unit) :]:
        size = own / pd.Timedelta(1, shorter)
        if durations.max() * size >= 1:
            break
    return durations * size, shorter


def named_time(axis: TimeAxis, t: float) -> str:
    """A time with the name of its column, for titles: "year = 1990"."""
    return f"{axis.name or 't'} = {axis.named(t)}"


def show_times(ticks: Any, axis: TimeAxis) -> None:
    """Name an axis of a figure that shows times, with dates at its ticks where times are dates.

    Args:
        ticks: the `xaxis` or `yaxis` of a figure, on which times are numbers of `axis`.
        axis: the times.
    """
    ticks.set_label_text(time_label(axis))
    if axis.kind == "datetime" and _FIRST_YEAR < axis.origin.year < _LAST_YEAR:  # type: ignore[union-attr]
        locator, formatter = date_ticks(axis)
        ticks.set_major_locator(locator)
        ticks.set_major_formatter(formatter)


def date_ticks(axis: TimeAxis) -> tuple[Any, Any]:
    """Where dates stand on an axis of numbers, and how they are written."""
    dates = import_extra("matplotlib.dates", "plot")
    ticker = import_extra("matplotlib.ticker", "plot")
    zone = axis.origin.tz  # type: ignore[union-attr]
    start, day = dates.date2num(axis.origin), float(axis.durations(["1D"])[0])
    inner = dates.AutoDateLocator(tz=zone, minticks=3, maxticks=8)
    words = dates.ConciseDateFormatter(inner, tz=zone)

    class AtDates(ticker.Locator):  # type: ignore[misc, name-defined]
        """Ticks at round dates."""

        def __call__(self) -> Array:
            return self.tick_values(*self.axis.get_view_interval())

        def tick_values(self, vmin: float, vmax: float) -> Array:
            low, high = (dates.num2date(start + end / day, zone) for end in (vmin, vmax))
            return np.asarray((np.asarray(inner.tick_values(low, high)) - start) * day)

    class Written(ticker.Formatter):  # type: ignore[misc, name-defined]
        """Dates as short as their neighbours allow."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return str(dates.num2date(start + x / day, zone).date())

        def format_ticks(self, values: Any) -> list[str]:
            return list(words.format_ticks(start + np.asarray(values) / day))

        def get_offset(self) -> str:
            return str(words.get_offset())

    return AtDates(), Written()


def label_axes(ax: Axes, chosen: tuple[int, ...], names: tuple[str, ...], axis: TimeAxis) -> None:
    """Name both axes: two coordinates, or one against time."""
    if len(chosen) == 2:
        ax.set_xlabel(names[chosen[0]])
    else:
        show_times(ax.xaxis, axis)
    ax.set_ylabel(names[chosen[-1]])


def fading(n: int, most: float = 0.9, least: float = 0.1, full: int = 100) -> float:
    """Opacity that falls with the number of things drawn, from `most` up to `full` of them."""
    return float(np.clip(most * np.sqrt(full / max(n, 1)), least, most))


def spread_out(n: int, most: int) -> Array:
    """At most `most` of n indices, evenly spaced, the same at every call."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def add_time_bar(ax: Axes, mappable: Any, axis: TimeAxis) -> None:
    """A colour bar, opaque whatever the dots are, that says which colour is which time.

    Where all dots are at whole numbers, such as years, no tick stands between two of them.
    """
    opaque = import_extra("matplotlib.cm", "plot").ScalarMappable(mappable.norm, mappable.cmap)
    bar = ax.figure.colorbar(opaque, ax=ax)
    if axis.kind == "number" and (np.asarray(mappable.get_array()) % 1 == 0).all():
        ticker = import_extra("matplotlib.ticker", "plot")
        whole = ticker.MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True)
        bar.ax.yaxis.set_major_locator(whole)
    show_times(bar.ax.yaxis, axis)


def log_ticks(low: float, top: float) -> Array:
    """Numbers of few digits on a logarithmic scale from low to top.

    Powers of ten where there are many; 1, 2 and 5 of every decade; even steps within a small range.
    One number stands for itself.
    """
    if top - low <= _SAME * top:
        return np.array([top])
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.floor(np.log10(top)) + 1)
    digits = [1.0] if len(decades) > _MANY_DECADES else [1.0, 2.0, 5.0]
    inside = _between(np.outer(decades, digits).ravel(), low, top)
    if len(inside) >= _FEW_TICKS:
        return inside
    steps = import_extra("matplotlib.ticker", "plot").MaxNLocator(4, steps=[1, 2, 5, 10])
    return _between(np.asarray(steps.tick_values(low, top)), low, top)


def _between(ticks: Array, low: float, top: float) -> Array:
    rounding = _SAME * top
    return ticks[(ticks >= low - rounding) & (ticks <= top + rounding)]


def make_opaque(legend: Any) -> None:
    """Show the signs of a legend although what they stand for is faint."""
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def legend_above(ax: Axes, title: str | None = None, *, height: float = 1.0, **options: Any) -> Any:
    """A legend in one row above the axes, where it covers no data; `height` clears a title."""
    handles, labels = ax.get_legend_handles_labels()
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, height)}
    row = {**place, "frameon": False, "fontsize": "small"}
    columns = min(len(labels), _COLUMNS)
    return ax.legend(
        handles, labels, title=title, ncols=max(columns, 1), columnspacing=1.0, **row, **options
    )
