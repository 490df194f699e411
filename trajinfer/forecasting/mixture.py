"""Convex mixtures of experts by what held-out series say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.quantiles import interpolated

_THIRD_PAYS = 100.0
_PRIOR = 6.0
_FEWEST_ANSWERS = 0.2


@packable
@dataclass(frozen=True)
class Mixture:
    """Shares of experts.

    Attributes:
        names: (E,) of the experts; the first is persistence, whose increment is 0.
        shares: (3, C, E), each row non-negative with sum 1, for the centres of the thirds of the
            horizon; in between they are interpolated.
        without_all: (3, C, E) the same where some of these experts have no answer, such as those
            that need a past season.
    """

    names: tuple[str, ...]
    shares: Array
    without_all: Array

    def weights(self, share: Array, answered: Array) -> Array:
        """(P, C, E) at shares of the horizon (P, C), given which experts have answers (P, C, E)."""
        complete = (answered | (self.shares == 0).all(axis=0)).all(axis=2)
        return np.where(
            complete[:, :, None],
            interpolated(self.shares, share),
            interpolated(self.without_all, share),
        )

    def __call__(self, increments: Array, share: Array) -> Array:
        """Mixed increments (P, C) of those of the experts (P, C, E), NaN = no answer."""
        answered = ~np.isnan(increments)
        weights = self.weights(share, answered)
        return np.asarray(np.einsum("pce,pce->pc", weights, np.where(answered, increments, 0.0)))


def fit_mixture(
    names: tuple[str, ...],
    increments: Array,
    target: Array,
    share: Array,
    n_independent: float,
    weight: Array | None = None,
    belief: Array | None = None,
) -> Mixture:
    r"""Shares that minimise the held-out squared error, shrunk to what is plausible.

    $$\min_w \frac1P \sum_p \Big(y_p - \sum_e w_e x_{pe}\Big)^2
    + \frac{6}n \Big[\frac1P \sum_p \Big(\sum_e (w_e - w_e^0) x_{pe}\Big)^2
    + m_{best} \sum_e (w_e - w_e^0)^2\Big], \qquad w \ge 0,\ \sum_e w_e = 1$$

    with the prior $w_e^0 \propto \pi_e m_e^{-n}$ of the experts' mean squared errors m, worth as
    much as twelve of n independent stretches; $m^{-k/2}$ is the likelihood of k independent errors
    whose size is not known, and a stretch, with its shorter leads, holds about two.

    Args:
        names: of the experts.
        increments: (P, C, E) of the held-out pairs, in units of the expected size; NaN = no answer.
            An expert that answers less than a fifth of them is not asked.
        target: (P, C) true ones, NaN = not observed.
        share: (P, C) leads as shares of the horizon.
        n_independent: number n of independent stretches of a horizon.
        weight: (P,) of the pairs in the means over them; None: they count alike.
        belief: (E,) pi, what is thought of the experts before anything is seen; None: all alike.
    """
    weight = np.ones(len(target)) if weight is None else weight
    belief = np.ones(len(names)) if belief is None else belief
    n_channels, n_experts = increments.shape[1:]
    shares = np.zeros((3, n_channels, n_experts))
    shares[:, :, 0] = 1.0
    without_all = shares.copy()
    for c in range(n_channels):
        known = ~np.isnan(target[:, c])
        answered = np.asarray(~np.isnan(increments[known, c]))
        if not known.any():
            continue
        often = answered.mean(axis=0)
        for made, fewest in ((without_all, 1.0), (shares, _FEWEST_ANSWERS)):
            asked = often >= fewest
            rows = np.flatnonzero(known)[answered[:, asked].all(axis=1)]
            if len(rows) >= 2:
                x, n = increments[rows][:, c, asked], n_independent * len(rows) / known.sum()
                y, own = target[rows, c], share[rows, c]
                made[:, c] = 0.0
                made[:, c, asked] = _by_third(x, y, own, n, weight[rows], belief[asked])
    return Mixture(names, shares, without_all)


def _by_third(x: Array, y: Array, share: Array, n: float, weight: Array, belief: Array) -> Array:
    """Shares (3, E) of one channel."""
    third = np.clip((3 * share).astype(int), 0, 2)
    useful: Array = np.asarray(x.any(axis=0))
    useful[0] = True
    x = x[:, useful]
    n *= weight.sum() ** 2 / (weight**2).sum() / len(weight)
    whole = _shares(x, y, n, weight, _plausible(x, y, n, weight) * belief[useful])
    result = np.zeros((3, len(useful)))
    for k in range(3):
        rows, own = third == k, whole
        if n * rows.mean() >= _THIRD_PAYS:
            own = _shares(x[rows], y[rows], n * rows.mean(), weight[rows], whole)
        result[k, useful] = own
    return result


def _plausible(x: Array, y: Array, n: float, weight: Array) -> Array:
    """Plausibility (E,) of each expert by itself; the best has 1."""
    error = np.maximum(weight @ (y[:, None] - x) ** 2, 1e-300)
    return np.asarray((error / error.min()) ** -n)


def _shares(x: Array, y: Array, n: float, weight: Array, prior: Array) -> Array:
    """Shares (E,) that minimise the penalised error around a prior in proportion to (E,)."""
    weight, prior = weight / weight.sum(), prior / prior.sum()
    error = weight @ (y[:, None] - x) ** 2
    strength = _PRIOR / max(n, 1.0)
    gram, right = (x.T * weight) @ x, x.T @ (weight * y)
    ridge = strength * (error.min() + 1e-12)
    pull = strength * gram + ridge * np.eye(len(gram))
    gram, right = gram + pull, right + pull @ prior
    root = np.linalg.cholesky(gram + 1e-12 * np.trace(gram) * np.eye(len(gram)))
    heavy = 1e3 * np.sqrt(np.trace(gram))
    a = np.vstack([root.T, np.full((1, len(gram)), heavy)])
    b = np.append(np.linalg.solve(root, right), heavy)
    found, _ = nnls(a, b)
    return np.asarray(found / found.sum())
