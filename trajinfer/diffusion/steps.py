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
    return np.asarray((_lagrange(past, lam) @ kernel[..., None])[..., 0])


def _lagrange(nodes: Array, lam: Array) -> Array:
    """The polynomials that are 1 at one node and 0 at the others, (..., o, Q), at lam (..., Q)."""
    own = np.eye(nodes.shape[-1], dtype=bool)
    gaps = np.where(own, 1.0, nodes[..., :, None] - nodes[..., None, :])
    factors = (lam[..., None, :] - nodes[..., None])[..., None, :, :] / gaps[..., None]
    return np.asarray(np.where(own[..., None], 1.0, factors).prod(axis=-2))


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

    def __call__(self, y: Tensor, values: Sequence[Tensor], xi: Tensor | None) -> Tensor:
        """The state after the step, from values of the denoiser, newest first, and noise L z."""
        result = y * _like(self.decay, y)
        for weight, value in zip(self.weights, values):
            _accumulate(result, weight, value)
        if xi is not None:
            _accumulate(result, self.noise, xi)
        return result


def _accumulate(result: Tensor, weight: Coefficient, value: Tensor) -> None:
    """Add weight times value in place: a step allocates its state and nothing else."""
    if isinstance(weight, float):
        result.add_(value, alpha=weight)
    else:
        result.addcmul_(weight.to(result.dtype), value)


def single_step(nodes: Sequence[float], a: float, b: float) -> Step:
    """The step without churn from lam a to b, by values at the nodes, newest first."""
    return Step(math.exp(a - b), tuple(step_weights(nodes, a, b).tolist()), 0.0)


def multisteps(
    lams: Array, orders: Sequence[int], corrections: Sequence[bool], churn: float
) -> list[Step]:
    r"""The steps of a plan, each with the correction of the step before it.

    The step to i from values up to i - 1 is the prediction $P_i$; redone with $D_i$ it is
    $S_i = P_i + \sum_j \delta_j D_{i-j}$, since decay and noise of both are the same. The next
    prediction starts from $S_i$, and so is a sum of $P_i$ and values alone: $S_i$ is never formed.

    Args:
        lams: the grid, (n + 1,) or (n + 1, D).
        orders: values of the denoiser that step i uses.
        corrections: whether step i is redone with the next value.
        churn: tau.
    """
    past = [lams[i - order + 1 : i + 1][::-1] for i, order in enumerate(orders)]
    again = [i for i, is_redone in enumerate(corrections) if is_redone]
    with_next = [np.concatenate([lams[i + 1 : i + 2], past[i]]) for i in again]
    of = [*range(len(past)), *again]
    weights = _weights([*past, *with_next], lams[:-1][of], lams[1:][of], churn)
    redone = dict(zip(again, weights[len(past) :], strict=True))
    lengths = np.diff(lams, axis=0)
    decays = np.exp(-(1 + churn**2) * lengths)
    noises = np.exp(-lams[1:]) * np.sqrt(-np.expm1(-2 * churn**2 * lengths))
    steps = []
    for i, own in enumerate(weights[: len(past)]):
        if i - 1 in redone:
            own = _after_correction(own, weights[i - 1], redone[i - 1], decays[i])
        steps.append(Step(_coefficient(decays[i]), _coefficients(own), _coefficient(noises[i])))
    return steps


def _after_correction(own: Array, predicted: Array, redone: Array, decay: Array) -> Array:
    """Weights of a step, and of what the correction before it leaves."""
    moved = redone.copy()
    moved[1:] -= predicted
    total = np.zeros((max(len(own), len(moved)), *own.shape[1:]))
    total[: len(own)] = own
    total[: len(moved)] += decay * moved
    return total


def _weights(nodes: Sequence[Array], starts: Array, ends: Array, churn: float) -> list[Array]:
    """`step_weights` of n steps, those with equally many nodes at once; arrays like the nodes."""
    found: dict[int, Array] = {}
    for count in {len(one) for one in nodes}:
        rows = [i for i, one in enumerate(nodes) if len(one) == count]
        stacked = np.stack([nodes[i].T for i in rows])
        weights = step_weights(stacked, starts[rows], ends[rows], churn)
        found |= {i: own.T for i, own in zip(rows, weights, strict=True)}
    return [found[i] for i in range(len(nodes))]


def _coefficients(values: Array) -> tuple[Coefficient, ...]:
    """Numbers of (o,), or tensors (D,) of (o, D)."""
    return tuple(values.tolist() if values.ndim == 1 else map(_coefficient, values))


def _coefficient(value: Any) -> Coefficient:
    return float(value) if np.ndim(value) == 0 else torch.as_tensor(np.array(value))


def _like(value: Coefficient, y: Tensor) -> Coefficient:
    return value.to(y.dtype) if isinstance(value, Tensor) else value
