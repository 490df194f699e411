"""Classical continuations of a past, each channel by itself: smoothing, autoregression, filters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.autoregression import Autoregression, fit_autoregression
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import History, LeadUnits
from trajinfer.forecasting.pairs import Pairs
from trajinfer.forecasting.smoothing import SEASONS, TRENDS, reach

CONTINUATIONS = ("damped_trend", "seasonal_trend", "autoregression", "structural")
_MOST_ROWS = 5000
_SHARPNESS = 2.0


@packable
@dataclass(frozen=True)
class Continuations:
    """Those of C channels.

    Attributes:
        smoothing: (C, 2, G) shares of the rows of `TRENDS` and of `SEASONS`.
        autoregressions: one per channel.
    """

    smoothing: Array
    autoregressions: tuple[Autoregression, ...]

    def __call__(self, asked: Questions, units: LeadUnits) -> Array:
        """Increments (P, C, 4) in units of the expected size."""
        past = asked.history
        found = np.empty((*asked.size.shape, len(CONTINUATIONS)))
        for c, regression in enumerate(self.autoregressions):
            lead = np.clip(asked.own_lead[:, c], 0.0, None)
            for k, answers in enumerate(_smoothings(asked, units, c)):
                shares = self.smoothing[c, k, : answers.shape[1]]
                found[:, c, k] = answers @ shares if answers.size else np.nan
            before = past.states[c].steps_back[past.row, :-1]
            found[:, c, 2] = regression(past.last[:, c], before, lead)
            found[:, c, 3] = _structural(asked, lead, units, c)
        return found / asked.size[:, :, None]


def fit_continuations(
    past: History,
    asked: Questions,
    pairs: Pairs,
    target: Array,
    held: Array,
    trains: list[Array],
    units: LeadUnits,
    n_independent: float,
    weights: Array | None = None,
) -> tuple[list[Continuations], Array]:
    r"""Continuations for each part, and what they say of the pairs that it holds out, (P, C, 4).

    The smoothings are averaged with shares $\propto m^{-2 n}$ by their mean squared errors m on the
    pairs that may be learned from, in which there are n independent stretches; the autoregression
    learns from the rows that these ask about.

    Args:
        past: of every row.
        asked, pairs: the questions and the rows they stand for.
        target: (P, C) true increments in units of the expected size, NaN = not observed.
        held: (P,) the part in which each pair is held out.
        trains: for each part, (P,) whether a pair is learned from.
        units: of the channels.
        n_independent: number of stretches in all pairs.
        weights: (B,) of the series in the autoregression, whose rows are distinct; None: alike.
    """
    n_channels = target.shape[1]
    smoothing = np.zeros((len(trains), n_channels, 2, max(len(TRENDS), len(SEASONS))))
    regressions: list[list[Autoregression]] = [[] for _ in trains]
    for c in range(n_channels):
        known = ~np.isnan(target[:, c])
        for k, answers in enumerate(_smoothings(asked, units, c)):
            miss = target[known, c, None] - answers[known] / asked.size[known, c, None]
            for part, rows in enumerate(trains):
                n = n_independent * float(rows.mean())
                smoothing[part, c, k, : miss.shape[1]] = _shares(miss[rows[known]], n)
        for part, rows in enumerate(trains):
            learned, first = np.unique(pairs.target[rows], return_index=True)
            series = pairs.series[rows]
            weight = None if weights is None else weights[series[first]]
            n_series = len(np.unique(series))
            regressions[part].append(_regression(past, learned, units, c, n_series, weight))
    made = [
        Continuations(own, tuple(many)) for own, many in zip(smoothing, regressions, strict=True)
    ]
    predicted = np.zeros((*target.shape, len(CONTINUATIONS)))
    for part, one in enumerate(made):
        rows = np.flatnonzero(held == part)
        predicted[rows] = one(asked[rows], units)
    return made, predicted


def _regression(
    past: History,
    rows: Array,
    units: LeadUnits,
    channel: int,
    n_series: int,
    weight: Array | None,
) -> Autoregression:
    gap = float(units.gap[channel])
    used = np.flatnonzero(past.age[rows, channel] == 0)
    used = used[:: -(-len(used) // _MOST_ROWS) or 1]
    rows, weight = rows[used], None if weight is None else weight[used]
    states = past.states[channel]
    return fit_autoregression(
        past.last[rows, channel],
        states.steps_back[rows],
        states.reached[rows],
        float(units.center[channel]),
        gap,
        round(float(units.periods[channel]) / gap),
        round(units.horizon / gap),
        max(n_series, 1),
        weight,
    )


def _shares(miss: Array, n: float) -> Array:
    """Shares (G,) by the errors (P, G), NaN = no answer; of the first where there are none."""
    known = ~np.isnan(miss).any(axis=1)
    if not miss[known].size:
        return np.asarray(np.eye(1, miss.shape[1])[0])
    square = np.maximum(np.square(miss[known]).mean(axis=0), 1e-300)
    share = (square / square.min()) ** (-_SHARPNESS * max(n, 1.0))
    return np.asarray(share / share.sum())


def _structural(asked: Questions, lead: Array, units: LeadUnits, channel: int) -> Array:
    """Increments (P,) at leads (P,); NaN where no structure is asked for."""
    past, structures = asked.history, units.structures[channel]
    if structures is None:
        return np.full(len(lead), np.nan)
    steps, phase = (
        lead / units.gap[channel],
        (past.time + asked.lead) / (units.periods[channel] or 1),
    )
    return past.states[channel].structural.increments(past.row, steps, phase, structures)


def _smoothings(asked: Questions, units: LeadUnits, channel: int) -> tuple[Array, Array]:
    """Increments (P, G) of all damped trends and of all seasonal ones; (P, 0) without a season."""
    states, row = asked.history.states[channel], asked.history.row
    steps = np.clip(asked.own_lead[:, channel, None], 0.0, None) / units.gap[channel]
    trend, seasonal = (
        own.level[row] + reach(steps, grid[: own.level.shape[1], 2]) * own.slope[row]
        for own, grid in ((states.trend, TRENDS), (states.seasonal, SEASONS))
    )
    return trend, seasonal + asked.seasons[channel]
