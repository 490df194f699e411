"""Lotka-Volterra: prey and predator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


class LotkaVolterra(Process):
    r"""Prey x and predator y: $dx = (\alpha x - \beta x y)dt$, $dy = (\delta x y - \gamma y)dt$.

    Args:
        alpha: growth rate of the prey.
        beta: predation rate.
        delta: growth of the predator per prey.
        gamma: death rate of the predator.
        volatility: see `Process`.
    """

    def __init__(
        self,
        alpha: Any = None,
        beta: Any = None,
        delta: Any = None,
        gamma: Any = None,
        *,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "alpha": Parameter(alpha, 0.1, positive=True, time_power=-1),
            "beta": Parameter(beta, 0.1, positive=True, time_power=-1, state_power=-1),
            "delta": Parameter(delta, 0.1, positive=True, time_power=-1, state_power=-1),
            "gamma": Parameter(gamma, 0.1, positive=True, time_power=-1),
        }
        super().__init__(2, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Prey grows by itself and is eaten, predators grow by eating and die."""
        prey, predator = y.unbind(-1)
        meetings = prey * predator
        return torch.stack(
            (
                p["alpha"] * prey - p["beta"] * meetings,
                p["delta"] * meetings - p["gamma"] * predator,
            ),
            dim=-1,
        )

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the drift, written out."""
        prey, predator = y.unbind(-1)
        entries = (
            p["alpha"] - p["beta"] * predator,
            -p["beta"] * prey,
            p["delta"] * predator,
            p["delta"] * prey - p["gamma"],
        )
        return torch.stack(entries, dim=-1).reshape(-1, 2, 2)
