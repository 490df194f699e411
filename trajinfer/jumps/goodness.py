"""How well a fitted jump process agrees with the states at visits."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.stats import chi2

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.parallel import SeededTasks, fan_out
from trajinfer._core.seeding import spawn
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.bootstrap import QUIET
from trajinfer.jumps.model import JumpModel
from trajinfer.jumps.visits import Clock, Contingency, LabelledPairs, VisitGroups, visits_of

_LEVEL = 0.05
_FAR = 3.0
_REMEDIES = (
    "rates that change in time are PiecewiseConstantJumpProcess(changes=...), rates that change "
    "with the time spent in a state are phases=, differences between paths are covariates="
)


class Refit(Protocol):
    """Fits the same model to other paths."""

    def __call__(self, series: JumpSeries, seed: int) -> JumpModel:
        """The model of these paths."""
        ...


@packable
@dataclass(frozen=True, eq=False)
class GoodnessOfFit:
    """Observed against expected numbers of transitions between visits, and prevalence.

    Attributes:
        statistic: Pearson's sum over the cells of `table`, the mean over imputed visits.
        degrees: fewest and most degrees of freedom; the law of the statistic lies between.
        p_values: of chi-squared laws with these degrees.
        p_bootstrap: share of data sets drawn from the model, and fitted again, whose statistic is
            as large; None without a bootstrap.
        statistics: (n,) statistics of these data sets.
        table: one row per cell: since and gap (where the groups of times and gaps begin), from,
            to, observed, expected, deviance (with the sign of the difference).
        prevalence: time, state, observed, expected, z (the difference in binomial deviations).
        refuted: True, False, or None where the bounds of p disagree at the level 0.05.
        notes: the findings in sentences.
    """

    statistic: float
    degrees: tuple[int, int]
    p_values: tuple[float, float]
    p_bootstrap: float | None
    statistics: Array
    table: pd.DataFrame
    prevalence: pd.DataFrame
    refuted: bool | None
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.notes)

    def to_frame(self) -> pd.DataFrame:
        """The table of cells."""
        return self.table.copy()

    def to_state(self) -> dict[str, Any]:
        """The fields that a file holds."""
        frames = {n: getattr(self, n).to_dict("list") for n in ("table", "prevalence")}
        return {name: frames.get(name, getattr(self, name)) for name in self.__dict__}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> GoodnessOfFit:
        """The report that `to_state` described."""
        frames = {n: pd.DataFrame(state[n]) for n in ("table", "prevalence")}
        return cls(**{**state, **frames})


@dataclass(frozen=True)
class GroupingPlan:
    """How transitions are grouped and how often data are drawn.

    Attributes:
        clock: "start" of the path, or "entry" into the state.
        n_times, n_gaps: groups of times on that clock, and of gaps within each.
        n_imputations: draws of the visits after deaths.
        n_bootstrap: data sets drawn from the model.
        n_jobs: workers that fit them.
    """

    clock: Clock = "start"
    n_times: int = 2
    n_gaps: int = 3
    n_imputations: int = 20
    n_bootstrap: int = 0
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        if self.clock not in ("start", "entry"):
            raise InputError(f"clock must be 'start' or 'entry', got {self.clock!r}")
        if min(self.n_times, self.n_gaps, self.n_imputations) < 1 or self.n_bootstrap < 0:
            raise InputError(
                "n_times, n_gaps and n_imputations must be at least 1, and n_bootstrap at least 0"
            )


@dataclass(frozen=True, eq=False)
class PearsonTest:
    """Pearson's statistic of a model, with groups that are settled on the data once.

    Attributes:
        groups: of times and gaps.
        n_imputations: how often the visits after deaths are drawn.
        clock: on which the times are.
    """

    groups: VisitGroups
    n_imputations: int
    clock: Clock

    def imputed(
        self, model: JumpModel, series: JumpSeries, generator: np.random.Generator
    ) -> list[Contingency]:
        """Observed and expected numbers of every imputation; one where nobody died."""
        kinds = series.flat_observation
        n = self.n_imputations if kinds is not None and kinds.any() else 1
        out = []
        for _ in range(n):
            visits = visits_of(series, self.groups, generator, self.clock)
            pairs = LabelledPairs.of(visits, self.clock)
            out.append(Contingency.of(pairs, model.label_laws(visits)[pairs.row], self.groups))
        return out


def goodness_of_fit(
    model: JumpModel,
    series: JumpSeries,
    prevalence: pd.DataFrame,
    n_parameters: int,
    refit: Refit,
    plan: GroupingPlan,
    seed: int,
) -> GoodnessOfFit:
    """The report; see `MarkovJumpProcess.goodness_of_fit`."""
    generator = np.random.default_rng(seed)
    series = series.recode(model.states)
    rough = visits_of(series, None, np.random.default_rng(seed), plan.clock)
    groups = VisitGroups.of(LabelledPairs.of(rough, plan.clock), plan.n_times, plan.n_gaps)
    test = PearsonTest(groups, plan.n_imputations, plan.clock)
    several = test.imputed(model, series, generator)
    statistic = float(np.mean([one.statistic for one in several]))
    most = max(one.freedom for one in several)
    degrees = (max(most - n_parameters, 1), max(most, 1))
    p_values = (float(chi2.sf(statistic, degrees[0])), float(chi2.sf(statistic, degrees[1])))
    seeds = spawn(seed, plan.n_bootstrap)
    tasks = SeededTasks("data set of the bootstrap", seeds, (model, series, test, refit))
    drawn = np.array(fan_out(_statistic_under_model, tasks, n_jobs=plan.n_jobs, quiet=QUIET))
    p = None if not len(drawn) else float((1 + (drawn >= statistic).sum()) / (1 + len(drawn)))
    refuted = _verdict(p_values, p)
    table = Contingency.mean(several).table(test.groups, model.states)
    prevalence = _with_deviations(prevalence)
    notes = _notes(statistic, degrees, p_values, p, len(drawn), refuted, table, prevalence)
    return GoodnessOfFit(
        statistic, degrees, p_values, p, drawn, table, prevalence, refuted, tuple(notes)
    )


def _statistic_under_model(
    model: JumpModel, series: JumpSeries, test: PearsonTest, refit: Refit, seed: int
) -> float:
    """Statistic of data drawn from the model, under the model fitted to them."""
    generator = np.random.default_rng(seed)
    visits = visits_of(series, test.groups, generator, test.clock)
    drawn = model.replicate(visits, series, generator)
    other = refit(drawn, seed)
    return float(np.mean([one.statistic for one in test.imputed(other, drawn, generator)]))


def _verdict(p_values: tuple[float, float], p: float | None) -> bool | None:
    if p is not None:
        return p < _LEVEL
    if p_values[1] < _LEVEL:
        return True
    return False if p_values[0] >= _LEVEL else None


def _with_deviations(prevalence: pd.DataFrame) -> pd.DataFrame:
    """The table with the difference in binomial standard deviations."""
    # rows come time by time; a time that is asked twice has a block of its own each time
    block = np.arange(len(prevalence)) // prevalence["state"].nunique()
    total = prevalence.groupby(block)["observed"].transform("sum")
    expected = prevalence["expected"]
    variance = expected * (1 - expected / total.clip(lower=1))
    z = (prevalence["observed"] - expected) / np.sqrt(variance.clip(lower=0.25))
    return prevalence.assign(z=z)


def _notes(
    statistic: float,
    degrees: tuple[int, int],
    p_values: tuple[float, float],
    p: float | None,
    n_drawn: int,
    refuted: bool | None,
    table: pd.DataFrame,
    prevalence: pd.DataFrame,
) -> list[str]:
    verdict = {
        True: "the model is refuted",
        False: "the data do not refute the model",
        None: "the bounds do not decide; give n_bootstrap=100 for a p-value by simulation",
    }[refuted]
    chance = f"p between {p_values[0]:.2g} and {p_values[1]:.2g}"
    if p is not None:
        chance = f"p = {p:.2g} by {n_drawn} data sets drawn from the model"
    notes = [
        f"Pearson-type statistic {statistic:.1f} on {degrees[0]} to {degrees[1]} degrees of "
        f"freedom, {chance}: {verdict}."
    ]
    if refuted is False:
        return notes
    notes += [
        f"From {cell['from']!r} to {cell['to']!r}, visits from {cell['since']:.3g} on that lie "
        f"more than {cell['gap']:.3g} apart: {cell['observed']:.3g} observed, "
        f"{cell['expected']:.3g} expected."
        for cell in table.loc[table["deviance"].abs().nlargest(3).index].to_dict("records")
    ]
    notes += _prevalence_notes(prevalence)
    if refuted:
        notes.append(_REMEDIES[0].upper() + _REMEDIES[1:] + ".")
    return notes


def _prevalence_notes(prevalence: pd.DataFrame) -> list[str]:
    """The time at which the prevalence is farthest from the model's, in words."""
    far = prevalence[prevalence["z"].abs() > _FAR]
    if far.empty:
        return []
    first, worst = far["time"].min(), far.loc[far["z"].abs().idxmax(), "time"]
    there = prevalence[prevalence["time"] == worst].to_dict("records")
    cells = "; ".join(_words(row["state"], row["observed"], row["expected"]) for row in there)
    return [
        f"The prevalence leaves the model's from time {first:.3g} on, most of all at {worst:.3g}: "
        f"{cells}."
    ]


def _words(state: Hashable, observed: float, expected: float) -> str:
    side = "more" if observed > expected else "fewer"
    return f"{observed:.0f} in {state!r}, {side} than the {expected:.1f} expected"
