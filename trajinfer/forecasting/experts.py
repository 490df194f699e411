"""Experts that cost nothing to fit, and the columns that the ridge sees."""

from __future__ import annotations

import itertools

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.design import Design
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import LeadUnits

SIMPLE = (
    "persistence",
    "slope",
    "longer_slope",
    "drift",
    "recent_mean",
    "own_mean",
    "mean_of_all",
    "last_season",
    "mean_season",
    "growing_season",
    "last_season_change",
    "mean_season_change",
)
MOST_JOINT_CHANNELS = 10
_LONG = 4.0


def simple_increments(asked: Questions, units: LeadUnits) -> Array:
    r"""Increments (P, C, 13) of the simple experts, in units of the expected size.

    Means of the past are weighted as simple kriging with the variogram v does: the way to them is
    multiplied by $v(h) / v(4 H)$, at most 1, so that the forecast starts at the last value.
    Seasons are NaN where the past holds none.
    """
    past, unit = asked.history, units.scale / asked.size
    steps = np.clip(asked.own_lead / units.gap, 0.0, None)
    long = np.array([v(np.array(_LONG * units.horizon)) for v in units.variograms])
    pull = np.minimum(asked.size**2 / np.maximum(long, 1e-300), 1.0)
    columns = [
        np.zeros_like(asked.size),
        past.moves[:, :, 0] * steps * unit,
        past.moves[:, :, min(2, len(units.lags) - 1)] * steps * unit,
        past.drift * asked.own_lead / asked.size,
        pull * past.recent * unit,
        pull * (past.mean - past.last) / asked.size,
        pull * (units.center - past.last) / asked.size,
        *(asked.seasonal / asked.size[:, :, None]).transpose(2, 0, 1),
    ]
    return np.stack(columns, axis=2)


def ridge_columns(
    design: Design, n_features: int, n_channels: int, *, rich: bool
) -> tuple[Array, ...]:
    """Columns of `Design.interactions` for each channel.

    They are all columns, or its own where there are many channels or few pairs to learn from.
    """
    width = 1 + n_features + 2 * design.n_moves
    ends = width + np.cumsum([0, *(len(size) for size in design.stretch_sizes)])
    if n_channels == 1 or (rich and n_channels <= MOST_JOINT_CHANNELS):
        return (np.arange(ends[-1]),) * n_channels
    stretches = [np.arange(*bounds) for bounds in itertools.pairwise(ends)]
    chosen = []
    for own, last in zip(design.own, stretches, strict=True):
        moves = own[own < design.n_moves]
        products = [1 + n_features + k * design.n_moves + moves for k in range(2)]
        chosen.append(np.concatenate([[0], 1 + own, *products, last]))
    return tuple(chosen)
