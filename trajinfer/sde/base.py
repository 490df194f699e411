"""The SDE protocol: what every solver, process and model agrees on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Calculus = Literal["ito", "stratonovich"]
Noise = Literal["diagonal", "scalar", "additive", "general"]


@runtime_checkable
class SDELike(Protocol):
    """Any object with torchsde's names: `f(t, y)`, `g(t, y)`, `sde_type`, `noise_type`."""

    sde_type: str
    noise_type: str

    def f(self, t: Tensor, y: Tensor, /) -> Tensor:
        """Drift, (B, D)."""
        ...

    def g(self, t: Tensor, y: Tensor, /) -> Tensor:
        """Diffusion, (B, D) if diagonal, else (B, D, M)."""
        ...


class SDE(nn.Module, ABC):
    r"""A stochastic differential equation $dY = f(t, Y)\,dt + g(t, Y)\,dW$.

    Subclasses define `f` and `g`. An SDE that is driven by something at run time (a control path, a
    neighbour, an encoder's output) takes it as a third argument `context` of both; `bind(context)`
    gives the plain two-argument view. The names are torchsde's, so either library solves the
    other's models.

    Attributes:
        dim: D, the dimension of the state.
        noise_dim: M, the number of Brownian channels.
        sde_type: "ito" or "stratonovich".
        noise_type: "diagonal" (channel i drives coordinate i), "scalar" (M = 1), "additive" (g does
            not depend on y) or "general".
        commutes: whether the noise commutes; None if not known. "diagonal" promises a shape only: a
            network g whose row i depends on other coordinates does not commute.
    """

    dim: int
    noise_dim: int
    sde_type: Calculus = "ito"
    noise_type: Noise = "diagonal"
    commutes: bool | None = None

    @abstractmethod
    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift at time t (0-d, or (B, 1) where series have their own times) and y (B, D)."""

    @abstractmethod
    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion, (B, D) if `noise_type` is "diagonal", else (B, D, M)."""

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """The product g v, (B, D), for v (B, M)."""
        g = self.g(t, y) if context is None else self.g(t, y, context)
        return apply_diffusion(g, v, self.noise_type)

    def bind(self, context: Any) -> SDE:
        """The same SDE with `context` filled in: a view with the two-argument `f` and `g`."""
        return BoundSDE(self, context)


class BoundSDE(SDE):
    """An SDE together with its context; made by `SDE.bind`."""

    def __init__(self, sde: SDE, context: Any) -> None:
        super().__init__()
        self.sde = sde
        self.context = context
        self.dim, self.noise_dim = sde.dim, sde.noise_dim
        self.sde_type, self.noise_type, self.commutes = sde.sde_type, sde.noise_type, sde.commutes

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift under the bound context."""
        return self.sde.f(t, y, self.context)

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion under the bound context."""
        return self.sde.g(t, y, self.context)

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """The product g v under the bound context."""
        return self.sde.g_prod(t, y, v, self.context)


def apply_diffusion(g: Tensor, v: Tensor, noise_type: str) -> Tensor:
    """The product of a diffusion and a noise vector, whatever the shape of the diffusion."""
    if noise_type == "diagonal":
        return g * v
    return torch.einsum("bdm,bm->bd", g, v)
