"""What Gaussian transition laws tell about the learnable numbers of a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.references.linalg import cholesky, whiten
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.transitions import Transition

_DIFFERENCE = 1e-5

Laws = Callable[[], Sequence[Transition]]


def fisher_information(
    vector: ParameterVector,
    laws: Laws,
    masses: Sequence[Tensor],
    shrinkage: Callable[[], Tensor | None],
) -> Array:
    r"""Information (P, P) that transition means and variances carry about the learnable numbers.

    By differences: $\sum_i a_i [\partial m_i^T P_i^{-1} \partial m_i + \tfrac12 \partial v_i^2]$
    with v the log standard deviations of the whitened coordinates, plus that of the ridge.

    Args:
        vector: the numbers; they are left as they are.
        laws: at the present numbers.
        masses: (S, N) of the starts of every law.
        shrinkage: vector whose half squared norm is the ridge; None for no ridge.
    """
    return information_and_slope(vector, laws, masses, shrinkage, _nothing)[0]


def information_and_slope(
    vector: ParameterVector,
    laws: Laws,
    masses: Sequence[Tensor],
    shrinkage: Callable[[], Tensor | None],
    value: Callable[[Sequence[Transition]], float],
) -> tuple[Array, Array]:
    """The same, with the slope (P,) of a value of the laws, from the same differences."""
    start = vector.get()
    with torch.no_grad():
        centers, ridge = laws(), shrinkage()
        columns, slope, at_start = [], np.zeros(len(start)), value(centers)
        for position in range(len(start)):
            moved = start.copy()
            moved[position] += _DIFFERENCE
            vector.set(moved)
            found = laws()
            parts = [
                part
                for center, law, mass in zip(centers, found, masses)
                for part in _whitened_change(center, law, mass)
            ]
            held_back = shrinkage()
            if ridge is not None and held_back is not None:
                parts.append(held_back - ridge)
            columns.append(torch.cat(parts) / _DIFFERENCE)
            slope[position] = (value(found) - at_start) / _DIFFERENCE
        vector.set(start)
    slopes = np.nan_to_num(torch.stack(columns, dim=1).numpy(), posinf=0.0, neginf=0.0)
    return np.asarray(slopes.T @ slopes), slope


def as_metric(information: Array) -> Array:
    """The same with a floor under its eigenvalues, so that a search may be round in it."""
    floor = 1e-8 * max(1e-8, np.diag(information).max(initial=0.0))
    return np.asarray(information + floor * np.eye(len(information)))


def _whitened_change(center: Transition, law: Transition, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Change of means and of variances in the units of the law at the centre."""
    factor, _ = cholesky(center.covariance)
    factor = factor.expand(*center.mean.shape, -1)
    root = mass.sqrt().unsqueeze(2)
    mean = whiten(factor, (law.mean - center.mean).unsqueeze(3)).squeeze(3)
    change = (law.covariance - center.covariance).expand(*center.mean.shape, -1)
    variance = whiten(factor, whiten(factor, change).mT).diagonal(dim1=2, dim2=3)
    return (root * mean).flatten(), (root * variance).flatten() / 2**0.5


def _nothing(_: Sequence[Transition]) -> float:
    return 0.0
