"""Figures that are made when they are called for, on figures that belong to no window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trajinfer._core.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CHANNELS = 4


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window and changes no setting.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    figure = import_extra("matplotlib.figure", "plot")
    made: Figure = figure.Figure(figsize=(width, height), layout="constrained", dpi=150)
    return made


def figure_of(
    function: Callable[..., Any],
    *data: Any,
    size: tuple[float, float],
    panels: tuple[int, int] | None = None,
    **options: Any,
) -> Callable[[], Figure]:
    """A function that draws data on a new figure, when it is called.

    Args:
        function: draws on `ax`: one panel, or an array of them.
        data: its first arguments.
        size: of the figure, in inches.
        panels: rows and columns of several panels; None for one.
        options: more of its arguments.
    """

    def make() -> Figure:
        figure = new_figure(*size)
        ax = figure.subplots() if panels is None else _grid(figure, *panels)
        function(*data, ax=ax, **options)
        return figure

    return make


def figure_by_channel(
    function: Callable[..., Any], *data: Any, n_channels: int, height: float = 2.6, **options: Any
) -> Callable[[], Figure]:
    """The same with the first channels of series below each other.

    Args:
        function: draws on `ax`, an array of panels.
        data: its first arguments.
        n_channels: how many channels there are.
        height: of a panel, in inches.
        options: more arguments of the function.
    """
    n = min(n_channels, MOST_CHANNELS)
    return figure_of(function, *data, size=(6.4, height * n), panels=(n, 1), **options)


def _grid(figure: Figure, rows: int, columns: int) -> Any:
    return figure.subplots(rows, columns, squeeze=False).ravel()
