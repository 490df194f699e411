r"""Exact transitions of Ornstein-Uhlenbeck processes that share one Brownian motion.

$$Y_k(t + h) = e^{-\gamma_k h} Y_k(t) + u \frac{1 - e^{-\gamma_k h}}{\gamma_k} + \eta_k, \qquad
  \mathrm{Cov}(\eta_i, \eta_j) = \frac{1 - e^{-(\gamma_i + \gamma_j) h}}{\gamma_i + \gamma_j},$$

for a drift $dW \to u\,dt + dW$ that is held over the step. A node at 0 is the Brownian motion
itself. The law holds for steps of any length: nothing limits $\gamma h$.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_CLIP = 1e-14


@dataclass(frozen=True)
class OUTransition:
    """The transition over steps of given lengths.

    Attributes:
        decay: (..., J) factors on the state.
        change: (..., J), decay - 1 without cancellation.
        gain: (..., J) what a unit drift of the noise adds.
        factor: (..., J, R), whose product with its transpose is the covariance of the innovations.
    """

    decay: Tensor
    change: Tensor
    gain: Tensor
    factor: Tensor


def ou_transition(nodes: Tensor, steps: Tensor, *, tolerance: float = _CLIP) -> OUTransition:
    """The exact transition for steps (...) of any length, zero included.

    Args:
        nodes: (J,) rates.
        steps: (...) lengths of the steps.
        tolerance: eigenvalues of the covariance below this share of its trace are dropped; R is
            the largest number kept over all steps.
    """
    h = steps.to(torch.float64).unsqueeze(-1)
    covariance = ou_covariance(nodes, steps)
    values, vectors = torch.linalg.eigh(covariance)
    trace = values.sum(-1, keepdim=True).clamp_min(0.0)
    kept = torch.where(values > tolerance * trace, values, 0.0)
    rank = max(int((kept > 0).sum(-1).max()), 1)
    factor = (vectors * kept.sqrt().unsqueeze(-2))[..., -rank:].flip(-1)
    change = torch.expm1(-nodes * h)
    return OUTransition(1 + change, change, decayed_time(nodes, h), factor)


def ou_covariance(nodes: Tensor, steps: Tensor) -> Tensor:
    """Covariance of the innovations over steps (...), (..., J, J)."""
    h = steps.to(torch.float64)[..., None, None]
    return decayed_time(nodes[:, None] + nodes, h)


def stationary_covariance(nodes: Tensor) -> Tensor:
    r"""Covariance $1/(\gamma_i + \gamma_j)$ of the stationary law, (J, J); 0 for a node at 0.

    The node at 0 has no stationary law; only its increments matter, so that it may start at 0.
    """
    moving = nodes > 0
    total = torch.where(moving[:, None] & moving, nodes[:, None] + nodes, torch.inf)
    return 1 / total


def decayed_time(rates: Tensor, h: Tensor) -> Tensor:
    r"""$\int_0^h e^{-g s} ds = (1 - e^{-g h})/g$, and h where g = 0; broadcasts."""
    zero = rates == 0
    return torch.where(zero, h, -torch.expm1(-rates * h) / torch.where(zero, 1.0, rates))
