"""A predictor of the next increment: trained on generated series, and on as many real ones."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_LAGS = 3
_WAVES = 48
_RIDGE = 1e-3
_RELABELLINGS = 99
_MOST_PATHS = 512
_SEED = 17


def prediction_ratio(
    synthetic: Array, train: Array, hold_out: Array, rng: np.random.Generator
) -> tuple[float, Array]:
    """Error of a predictor trained on generated series over that of one trained on real series.

    Both learn from equally many series, and are asked about held-out ones. The predictor is a ridge
    regression on the last levels and increments, linear and through fixed random waves.

    Args:
        synthetic: (n, T, C).
        train: (k, T, C).
        hold_out: (m, T, C).
        rng: of the choice of series and of relabellings.

    Returns:
        The ratio of mean absolute errors, in standard deviations of the increments, and the ratios
        (99,) of random relabellings of the series that are learned from.
    """
    n = min(len(synthetic), len(train), _MOST_PATHS)
    few = [paths[rng.permutation(len(paths))[:n]] for paths in (synthetic, train)]
    asked = hold_out[rng.permutation(len(hold_out))[:_MOST_PATHS]]
    design = _Design.of(train)
    moments = [design.moments(paths) for paths in few]
    rows, target = design.rows(asked)
    rows, target = rows.reshape(-1, rows.shape[-1]), target.reshape(-1, target.shape[-1])
    inner = np.concatenate([moments[0][0], moments[1][0]])
    cross = np.concatenate([moments[0][1], moments[1][1]])

    def ratio(first: Array, second: Array) -> float:
        errors = [
            np.abs(rows @ _solved(inner[part].sum(0), cross[part].sum(0)) - target).mean()
            for part in (first, second)
        ]
        return float(errors[0] / max(errors[1], 1e-12))

    null = []
    for _ in range(_RELABELLINGS):
        order = rng.permutation(2 * n)
        null.append(ratio(order[:n], order[n:]))
    return ratio(np.arange(n), np.arange(n, 2 * n)), np.array(null)


class _Design:
    """Features of what came before, in the units of the training series."""

    def __init__(self, shift: Array, scale: Array, step: Array) -> None:
        self.shift, self.scale, self.step = shift, scale, step
        n_inputs = 2 * _LAGS * len(scale)
        source = np.random.default_rng(_SEED)
        self.weights = source.standard_normal((n_inputs, _WAVES)) / np.sqrt(n_inputs)
        self.phases = source.uniform(0, 2 * np.pi, _WAVES)

    @classmethod
    def of(cls, train: Array) -> _Design:
        step = np.diff(train, axis=1).std(axis=(0, 1))
        scale = train.std(axis=(0, 1))
        return cls(
            train.mean(axis=(0, 1)), np.where(scale > 0, scale, 1.0), np.where(step > 0, step, 1.0)
        )

    def rows(self, paths: Array) -> tuple[Array, Array]:
        """Features (n, T - 1, F) of every row but the last, and the increments (n, T - 1, C)."""
        steps = np.diff(paths, axis=1)
        level = (paths[:, :-1] - self.shift) / self.scale
        before = np.concatenate([np.zeros_like(steps[:, :1]), steps[:, :-1]], axis=1) / self.step
        inputs = np.concatenate(
            [_lagged(part, lag) for part in (level, before) for lag in range(_LAGS)], axis=2
        )
        waves = np.cos(inputs @ self.weights + self.phases)
        ones = np.ones((*inputs.shape[:2], 1))
        return np.concatenate([ones, inputs, waves], axis=2), steps / self.step

    def moments(self, paths: Array) -> tuple[Array, Array]:
        """Inner products (n, F, F) and (n, F, C) of every path."""
        rows, target = self.rows(paths)
        return rows.swapaxes(1, 2) @ rows, rows.swapaxes(1, 2) @ target


def _lagged(values: Array, lag: int) -> Array:
    """Values (n, T, C) of `lag` rows before, the first one repeated."""
    first = np.repeat(values[:, :1], lag, axis=1)
    return np.concatenate([first, values[:, : values.shape[1] - lag]], axis=1)


def _solved(inner: Array, cross: Array) -> Array:
    ridge = _RIDGE * np.trace(inner) / len(inner) * np.eye(len(inner))
    return np.asarray(np.linalg.solve(inner + ridge, cross))
