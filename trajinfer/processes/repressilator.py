"""The repressilator: three genes that repress each other in a ring."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility

_FLOOR = 1e-8


class Repressilator(Process):
    r"""Gene i is repressed by gene i-1 (in a ring of three) and degraded,

    $dx_i = \left(\frac{\beta}{1 + (x_{i-1}/k)^n} - \gamma x_i\right) dt$ plus noise.

    Concentrations below zero, which additive noise can produce, repress nobody.

    Args:
        beta: maximal production rate.
        n: Hill exponent.
        k: concentration of half repression.
        gamma: degradation rate.
        volatility: see `Process`.
    """

    def __init__(
        self,
        beta: Any = None,
        n: Any = None,
        k: Any = None,
        gamma: Any = None,
        *,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "beta": Parameter(beta, 3.0, positive=True, state_power=1, time_power=-1),
            "n": Parameter(n, 2.0, positive=True),
            "k": Parameter(k, 0.5, positive=True, state_power=1),
            "gamma": Parameter(gamma, 1.0, positive=True, time_power=-1),
        }
        super().__init__(3, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Repressed production minus degradation."""
        return p["beta"] * self._activity(y, p) - p["gamma"] * y

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the drift, written out."""
        activity = self._activity(y, p)
        repressor = y.roll(1, dims=-1)
        slope = p["n"] * activity * (1 - activity) / repressor.clamp_min(_FLOOR)
        slope = -p["beta"] * torch.where(repressor > _FLOOR, slope, 0.0)
        degradation = -p["gamma"] * torch.eye(3, dtype=y.dtype, device=y.device)
        ring = torch.eye(3, dtype=y.dtype, device=y.device).roll(-1, dims=-1)
        return slope.unsqueeze(-1) * ring + degradation

    @staticmethod
    def _activity(y: Tensor, p: Values) -> Tensor:
        ratio = y.roll(1, dims=-1).clamp_min(_FLOOR) / p["k"]
        return torch.sigmoid(-p["n"] * ratio.log())
