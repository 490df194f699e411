"""Mixed models of C channels as an expert: one fit per part, forecasts from sums of the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import LeadUnits
from trajinfer.forecasting.mixed_model import MixedModel, fit_mixed_model, independent_rows
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs

_FEWEST_SERIES = 3
_ROWS_PER_COLUMN = 2


@packable
@dataclass(frozen=True)
class MixedModels:
    """One law per channel.

    Attributes:
        models: of C channels; None where there is too little to learn from.
    """

    models: tuple[MixedModel | None, ...]

    def __call__(self, asked: Questions, units: LeadUnits) -> Array:
        """Increments (P, C) in units of the expected size; NaN = no answer."""
        past = asked.history
        found = np.full(asked.size.shape, np.nan)
        for c, (model, curve) in enumerate(zip(self.models, units.curves, strict=True)):
            if model is None or curve is None:
                continue
            seen = ~np.isnan(past.age[:, c])
            states = past.states[c]
            here = past.time - np.where(seen, past.age[:, c], 0.0)
            first = np.where(seen, states.first[past.row], here)
            values = model(
                curve(past.time + asked.lead, first),
                curve(here, first),
                past.last[:, c],
                seen,
                states.sums[past.row],
                asked.own_lead[:, c] / units.gap[c],
            )
            found[:, c] = (values - past.last[:, c]) / asked.size[:, c]
        return found


def fit_mixed_models(
    data: Observations,
    asked: Questions,
    pairs: Pairs,
    held: Array,
    trains: list[Array],
    units: LeadUnits,
    weights: Array | None = None,
) -> tuple[list[MixedModels], Array]:
    """Laws for each part, and what they say of the pairs that it holds out, (P, C).

    A law learns from the values that the pairs of its part were cut at or ask about.

    Args:
        data: the series.
        asked, pairs: the questions and the rows they stand for.
        held: (P,) the part in which each pair is held out.
        trains: for each part, (P,) whether a pair is learned from.
        units: of the channels.
        weights: (B,) of the series; None: they count alike.
    """
    learned = [_learned_rows(data, pairs, train) for train in trains]
    by_channel = [
        _of_channel(data, c, curve, float(units.gap[c]), learned, weights)
        for c, curve in enumerate(units.curves)
    ]
    made = [MixedModels(own) for own in zip(*by_channel, strict=True)]
    predicted = np.full(asked.size.shape, np.nan)
    for part, one in enumerate(made):
        mine = np.flatnonzero(held == part)
        predicted[mine] = one(asked[mine], units)
    return made, predicted


def _learned_rows(data: Observations, pairs: Pairs, train: Array) -> Array:
    """(N,) whether a row is one that training pairs were cut at or ask about."""
    known = np.zeros(len(data.times), dtype=bool)
    known[pairs.cut[train]] = known[pairs.target[train]] = True
    return known


def _of_channel(
    data: Observations,
    index: int,
    curve: CommonCurve | None,
    gap: float,
    learned: list[Array],
    weights: Array | None,
) -> list[MixedModel | None]:
    """A law for each set of rows (N,); None where they are too few."""
    if curve is None:
        return [None] * len(learned)
    channel = data.channel(index)
    rows, log_factor = independent_rows(channel, curve, gap)
    series = data.series[channel.rows]
    inner = np.arange(len(series)) > channel.starts[series]
    made: list[MixedModel | None] = []
    for known in learned:
        used = known[channel.rows]
        used &= ~inner | np.roll(used, 1)  # after rows that are held out it would tell their last
        chosen = np.flatnonzero(used)
        several = len(np.unique(series[chosen])) >= _FEWEST_SERIES
        if not several or len(chosen) < _ROWS_PER_COLUMN * curve.width:
            made.append(None)
            continue
        counts = None if weights is None else (weights / weights.min())[series[chosen]]
        made.append(
            fit_mixed_model(rows[chosen], log_factor[chosen], series[chosen], curve, counts)
        )
    return made
