"""Prey and predator, and the rates they were simulated with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from trajinfer import plot
from trajinfer._core.text import table_text
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Trajectories
from trajinfer.datasets import Dataset, load_snapshots
from trajinfer.evaluation.held_out import held_out_table, mean_scores
from trajinfer.processes import LotkaVolterra

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PredatorsReport:
    """A Lotka-Volterra process found again from snapshots of it.

    Attributes:
        bridge: the fitted bridge.
        data: the shipped data set.
        scores: at the held-out times.
        seconds: of the fit.
    """

    bridge: SchrodingerBridge
    data: Dataset
    scores: pd.DataFrame
    seconds: float

    @classmethod
    def make(cls, *, random_state: int, verbose: int) -> PredatorsReport:
        """Fit every second snapshot, score the others."""
        data = load_snapshots("lotka_volterra")
        started = time.perf_counter()
        bridge = SchrodingerBridge(
            LotkaVolterra(), n_jobs=1, random_state=random_state, verbose=verbose
        )
        bridge.fit(data.train)
        seconds = time.perf_counter() - started
        held_out = data.snapshots.drop(data.train.labels)
        return cls(
            bridge, data, held_out_table(bridge, data.train, held_out, scoring="w2"), seconds
        )

    def parameters(self) -> pd.DataFrame:
        """Recovered rates beside the true ones."""
        true = self.data.info.parameters
        rows = [
            (name, value, true[name], abs(value / true[name] - 1))
            for name, value in self.bridge.parameters_.items()
        ]
        return pd.DataFrame(rows, columns=["rate", "recovered", "true", "relative error"])

    def summary(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "parameters": self.parameters(),
            "held_out": mean_scores(self.scores),
            "seconds": self.seconds,
            "converged": bool(self.bridge.converged_),
        }

    def text(self) -> str:
        """The report, for people."""
        columns = ["time", "estimator", "exact_ot_line", "persistence", "sampling_floor"]
        return "\n".join(
            [
                "LOTKA-VOLTERRA: 50 pairs of prey and predator at five times, nobody seen twice.",
                f"Rates recovered in {self.seconds:.1f} s:",
                table_text(self.parameters()),
                "",
                "W2 at the four times in between:",
                table_text(self.scores[columns]),
            ]
        )

    def draw(self, figure: Figure) -> None:
        """Two panels on an empty figure: paths over the snapshots, and the objective by round."""
        left, right = figure.subplots(1, 2, width_ratios=[1.4, 1.0])
        train = self.data.train
        grid = [train.times[0] + 0.1 * i for i in range(round(10 * float(train.times[-1])) + 1)]
        paths = cast(Trajectories, self.bridge.sample(200, grid))
        plot.trajectories(paths, snapshots=train, ax=left)
        plot.history(self.bridge.history_, ax=right)
