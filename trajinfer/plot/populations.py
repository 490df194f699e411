"""Clouds of points: snapshots by time, paths over them, predictions beside what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.data import Snapshots, Trajectories
from trajinfer.plot.style import (
    BLUE,
    GREY,
    MAX_PATHS,
    TIME_MAP,
    VERMILION,
    Dims,
    add_time_bar,
    choose_dims,
    coordinate_names,
    fading,
    label_axes,
    legend_above,
    make_opaque,
    named_time,
    new_axes,
    spread_out,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ABOVE_TITLE = 1.08  # in heights of a panel


def snapshots(
    data: Snapshots,
    *,
    ax: Axes | None = None,
    dims: Dims = None,
    size: float = 14.0,
    alpha: float | None = None,
    time_bar: bool = True,
) -> Axes:
    """Points of a population, coloured by the time at which they were seen.

    Args:
        data: the snapshots; weights scale the area of the dots.
        ax: axes to draw into; None makes a figure.
        dims: two coordinates, by index or name, or one to draw against time; None takes the first
            two.
        size: area of a dot, in square points.
        alpha: opacity; None lets it fall with the size of the snapshots.
        time_bar: whether to add the colour bar of times.

    Returns:
        The axes.

    Raises:
        InputError: for a coordinate that is not there.
        MissingExtra: if matplotlib is not installed.
    """
    chosen = choose_dims(dims, coordinate_names(data.features, data.dim))
    ax = new_axes(ax)
    _scatter_by_time(ax, data, chosen, size, alpha, time_bar)
    return ax


def trajectories(
    data: Trajectories,
    *,
    snapshots: Snapshots | None = None,
    ax: Axes | None = None,
    dims: Dims = None,
    max_paths: int = MAX_PATHS,
    color: Any = GREY,
    alpha: float | None = None,
    label: str = "paths",
) -> Axes:
    """Sample paths, over the snapshots they pass through.

    Args:
        data: the paths.
        snapshots: points drawn with them, coloured by time.
        ax: axes to draw into; None makes a figure. Call twice on the same axes to compare.
        dims: as in `snapshots`.
        max_paths: at most that many are drawn, evenly chosen; the legend says how many of how many.
        color: of the paths.
        alpha: opacity of a path; None lets it fall with their number.
        label: what the legend calls them.

    Returns:
        The axes.

    Raises:
        InputError: for a coordinate that is not there or `max_paths` below 1.
        MissingExtra: if matplotlib is not installed.
    """
    data = data.in_order()
    names = coordinate_names(data.features or getattr(snapshots, "features", None), data.dim)
    chosen = choose_dims(dims, names)
    if max_paths < 1:
        raise InputError(f"max_paths must be at least 1, got {max_paths}")
    ax = new_axes(ax)
    if snapshots is not None:
        _scatter_by_time(ax, snapshots, chosen, 14.0, None, time_bar=True)
    who = spread_out(len(data), max_paths)
    times = np.broadcast_to(data.ts, data.values.shape[:2])[who]
    count = f"{len(who)} {label}" if len(who) == len(data) else f"{len(who)} of {len(data)} {label}"
    collections = import_extra("matplotlib.collections", "plot")
    lines = collections.LineCollection(
        _plane(data.values[who], times, chosen),
        colors=color,
        linewidths=0.7,
        alpha=fading(len(who), full=15) if alpha is None else alpha,
        label=count,
        zorder=1,
    )
    ax.add_collection(lines)
    ax.autoscale_view()
    label_axes(ax, chosen, names, data.axis)
    make_opaque(legend_above(ax))
    return ax


def held_out(
    predicted: Snapshots | Trajectories,
    observed: Snapshots,
    *,
    train: Snapshots | None = None,
    scores: Sequence[float] | None = None,
    score_name: str = "W2",
    ax: Axes | Sequence[Axes] | None = None,
    dims: Dims = None,
    size: float = 14.0,
) -> Array:
    """Predictions beside the snapshots that were held out, one panel per time.

    Args:
        predicted: points or paths that exist at every time of `observed`.
        observed: the held-out snapshots.
        train: snapshots that were learned from: the nearest before and after are drawn in grey.
        scores: one number per held-out time, written above its panel.
        score_name: what they are.
        ax: one Axes per held-out time; None makes a figure.
        dims: two coordinates, by index or name; None takes the first two.
        size: area of a dot, in square points.

    Returns:
        (K,) array of Axes.

    Raises:
        InputError: if a time is missing, dimensions differ, or the number of axes or scores is not
            the number of times.
        MissingExtra: if matplotlib is not installed.
    """
    names = coordinate_names(observed.features, observed.dim)
    chosen = choose_dims(dims, names)
    if predicted.dim != observed.dim:
        raise InputError(f"predicted has {predicted.dim} coordinates, observed {observed.dim}")
    if scores is not None and len(scores) != len(observed):
        raise InputError(f"got {len(scores)} scores for {len(observed)} held-out times")
    clouds = [_at(predicted, t) for t in observed.times]
    panels = _panels(ax, len(observed))
    for k, panel in enumerate(panels):
        t = observed.times[k]
        if train is not None:
            _dots(panel, _neighbours(train, t), t, chosen, size, c="0.75", label="training")
        _dots(panel, clouds[k], t, chosen, size, c=VERMILION, label="predicted")
        ring = {"facecolors": "none", "edgecolors": BLUE, "linewidths": 0.8, "zorder": 3}
        _dots(panel, observed.points[k], t, chosen, size, label="observed", **ring)
        label_axes(panel, chosen, names, observed.axis)
        score = "" if scores is None else f", {score_name} {scores[k]:.3g}"
        panel.set_title(named_time(observed.axis, t) + score, fontsize="medium")
        if k > 0:
            panel.set_ylabel("")
    make_opaque(legend_above(panels[0], height=_ABOVE_TITLE, handletextpad=0.1))
    return panels


def _scatter_by_time(
    ax: Axes,
    data: Snapshots,
    chosen: tuple[int, ...],
    size: float,
    alpha: float | None,
    time_bar: bool,
) -> None:
    points, times = data.stacked()
    mass = np.concatenate([data.probabilities(k) * len(p) for k, p in enumerate(data.points)])
    x, y = _plane(points, times, chosen).T
    dots = ax.scatter(
        x,
        y,
        c=times,
        s=size * mass,
        cmap=TIME_MAP,
        alpha=fading(max(map(len, data.points))) if alpha is None else alpha,
        linewidths=0,
        zorder=2,
    )
    label_axes(ax, chosen, coordinate_names(data.features, data.dim), data.axis)
    if time_bar:
        add_time_bar(ax, dots, data.axis)


def _dots(
    ax: Axes, points: Array, t: float, chosen: tuple[int, ...], size: float, **options: Any
) -> None:
    x, y = _plane(points, np.full(len(points), t), chosen).T
    ax.scatter(x, y, s=size, alpha=fading(len(points)), **{"linewidths": 0, **options})


def _plane(values: Array, times: Array, chosen: tuple[int, ...]) -> Array:
    """Coordinates of the figure, (..., 2): two of the data, or time and one."""
    if len(chosen) == 2:
        return values[..., list(chosen)]
    return np.stack([times, values[..., chosen[0]]], axis=-1)


def _at(predicted: Snapshots | Trajectories, t: float) -> Array:
    if isinstance(predicted, Trajectories):
        return predicted.at(predicted.axis.decode(np.array([t])))
    return predicted.select([t]).points[0]


def _neighbours(train: Snapshots, t: float) -> Array:
    """Points of the nearest training snapshots before and after a time."""
    before, after = np.flatnonzero(train.times < t), np.flatnonzero(train.times > t)
    return np.concatenate([train.points[k] for k in (*before[-1:], *after[:1])])


def _panels(ax: Axes | Sequence[Axes] | None, n: int) -> Array:
    if ax is None:
        pyplot = import_extra("matplotlib.pyplot", "plot")
        size = (min(3.2 * n, 16.0), 3.4)
        _, panels = pyplot.subplots(1, n, figsize=size, layout="constrained", squeeze=False)
        return np.asarray(panels[0])
    panels = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(panels) != n:
        raise InputError(f"got {len(panels)} axes for {n} held-out times; give one each")
    return panels
