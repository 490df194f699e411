"""Ridge regression of many targets with holes, each part of the rows held out in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)


@packable
@dataclass(frozen=True)
class LinearMaps:
    """A linear map per target, each of its own columns.

    Attributes:
        columns: for each target the columns of the design that it uses.
        coefficients: for each target, as many.
    """

    columns: tuple[Array, ...]
    coefficients: tuple[Array, ...]

    def __call__(self, design: Array) -> Array:
        """(P, C) for a design (P, W)."""
        parts = [
            design[:, where] @ weights
            for where, weights in zip(self.columns, self.coefficients, strict=True)
        ]
        return np.stack(parts, axis=1)


def fit_ridge_by_parts(
    design: Array,
    target: Array,
    held: Array,
    trains: list[Array],
    columns: tuple[Array, ...],
    size: Array | None = None,
) -> tuple[list[LinearMaps], Array]:
    """A ridge per part, with the penalty of each target that predicts the held-out parts best.

    Args:
        design: (P, W); its first column is a constant, which is not penalised.
        target: (P, C), NaN = not observed.
        held: (P,) part in which each row is held out; -1: in none.
        trains: for each part, (P,) whether a row is learned from.
        columns: see `LinearMaps`.
        size: (P,) factors of the errors, in learning and in the choice of the penalty; None: 1.

    Returns:
        The ridges, and what they predict of the parts they have not seen, (P, C); 0 for rows that
        no part holds out.
    """
    predicted = np.zeros(target.shape)
    weights: list[list[Array]] = [[] for _ in trains]
    held_rows = [np.flatnonzero(held == part) for part in range(len(trains))]
    size = np.ones(len(target)) if size is None else size
    by_holes: dict[bytes, list[int]] = {}
    for c in range(target.shape[1]):
        key = columns[c].tobytes() + np.packbits(np.isnan(target[:, c])).tobytes()
        by_holes.setdefault(key, []).append(c)
    chosen: dict[int, list[Array]] = {}
    for channels in by_holes.values():
        where = columns[channels[0]]
        x = size[:, None] * (design if len(where) == design.shape[1] else design[:, where])
        known = ~np.isnan(target[:, channels[0]])
        y = size[:, None] * np.where(known[:, None], target[:, channels], 0.0)
        sums = _moments(x, y, known, held_rows, trains)
        for k, c in enumerate(channels):
            chosen[c], found = _best_penalty(x, y[:, k], known, held_rows, sums, k)
            predicted[:, c] = found / size
    for part, own in enumerate(weights):
        own += [chosen[c][part] for c in range(target.shape[1])]
    return [LinearMaps(columns, tuple(own)) for own in weights], predicted


def _moments(
    x: Array, y: Array, known: Array, held_rows: list[Array], trains: list[Array]
) -> list[tuple[Array, Array]]:
    """Sums of squares (W, W) and products (W, k) of the training rows of every part."""

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
    tried = np.concatenate(held_rows)
    tried = tried[known[tried]]
    error = np.square(out[tried] - y[tried, None]).sum(axis=0)
    best = int(np.argmin(error))
    chosen = [np.ascontiguousarray(coefficients[:, best]) for coefficients in solved]
    return chosen, out[:, best]


def _solve(gram: Array, right: Array, penalty: float) -> Array:
    ridge = np.full(len(gram), penalty)
    ridge[0] = 1e-6 * max(1.0, float(gram[0, 0]))
    return np.asarray(np.linalg.solve(gram + np.diag(ridge), right))
