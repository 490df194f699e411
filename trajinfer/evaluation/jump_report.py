"""What is said of a fitted Markov jump process, beside the paths it was fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from trajinfer import plot
from trajinfer._core.text import table_text
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess
from trajinfer.plot.later import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TIMES_OF_PREVALENCE = 60


@dataclass(frozen=True)
class JumpReport:
    """A fitted process as tables, plain data, text and figures.

    Attributes:
        model: the fitted process.
        series: the paths it was fitted to.
    """

    model: MarkovJumpProcess
    series: JumpSeries

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        tables = {"rates": self.model.rate_table()}
        if hasattr(self.model, "effect_rows_"):
            tables["hazard_ratios"] = self.model.effects_
        return tables

    def tables(self) -> dict[str, pd.DataFrame]:
        """Rates with their intervals, and hazard ratios of covariates, by name."""
        return self._tables

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        model, tables = self.model, self._tables
        return {
            "method": model.method_,
            "states": list(model.states_),
            "links": tables["rates"][["from", "to"]].to_numpy().tolist(),
            **tables,
            "initial": model.initial_,
            "label_noise": model.label_noise_,
            "log_likelihood": model.log_likelihood_,
            "converged": bool(model.converged_),
            "relaxation_times": model.relaxation_times(),
        }

    def text(self) -> str:
        """The tables and the log-likelihood, for people."""
        parts = [table_text(table, digits=4) for table in self._tables.values()]
        model = self.model
        parts.append(f"log-likelihood {model.log_likelihood_:.3f}, method {model.method_}")
        return "\n\n".join(parts)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Functions that make the figures, by name."""
        model = self.model
        since = model.prevalence_times(self.series, _TIMES_OF_PREVALENCE)
        observed = self.series.recode(model.states_)

        def occupation(ax: Any) -> None:
            law = model.model_.mean_law(observed, since)
            plot.occupation(observed, since, law, ax=ax)

        return {
            "rates": figure_of(plot.rates, model, size=(5.0, 4.2)),
            "graph": figure_of(plot.transition_graph, model, size=(5.0, 4.2)),
            "occupation": figure_of(occupation, size=(5.5, 3.8)),
        }
