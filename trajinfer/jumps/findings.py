"""What the data cannot tell, in words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from trajinfer._core.checks import Array
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.setup import Setup, gaps_of
from trajinfer.markov.groups import groups_of
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.likelihood import CountData, Expectation
from trajinfer.markov.rates import with_diagonal

_FASTER = 100.0
_FLAT = 0.02
_FALL = float(chi2.ppf(0.95, 1)) / 2  # beyond which a rate is outside of its 95 % interval
_MIXED = 0.05
_FEW = 1e-3
_TURNOVER = 20.0


@dataclass(frozen=True, eq=False)
class Findings:
    """Limits of what a fit can tell.

    Attributes:
        notes: sentences.
        unbounded: (S, S) bool, rates without an upper end: at infinity the likelihood is as large,
            or lower by less than a 95 % interval allows.
        groups: (S,) number of the group of each state; groups were never observed to mix.
    """

    notes: list[str]
    unbounded: Array
    groups: Array

    def labelled_groups(self, labels: tuple[Hashable, ...]) -> list[tuple[Hashable, ...]]:
        """The labels of every group."""
        return [tuple(labels[k] for k in members) for members in _members(self.groups)]


def findings(
    setup: Setup, result: FitResult, expected: Expectation, labels: tuple[Hashable, ...]
) -> Findings:
    """What the data cannot tell of a fit, with the labels of the states."""
    jumps = expected.jumps.sum(axis=0)
    data, links = setup.problem.data, setup.links
    absent = _visits(setup, expected, jumps) < _FEW
    notes = []
    if absent.any():
        notes.append(
            f"{_states(labels, absent)} never visited; the rates out of there are not determined"
        )
    if setup.absorbing.by_data.any():
        notes.append(
            f"{_states(labels, setup.absorbing.by_data)} never left, and taken for absorbing; the "
            "rates out of there are 0 with an upper limit, see intervals_. Give absorbing= to say "
            "so, or absorbing=() to allow exits"
        )
    stuck = _never_left(setup, jumps) & ~absent & links.any(axis=1)
    if stuck.any():
        notes.append(
            f"{_states(labels, stuck)} never left; only an upper limit of the rates out of there "
            "is known"
        )
    unbounded, fall = _unbounded(setup.problem, result, setup)
    forgetful = _forgetfulness(data, result, absent, labels)
    if unbounded.any() and (fall < _FLAT or not forgetful):
        notes.append(_without_end(_arrows(labels, unbounded), fall))
    at_high = _at_upper_limit(setup, result) & ~unbounded
    if at_high.any():
        notes.append(
            f"the rates {_arrows(labels, at_high)} are at the upper limit of the search, "
            f"{setup.limits.high:.3g}"
        )
    notes += forgetful
    groups = groups_of(np.where(jumps > _MIXED, jumps, 0.0))
    visited = [members for members in _members(groups) if not absent[members].all()]
    if len(visited) > 1:
        names = "; ".join(str([labels[k] for k in members]) for members in visited)
        notes.append(
            f"the groups of states {names} were never observed to mix: the law within each group "
            "is determined, the weight of a group in the stationary distribution is not"
        )
    return Findings(notes, unbounded, groups)


def _visits(setup: Setup, expected: Expectation, jumps: Array) -> Array:
    """(S,) how often each state was visited."""
    if isinstance(setup.problem.data, HiddenData):
        return np.asarray(expected.first + jumps.sum(axis=0))
    pairs = setup.pairs
    ends = np.concatenate([pairs.first, pairs.end])
    return np.bincount(ends, minlength=len(jumps)).astype(float)


def _never_left(setup: Setup, jumps: Array) -> Array:
    """(S,) bool, states out of which no jump was observed."""
    if isinstance(setup.problem.data, HiddenData):
        return np.asarray(jumps.sum(axis=1) < _FEW)
    moved = setup.pairs.start != setup.pairs.end
    return ~np.isin(np.arange(len(jumps)), setup.pairs.start[moved])


def _without_end(arrows: str, fall: float) -> str:
    if fall < _FLAT:
        return (
            f"the likelihood keeps rising as the rates {arrows} go to infinity "
            "together: no finite rates give the observed alternation better. The rates reported "
            "are merely large; their intervals have a lower end only, and what the data tell is "
            "their ratios"
        )
    return (
        f"the data set no upper end to the rates {arrows} together: at a hundredfold the "
        f"log-likelihood is lower by {fall:.2g} only. Their intervals have a lower end only, and "
        "what the data tell is their ratios"
    )


def _unbounded(problem: Problem, result: FitResult, setup: Setup) -> tuple[Array, float]:
    """(S, S) bool, fast rates whose common increase hardly lowers the likelihood, and by how much.

    Rates that are fast and yet determined may stand beside them: the slowest are left out first.
    """
    none = np.zeros_like(setup.links)
    rates = result.parameters.rates
    gaps = gaps_of(setup.series)
    if not problem.rate_map.free or not (gaps > 0).any():
        return none, 0.0
    speeds = np.where(setup.links, rates * float(gaps[gaps > 0].min()), 0.0)
    for least in np.unique(speeds[speeds > 1.0]):
        fast = np.asarray(speeds >= least)
        factor = float(np.clip(setup.limits.high / rates[fast].max(), 1.0, _FASTER))
        faster = np.where(fast, factor * rates, rates)
        raised = replace(result.parameters, rates=with_diagonal(faster))
        fall = result.log_likelihood - problem.data.log_likelihood(raised)
        if fall < _FALL:
            return fast, fall
    return none, 0.0


def _at_upper_limit(setup: Setup, result: FitResult) -> Array:
    at_end = np.zeros_like(setup.links)
    if setup.problem.rate_map.free:
        at_end = setup.links & (result.parameters.rates > 0.99 * setup.limits.high)
    return at_end


def _forgetfulness(
    data: object, result: FitResult, absent: Array, labels: Sequence[Hashable]
) -> list[str]:
    """Notes on gaps that are long against the sojourns."""
    notes: list[str] = []
    emission = result.parameters.emission
    exits = -np.einsum("rii->ri", result.parameters.stack).min(axis=0)
    if isinstance(data, HiddenData):
        gaps = data.gaps
    elif isinstance(data, CountData):
        gaps = data.pairs.gap[data.pairs.kind == 0]
    else:
        return notes
    gaps = gaps[gaps > 0]
    turnover = float(np.median(gaps)) * float(exits[~absent].max(initial=0.0)) if len(gaps) else 0.0
    if turnover > _TURNOVER or (isinstance(data, CountData) and _forgetful(data)):
        fastest = labels[int(np.argmax(np.where(absent, -np.inf, exits)))]
        notes.append(
            f"the median gap spans {turnover:.3g} sojourns of the fastest state {fastest!r} and "
            "what is seen next hardly depends on what was seen; rates are not identifiable at this "
            "observation interval"
        )
    if emission.learn_error and turnover > 1:
        notes.append(
            "label errors and quick returns look alike at gaps this long; give label_noise if it "
            "is known"
        )
    return notes


def _forgetful(data: CountData) -> bool:
    """Whether consecutive labels look independent, by a likelihood-ratio test at level 1e-3."""
    table = data.pairs.table(data.n_states, data.pairs.kind == 0)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if table.sum() < 50 or min(table.shape, default=0) < 2:
        return False
    product = table.sum(axis=1)[:, None] * table.sum(axis=0) / table.sum()
    ratio = np.where(table > 0, table, 1.0) / np.where(table > 0, product, 1.0)
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return bool(2 * (table * np.log(ratio)).sum() < chi2.ppf(0.999, freedom))


def _members(groups: Array) -> list[Array]:
    return [np.flatnonzero(groups == k) for k in range(int(groups.max()) + 1)]


def _states(labels: Sequence[Hashable], chosen: Array) -> str:
    names = [labels[k] for k in np.flatnonzero(chosen).tolist()]
    return f"state {names[0]!r} is" if len(names) == 1 else f"states {names} are"


def _arrows(labels: Sequence[Hashable], links: Array) -> str:
    return ", ".join(f"{labels[i]!r} -> {labels[j]!r}" for i, j in np.argwhere(links).tolist())
