"""Which of two regions a fitted process reaches first, as one table with what was assumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.text import table_text
from trajinfer.functionals import (
    Chain,
    Diffusion,
    PassageLaw,
    PathSource,
    Region,
    ValueFunction,
    estimate,
    fate_probabilities,
    fit_interval,
    hitting_probability,
    hitting_time,
    passage,
)
from trajinfer.functionals.methods.scale_measure import NeverSurely
from trajinfer.functionals.monte_carlo import paths_each
from trajinfer.plot.later import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVEL, _FITS, _TIMES, _MANY = 0.9, 100, 32, 12


@dataclass(frozen=True)
class HittingQuestion:
    """How likely and how soon a process reaches its target, from given starts.

    Attributes:
        fitted: the model.
        dynamics: its process, as `functionals.as_dynamics` gives it.
        regions: the target, and `before`, what ends the attempt, where there is one.
        start: states, labels or series; None for what the process itself starts from.
        horizon: duration of the attempt; None for no end.
        n: number of paths, where paths are counted.
        random_state: of these.
    """

    fitted: Any
    dynamics: Any
    regions: Mapping[str, Region]
    start: Any
    horizon: Any
    n: int
    random_state: int

    def answer(self) -> HittingAnswer:
        """The probability from each start, its interval where one is known, times and their law."""
        table, method = self._probabilities()
        notes, law, axis = self.dynamics.notes, None, self.dynamics.axis
        length = None if self.horizon is None else axis.duration(self.horizon)
        if length is not None:
            method = f"within {axis.in_words(length)}; {method}"
        if "before" in self.regions:
            return HittingAnswer(table, method, notes, None)
        if length is None:
            table = table.assign(mean_time=self._mean_time())
        else:
            ts = np.linspace(length / _TIMES, length, _TIMES)
            target, seed = self.regions["target"], self.random_state
            n = min(self.n, paths_each(len(table)))
            law = passage(self.dynamics, target, self.start, ts=ts, n=n, random_state=seed)
        return HittingAnswer(table, method, notes, law)

    def _probabilities(self) -> tuple[pd.DataFrame, str]:
        """Starts and the probability to reach the target, and how it was computed."""
        question = hitting_probability(
            self.regions["target"], before=self.regions.get("before"), horizon=self.horizon
        )
        starts, seed = self._starts(), self.random_state
        if isinstance(self.dynamics, PathSource):
            paths = estimate(question, self.dynamics, self.start, n=self.n, random_state=seed)
            low, high = paths.interval(_LEVEL)
            columns = {"probability": paths.value, "lower": low.clip(0, 1)}
            columns["upper"] = high.clip(0, 1)
            return starts.assign(**columns), "paths counted; the interval is that of the simulation"
        if isinstance(self.dynamics, Chain) and self.dynamics.draw_rates is not None:
            fit = fit_interval(question, self.fitted, self.start, n=_FITS, random_state=seed)
            columns = {"probability": fit.value, "lower": fit.lower, "upper": fit.upper}
            return starts.assign(**columns), "exact; the interval is that of the fit"
        fates = fate_probabilities(
            self.dynamics, self.start, self.regions, horizon=self.horizon, random_state=seed
        )
        method, error = fates.method, float(fates.std_errors[:, 0].max(initial=0.0))
        if error > 0:
            said = "standard errors of" if method.startswith("simulate") else "errors of about"
            method = f"{method}; {said} {error:.1g} at most"
        return starts.assign(probability=fates.probabilities[:, 0]), method

    def _starts(self) -> pd.DataFrame:
        """The starts as a table."""
        if isinstance(self.dynamics, Chain):
            return pd.DataFrame({"from": list(map(str, self.start))})
        if isinstance(self.dynamics, Diffusion):
            names = self.dynamics.features or [f"x{d}" for d in range(self.dynamics.dim)]
            return pd.DataFrame(self.start, columns=list(names))
        return pd.DataFrame({"series": ["all"] if self.start is None else list(self.start.ids)})

    def _mean_time(self) -> Array | float:
        model = ValueFunction(hitting_time(self.regions["target"]), random_state=self.random_state)
        try:
            times = model.fit(self.dynamics, self.start).predict(self.start)
        except NeverSurely:
            return float("inf")
        axis = self.dynamics.axis
        return times if axis.kind == "number" else axis.since_start().decode(times)


@dataclass(frozen=True)
class HittingAnswer:
    """A table of answers, and what was assumed.

    Attributes:
        table: a row per start.
        method: how the probabilities were computed.
        notes: what was assumed.
        law: of the time until the target, where it is known.
    """

    table: pd.DataFrame
    method: str
    notes: tuple[str, ...]
    law: PassageLaw | None

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "method": self.method,
            "assumed": self.notes,
            "starts": len(self.table),
            "mean_probability": float(self.table["probability"].mean()),
        }

    def text(self) -> str:
        """The same for people; of many starts, what their answers are like."""
        shown = self.table
        if len(shown) > _MANY:
            shown = (
                shown.drop(columns="series", errors="ignore")
                .describe()
                .loc[["mean", "min", "50%", "max"]]
                .reset_index()
            )
        notes = [f"assumed: {note}" for note in self.notes]
        return "\n".join([table_text(shown, digits=4), "", f"method: {self.method}", *notes])

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name."""
        more = {} if self.law is None else {"passage": self.law.to_frame()}
        return {"answer": self.table, **more}

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """A function that draws the law of the time until the target, where it is known."""
        if self.law is None:
            return {}
        unit, mean = self.law.axis.unit or "", self.law.survival.mean(axis=0)
        return {"passage": figure_of(plot.passage, self.law.ts, mean, unit=unit, size=(5.0, 3.8))}
