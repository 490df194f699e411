"""A generator on trial: fitted, drawn from, and judged by series that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.evaluation.generation.report import GenerationReport, generation_report
from trajinfer.evaluation.generation.samples import FEWEST
from trajinfer.plot.later import MOST_CHANNELS, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EVERY, _SHOWN, _TOLD = 4, 40, 5


def _every_fourth(series: IrregularSeries, groups: Array | None) -> Array:
    """Every fourth group (or series), so that no group is on both sides.

    Args:
        series: B series.
        groups: (B,) their groups; None for none.

    Returns:
        (B,) whether a series is held out.

    Raises:
        InputError: for fewer than eight, or fewer than 20 series held out.
    """
    labels = np.arange(len(series)) if groups is None else groups
    order = np.unique(labels, return_inverse=True)[1]
    if order.max() + 1 < 2 * _EVERY:
        raise InputError(
            f"a report needs at least {2 * _EVERY} series or groups, got {order.max() + 1}; "
            "leave it out, or give more of them"
        )
    held_out = np.asarray(order % _EVERY == _EVERY - 1)
    if held_out.sum() < FEWEST:
        raise InputError(
            f"a report holds every fourth of the series out, {held_out.sum()} of {len(series)}, "
            f"and compares with {FEWEST} at least; leave it out, or give more series, such as the "
            "windows of longer ones (--window)"
        )
    return held_out


@dataclass(frozen=True)
class GeneratorTrial:
    """A generator fitted to series, its draws, and a report where some were held out.

    Attributes:
        generator: the fitted generator.
        series: B series, those it was fitted to and those held out.
        drawn: its draws.
        losses: what draws lose of the series, in sentences.
        held_out: (B,) which series it was not fitted to.
        report: on the draws beside the series held out; None where there are none.
    """

    generator: Any
    series: IrregularSeries
    drawn: Trajectories
    losses: tuple[str, ...]
    held_out: Array
    report: GenerationReport | None

    @classmethod
    def make(
        cls,
        generator: Any,
        series: IrregularSeries,
        n: int,
        *,
        groups: Array | None,
        judge: bool,
        progress: Callable[[str], None],
    ) -> GeneratorTrial:
        """Fit, draw and judge.

        Args:
            generator: not yet fitted.
            series: B series.
            n: number of draws.
            groups: (B,) groups of the series, held out together; None for none.
            judge: whether to hold a quarter out and report on it.
            progress: called with a line of text at each step.

        Raises:
            InputError: as the generator's `fit` and `generation_report`; for fewer than eight
                groups or 20 series held out, and values <= 0 of transform "relative", where it is
                to be judged.
        """
        held_out = _every_fourth(series, groups) if judge else np.zeros(len(series), dtype=bool)
        train = series[np.flatnonzero(~held_out)]
        pooled = generator.get_params().get("neighbour") == "pool" and groups is not None
        systems = {"groups": groups[~held_out]} if pooled and groups is not None else {}
        fitted = generator.fit(train, **systems)
        losses = () if pooled or not hasattr(fitted, "losses") else tuple(fitted.losses(train))
        for sentence in _first(losses):
            progress(f"lost in draws: {sentence}")
        drawn = fitted.sample(n)
        if not judge:
            return cls(fitted, series, drawn, losses, held_out, None)
        parts = _comparable(fitted, train, series[np.flatnonzero(held_out)], drawn)
        report = generation_report(
            *parts,
            groups=None if groups is None else (groups[~held_out], groups[held_out]),
            random_state=generator.get_params()["random_state"],
            progress=progress,
        )
        return cls(fitted, series, drawn, losses, held_out, report)

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "series": len(self.held_out),
            "held_out": int(self.held_out.sum()),
            "drawn": len(self.drawn.values),
            "losses": list(self.losses),
            "flags": None if self.report is None else sorted(self.report.flags),
        }

    def text(self) -> str:
        """The same for people: the report, and the number of draws."""
        report = [] if self.report is None else [str(self.report)]
        return "\n".join([*report, f"{len(self.drawn.values)} series drawn"])

    def texts(self) -> dict[str, str]:
        """The report as files, by name; nothing where there is none."""
        if self.report is None:
            return {}
        return {
            "report.txt": f"{self.report}\n",
            "report.json": self.report.to_json() + "\n",
        }

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Functions that draw the series beside the first draws, and the report, by name."""
        drawn, n = self.drawn, _SHOWN
        ts = drawn.ts[:n] if drawn.ts.ndim == 2 else drawn.ts
        some = Trajectories(ts, drawn.values[:n], features=drawn.features, axis=drawn.axis)
        rows = min(len(self.series.channels), MOST_CHANNELS)
        size, panels = (9.0, 2.6 * rows), (rows, 2)
        figures = {"synthetic": figure_of(_beside, self.series, some, size=size, panels=panels)}
        if self.report is not None:
            figures["report"] = figure_of(self.report.plot, size=(6.0, 5.0))
        return figures


def _first(losses: Sequence[str]) -> list[str]:
    """The first sentences, and how many more the summary holds."""
    left = len(losses) - _TOLD
    return [*losses[:_TOLD], *([f"{left} more, listed in summary.json"] if left > 0 else [])]


def _beside(series: IrregularSeries, drawn: Trajectories, *, ax: Any) -> None:
    """Channels from above to below: series on the left and draws on the right, to one scale."""
    for c, (left, right) in enumerate(np.reshape(ax, (-1, 2))):
        plot.series(series, channel=c, max_series=_SHOWN, ax=left)
        plot.trajectories(drawn, dims=c, ax=right, label="draws")
        right.sharex(left)
        right.sharey(left)
        left.autoscale()


def _comparable(generator: Any, *parts: Any) -> Sequence[Any]:
    """Training set, held-out set and draws in the terms the transform stands for."""
    transform = generator.get_params().get("transform")
    if transform not in ("relative", "daily"):
        return parts
    values = [part.values for part in parts]
    return [_relative(v) for v in values] if transform == "relative" else values


def _relative(values: Array) -> Array:
    """Logarithms relative to the first value of every series."""
    if not (values > 0).all():
        raise InputError(f"transform 'relative' is for positive values, got {values.min():g}")
    logs = np.log(values)
    return np.asarray(logs - logs[:, :1])
