"""Convex mixtures of experts by what held-out series say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_THIRD_PAYS = 100.0
_PRIOR = 6.0


@packable
@dataclass(frozen=True)
class Mixture:
    """Shares of experts.

    Attributes:
        names: (E,) of the experts; the first is persistence, whose increment is 0.
        shares: (3, C, E), each row non-negative with sum 1, for the centres of the thirds of the
            horizon; in between they are interpolated.
    """

    names: tuple[str, ...]
    shares: Array

    def weights(self, share: Array) -> Array:
        """(..., C, E) at shares of the horizon (..., C)."""
        position = np.clip(3 * share - 0.5, 0.0, 2.0)
        low = np.minimum(position.astype(int), 1)
        right = (position - low)[..., None]
        channel = np.arange(self.shares.shape[1])
        return np.asarray(
            (1 - right) * self.shares[low, channel] + right * self.shares[low + 1, channel]
        )

    def __call__(self, increments: Array, share: Array) -> Array:
        """Mixed increments (P, C) of those of the experts (P, C, E)."""
        return np.asarray(np.einsum("pce,pce->pc", self.weights(share), increments))


def fit_mixture(
    names: tuple[str, ...], increments: Array, target: Array, share: Array, n_independent: float
) -> Mixture:
    r"""Shares that minimise the held-out squared error, shrunk to what is plausible.

    $$\min_w \frac1P \sum_p \Big(y_p - \sum_e w_e x_{pe}\Big)^2
    + \frac6n\, m_{best} \sum_e (w_e - w_e^0)^2,
    \qquad w \ge 0,\ \sum_e w_e = 1$$

    with the prior $w_e^0 \propto \exp(-\tfrac n2 (m_e / m_{best} - 1))$ of the experts' mean
    squared errors m, worth as much as six of n independent stretches.

    Args:
        names: of the experts.
        increments: (P, C, E) of the held-out pairs, in units of the expected size.
        target: (P, C) true ones, NaN = not observed.
        share: (P, C) leads as shares of the horizon.
        n_independent: number n of independent stretches of a horizon.
    """
    n_channels, n_experts = increments.shape[1:]
    shares = np.zeros((3, n_channels, n_experts))
    shares[:, :, 0] = 1.0
    for c in range(n_channels):
        known = ~np.isnan(target[:, c]) & np.isfinite(increments[:, c]).all(axis=1)
        if known.sum() < 2:
            continue
        x, y = increments[known, c], target[known, c]
        third = np.clip((3 * share[known, c]).astype(int), 0, 2)
        useful = x.any(axis=0)  # a season that is not there is no expert
        useful[0] = True
        x = x[:, useful]
        whole = _shares(x, y, n_independent, None)
        for k in range(3):
            rows = third == k
            own = whole
            if n_independent * rows.mean() >= _THIRD_PAYS:
                own = _shares(x[rows], y[rows], n_independent * rows.mean(), whole)
            shares[k, c] = 0.0
            shares[k, c, useful] = own
    return Mixture(names, shares)


def _shares(x: Array, y: Array, n: float, prior: Array | None) -> Array:
    error = ((y[:, None] - x) ** 2).mean(axis=0)
    if prior is None:
        ratio = error / max(error.min(), 1e-300)
        prior = np.exp(-0.5 * n * np.minimum(ratio - 1, 50.0))
        prior /= prior.sum()
    strength = _PRIOR / max(n, 1.0)
    gram, right = x.T @ x / len(x), x.T @ y / len(x)
    # distances between experts say how strongly the shares are determined
    ridge = strength * (error.min() + 1e-12)
    gram = gram + ridge * np.eye(len(gram))
    right = right + ridge * prior
    root = np.linalg.cholesky(gram + 1e-12 * np.trace(gram) * np.eye(len(gram)))
    heavy = 1e3 * np.sqrt(np.trace(gram))
    a = np.vstack([root.T, np.full((1, len(gram)), heavy)])
    b = np.append(np.linalg.solve(root, right), heavy)
    found, _ = nnls(a, b)
    return np.asarray(found / found.sum())
