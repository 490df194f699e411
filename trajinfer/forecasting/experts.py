"""Experts that cost nothing to fit, and the ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.features import Design, Questions
from trajinfer.forecasting.history import LeadUnits

SIMPLE = (
    "persistence",
    "slope",
    "longer_slope",
    "own_mean",
    "mean_of_all",
    "last_season",
    "last_season_change",
    "mean_season_change",
)
PENALTIES = (10.0, 100.0, 1000.0, 10000.0)
MOST_JOINT_CHANNELS = 10
_LONG = 4.0


def simple_increments(asked: Questions, units: LeadUnits) -> Array:
    r"""Increments (P, C, 8) of the simple experts, in units of the expected size.

    The mean of the past is weighted as simple kriging with the variogram v does: the way to it is
    multiplied by $v(h) / v(4 H)$, at most 1, so that the forecast starts at the last value.
    """
    past, unit = asked.history, units.scale / asked.size
    steps = np.clip(asked.own_lead / units.gap, 0.0, None)
    long = np.array([v(np.array(_LONG * units.horizon)) for v in units.variograms])
    pull = np.minimum(asked.size**2 / np.maximum(long, 1e-300), 1.0)
    columns = [
        np.zeros_like(asked.size),
        past.moves[:, :, 0] * steps * unit,
        past.moves[:, :, min(2, len(units.lags) - 1)] * steps * unit,
        pull * (past.mean - past.last) / asked.size,
        pull * (units.center - past.last) / asked.size,
        *(asked.seasonal / asked.size[:, :, None]).transpose(2, 0, 1),
    ]
    return np.stack(columns, axis=2)


@packable
@dataclass(frozen=True)
class Ridge:
    """A penalised linear map of features and their products with the lead, per channel.

    Attributes:
        columns: for each channel the features it uses.
        coefficients: for each channel, those of the constant, the features and the products.
    """

    columns: tuple[Array, ...]
    coefficients: tuple[Array, ...]

    def __call__(self, design: Array) -> Array:
        """(P, C) for the matrix of `Design.interactions`."""
        parts = [
            design[:, where] @ weights
            for where, weights in zip(self.columns, self.coefficients, strict=True)
        ]
        return np.stack(parts, axis=1)


def ridge_columns(design: Design, n_features: int, n_channels: int) -> tuple[Array, ...]:
    """Columns of `Design.interactions` for each channel: all, or its own where there are many."""
    width = 1 + n_features + 2 * design.n_moves
    if n_channels <= MOST_JOINT_CHANNELS:
        return (np.arange(width),) * n_channels
    chosen = []
    for own in design.own:
        moves = own[own < design.n_moves]
        products = [1 + n_features + k * design.n_moves + moves for k in range(2)]
        chosen.append(np.concatenate([[0], 1 + own, *products]))
    return tuple(chosen)


def fit_ridge(
    design: Array, target: Array, held: Array, trains: list[Array], columns: tuple[Array, ...]
) -> tuple[list[Ridge], Array]:
    """A ridge per part, each with the penalty that predicts the held-out parts best.

    Args:
        design: (P, W).
        target: (P, C), NaN = not observed.
        held: (P,) part in which each pair is held out.
        trains: for each part, (P,) whether a pair is learned from.
        columns: see `Ridge`.

    Returns:
        The ridges, and what they predict of the parts they have not seen, (P, C).
    """
    predicted = np.zeros(target.shape)
    weights: list[list[Array]] = [[] for _ in trains]
    held_rows = [np.flatnonzero(held == part) for part in range(len(trains))]
    by_holes: dict[bytes, list[int]] = {}
    for c in range(target.shape[1]):
        key = columns[c].tobytes() + np.packbits(np.isnan(target[:, c])).tobytes()
        by_holes.setdefault(key, []).append(c)
    chosen: dict[int, list[Array]] = {}
    for channels in by_holes.values():
        where = columns[channels[0]]
        x = design if len(where) == design.shape[1] else design[:, where]
        known = ~np.isnan(target[:, channels[0]])
        y = np.where(known[:, None], target[:, channels], 0.0)
        sums = _moments(x, y, known, held_rows, trains)
        for k, c in enumerate(channels):
            chosen[c], predicted[:, c] = _best_penalty(x, y[:, k], known, held_rows, sums, k)
    for part, own in enumerate(weights):
        own += [chosen[c][part] for c in range(target.shape[1])]
    return [Ridge(columns, tuple(own)) for own in weights], predicted


def _moments(
    x: Array, y: Array, known: Array, held_rows: list[Array], trains: list[Array]
) -> list[tuple[Array, Array]]:
    """Sums of squares (W, W) and products (W, k) of the training pairs of every part."""

    def sums(rows: Array) -> tuple[Array, Array]:
        rows = rows[known[rows]]
        return x[rows].T @ x[rows], x[rows].T @ y[rows]

    complementary = all(
        train.sum() + len(held) == len(train) and not train[held].any()
        for train, held in zip(trains, held_rows, strict=True)
    )
    if not complementary:
        return [sums(np.flatnonzero(train)) for train in trains]
    own = [sums(rows) for rows in held_rows]
    total = [sum(part[k] for part in own) for k in range(2)]
    return [(total[0] - gram, total[1] - right) for gram, right in own]


def _best_penalty(
    x: Array,
    y: Array,
    known: Array,
    held_rows: list[Array],
    sums: list[tuple[Array, Array]],
    channel: int,
) -> tuple[list[Array], Array]:
    """Coefficients of every part under the penalty of least held-out error, and the predictions."""
    solved = [
        np.stack([_solve(gram, right[:, channel], p) for p in PENALTIES], axis=1)
        for gram, right in sums
    ]
    out = np.zeros((len(y), len(PENALTIES)))
    for rows, coefficients in zip(held_rows, solved, strict=True):
        out[rows] = x[rows] @ coefficients
    error = np.square(out - y[:, None])[known].sum(axis=0)
    best = int(np.argmin(error))
    chosen = [np.ascontiguousarray(coefficients[:, best]) for coefficients in solved]
    return chosen, out[:, best]


def _solve(gram: Array, right: Array, penalty: float) -> Array:
    ridge = np.full(len(gram), penalty)
    ridge[0] = 1e-6 * max(1.0, float(gram[0, 0]))
    return np.asarray(np.linalg.solve(gram + np.diag(ridge), right))
