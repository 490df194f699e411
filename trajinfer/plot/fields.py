"""Velocity fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots
from trajinfer.plot.style import (
    SPEED_MAP,
    VERMILION,
    Dims,
    choose_dims,
    coordinate_names,
    fading,
    named_time,
    new_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HasVelocity(Protocol):
    """Anything with a velocity at points and a time, such as a fitted bridge."""

    def velocity(self, X: Any, t: Any, /) -> Any:
        """Velocity at points X (n, D) and time t, (n, D)."""
        ...


Field = HasVelocity | Callable[[Array, float], Any]


def velocity(
    field: Field,
    t: float,
    region: Snapshots | Any,
    *,
    ax: Axes | None = None,
    dims: Dims = None,
    kind: Literal["quiver", "stream"] = "quiver",
    n_grid: int = 20,
    speed_bar: bool = True,
) -> Axes:
    """Arrows or streamlines of a velocity field at one time, coloured by speed.

    Args:
        field: an object with `velocity(X, t)`, or a callable (X (n, D), t) -> (n, D).
        t: the time.
        region: snapshots, whose range is covered, whose mean fixes the coordinates that are not
            drawn and whose points nearest in time are drawn; or a (2, 2) box of (low, high)
            for a field in the plane.
        ax: axes to draw into; None makes a figure.
        dims: two coordinates, by index or name; None takes the first two. The speed is that within
            these two.
        kind: "quiver" for arrows on a grid, "stream" for streamlines.
        n_grid: points per side of the grid.
        speed_bar: whether to add the colour bar of speeds.

    Returns:
        The axes.

    Raises:
        InputError: for a coordinate that is not there, another kind, a box of the wrong shape, or a
            field that does not give (n, D) numbers.
        MissingExtra: if matplotlib is not installed.
    """
    if kind not in ("quiver", "stream"):
        raise InputError(f"kind must be 'quiver' or 'stream', got {kind!r}")
    if n_grid < 2:
        raise InputError(f"n_grid must be at least 2, got {n_grid}")
    box, names, chosen, rest = _region(region, dims)
    sides = [np.linspace(low, high, n_grid) for low, high in box]
    mesh = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    at = np.tile(rest, (len(mesh), 1))
    at[:, list(chosen)] = mesh
    arrows = _evaluate(field, at, t)[:, list(chosen)]
    ax = new_axes(ax)
    drawn = (_quiver if kind == "quiver" else _stream)(ax, sides, arrows)
    overlay = _overlay(ax, region, t, chosen) if isinstance(region, Snapshots) else ""
    ax.set_xlabel(names[chosen[0]])
    ax.set_ylabel(names[chosen[1]])
    at_time = named_time(region.axis, t) if isinstance(region, Snapshots) else f"t = {t:g}"
    ax.set_title(f"{at_time}{overlay}", fontsize="medium")
    if speed_bar:
        ax.figure.colorbar(drawn, ax=ax, label="speed")
    return ax


def _region(
    region: Snapshots | Any, dims: Dims
) -> tuple[Array, tuple[str, ...], tuple[int, ...], Array]:
    """Box (2, 2), names, the two coordinates, and where the others are held (D,)."""
    if isinstance(region, Snapshots):
        points = region.stacked()[0]
        names = coordinate_names(region.features, region.dim)
        rest = points.mean(axis=0)
    else:
        region_points = as_array(region, "region")
        if region_points.shape != (2, 2) or not (region_points[:, 0] < region_points[:, 1]).all():
            raise InputError(
                "region must be snapshots or a box ((low, high), (low, high)), "
                f"got {region_points.tolist()}"
            )
        names, rest = coordinate_names(None, 2), region_points.mean(axis=1)
    chosen = choose_dims(dims, names)
    if len(chosen) != 2:
        raise InputError("a velocity field is drawn in two coordinates; give dims=(i, j)")
    if not isinstance(region, Snapshots):
        return region_points[list(chosen)], names, chosen, rest
    low, high = (f(points[:, list(chosen)], axis=0) for f in (np.min, np.max))
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    return np.stack([low - margin, high + margin], axis=1), names, chosen, rest


def _evaluate(field: Field, at: Array, t: float) -> Array:
    evaluate: Any = getattr(field, "velocity", field)
    arrows = as_array(evaluate(at, t), "the velocity")
    if arrows.shape != at.shape:
        raise InputError(
            f"the field must give velocities of shape {at.shape} for points of that shape, "
            f"got {arrows.shape}"
        )
    return arrows


def _overlay(ax: Axes, region: Snapshots, t: float, chosen: tuple[int, ...]) -> str:
    """Dots of the snapshot nearest in time; what the title says of them."""
    nearest = int(np.abs(region.times - t).argmin())
    x, y = region.points[nearest][:, list(chosen)].T
    ax.scatter(x, y, c=VERMILION, s=10, lw=0, alpha=fading(len(x), most=0.7), zorder=3)
    return f" (dots: snapshot at {named_time(region.axis, region.times[nearest])})"


def _quiver(ax: Axes, sides: list[Array], arrows: Array) -> Any:
    x, y = np.meshgrid(*sides)
    u, v = arrows.T
    return ax.quiver(x, y, u, v, np.hypot(u, v), cmap=SPEED_MAP, angles="xy", width=0.004, zorder=2)


def _stream(ax: Axes, sides: list[Array], arrows: Array) -> Any:
    u, v = (component.reshape(len(sides[1]), len(sides[0])) for component in arrows.T)
    across, up = sides
    flow = ax.streamplot(
        across, up, u, v, color=np.hypot(u, v), cmap=SPEED_MAP, linewidth=1.0, density=1.1, zorder=2
    )
    return flow.lines
