"""Markov jump processes: rates, transition graph, data against the model, state posteriors."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.data import JumpSeries, TimeAxis
from trajinfer.data.prevalence import prevalence_counts
from trajinfer.plot.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    legend_above,
    log_ticks,
    new_axes,
    show_times,
    time_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_NUMBERS_UP_TO = 12
_BEND = 0.15
_BESIDE, _FLAT = 1.2, 0.3  # labels beside the nodes


def rates(data: Any, *, ax: Axes | None = None, states: Sequence[Hashable] | None = None) -> Axes:
    """Heat map of a rate matrix on a logarithmic colour scale, row to column.

    Args:
        data: a fitted `MarkovJumpProcess`, or (S, S) rates.
        ax: axes to draw into; None makes a figure.
        states: labels; None takes those of the model.

    Raises:
        InputError: if the matrix is not square.
        MissingExtra: if matplotlib is not installed.
    """
    matrix, names = _matrix_of(data, states)
    colors = import_extra("matplotlib.colors", "plot")
    axes = new_axes(ax)
    n = len(matrix)
    off = np.where(np.eye(n, dtype=bool) | (matrix <= 0), np.nan, matrix)
    top = float(np.nanmax(off)) if np.isfinite(off).any() else 1.0
    low = max(float(np.nanmin(off)) if np.isfinite(off).any() else 0.1, 1e-3 * top)
    norm = colors.LogNorm(min(low, 0.999 * top), top)
    # squares would be pushed over the edge of the figure by the layout, labels and all
    image = axes.imshow(np.maximum(off, low), cmap="viridis", norm=norm, aspect="auto")
    ticks = log_ticks(low, top)
    bar = axes.figure.colorbar(image, ax=axes, label="rate", ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:.5g}" for tick in ticks])
    bar.ax.minorticks_off()
    if n <= _NUMBERS_UP_TO:
        for i, j in np.argwhere(np.isfinite(off)):
            shade = "white" if norm(max(off[i, j], low)) < 0.6 else "black"
            axes.text(j, i, f"{off[i, j]:.2g}", ha="center", va="center", color=shade)
    axes.set_xticks(range(n), [str(s) for s in names])
    axes.set_yticks(range(n), [str(s) for s in names])
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    return axes


def transition_graph(
    data: Any,
    *,
    ax: Axes | None = None,
    states: Sequence[Hashable] | None = None,
    law: Any = None,
    threshold: float = 0.02,
) -> Axes:
    """States on a circle, arrows as wide as their rates, which are written on them.

    Args:
        data: a fitted `MarkovJumpProcess`, or (S, S) rates.
        ax: axes to draw into; None makes a figure.
        states: labels; None takes those of the model.
        law: (S,) probabilities that scale the area of the nodes; None for equal ones.
        threshold: links below this share of the largest rate are left out.

    Raises:
        InputError: if the matrix is not square or the law has another length.
        MissingExtra: if matplotlib is not installed.
    """
    matrix, names = _matrix_of(data, states)
    n = len(matrix)
    weights = np.full(n, 1 / n) if law is None else as_array(law, "law", ndim=1)
    if len(weights) != n:
        raise InputError(f"law has {len(weights)} entries for {n} states")
    axes = new_axes(ax)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    place = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    off = np.where(np.eye(n, dtype=bool), 0.0, matrix)
    top = max(float(off.max()), 1e-300)
    for i, j in np.argwhere(off > threshold * top):
        style = {
            "arrowstyle": "-|>",
            "connectionstyle": f"arc3,rad={_BEND}",
            "linewidth": 0.5 + 3.5 * off[i, j] / top,
            "color": GREY,
            "shrinkA": 16,
            "shrinkB": 16,
        }
        axes.annotate("", xy=place[j], xytext=place[i], arrowprops=style)
        if n <= _NUMBERS_UP_TO:
            _write_on_arrow(axes, place[i], place[j], f"{off[i, j]:.2g}", 0.5 if n < 5 else 0.35)
    axes.scatter(place[:, 0], place[:, 1], s=300 + 1200 * weights, color=BLUE, zorder=3)
    for label, point, toward in zip(names, place, angle):
        sides = ("center", "left", "right")
        side = sides[int(np.sign(np.round(np.cos(toward), 6)))]
        up = "bottom" if np.sin(toward) > _FLAT else "top" if np.sin(toward) < -_FLAT else "center"
        x, y = _BESIDE * point
        axes.text(x, y, str(label), ha=side, va=up, zorder=4)
    axes.set_xlim(-1.6, 1.6)
    axes.set_ylim(-1.4, 1.4)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return axes


def _write_on_arrow(axes: Axes, start: Array, end: Array, text: str, share: float) -> None:
    """A text on an arrow bent by `_BEND`, after a share of its way."""
    across = np.array([end[1] - start[1], start[0] - end[0]])
    bend = (start + end) / 2 + _BEND * across
    parts = (1 - share) ** 2, 2 * share * (1 - share), share**2
    x, y = parts[0] * start + parts[1] * bend + parts[2] * end
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    axes.text(x, y, text, ha="center", va="center", fontsize="small", bbox=box, zorder=5)


def occupation(
    series: JumpSeries, ts: Any, laws: Any, *, ax: Axes | None = None, n_bins: int = 12
) -> Axes:
    """Prevalence of the states over time: the model's law and the share of the paths observed.

    Both count a path that has died, or has reached another state that nobody leaves, until the end
    of the study; see `trajinfer.data.prevalence.carried_states`.

    Args:
        series: the observations; times count from the first one of each path.
        ts: (T,) times of the model's law, from the first observation on.
        laws: (T, S) probabilities.
        ax: axes to draw into; None makes a figure.
        n_bins: most times at which the data are shown: those of the visits, where these are few.

    Raises:
        InputError: if shapes do not fit.
        MissingExtra: if matplotlib is not installed.
    """
    times, table = as_array(ts, "ts", ndim=1), as_array(laws, "laws", ndim=2)
    if table.shape != (len(times), len(series.categories)):
        raise InputError(
            f"laws must be ({len(times)}, {len(series.categories)}), got {table.shape}"
        )
    axes = new_axes(ax)
    shown = _shown_times(series, float(times.max()), n_bins)
    count = prevalence_counts(series, shown, carry="middle")
    total = np.maximum(count.sum(axis=1), 1)[:, None]
    share = count / total
    error = np.sqrt(share * (1 - share) / total)
    observed = count.sum(axis=1) > 0
    for s, label in enumerate(series.categories):
        colour = _COLOURS[s % len(_COLOURS)]
        axes.plot(times, table[:, s], color=colour, label=str(label))
        x, y, width = shown[observed], share[observed, s], error[observed, s]
        axes.errorbar(x, y, width, fmt="o", color=colour, markersize=4)
    axes.set_xlabel(f"{time_label(series.axis.since_start())} since the first observation")
    axes.set_ylabel("share of paths")
    axes.set_ylim(-0.02, 1.02)
    legend_above(axes, title="lines: model, dots: data")
    return axes


def _shown_times(series: JumpSeries, until: float, n_bins: int) -> Array:
    """Times since the first observation of each path: of all visits, or the middles of bins."""
    since = series.flat_times - series.flat_times[series.layout.starts][series.layout.series]
    visits = np.unique(since[since <= until])
    return visits if len(visits) <= n_bins else (np.arange(n_bins) + 0.5) * until / n_bins


def prevalence(data: Any, *, ax: Axes | None = None) -> Axes:
    """Observed numbers of paths in each state (dots) against those of the model (lines).

    Bars are two binomial standard deviations of the model's number, so that dots outside of them
    speak against the model.

    Args:
        data: the table of `MarkovJumpProcess.prevalence`, or the report of its `goodness_of_fit`.
        ax: axes to draw into; None makes a figure.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    table = getattr(data, "prevalence", data)
    axes = new_axes(ax)
    total = table.groupby("time", sort=False)["observed"].transform("sum")
    share = table["expected"] / total.clip(lower=1)
    width = 2 * np.sqrt(table["expected"] * (1 - share).clip(lower=0))
    for s, (label, rows) in enumerate(table.groupby("state", sort=False, observed=True)):
        colour = _COLOURS[s % len(_COLOURS)]
        bars = width[rows.index]
        axes.errorbar(
            rows["time"], rows["expected"], bars, color=colour, capsize=3, label=str(label)
        )
        axes.plot(rows["time"], rows["observed"], "o", color=colour, markersize=5)
    axes.set_xlabel("time since the first observation")
    axes.set_ylabel("number of paths")
    axes.set_ylim(bottom=0)
    legend_above(axes, title="lines: model, dots: data")
    return axes


def goodness_of_fit(report: Any, *, ax: Axes | None = None) -> Axes:
    """Signed roots of the deviances of a Pearson-type test, a row per jump, a column per group.

    Beyond 2 or 3 a cell has many more (red) or fewer (blue) transitions than the model expects.

    Args:
        report: of `MarkovJumpProcess.goodness_of_fit`.
        ax: axes to draw into; None makes a figure.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    table = report.table
    rows = [f"{a} to {b}" for a, b in zip(table["from"], table["to"])]
    columns = [f"after {t:.3g}\ngap > {g:.3g}" for t, g in zip(table["since"], table["gap"])]
    names, groups = list(dict.fromkeys(rows)), list(dict.fromkeys(columns))
    roots = np.full((len(names), len(groups)), np.nan)
    place = ([names.index(r) for r in rows], [groups.index(c) for c in columns])
    roots[place] = np.sign(table["deviance"]) * np.sqrt(np.abs(table["deviance"]))
    axes = new_axes(ax)
    image = axes.imshow(roots, cmap="RdBu_r", vmin=-4, vmax=4, aspect="auto")
    axes.figure.colorbar(image, ax=axes, label="(observed - expected) / root of expected")
    axes.set_xticks(range(len(groups)), groups, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    return axes


def state_posterior(
    ts: Any,
    probabilities: Any,
    *,
    series: JumpSeries | None = None,
    path: int = 0,
    ax: Axes | None = None,
    states: Sequence[Hashable] | None = None,
) -> Axes:
    """Ribbon of the probabilities of the states along one path, with what was seen as dots.

    Args:
        ts: (T,) times.
        probabilities: (T, S), as from `predict_proba` for one path.
        series: the observations.
        path: which path of `series`.
        ax: axes to draw into; None makes a figure.
        states: labels; None takes those of the series.

    Raises:
        InputError: if shapes do not fit.
        MissingExtra: if matplotlib is not installed.
    """
    times, table = as_array(ts, "ts", ndim=1), as_array(probabilities, "probabilities", ndim=2)
    if len(table) != len(times):
        raise InputError(f"{len(table)} rows of probabilities for {len(times)} times")
    n = table.shape[1]
    names = states if states is not None else (series.categories if series else range(n))
    axes = new_axes(ax)
    colours = [_COLOURS[s % len(_COLOURS)] for s in range(n)]
    axes.stackplot(times, table.T, colors=colours, alpha=0.75, labels=[str(s) for s in names])
    if series is not None:
        seen = np.flatnonzero(series.states[path] >= 0)
        shades = [colours[k] for k in series.states[path, seen]]
        axes.scatter(
            series.times[path, seen], np.full(len(seen), 1.04), c=shades, s=14, clip_on=False
        )
    show_times(axes.xaxis, TimeAxis() if series is None else series.axis)
    axes.set_ylabel("probability of the state")
    axes.set_ylim(0, 1.08)
    axes.margins(x=0)
    legend_above(axes)
    return axes


def _matrix_of(data: Any, states: Sequence[Hashable] | None) -> tuple[Array, Sequence[Hashable]]:
    matrix = as_array(getattr(data, "rates_", data), "rates", ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"rates must be square, got shape {matrix.shape}")
    names = states if states is not None else getattr(data, "rate_labels_", range(len(matrix)))
    if len(names) != len(matrix):
        raise InputError(f"{len(names)} labels for {len(matrix)} states")
    return matrix, names
