"""The learnable numbers of a reference as one vector, and the search over them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.minimise import minimise
from trajinfer.processes import Process
from trajinfer.sde import SDELike

_VOLATILITY = "coefficients.volatility"


class ParameterVector:
    """The learnable numbers of a reference as one vector in natural units.

    Args:
        sde: the reference, or a module that holds it among other things.
        with_volatility: whether a learnable volatility is one of them; paths cannot tell it.
    """

    def __init__(self, sde: SDELike | nn.Module, *, with_volatility: bool = True) -> None:
        module = sde if isinstance(sde, nn.Module) else nn.Module()
        units: dict[str, float] = {}
        for part in module.modules():
            if isinstance(part, Process):
                units |= part.coefficients.units
        named = [
            (name, p)
            for name, p in module.named_parameters()
            if p.requires_grad and (with_volatility or not name.endswith(_VOLATILITY))
        ]
        self.tensors = [p for _, p in named]
        self._units = [units.get(name.rpartition(".")[2], 1.0) for name, _ in named]

    def __len__(self) -> int:
        return sum(p.numel() for p in self.tensors)

    def get(self) -> Array:
        """Current values."""
        parts = [p.detach().flatten() / u for p, u in zip(self.tensors, self._units)]
        return torch.cat(parts).double().numpy().copy() if parts else np.zeros(0)

    def set(self, vector: Array) -> None:
        """Overwrite the values."""
        position = 0
        with torch.no_grad():
            for p, unit in zip(self.tensors, self._units):
                part = vector[position : position + p.numel()] * unit
                p.copy_(torch.as_tensor(part).reshape(p.shape))
                position += p.numel()

    def gradient_of(self, value: Tensor) -> Array:
        """Gradient of a scalar with respect to the numbers; zero where it does not depend."""
        if not value.requires_grad:
            return np.zeros(len(self))
        slopes = torch.autograd.grad(value, self.tensors, allow_unused=True)
        parts = [
            (torch.zeros_like(p) if slope is None else slope).flatten() * u
            for p, slope, u in zip(self.tensors, slopes, self._units)
        ]
        return torch.cat(parts).double().numpy()

    def minimise(
        self,
        objective: Callable[[], Tensor],
        *,
        max_iterations: int,
        reach: float = np.inf,
        metric: Array | None = None,
    ) -> float:
        """Minimise over the numbers by L-BFGS; they end at the best values met.

        Args:
            objective: 0-d tensor; not finite where the parameters are not admissible.
            max_iterations: of L-BFGS.
            reach: the farthest any number may move, in natural units.
            metric: positive definite matrix, roughly the Hessian, in which the search is round.

        Returns:
            The least value met.
        """

        def evaluate(vector: Array) -> tuple[float, Array]:
            self.set(vector)
            value = objective()
            if not bool(torch.isfinite(value)):
                return np.inf, np.zeros(len(vector))
            return value.item(), self.gradient_of(value)

        round_metric = None if metric is None else np.linalg.inv(np.linalg.cholesky(metric)).T
        with torch.enable_grad():
            minimum = minimise(
                evaluate,
                self.get(),
                stretch=round_metric,
                reach=reach,
                options={"maxiter": max_iterations},
            )
        self.set(minimum.x)
        return minimum.value
