"""Effects of covariates as a table of hazard ratios."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from scipy.stats import norm

from trajinfer._core.checks import Array
from trajinfer.jumps.covariate_map import CovariateMap
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.information import information
from trajinfer.jumps.problem import Problem

_Z = float(norm.ppf(0.975))
_MOST_DEVIATION = 10.0
_NAMED = 4  # links of a note, for each covariate


def effect_rows(
    problem: Problem, result: FitResult, states: tuple[Hashable, ...], owner: Array
) -> list[dict[str, Any]]:
    """One record per link of states and covariate, with 95 % intervals on the log scale.

    Row i of the rates belongs to state `owner[i]`. An effect that the likelihood sends to
    infinity, or hardly depends on, is not identified: its interval is unbounded. It is held there
    for the intervals of the others.
    """
    rate_map = problem.rate_map
    if not isinstance(rate_map, CovariateMap):
        raise TypeError("the rates depend on no covariates")
    design, n_links = rate_map.design, rate_map.n_links
    at_bound = rate_map.at_bound(result.p)
    fixed = np.concatenate([_without_jumps(problem, result), at_bound])
    covariance = information(problem, result, fixed).covariance
    deviation = np.sqrt(np.diag(covariance)[n_links:])
    flat = ~(deviation * design.spread < _MOST_DEVIATION)
    rows: list[dict[str, Any]] = []
    links = owner[np.argwhere(rate_map.links)]
    # phases of one state share the effects of its links
    for column in np.sort(np.unique(links, axis=0, return_index=True)[1]):
        i, j = links[column]
        for k, name in enumerate(design.names):
            effect = int(design.owner[k, column])
            if effect < 0:
                continue
            known = bool(not (at_bound[effect] or flat[effect]))
            log_ratio = float(result.p[n_links + effect] / design.scale[k])
            error = float(deviation[effect] / design.scale[k]) if known else np.nan
            with np.errstate(over="ignore"):
                ratio = np.exp(log_ratio)
                low, high = np.exp(log_ratio + _Z * error * np.array([-1.0, 1.0]))
            rows.append(
                {
                    "from": states[i],
                    "to": states[j],
                    "covariate": name,
                    "log_ratio": log_ratio,
                    "std_error": error,
                    "hazard_ratio": float(ratio),
                    "lower": float(low) if known else 0.0,
                    "upper": float(high) if known else np.inf,
                    "identified": known,
                }
            )
    return rows


def unidentified(rows: list[dict[str, Any]]) -> list[str]:
    """A note on effects that the data cannot tell."""
    lost = [row for row in rows if not row["identified"]]
    if not lost:
        return []
    links: dict[str, list[str]] = {}
    for row in lost:
        links.setdefault(row["covariate"], []).append(f"{row['from']!r} -> {row['to']!r}")
    names = "; ".join(f"{name} on {_first_few(where)}" for name, where in links.items())
    return [
        f"the effects of {names} are not identified: hardly any such jump was observed under some "
        "values of the covariate. Their intervals are unbounded; the other effects do not suffer"
    ]


def _first_few(links: list[str]) -> str:
    more = len(links) - _NAMED
    return ", ".join(links[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _without_jumps(problem: Problem, result: FitResult) -> Array:
    """(L,) bool, links with less than a hundredth of an expected jump."""
    jumps = problem.data.expectation(result.parameters).jumps.sum(axis=0)
    return np.asarray(jumps[problem.rate_map.links] < 1e-2)
