"""`trajinfer fit`: trajectories and dynamics from a table of snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.cli.bridge import BridgeSettings
from trajinfer.cli.command import command
from trajinfer.cli.options import DrawingRun, Draws
from trajinfer.cli.output import Job, Result, figure_of, new_figure
from trajinfer.cli.snapshots import SnapshotFile, Split, parse_times

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from trajinfer import SchrodingerBridge, Snapshots, Trajectories

_SCORING = ("w1", "w2")
_STEPS_PER_INTERVAL = 10


@command(DrawingRun)
def fit(
    file: SnapshotFile,
    settings: BridgeSettings,
    draws: Draws,
    run: DrawingRun,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="A time to keep aside and score; repeatable.")
    ] = None,
    forecast: Annotated[
        list[str] | None, typer.Option(help="A time after the last snapshot; repeatable.")
    ] = None,
) -> Job:
    """Infer trajectories from population snapshots and refine a reference."""
    n = draws.number(1)
    call = settings.bridge()
    population = file.read()
    split = population.split(hold_out or [], quiet=run.quiet)
    later = _later(split.train, forecast or [])
    estimator = call.build(split.train.dim, verbose=0 if run.quiet else 1)
    script = [
        "from trajinfer import SchrodingerBridge, Snapshots, evaluation",
        *population.script,
        *call.script(split.train.dim),
        *split.script(),
        f"bridge.fit({'train' if split.labels else 'data'})",
    ]

    def work() -> Result:
        return _Report(estimator.fit(split.train), split, later, n).result()

    return Job(script, f"fitting {split.train} of {file.data}", work, call.toml())


@dataclass(frozen=True)
class _Report:
    """A fitted bridge and all that is written of it."""

    bridge: SchrodingerBridge
    split: Split
    later: Sequence[Any]
    n: int

    @cached_property
    def paths(self) -> Trajectories:
        """Paths through all snapshots."""
        return self.bridge.sample(self.n, _grid(self.split.train))

    @cached_property
    def scores(self) -> pd.DataFrame | None:
        """Distances to what was held out."""
        from trajinfer.evaluation import held_out_table

        if self.split.held_out is None:
            return None
        return held_out_table(self.bridge, self.split.train, self.split.held_out, scoring=_SCORING)

    def result(self) -> Result:
        """Everything to be written and shown."""
        return Result(
            self.summary(),
            self.text(),
            self.tables(),
            models={"model": self.bridge},
            figures=self.figures(),
            converged=bool(self.bridge.converged_),
        )

    def text(self) -> str:
        """The result in a few lines, for people."""
        bridge = self.bridge
        values = [f"  {k} = {_number(v)}" for k, v in bridge.parameters_.items()]
        state = "converged" if bridge.converged_ else "NOT converged"
        lines = [
            f"{state} after {len(bridge.history_) - 1} rounds; "
            f"objective {bridge.objective_history_[-1]:.5g}",
            *(["parameters", *values] if values else []),
            f"volatility {_number(bridge.volatility_)}",
        ]
        if self.scores is not None:
            lines += ["", "distance to the held-out snapshots (smaller is better)"]
            lines += [table_text(self.scores), "", "means", table_text(self._means())]
        return "\n".join([*lines, ""])

    def summary(self) -> dict[str, Any]:
        """The same as plain data."""
        bridge, train = self.bridge, self.split.train
        return {
            "times": train.labels,
            "sizes": [len(p) for p in train.points],
            "features": self.paths.features,
            "held_out": self.split.labels,
            "parameters": bridge.parameters_,
            "volatility": bridge.volatility_,
            "converged": bool(bridge.converged_),
            "rounds": len(bridge.history_) - 1,
            "objective": bridge.objective_history_[-1],
            "scores": self.scores,
            "mean_scores": None if self.scores is None else self._means(),
        }

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name."""
        import pandas as pd

        tables = {
            "paths": self.paths.to_frame(),
            "history": pd.DataFrame(self.bridge.history_).drop(columns=["parameters"]),
        }
        if self.later:
            tables["forecast"] = self.bridge.forecast(self.later, self.n).to_frame()
        if self.scores is not None:
            tables["scores"] = self.scores
        return tables

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Figures by name."""
        from trajinfer import plot

        train, bridge = self.split.train, self.bridge
        figures = {
            "paths": figure_of(plot.trajectories, self.paths, snapshots=train, size=(6.4, 4.8)),
            "objective": figure_of(plot.history, bridge.history_, size=(4.8, 3.2)),
        }
        if train.dim > 1:
            middle = float(train.times[[0, -1]].mean())
            figures["velocity"] = figure_of(plot.velocity, bridge, middle, train, size=(6.0, 4.8))
        if self.scores is not None and not self.scores["extrapolation"].all():
            figures["held_out"] = self._held_out_figure
        return figures

    def _held_out_figure(self) -> Figure:
        from trajinfer import plot

        held_out, scores = self.split.held_out, self.scores
        if held_out is None or scores is None:
            raise InputError("no snapshot was held out")
        chosen = scores[~scores["extrapolation"] & (scores["metric"] == "w2")]
        observed = held_out.select(list(chosen["time"]))
        drawn = self.bridge.sample(ts=observed.labels)
        figure = new_figure(min(3.2 * len(observed), 16.0), 3.4)
        panels = figure.subplots(1, len(observed), squeeze=False)[0]
        labels = chosen["estimator"].tolist()
        plot.held_out(drawn, observed, train=self.split.train, scores=labels, ax=panels)
        return figure

    def _means(self) -> pd.DataFrame:
        from trajinfer.evaluation import mean_scores

        return mean_scores(self.scores)


def _grid(snapshots: Snapshots) -> Any:
    """Times of the written paths: every snapshot's, and steps in between."""
    import numpy as np

    pieces = [
        np.linspace(a, b, _STEPS_PER_INTERVAL, endpoint=False)
        for a, b in zip(snapshots.times[:-1], snapshots.times[1:], strict=True)
    ]
    return np.append(np.concatenate(pieces), snapshots.times[-1])


def _later(train: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times to forecast, checked before any work."""
    labels = sorted(parse_times(train, texts))
    if labels and train.axis.encode(labels).min() <= train.times[-1]:
        raise InputError(
            f"--forecast takes times after the last snapshot ({train.labels[-1]}), got {labels[0]}"
        )
    return labels


def _number(value: Any) -> str:
    import numpy as np

    if callable(value):
        return "depends on the state"
    return str(np.array2string(np.asarray(value), precision=4, separator=", ")).replace("\n", "")
