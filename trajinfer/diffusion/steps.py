r"""One exponential step in $\lambda = -\log\rho$, of any order and any churn.

$y_b = e^{-kh} y_a + \sum_j w_j D_j + e^{-b}\sqrt{1 - e^{-2\tau^2 h}}\,L z$ with
$k = 1 + \tau^2$ and $w_j = \int_a^b k e^{k(\lambda - b)} \ell_j(\lambda)\,d\lambda$.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LONGEST_PIECE = 8.0

Coefficient = float | Tensor


def step_weights(nodes: Sequence[float], a: float, b: float, churn: float = 0.0) -> Array:
    """Weights w_j of the values at `nodes` over a step from a to b, (len(nodes),).

    The interpolation polynomial through the nodes is integrated against the kernel of the step.
    The weights sum to 1 - exp(-(1 + churn^2)(b - a)).
    """
    k = 1 + churn**2
    n_pieces = max(1, math.ceil(k * (b - a) / _LONGEST_PIECE))
    ends = np.linspace(a, b, n_pieces + 1)
    half = np.diff(ends)[:, None] / 2
    lam = ((ends[:-1, None] + ends[1:, None]) / 2 + half * _NODES).ravel()
    kernel = (half * _WEIGHTS).ravel() * k * np.exp(k * (lam - b))
    return np.array([(kernel * _lagrange(nodes, j, lam)).sum() for j in range(len(nodes))])


def _lagrange(nodes: Sequence[float], j: int, lam: Array) -> Array:
    value = np.ones_like(lam)
    for i, node in enumerate(nodes):
        if i != j:
            value = value * (lam - node) / (nodes[j] - node)
    return value


@dataclass(frozen=True)
class Step:
    """One step with its coefficients, numbers or one per entry (D,).

    Attributes:
        decay: of the state.
        weights: of the values of the denoiser, newest first.
        noise: standard deviation of what is added.
    """

    decay: Coefficient
    weights: tuple[Coefficient, ...]
    noise: Coefficient

    @classmethod
    def of(cls, nodes: Array, a: Array, b: Array, churn: float) -> Step:
        """From lam at the nodes (o,) or (o, D), and at both ends, 0-d or (D,)."""
        if np.ndim(a) == 0:
            weights = tuple(map(float, step_weights(list(nodes), float(a), float(b), churn)))
            return cls(float(_decay(a, b, churn)), weights, float(_amplitude(a, b, churn)))
        columns = [
            step_weights(list(n), float(x), float(y), churn) for n, x, y in zip(nodes.T, a, b)
        ]
        by_node = torch.as_tensor(np.stack(columns, axis=1))
        entries = (torch.as_tensor(part(a, b, churn)) for part in (_decay, _amplitude))
        return cls(next(entries), tuple(by_node), next(entries))

    def __call__(self, y: Tensor, values: Sequence[Tensor], xi: Tensor | None) -> Tensor:
        """The state after the step, from values of the denoiser, newest first, and noise L z."""
        result = y * _like(self.decay, y)
        for weight, value in zip(self.weights, values):
            if isinstance(weight, float):
                result = torch.add(result, value, alpha=weight)
            else:
                result = result + _like(weight, y) * value
        return result if xi is None else result + _like(self.noise, y) * xi


def _decay(a: Array, b: Array, churn: float) -> Array:
    return np.asarray(np.exp(-(1 + churn**2) * (b - a)))


def _amplitude(a: Array, b: Array, churn: float) -> Array:
    return np.asarray(np.exp(-b) * np.sqrt(-np.expm1(-2 * churn**2 * (b - a))))


def _like(value: Coefficient, y: Tensor) -> Coefficient:
    return value.to(y.dtype) if isinstance(value, Tensor) else value
