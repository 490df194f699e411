"""Answers about fitted processes: fates, passage times, values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import as_array
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.plot.style import BLUE, CATEGORIES, GREY, in_fitting_unit, legend_above, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fates(probabilities: Any, *, names: Any = None, ax: Axes | None = None) -> Axes:
    """Probabilities of fates, one bar per state, in the order of the first fate.

    Args:
        probabilities: (n, K), rows sum to 1, or a `FateTable`.
        names: of the K fates; those of the table if not given.
        ax: axes to draw into; None makes a figure.

    Raises:
        InputError: if rows do not sum to 1.
        MissingExtra: if matplotlib is not installed.
    """
    labels = names if names is not None else getattr(probabilities, "names", None)
    table = as_array(
        getattr(probabilities, "probabilities", probabilities), "probabilities", ndim=2
    )
    if np.abs(table.sum(axis=1) - 1).max() > 1e-6:
        raise InputError("rows of probabilities must sum to 1; add a column for what is left")
    axes = new_axes(ax)
    order = np.argsort(-table[:, 0], kind="stable")
    bottom = np.zeros(len(table))
    last = table.shape[1] - 1
    for k, column in enumerate(table[order].T):
        shade = (
            GREY if k == last and labels is not None and labels[k] == "none" else CATEGORIES[k % 6]
        )
        label = None if labels is None else str(labels[k])
        places = np.arange(len(table))
        axes.fill_between(places, bottom, bottom + column, step="mid", color=shade, label=label)
        bottom = bottom + column
    axes.set_xlabel("states, in the order of the first fate")
    axes.set_ylabel("probability")
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    if labels is not None:
        legend_above(axes)
    return axes


def passage(
    ts: Any,
    survival: Any,
    *,
    band: Any = None,
    hazard: Any = None,
    names: Any = None,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Probability not to have arrived, one line per start.

    Args:
        ts: (T,) durations.
        survival: (T,) or (B, T).
        band: pair of arrays like `survival`, the ends of an interval.
        hazard: (T,) or (B, T) rates of arrival, dashed, on an axis of their own.
        names: of the starts.
        unit: of the durations; of time, it is a shorter one in the figure where they are short.
        ax: axes to draw into; None makes a figure.

    Raises:
        InputError: if shapes do not fit.
        MissingExtra: if matplotlib is not installed.
    """
    times = as_array(ts, "ts", ndim=1)
    lines = np.atleast_2d(as_array(survival, "survival"))
    if lines.shape[1] != len(times):
        raise InputError(f"survival must have {len(times)} times, got shape {lines.shape}")
    own, (times, unit) = times, in_fitting_unit(times, unit)
    axes = new_axes(ax)
    x = np.concatenate([[0.0], times])
    for b, line in enumerate(lines):
        label = None if names is None else str(names[b])
        axes.plot(x, np.concatenate([[1.0], line]), color=CATEGORIES[b % 6], label=label)
        if band is not None:
            low, high = (np.atleast_2d(as_array(end, "band"))[b] for end in band)
            axes.fill_between(times, low, high, color=CATEGORIES[b % 6], alpha=0.2, linewidth=0)
    axes.set_xlabel(f"time since the start ({unit})" if unit else "time since the start")
    axes.set_ylabel("probability not to have arrived")
    axes.set_ylim(0, 1.02)
    if hazard is not None:
        twin = axes.twinx()
        for b, line in enumerate(np.atleast_2d(as_array(hazard, "hazard")) * (own[-1] / times[-1])):
            twin.plot(times, line, color=CATEGORIES[b % 6], linestyle="--")
        twin.set_ylabel("hazard (dashed)")
    if names is not None:
        legend_above(axes)
    return axes


def value(
    model: Any, low: Any, high: Any, *, n: int = 60, label: str = "value", ax: Axes | None = None
) -> Axes:
    """A value function: a line in one dimension, a map in two.

    Args:
        model: what has `predict(X)`, X (n, D).
        low: (D,) lower corner of what is drawn.
        high: (D,) upper corner.
        n: points along each axis.
        label: what the value is.
        ax: axes to draw into; None makes a figure.

    Raises:
        InputError: for more than two dimensions.
        MissingExtra: if matplotlib is not installed.
    """
    ends = [np.atleast_1d(as_array(end, "low and high")) for end in (low, high)]
    lines = [np.linspace(a, b, n) for a, b in zip(*ends, strict=True)]
    names = getattr(model, "feature_names_in_", [f"x{d}" for d in range(len(lines))])
    if len(lines) > 2:
        raise InputError(f"a figure shows one or two coordinates, got {len(lines)}")
    axes = new_axes(ax)
    axes.set_xlabel(str(names[0]))
    if len(lines) == 1:
        axes.plot(lines[0], model.predict(lines[0][:, None]), color=BLUE)
        axes.set_ylabel(label)
        return axes
    grid = np.stack([m.ravel() for m in np.meshgrid(*lines, indexing="ij")], axis=1)
    table = as_array(model.predict(grid), "values").reshape(n, n)
    shown = axes.contourf(lines[0], lines[1], table.T, levels=20, cmap="viridis")
    opaque = import_extra("matplotlib.cm", "plot").ScalarMappable(shown.norm, shown.cmap)
    axes.figure.colorbar(opaque, ax=axes, label=label)
    axes.set_ylabel(str(names[1]))
    return axes
