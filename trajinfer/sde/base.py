"""The SDE protocol: what every solver, process and model agrees on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from trajinfer._core.errors import InputError

Calculus = Literal["ito", "stratonovich"]
Noise = Literal["diagonal", "scalar", "additive", "general", "none"]


@runtime_checkable
class SDELike(Protocol):
    """Any object with torchsde's names: `f(t, y)`, `g(t, y)`, `sde_type`, `noise_type`."""

    @property
    def sde_type(self) -> str:
        """Either "ito" or "stratonovich"."""
        ...

    @property
    def noise_type(self) -> str:
        """See `SDE`."""
        ...

    def f(self, t: Tensor, y: Tensor, /) -> Tensor:
        """Drift, (B, D)."""
        ...

    def g(self, t: Tensor, y: Tensor, /) -> Tensor:
        """Diffusion, (B, D) if diagonal, else (B, D, M)."""
        ...


@dataclass(frozen=True)
class LinearDrift:
    """The linear part A y of a drift.

    Args:
        matrix: A, (D, D), or its diagonal, (D,).
    """

    matrix: Tensor


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
            not depend on y), "general", or "none" (an ODE: g is never called, M = 0).
        commutes: whether the noise commutes; None if not known. "diagonal" promises a shape only: a
            network g whose row i depends on other coordinates does not commute.

    A subclass may offer more; solvers look these names up and work without them. With a context,
    each takes it as one more, last argument.

    - `f_and_g(t, y)`, `f_and_g_prod(t, y, v)`: fused evaluations, for a shared trunk.
    - `h(t, y)` (B, D): the reference drift of the log-ratio, under the same diffusion.
    - `control(t, y)` (B, M): u with f = h + g u, so that the log-ratio needs no division.
    - `drift_linear`: a `LinearDrift(A)`, the stiff linear part of f, for `method="exp_euler"`.
    - `exact_step(t, h, y, W, H, Z)` (B, D): the exact law of Y(t + h) given Y(t) = y, for
      `method="exact"`. h (given instead of t + h, whose difference would lose digits) and t are
      0-d tensors or (B, 1) where series have their own times, in the dtype of y. W and H (B, M)
      are the Brownian increment, N(0, h), and its space-time Levy area, N(0, h/12); Z (B, D) is
      standard normal; all three are independent. Where it can, the step follows the Brownian path
      that (W, H) describe and uses Z only for what they leave open. h = 0 must return y unchanged,
      without a division by h.
    - `exact_law(y)`: for exact steps that need much of their lengths alone: None, or a function of
      lengths (S,) on the host that gives tensors of S rows, made once per solve. `exact_step` is
      then handed those of its step, one row or one per series, as `law=`.
    - `unstable_backwards`: text that says why the SDE must not be solved backwards and what to use
      instead; the continuous adjoint is then refused.
    - `exact_noise`: what `exact_step` uses of these, "W", "WH", "WHZ" (the default) or "Z"; what it
      does not use is handed over as None and never drawn.
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

    def h(self, t: Tensor, y: Tensor) -> Tensor:
        """Reference drift under the bound context, for an SDE that has one."""
        reference: Tensor = self.sde.h(t, y, self.context)  # type: ignore[operator]
        return reference


def apply_diffusion(g: Tensor, v: Tensor, noise_type: str) -> Tensor:
    """The product of a diffusion and a noise vector, whatever the shape of the diffusion."""
    if noise_type == "diagonal":
        return g * v
    if g.ndim != 3 or g.shape[2] != v.shape[1]:
        # einsum would spread a single channel over all of them
        raise InputError(
            f"the diffusion must have shape (B, D, {v.shape[1]}) (noise_type {noise_type!r}), got "
            f"{tuple(g.shape)}"
        )
    return torch.einsum("bdm,bm->bd", g, v)
