"""`trajinfer fit`: trajectories and dynamics from a table of snapshots."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from trajinfer import plot
from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.cli import options
from trajinfer.cli.console import NOT_CONVERGED, say, show_json, show_log, table_text
from trajinfer.cli.output import can_draw, check_target, new_figure, write_result
from trajinfer.cli.request import Split, estimator_of, options_of, script_of, source_of, split_of
from trajinfer.cli.settings import resolve, to_toml
from trajinfer.cli.tables import parse_times, read
from trajinfer.data import Snapshots, Trajectories
from trajinfer.evaluation import held_out_table, mean_scores

_SCORING = ("w1", "w2")
_STEPS_PER_INTERVAL = 10


def fit(  # noqa: PLR0913 (a command has as many arguments as it has options)
    data: options.DataFile,
    time: options.Time = "time",
    features: options.Features = "",
    weight: options.Weight = None,
    use_rep: options.UseRep = "X_pca",
    reference: options.Reference = None,
    volatility: options.VolatilityOption = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="A time to keep aside and score; repeatable.")
    ] = None,
    forecast: Annotated[
        list[str] | None, typer.Option(help="A time after the last snapshot; repeatable.")
    ] = None,
    paths: Annotated[int, typer.Option(help="Number of paths to write.")] = 200,
    figures: Annotated[bool, typer.Option(help="Whether to draw.")] = True,
    config: options.Config = None,
    assignments: options.Set = None,
    seed: options.Seed = None,
    jobs: options.Jobs = None,
    device: options.Device = None,
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = Path("result"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Infer trajectories from population snapshots and refine a reference."""
    show_log(verbose)
    given = options_of(reference, volatility, seed, jobs, device)
    settings = resolve(config, assignments or [], given)
    table = read(source_of(data, time, features, weight, use_rep), quiet=quiet)
    split = split_of(table, hold_out or [], quiet=quiet)
    later = _later(split.train, forecast or [])
    if paths < 1:
        raise InputError(f"--paths must be at least 1, got {paths}")
    estimator = estimator_of(settings, split.train, quiet)
    if dry_run:
        fitted = "train" if split.labels else "data"
        typer.echo("\n".join([*script_of(table, settings, split.labels), f"bridge.fit({fitted})"]))
        return
    check_target(out)
    say(f"fitting {split.train} of {data}", quiet=quiet)
    started = clock.perf_counter()
    bridge = estimator.fit(split.train)
    result = _Result(bridge, split, clock.perf_counter() - started, later, paths)
    draw = figures and can_draw(quiet=quiet)
    document = result.write(out, settings, data, draw=draw, quiet=quiet)
    show_json(document) if as_json else typer.echo(result.text(out))
    if not bridge.converged_:
        raise typer.Exit(NOT_CONVERGED)


class _Result:
    """A fitted bridge with the tables that are written of it."""

    def __init__(
        self,
        bridge: SchrodingerBridge,
        split: Split,
        seconds: float,
        later: list[Any],
        n_paths: int,
    ) -> None:
        self.bridge, self.split, self.seconds = bridge, split, seconds
        self.paths = bridge.sample(n_paths, _grid(split.train))
        self.forecast = bridge.forecast(later, n_paths) if later else None
        self.scores = None
        if split.held_out is not None:
            self.scores = held_out_table(bridge, split.train, split.held_out, scoring=_SCORING)

    def write(
        self, out: Path, settings: dict[str, Any], source: Path, *, draw: bool, quiet: bool
    ) -> dict[str, Any]:
        """Write the folder; returns the summary."""
        say("writing tables and figures" if draw else "writing tables", quiet=quiet)

        def fill(folder: Path) -> None:
            header = f"# of: trajinfer fit {source}; give it back with --config\n"
            (folder / "config.toml").write_text(header + to_toml(settings), encoding="utf-8")
            self._write_tables(folder)
            self.bridge.save(folder / "model")
            if draw:
                self._write_figures(folder)

        return write_result(out, self._summary(source), fill)

    def text(self, out: Path) -> str:
        """The result in a few lines, for people."""
        bridge = self.bridge
        values = [f"  {k} = {_number(v)}" for k, v in bridge.parameters_.items()]
        state = "converged" if bridge.converged_ else "NOT converged"
        lines = [
            f"{state} after {len(bridge.history_) - 1} rounds, {self.seconds:.1f} s; "
            f"objective {bridge.objective_history_[-1]:.5g}",
            *(["parameters", *values] if values else []),
            f"volatility {_number(bridge.volatility_)}",
        ]
        if self.scores is not None:
            lines += ["", "distance to the held-out snapshots (smaller is better)"]
            lines += [table_text(self.scores)]
            lines += ["", "means", table_text(mean_scores(self.scores))]
        return "\n".join([*lines, "", f"written to {out}"])

    def _summary(self, source: Path) -> dict[str, Any]:
        bridge, train = self.bridge, self.split.train
        return {
            "command": "fit",
            "data": str(source),
            "times": train.labels,
            "sizes": [len(p) for p in train.points],
            "features": self.paths.features,
            "held_out": self.split.labels,
            "parameters": bridge.parameters_,
            "volatility": bridge.volatility_,
            "converged": bool(bridge.converged_),
            "rounds": len(bridge.history_) - 1,
            "objective": bridge.objective_history_[-1],
            "seconds": self.seconds,
            "scores": self.scores,
            "mean_scores": None if self.scores is None else mean_scores(self.scores),
        }

    def _write_tables(self, folder: Path) -> None:
        self.paths.to_frame().to_csv(folder / "paths.csv", index=False)
        history = pd.DataFrame(self.bridge.history_).drop(columns=["parameters"])
        history.to_csv(folder / "history.csv", index=False)
        if self.forecast is not None:
            self.forecast.to_frame().to_csv(folder / "forecast.csv", index=False)
        if self.scores is not None:
            self.scores.to_csv(folder / "scores.csv", index=False)

    def _write_figures(self, folder: Path) -> None:
        figure = new_figure(6.4, 4.8)
        plot.trajectories(self.paths, snapshots=self.split.train, ax=figure.subplots())
        figure.savefig(folder / "paths.png")
        figure = new_figure(4.8, 3.2)
        plot.history(self.bridge.history_, ax=figure.subplots())
        figure.savefig(folder / "objective.png")
        if self.split.train.dim > 1:
            middle = float(np.mean(self.split.train.times[[0, -1]]))
            figure = new_figure(6.0, 4.8)
            plot.velocity(self.bridge, middle, self.split.train, ax=figure.subplots())
            figure.savefig(folder / "velocity.png")
        if self.scores is not None and self.split.held_out is not None:
            self._draw_held_out(folder, self.split.held_out)

    def _draw_held_out(self, folder: Path, held_out: Snapshots) -> None:
        inside = ~self.scores["extrapolation"] if self.scores is not None else None
        if self.scores is None or inside is None or not inside.any():
            return
        chosen = self.scores[inside & (self.scores["metric"] == "w2")]
        observed = held_out.select(list(chosen["time"]))
        drawn: Trajectories = self.bridge.sample(ts=observed.labels)
        figure = new_figure(min(3.2 * len(observed), 16.0), 3.4)
        panels = figure.subplots(1, len(observed), squeeze=False)[0]
        plot.held_out(
            drawn, observed, train=self.split.train, scores=chosen["estimator"].tolist(), ax=panels
        )
        figure.savefig(folder / "held_out.png")


def _grid(snapshots: Snapshots) -> Any:
    """Times of the written paths: every snapshot's, and steps in between."""
    pieces = [
        np.linspace(a, b, _STEPS_PER_INTERVAL, endpoint=False)
        for a, b in zip(snapshots.times[:-1], snapshots.times[1:], strict=True)
    ]
    return np.append(np.concatenate(pieces), snapshots.times[-1])


def _later(train: Snapshots, given: list[str]) -> list[Any]:
    """Times to forecast, checked before any work."""
    labels = sorted(parse_times(train, given))
    if labels and train.axis.encode(labels).min() <= train.times[-1]:
        raise InputError(
            f"--forecast takes times after the last snapshot ({train.labels[-1]}), got {labels[0]}"
        )
    return labels


def _number(value: Any) -> str:
    if callable(value):
        return "depends on the state"
    return str(np.array2string(np.asarray(value), precision=4, separator=", ")).replace("\n", "")
