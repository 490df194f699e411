"""The columns that learning experts see of a pair of a cut and a later time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.curve_stretches import stretch_columns
from trajinfer.forecasting.features import SEASONAL, Questions
from trajinfer.forecasting.history import LeadUnits

_SPREADS = 6.0


@packable
@dataclass(frozen=True)
class Design:
    """Standardised features.

    Attributes:
        center, scale: (F,) of the features of the training pairs.
        n_moves: number of them that are multiplied by the lead for linear experts.
        own: for each channel, the indices of the features that trees see.
        stretch_sizes: for each channel, the root mean squares of its `stretch_columns`.
    """

    center: Array
    scale: Array
    n_moves: int
    own: tuple[Array, ...]
    stretch_sizes: tuple[Array, ...]

    @classmethod
    def fit(cls, asked: Questions, units: LeadUnits) -> Design:
        """Measure the features of training pairs."""
        raw = _raw(asked, units)
        scale = raw.std(axis=0)
        center = raw.mean(axis=0)
        flat = ~(scale > 1e-9 * np.maximum(np.abs(center), 1.0))
        n_channels = units.n_channels
        return cls(
            center,
            np.where(flat, np.inf, scale),
            _n_moves(asked),
            tuple(_own(asked, c, n_channels, raw.shape[1]) for c in range(n_channels)),
            tuple(_sizes(stretch_columns(asked, units, c)) for c in range(n_channels)),
        )

    def __call__(self, asked: Questions, units: LeadUnits) -> Array:
        """(P, F), at most six standard deviations from the mean; constant features are 0."""
        return np.clip((_raw(asked, units) - self.center) / self.scale, -_SPREADS, _SPREADS)

    def interactions(self, features: Array, asked: Questions, units: LeadUnits) -> Array:
        """What linear experts see.

        A constant, the features, the moves times the square root of the lead and the lead, and the
        stretches of the common curve of every channel.
        """
        share = np.minimum(asked.lead / units.horizon, 1.0)[:, None]
        moves = features[:, : self.n_moves]
        stretches = [
            np.clip(stretch_columns(asked, units, c) / size, -_SPREADS, _SPREADS)
            for c, size in enumerate(self.stretch_sizes)
        ]
        plain = [np.ones((len(features), 1)), features, moves * np.sqrt(share), moves * share]
        return np.concatenate(plain + stretches, axis=1)


def _sizes(columns: Array) -> Array:
    """Root mean squares; infinite for a column of zeros."""
    sizes = np.sqrt(np.mean(columns**2, axis=0)) if len(columns) else np.ones(columns.shape[1])
    return np.where(sizes > 0, sizes, np.inf)


def _n_moves(asked: Questions) -> int:
    past = asked.history
    return int(past.moves.shape[1] * (past.moves.shape[2] + 1))


def _raw(asked: Questions, units: LeadUnits) -> Array:
    """Moves and last values, seasons, states, lead, calendar."""
    past = asked.history
    share = np.clip(asked.lead / units.horizon, 1e-6, 1.0)
    level = (past.last - units.center) / units.scale
    moves = np.concatenate([past.moves, level[:, :, None]], axis=2)
    lead = np.column_stack([share, np.sqrt(share), np.log(share)])
    seasonal = np.nan_to_num(asked.seasonal) / asked.size[:, :, None]
    parts = [
        moves.reshape(len(share), -1),
        past.state,
        seasonal.reshape(len(share), -1),
        lead,
        asked.extra,
    ]
    return np.concatenate(parts, axis=1)


def _own(asked: Questions, channel: int, n_channels: int, n_features: int) -> Array:
    """A channel's own features, the last moves and levels of the others, and what is common."""
    past = asked.history
    n_move, n_state = past.moves.shape[2] + 1, past.state.shape[1]
    per_channel = (n_state - past.n_common) // n_channels
    moves = np.arange(n_channels * n_move).reshape(n_channels, n_move)
    first = moves.size
    states = first + np.arange(n_channels * per_channel).reshape(n_channels, per_channel)
    common = np.arange(first + n_channels * per_channel, first + n_state)
    seasonal = first + n_state + np.arange(n_channels * SEASONAL).reshape(n_channels, SEASONAL)
    rest = np.arange(first + n_state + n_channels * SEASONAL, n_features)
    others = np.delete(moves[:, [0, n_move - 1]], channel, axis=0).ravel()
    parts = [moves[channel], states[channel], others, common, seasonal[channel], rest]
    return np.concatenate(parts).astype(int)
