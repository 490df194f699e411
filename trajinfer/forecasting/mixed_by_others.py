"""Held-out pairs, mixed with shares that were learned without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.continuations import CONTINUATIONS
from trajinfer.forecasting.held_out import HeldOut
from trajinfer.forecasting.mixture import Mixture, fit_mixture

_COMPLETE, _PARTIAL_BELIEF = ("persistence", "drift", *CONTINUATIONS), 0.1
_LEAST_OTHERS = 0.2
_LEARNED, _SEVERAL = ("mixed_model", "ridge", "trees", "network"), 3


def mixed_by_others(
    names: tuple[str, ...], held_out: HeldOut, share: Array, n_independent: float
) -> tuple[Mixture, HeldOut]:
    """The mixture of all pairs, and the pairs, each mixed by the shares of the other parts.

    Shares fit the pairs they are learned from better than pairs to come, the more so the fewer
    there are. How far forecasts will miss is told by pairs that no share was learned from, nor any
    of the steps that their errors are made of, unless these are in nearly all.
    Experts that are models of a series, such as a walk, are thought more of beforehand than those
    that repeat a mean, a slope or a season of it. Those that learn from pairs, such as a ridge, are
    models where the pairs are of three series and more; of one series they repeat what it did.

    Args:
        names: of the experts.
        held_out: the pairs.
        share: (P, C) leads as shares of the horizon.
        n_independent: number of stretches of a horizon in them.
    """
    several = len(np.unique(held_out.pairs.series)) >= _SEVERAL
    models = _COMPLETE + _LEARNED if several else _COMPLETE
    belief = np.where(np.isin(names, models), 1.0, _PARTIAL_BELIEF)
    target = held_out.target

    def fit(rows: Array) -> Mixture:
        return fit_mixture(
            names,
            held_out.increments[rows],
            target[rows],
            share[rows],
            n_independent * float(rows.mean()),
            held_out.weight[rows],
            belief,
        )

    every = fit(np.ones(len(share), dtype=bool))
    parts = np.unique(held_out.part)
    if len(parts) < 2:
        return every, replace(held_out, mixed=every(held_out.increments, share))
    mixed = np.empty(share.shape)
    for part in parts:
        own = held_out.part == part
        others = ~own & ~_shares_steps(held_out, own)
        if others.mean() < _LEAST_OTHERS:
            others = ~own
        mixed[own] = fit(others)(held_out.increments[own], share[own])
    return every, replace(held_out, mixed=mixed)


def _shares_steps(held_out: HeldOut, own: Array) -> Array:
    """(P,) which pairs lie, in their series, in the stretch of time of some pairs.

    The errors of forecasts that overlap are made of the same steps.
    """
    series, begin = held_out.pairs.series, held_out.asked.history.time
    end = begin + held_out.asked.lead
    size = series.max() + 1
    first, last = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(first, series[own], begin[own])
    np.maximum.at(last, series[own], end[own])
    return np.asarray((begin < last[series]) & (end > first[series]))
