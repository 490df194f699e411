r"""One exponential step in $\lambda = -\log\rho$, of any order and any churn.

$y_b = e^{-kh} y_a + \sum_j w_j D_j + e^{-b}\sqrt{1 - e^{-2\tau^2 h}}\,L z$ with
$k = 1 + \tau^2$ and $w_j = \int_a^b k e^{k(\lambda - b)} \ell_j(\lambda)\,d\lambda$.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LONGEST_PIECE = 8.0

Coefficient = float | Tensor


def step_weights(nodes: Any, a: Any, b: Any, churn: float = 0.0) -> Array:
    """Weights w_j of the values at `nodes` over a step from a to b, (..., o).

    The interpolation polynomial through the nodes is integrated against the kernel of the step.
    The weights sum to 1 - exp(-(1 + churn^2)(b - a)).

    Args:
        nodes: (..., o) lam of the values.
        a, b: (...) lam at both ends.
        churn: tau.
    """
    k = 1 + churn**2
    past, begin, end = (np.asarray(x, dtype=np.float64) for x in (nodes, a, b))
    n_pieces = max(1, math.ceil(k * (end - begin).max() / _LONGEST_PIECE))
    half = (end - begin)[..., None] / (2 * n_pieces)
    middles = begin[..., None] + half * (2 * np.arange(n_pieces) + 1)
    lam = (middles[..., None] + half[..., None] * _NODES).reshape(*begin.shape, -1)
    kernel = half * np.tile(_WEIGHTS, n_pieces) * k * np.exp(k * (lam - end[..., None]))
    columns = [(kernel * _lagrange(past, j, lam)).sum(-1) for j in range(past.shape[-1])]
    return np.stack(columns, axis=-1)


def _lagrange(nodes: Array, j: int, lam: Array) -> Array:
    value = np.ones_like(lam)
    for i in range(nodes.shape[-1]):
        if i != j:
            node, own = nodes[..., i, None], nodes[..., j, None]
            value = value * (lam - node) / (own - node)
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
        return steps_of([nodes], np.asarray(a)[None], np.asarray(b)[None], churn)[0]

    def __call__(self, y: Tensor, values: Sequence[Tensor], xi: Tensor | None) -> Tensor:
        """The state after the step, from values of the denoiser, newest first, and noise L z."""
        result = y * _like(self.decay, y)
        terms = [*zip(self.weights, values), *([] if xi is None else [(self.noise, xi)])]
        for weight, value in terms:
            if isinstance(weight, float):
                result.add_(value, alpha=weight)
            else:
                result.addcmul_(weight.to(y.dtype), value)
        return result


def steps_of(nodes: Sequence[Array], starts: Array, ends: Array, churn: float) -> list[Step]:
    """Steps, those with equally many nodes at once.

    Args:
        nodes: n arrays of lam, newest first, (o,) or (o, D).
        starts, ends: lam at the ends, (n,) or (n, D).
        churn: tau.
    """
    decay, noise = _decay(starts, ends, churn), _amplitude(starts, ends, churn)
    found: dict[int, Step] = {}
    for count in {len(one) for one in nodes}:
        rows = [i for i, one in enumerate(nodes) if len(one) == count]
        stacked = np.stack([nodes[i].T for i in rows])
        weights = step_weights(stacked, starts[rows], ends[rows], churn)
        for i, own in zip(rows, weights, strict=True):
            parts = (decay[i], *own.T, noise[i])
            first, *middle, last = (_coefficient(part) for part in parts)
            found[i] = Step(first, tuple(middle), last)
    return [found[i] for i in range(len(nodes))]


def _coefficient(value: Any) -> Coefficient:
    return float(value) if np.ndim(value) == 0 else torch.as_tensor(np.array(value))


def _decay(a: Array, b: Array, churn: float) -> Array:
    return np.asarray(np.exp(-(1 + churn**2) * (b - a)))


def _amplitude(a: Array, b: Array, churn: float) -> Array:
    return np.asarray(np.exp(-b) * np.sqrt(-np.expm1(-2 * churn**2 * (b - a))))


def _like(value: Coefficient, y: Tensor) -> Coefficient:
    return value.to(y.dtype) if isinstance(value, Tensor) else value
