"""What a fitted bridge says: its paths, its parameters and its distances to what was held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.text import table_text
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots, Trajectories
from trajinfer.evaluation.held_out import held_out_table, mean_scores
from trajinfer.plot.later import figure_of
from trajinfer.plot.style import coordinate_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCORING = ("w1", "w2")
_STEPS_PER_INTERVAL = 10


@dataclass(frozen=True)
class BridgeReport:
    """A fitted bridge as tables, plain data and text.

    Attributes:
        bridge: the fitted bridge.
        train: the snapshots it was fitted to.
        held_out: snapshots to score, None for none.
        later: times after the last snapshot to forecast.
        n: number of paths.
    """

    bridge: SchrodingerBridge
    train: Snapshots
    held_out: Snapshots | None
    later: Sequence[Any]
    n: int

    @cached_property
    def paths(self) -> Trajectories:
        """Paths through all snapshots."""
        return cast(Trajectories, self.bridge.sample(self.n, _grid(self.train)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates."""
        return coordinate_names(self.paths.features, self.train.dim)

    @cached_property
    def scores(self) -> pd.DataFrame | None:
        """Distances to what was held out, None for none."""
        if self.held_out is None:
            return None
        return held_out_table(self.bridge, self.train, self.held_out, scoring=_SCORING)

    @cached_property
    def means(self) -> pd.DataFrame | None:
        """Mean distances over the held-out snapshots, None for none."""
        return None if self.scores is None else mean_scores(self.scores)

    @cached_property
    def interpolated(self) -> tuple[Snapshots, list[float]] | None:
        """Held-out snapshots between those learned from and their W2; None for none."""
        if self.held_out is None or self.scores is None or self.scores["extrapolation"].all():
            return None
        inside = self.scores[~self.scores["extrapolation"] & (self.scores["metric"] == "w2")]
        return self.held_out.select(list(inside["time"])), inside["estimator"].tolist()

    @property
    def has_course(self) -> bool:
        """Whether there are several rounds to draw; a law that is not refined has but one."""
        return len(self.bridge.history_) > 1

    def text(self) -> str:
        """The result in a few lines, for people."""
        bridge = self.bridge
        values = [f"  {k} = {_number(v)}" for k, v in bridge.parameters_.items()]
        state = "converged" if bridge.converged_ else "NOT converged"
        course = f"after {bridge.n_iter_} rounds"
        if not self.has_course:
            course = "with a reference that is not refined, so that no course is drawn"
        lines = [
            f"{state} {course}; objective {bridge.objective_history_[-1]:.5g}",
            *(["parameters", *values] if values else []),
            f"volatility {_number(bridge.volatility_)}",
        ]
        if self.scores is not None and self.means is not None:
            lines += ["", "distance to the held-out snapshots (smaller is better)"]
            lines += [table_text(self.scores), "", "means", table_text(self.means)]
        return "\n".join([*lines, ""])

    def summary(self) -> dict[str, Any]:
        """The same as plain data."""
        bridge, train = self.bridge, self.train
        return {
            "times": train.labels,
            "sizes": [len(p) for p in train.points],
            "features": self.paths.features,
            "held_out": () if self.held_out is None else self.held_out.labels,
            "parameters": bridge.parameters_,
            "volatility": bridge.volatility_,
            "converged": bool(bridge.converged_),
            "rounds": bridge.n_iter_,
            "objective": bridge.objective_history_[-1],
            "scores": self.scores,
            "mean_scores": self.means,
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name."""
        tables = {
            "paths": self.paths.to_frame(),
            "history": pd.DataFrame(self.bridge.history_).drop(columns=["parameters"]),
        }
        if self.later:
            ahead = self.bridge.forecast(self.later, self.n)
            tables["forecast"] = cast(Trajectories, ahead).to_frame()
        if self.scores is not None:
            tables["scores"] = self.scores
        return tables

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Functions that make the figures, by name."""
        train, bridge = self.train, self.bridge
        figures = {
            "paths": figure_of(plot.trajectories, self.paths, snapshots=train, size=(6.4, 4.8)),
        }
        if self.has_course:
            figures["objective"] = figure_of(plot.history, bridge.history_, size=(4.8, 3.2))
        if train.dim > 1:
            middle = float(train.times[[0, -1]].mean())
            figures["velocity"] = figure_of(plot.velocity, bridge, middle, train, size=(6.0, 4.8))
        if self.interpolated is not None:
            k = len(self.interpolated[0])
            shape: dict[str, Any] = {"size": (min(3.2 * k, 16.0), 3.4), "panels": (1, k)}
            figures["held_out"] = figure_of(self._draw_held_out, *self.interpolated, **shape)
        return figures

    def _draw_held_out(self, observed: Snapshots, scores: list[float], ax: Any) -> None:
        drawn = cast(Trajectories, self.bridge.sample(ts=observed.labels))
        plot.held_out(drawn, observed, train=self.train, scores=scores, ax=ax)


def _grid(snapshots: Snapshots) -> Array:
    """Times of the paths: every snapshot's, and steps in between."""
    pieces = [
        np.linspace(a, b, _STEPS_PER_INTERVAL, endpoint=False)
        for a, b in zip(snapshots.times[:-1], snapshots.times[1:], strict=True)
    ]
    return np.append(np.concatenate(pieces), snapshots.times[-1])


def _number(value: Any) -> str:
    if callable(value):
        return "depends on the state"
    return str(np.array2string(np.asarray(value), precision=4, separator=", ")).replace("\n", "")
