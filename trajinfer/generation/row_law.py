"""The law of one channel of the next row: a regression, and residuals of rows much like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.residual_tails import ResidualTails
from trajinfer.generation.ridge import RidgeFamily

_RIDGES = (1e-9, 1e-5, 1e-3, 1e-1)
_SCALE_RIDGES = (1e-2, 1.0)
_WAVES = (0, 64)
_HELD_OUT = 0.25
_NEAR = 40
_GAIN = 0.01
_RIDGE_GAIN = 1e-3
_SCALE_GAIN = 0.005
# residuals below this share of the spread count as none
_EXACT = 1e-9
# mean of log |e| of a standard normal e
_LOG_NORMAL = -0.6351814227307392
_LEVEL_WEIGHT = 0.2


@packable
@dataclass(frozen=True)
class RowLaw:
    r"""$y = \mu(\phi) + \sigma(\psi)\,\varepsilon$, $\varepsilon$ drawn from rows much alike.

    $\mu$ is a ridge regression on the features and, where this foretells held-out series better, on
    random cosine waves of them; its coefficients are drawn towards none or those of a walk.
    $\log\sigma$ is a ridge regression too, where that foretells them better than a constant. The
    law of y given the features is that of y given the step $\mu - y_{last}$, $\sigma$ and, with
    less weight, $\mu$: a draw takes one of the 40 training rows that are nearest in these.
    Residuals far out come from fitted tails (`ResidualTails`).

    Attributes:
        center, scale: (F,) of the features.
        weights: (F, W) of the waves, phases: (W,).
        coefficients: (1 + F + W,).
        scale_coefficients: (1 + F + S,) of $\log\sigma$, on the features and sizes of steps.
        place: (N, 3) step, log-scale and level of the training rows, as they are compared.
        units: (3,) in which they are.
        residual: (N,) their standardised residuals.
        target: (N,) their y.
        tails: of the residuals.
        score: mean log-likelihood of held-out rows, up to a constant.
        weight: (N,) of the training rows; () where all weigh the same.
    """

    center: Array
    scale: Array
    weights: Array
    phases: Array
    coefficients: Array
    scale_coefficients: Array
    place: Array
    units: Array
    residual: Array
    target: Array
    tails: ResidualTails
    score: float
    weight: Array

    @classmethod
    def fit(
        cls,
        features: Array,
        sizes: Array,
        last: Array,
        target: Array,
        series: Array,
        seed: int,
        *,
        importance: Array | None = None,
        has_atoms: bool = False,
    ) -> RowLaw:
        """Learn from rows.

        Args:
            features: (N, F).
            sizes: (N, S) sizes of recent steps, which the scale may depend on.
            last: (N,) value of the row before.
            target: (N,).
            series: (N,) number of the series of every row; whole series are held out.
            seed: of the waves and of what is held out.
            importance: (N,) weights of the rows; None weighs them alike.
            has_atoms: whether single values are frequent, so that the level matters.
        """
        rng = np.random.default_rng(seed)
        names = rng.permutation(np.unique(series))
        held = np.isin(series, names[: max(1, round(_HELD_OUT * len(names)))])
        share = np.ones(len(target)) if importance is None else importance / importance.mean()
        center, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 1e-12 * (1 + np.abs(center)), scale, 1.0)
        unit = (features - center) / scale
        spread = float(target.std()) or 1.0
        score, weights, phases, rule = _regression(unit, last, target, held, share, rng)
        design = _design(unit, weights, phases)
        fitted = design @ rule
        error = target - fitted
        least = max(float(np.sqrt((error**2).mean())) * 1e-3, _EXACT * spread)
        log_size = np.log(np.abs(error) + least) - _LOG_NORMAL
        scale_design = np.concatenate([np.ones((len(unit), 1)), unit, sizes], axis=1)
        scale_rule, gain = _scale_rule(scale_design, log_size, error, held, share)
        log_scale = scale_design @ scale_rule
        residual = error / np.exp(log_scale)
        step = fitted - last
        size = max(float(np.sqrt((error**2).mean())), _EXACT * spread)
        units = np.array([size, 0.5, size / (1.0 if has_atoms else _LEVEL_WEIGHT)])
        place = np.stack([step, log_scale, fitted], axis=1) / units
        tails = ResidualTails.of(residual)
        return cls(
            center,
            scale,
            weights,
            phases,
            rule,
            scale_rule,
            place,
            units,
            residual,
            target,
            tails,
            score + gain,
            np.empty(0) if np.ptp(share) == 0 else share,
        )

    def draw(
        self, features: Array, sizes: Array, last: Array, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """For n rows a draw (n,), and the y (n,) of the training row whose residual it took."""
        unit = (features - self.center) / self.scale
        mu = _design(unit, self.weights, self.phases) @ self.coefficients
        mu = np.clip(mu, *self._range)
        bounded = np.clip(unit, -6, 6)
        log_scale = np.concatenate([np.ones((len(unit), 1)), bounded, sizes], axis=1)
        log_scale = np.clip(log_scale @ self.scale_coefficients, *self._scale_range)
        place = np.stack([mu - last, log_scale, mu], axis=1) / self.units
        near = min(_NEAR, len(self.target))
        rows = self._tree.query(place, k=near)[1].reshape(len(mu), near)
        if len(self.weight):
            shares = self.weight[rows].cumsum(axis=1)
            pick = (shares < rng.random((len(mu), 1)) * shares[:, -1:]).sum(axis=1)
        else:
            pick = rng.integers(near, size=len(mu))
        chosen = rows[np.arange(len(mu)), np.minimum(pick, near - 1)]
        residual = self.tails.extended(self.residual[chosen], rng)
        return mu + np.exp(log_scale) * residual, self.target[chosen]

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.place)

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Where the regression may point: a little beyond what it pointed at in training."""
        known = self.place[:, 2] * self.units[2]
        low, high = float(known.min()), float(known.max())
        margin = 0.1 * (high - low)
        return low - margin, high + margin

    @cached_property
    def _scale_range(self) -> tuple[float, float]:
        """Log-scales but for the outermost hundredths: large steps must not feed themselves."""
        low, high = np.quantile(self.place[:, 1], [0.01, 0.99]) * self.units[1]
        return float(low), float(high)


def _waves(n_features: int, n_rows: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Waves (F, W) and phases (W,) of the designs that are compared."""
    for n_waves in _WAVES:
        if n_waves and n_rows < 4 * (n_features + n_waves):
            continue
        weights = rng.standard_normal((n_features, n_waves)) / np.sqrt(n_features)
        yield weights, rng.uniform(0, 2 * np.pi, n_waves)


def _regression(
    unit: Array, last: Array, target: Array, held: Array, share: Array, rng: np.random.Generator
) -> tuple[float, Array, Array, Array]:
    """Score on held-out rows, waves, phases and coefficients of the regression that foretells best.

    Coefficients are drawn towards none or, where that foretells better, towards those of a walk,
    y = last: of few rows many features are learned with less error so.
    """
    spread = float(target.std()) or 1.0
    best: tuple[float, Array, Array, Array, float] | None = None
    for weights, phases in _waves(unit.shape[1], int((~held).sum()), rng):
        design = _design(unit, weights, phases)
        walk = np.linalg.lstsq(design, last, rcond=1e-10)[0]
        for prior in (np.zeros_like(walk), walk):
            rest = target - design @ prior
            family = RidgeFamily.of(design[~held], rest[~held], share[~held])
            least = _GAIN if len(phases) or prior is walk else _RIDGE_GAIN
            for ridge in _RIDGES:
                error = rest[held] - design[held] @ family.rule(ridge)
                score = float(-0.5 * np.log((error**2).mean() / spread**2 + 1e-20))
                if best is None or score > best[0] + least:
                    best = score, weights, phases, prior, ridge
    if best is None:
        raise AssertionError("the linear regression is always tried")
    score, weights, phases, prior, ridge = best
    design = _design(unit, weights, phases)
    rule = prior + RidgeFamily.of(design, target - design @ prior, share).rule(ridge)
    return score, weights, phases, rule


def _scale_rule(
    design: Array, log_size: Array, error: Array, held: Array, share: Array
) -> tuple[Array, float]:
    """The regression of the log-scale, a constant where no other foretells better, and its gain."""
    level = float(np.average(log_size, weights=share))
    constant = np.zeros(design.shape[1])
    constant[0] = level
    best, gain = constant, 0.0
    plain = _log_likelihood(error[held], np.full(int(held.sum()), level))
    part = RidgeFamily.of(design[~held], log_size[~held], share[~held])
    for ridge in _SCALE_RIDGES:
        found = _log_likelihood(error[held], design[held] @ part.rule(ridge)) - plain
        if found > gain + _SCALE_GAIN:
            best, gain = RidgeFamily.of(design, log_size, share).rule(ridge), found
    return best, gain


def _log_likelihood(error: Array, log_scale: Array) -> float:
    """Mean over rows of a Laplace law, which far errors do not rule, up to a constant."""
    size = np.exp(log_scale)
    ratio = np.abs(error) / size
    return float(-(log_scale + np.log(ratio.mean() + 1e-300)).mean() - 1.0)


def _design(unit: Array, weights: Array, phases: Array) -> Array:
    ones = np.ones((len(unit), 1))
    waves = np.cos(np.clip(unit, -6, 6) @ weights + phases)
    return np.concatenate([ones, unit, waves], axis=1)
