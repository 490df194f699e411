"""The law of one channel of the next row: a regression, and residuals of rows much like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_RIDGES = (1e-9, 1e-5, 1e-3, 1e-1)
_WAVES = (0, 64)
_HELD_OUT = 0.25
_NEAR = 40
_GAIN = 0.01


@packable
@dataclass(frozen=True)
class RowLaw:
    r"""$y = \mu(\phi) + \varepsilon$, with $\varepsilon$ drawn from rows of similar $\mu$.

    $\mu$ is a ridge regression on the features and, where this foretells held-out series better, on
    random cosine waves of them. The law of y given the features is that of y given $\mu$: a draw
    takes one of the 40 training rows whose $\mu$ is nearest.

    Attributes:
        center, scale: (F,) of the features.
        weights: (F, W) of the waves, phases: (W,).
        coefficients: (1 + F + W,).
        fitted: (N,) mu of the training rows, ascending.
        target: (N,) their y.
        score: mean log-likelihood of held-out rows, up to a constant.
    """

    center: Array
    scale: Array
    weights: Array
    phases: Array
    coefficients: Array
    fitted: Array
    target: Array
    score: float

    @classmethod
    def fit(cls, features: Array, target: Array, series: Array, seed: int) -> RowLaw:
        """Learn from rows.

        Args:
            features: (N, F).
            target: (N,).
            series: (N,) number of the series of every row; whole series are held out.
            seed: of the waves and of what is held out.
        """
        rng = np.random.default_rng(seed)
        names = rng.permutation(np.unique(series))
        held = np.isin(series, names[: max(1, round(_HELD_OUT * len(names)))])
        center, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 1e-12 * (1 + np.abs(center)), scale, 1.0)
        spread = float(target.std()) or 1.0
        best: tuple[float, Array, Array, float] | None = None
        for n_waves in _WAVES:
            if n_waves and (~held).sum() < 4 * (features.shape[1] + n_waves):
                continue
            weights = rng.standard_normal((features.shape[1], n_waves)) / np.sqrt(features.shape[1])
            phases = rng.uniform(0, 2 * np.pi, n_waves)
            design = _design((features - center) / scale, weights, phases)
            for ridge in _RIDGES:
                rule = _ridge(design[~held], target[~held], ridge)
                error = target[held] - design[held] @ rule
                score = -0.5 * np.log((error**2).mean() / spread**2 + 1e-20)
                if best is None or score > best[0] + (_GAIN if n_waves else 1e-3):
                    best = (float(score), weights, phases, ridge)
        if best is None:
            raise AssertionError("the linear regression is always tried")
        score, weights, phases, ridge = best
        design = _design((features - center) / scale, weights, phases)
        rule = _ridge(design, target, ridge)
        fitted = design @ rule
        order = np.argsort(fitted)
        return cls(center, scale, weights, phases, rule, fitted[order], target[order], score)

    def draw(self, features: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """For n rows a draw (n,), and the y (n,) of the training row whose residual it took."""
        design = _design((features - self.center) / self.scale, self.weights, self.phases)
        mu = np.clip(design @ self.coefficients, *self._range())
        near = min(_NEAR, len(self.fitted))
        first = np.clip(np.searchsorted(self.fitted, mu) - near // 2, 0, len(self.fitted) - near)
        chosen = first + rng.integers(near, size=len(mu))
        return mu + self.target[chosen] - self.fitted[chosen], self.target[chosen]

    def _range(self) -> tuple[float, float]:
        """Where the regression may point: a little beyond what it pointed at in training."""
        low, high = float(self.fitted[0]), float(self.fitted[-1])
        margin = 0.1 * (high - low)
        return low - margin, high + margin


def _design(features: Array, weights: Array, phases: Array) -> Array:
    ones = np.ones((len(features), 1))
    waves = np.cos(np.clip(features, -6, 6) @ weights + phases)
    return np.concatenate([ones, features, waves], axis=1)


def _ridge(design: Array, target: Array, ridge: float) -> Array:
    penalty = np.full(design.shape[1], ridge * len(design))
    penalty[0] = 0.0
    stacked = np.concatenate([design, np.diag(np.sqrt(penalty))])
    padded = np.concatenate([target, np.zeros(design.shape[1])])
    return np.asarray(np.linalg.lstsq(stacked, padded, rcond=1e-12)[0])
