"""What a process with known equations provides: it simulates data and serves as a reference."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import IncompatibleSolver, InputError
from trajinfer._core.packing import packable
from trajinfer.nn import Parameter, Parameters
from trajinfer.processes.affine_transition import AffineTransition
from trajinfer.processes.jacobian import jacobian
from trajinfer.sde import SDE

_OWN_MODULES = "trajinfer."
Values = Mapping[str, Tensor]
Volatility = float | Array | Callable[[Tensor], Tensor] | None


class Process(SDE):
    r"""An Ito SDE $dX = b_\theta(X)\,dt + \sigma(X)\,dW$ with one Brownian channel per coordinate.

    A parameter given as a number is held fixed; one that is not given is learnable, from a neutral
    start. `learn(*names)` frees given values, which are then the start.

    Args:
        dim: D.
        volatility: a positive number, one per coordinate (D,), or a callable y -> (B, D); None
            leaves it open, to be set by whoever fits or simulates.
        declared: the parameters of the drift by name.

    Attributes:
        settings: names of the constructor's arguments that are no parameters, for saving.
        linear_in_parameters: whether the drift is linear in all its parameters.

    Raises:
        InputError: for values of the wrong shape or sign.
    """

    sde_type = "ito"
    commutes: bool | None = True
    settings: ClassVar[tuple[str, ...]] = ()
    linear_in_parameters: ClassVar[bool] = False

    def __init__(self, dim: int, volatility: Volatility, declared: Mapping[str, Parameter]) -> None:
        super().__init__()
        self.dim = self.noise_dim = require_integer(dim, "dim", least=1)
        self._volatility_law: Callable[[Tensor], Tensor] | None = None
        self._volatility_known = False
        unit = np.ones(self.dim)
        open_volatility = Parameter(value=unit, start=unit, positive=True)
        self.coefficients = Parameters({**declared, "volatility": open_volatility})
        if volatility is not None:
            self.set_volatility(volatility)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith(_OWN_MODULES):  # classes of users may bear any name
            packable(cls)

    @abstractmethod
    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Drift b(y), (B, D), at the parameter values p."""

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Jacobian of the drift, (B, D, D), at the parameter values p."""
        return jacobian(lambda x: self.drift(t, x, p), y)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """Matrix A and offset c where the drift is A y + c with constant noise; else None."""
        return None

    def shrinkage(self, p: Values) -> Tensor | None:
        """Vector whose half squared norm is added to the objective; None for no ridge."""
        return None

    def noise_scale(self, t: Tensor, y: Tensor) -> Tensor | None:
        """Factor (B, D) by which the volatility is multiplied; None where it is 1."""
        return None

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Convert neutral starts to the units of the data.

        Args:
            center: (D,) mean of the data.
            scale: (D,) standard deviation of the data.
            duration: typical time between observations.
        """
        size = float(np.sqrt(np.mean(center**2 + scale**2)))
        self.coefficients.to_natural_units(state=size, time=duration)

    def values(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Current parameter values, differentiable in the learnable ones."""
        return self.coefficients.values(dtype)

    def parameters_dict(self) -> dict[str, float | Array]:
        """Current values of the drift's parameters: floats, or arrays where they have a shape."""
        values = {k: v.detach().cpu().numpy().copy() for k, v in self.values().items()}
        return {k: v.item() if v.ndim == 0 else v for k, v in values.items() if k != "volatility"}

    def learn(self, *names: str) -> Self:
        """Free parameters that were given values; these are then the start. Returns self.

        Raises:
            InputError: if there is no parameter of that name.
        """
        self.coefficients.learn(*names)
        return self

    @property
    def learnable(self) -> list[str]:
        """Names of the parameters that a fit may change."""
        return self.coefficients.learnable

    @property
    def volatility(self) -> Array | Callable[[Tensor], Tensor] | None:
        """(D,) numbers, the callable given, or None where it was left open."""
        if self._volatility_law is not None:
            return self._volatility_law
        if not self._volatility_known:
            return None
        return np.asarray(self.values()["volatility"].detach().cpu().numpy()).copy()

    def set_volatility(self, volatility: Volatility) -> None:
        """State the volatility: a positive number, (D,) numbers, or a callable y -> (B, D).

        Raises:
            InputError: if it is not positive or has the wrong shape.
        """
        if callable(volatility):
            self._volatility_law = volatility
        else:
            self.coefficients.assign("volatility", volatility)
            self._volatility_law = None
        self._volatility_known = True

    @property
    def noise_type(self) -> str:  # type: ignore[override]
        """Additive where the diffusion is constant, else diagonal."""
        state_dependent = self._volatility_law is not None or self._scales_noise()
        return "diagonal" if state_dependent else "additive"

    def diffusion(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Diffusion of every coordinate, (B, D) or, where it is constant, (D,).

        Raises:
            InputError: if the volatility was left open.
        """
        if self._volatility_law is not None:
            return self._volatility_law(y)
        volatility = self.known_volatility(p)
        scale = self.noise_scale(t, y)
        return volatility if scale is None else volatility * scale

    def known_volatility(self, p: Values) -> Tensor:
        """The volatility (D,) where it is a set of numbers.

        Raises:
            InputError: if it was left open.
        """
        if not self._volatility_known:
            raise InputError(
                f"the volatility of {type(self).__name__} is not known; give volatility= "
                "(a number, one per coordinate, or a callable)"
            )
        return p["volatility"]

    def f(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Drift, (B, D)."""
        return self.drift(t, y, self.values(y.dtype))

    def g(self, t: Tensor, y: Tensor, context: Any = None) -> Tensor:
        """Diffusion, (B, D), or (B, D, D) where it is additive."""
        diffusion = self.diffusion(t, y, self.values(y.dtype)).expand_as(y)
        return torch.diag_embed(diffusion) if self.noise_type == "additive" else diffusion

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor, context: Any = None) -> Tensor:
        """The product g v, (B, D), coordinate by coordinate."""
        return self.diffusion(t, y, self.values(y.dtype)) * v

    @property
    def exact_noise(self) -> str:
        """The exact step of an affine process needs one standard normal per coordinate."""
        return "Z"

    def exact_law(self, y: Tensor) -> Callable[[Array], tuple[Tensor, ...]] | None:
        """From lengths of steps (S,) to flow, shift and factor of each; None if not affine."""
        p = self.values(y.dtype)
        affine = self.affine(p)
        if affine is None:
            return None
        rate = torch.diag(self.known_volatility(p).square())
        return AffineTransition.of(*affine, rate).steps

    def exact_step(
        self,
        t: Tensor,
        h: Tensor,
        y: Tensor,
        W: Tensor | None,
        H: Tensor | None,
        Z: Tensor | None,
        *,
        law: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """A draw from the exact transition law of an affine process.

        Raises:
            IncompatibleSolver: if the drift is not affine or the noise not constant.
        """
        if law is None and (found := self.exact_law(y)) is not None:
            law = found(h.detach().reshape(-1).cpu().numpy())
        if law is None or Z is None:
            raise IncompatibleSolver(
                f"{type(self).__name__} has no exact step (its drift is not affine or its noise "
                "not constant); try method='sra1' or method='milstein'",
                method="exact",
            )
        flow, shift, factor = law
        return _apply(flow, y) + _apply(factor, Z) + shift

    @property
    def has_exact_step(self) -> bool:
        """Whether `exact_step` applies."""
        return self.affine(self.values()) is not None

    def copy(self) -> Self:
        """An independent copy."""
        return copy.deepcopy(self)

    def to_state(self) -> dict[str, Any]:
        """Settings and tensors from which `from_state` makes the process again.

        Raises:
            InputError: if the volatility is a callable.
        """
        require_savable(self)
        return {
            "settings": {name: getattr(self, name) for name in self.settings},
            "learnable": self.learnable,
            "neutral": sorted(self.coefficients.neutral),
            "volatility_known": self._volatility_known,
            "tensors": {k: v.detach().clone() for k, v in self.state_dict().items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The process that `to_state` described."""
        process = cls(**state["settings"])
        learnable = set(state["learnable"])
        process.coefficients.fix(*(name for name in process.learnable if name not in learnable))
        process.learn(*learnable)
        process.coefficients.neutral &= set(state["neutral"])
        if state["volatility_known"]:
            process.set_volatility(1.0)
        process.load_state_dict(dict(state["tensors"]))
        return process

    def _scales_noise(self) -> bool:
        return type(self).noise_scale is not Process.noise_scale


def _apply(matrices: Tensor, y: Tensor) -> Tensor:
    """One matrix for all rows of y (B, D), or one for each."""
    if len(matrices) == 1:
        return y @ matrices[0].mT
    return (matrices @ y.unsqueeze(2)).squeeze(2)


def require_savable(sde: Any) -> None:
    """Refuse an SDE whose code would have to be saved.

    Raises:
        InputError: if it is not one of the package's processes or its volatility is a callable.
    """
    name = type(sde).__name__
    if not (isinstance(sde, Process) and type(sde).__module__.startswith(_OWN_MODULES)):
        raise InputError(
            f"{name} is not a process of trajinfer, so its code cannot be saved; save its "
            "state_dict() and fit again with the class at hand"
        )
    if callable(sde.volatility):
        raise InputError("a callable volatility cannot be saved; give numbers instead")
