"""What a bridge needs to know of its reference: drift, Jacobian and noise around a point."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver
from trajinfer.processes import Process, Values
from trajinfer.processes.jacobian import jacobian
from trajinfer.sde import SDELike

Field = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Dynamics:
    """A reference with its parameter values filled in.

    Attributes:
        drift: (t, y) -> (B, D).
        jacobian: (t, y) -> (B, D, D) of the drift.
        covariance_rate: (t, y) -> (B, D, D) or (D, D), the matrix g g^T.
        affine: matrix, offset and covariance rate where the drift is affine and time-independent
            and the noise constant; None otherwise.
    """

    drift: Field
    jacobian: Field
    covariance_rate: Field
    affine: tuple[Tensor, Tensor, Tensor] | None

    def linearised(self) -> Dynamics:
        """The same, treated by the linear-noise equations even where it is affine."""
        return replace(self, affine=None)

    def without_drift(self) -> Dynamics:
        """The same noise without the drift."""
        affine = self.affine
        if affine is not None:
            affine = (torch.zeros_like(affine[0]), torch.zeros_like(affine[1]), affine[2])
        return Dynamics(_no_drift, _no_jacobian, self.covariance_rate, affine)


@dataclass(frozen=True)
class Reference:
    """An SDE as the reference of a bridge.

    Attributes:
        sde: an Ito SDE, possibly with learnable parameters.
        linear_noise: whether transitions follow the linear-noise equations even for affine drifts.
    """

    sde: SDELike
    linear_noise: bool = False

    @property
    def dynamics(self) -> Dynamics:
        """At the present parameters, differentiable in them."""
        dynamics = dynamics_of(self.sde)
        return dynamics.linearised() if self.linear_noise else dynamics

    @property
    def frozen_dynamics(self) -> Dynamics:
        """Without gradients and unmoved by later changes of the parameters."""
        dynamics = frozen_dynamics_of(self.sde)
        return dynamics.linearised() if self.linear_noise else dynamics

    def keep_values(self) -> None:
        """Have another fit begin where this one ended, and not at neutral starts."""
        if isinstance(self.sde, Process):
            self.sde.coefficients.neutral.clear()

    @property
    def shrinkage(self) -> Tensor | None:
        """Vector whose half squared norm the objective contains; None for no ridge."""
        return self.sde.shrinkage(self.sde.values()) if isinstance(self.sde, Process) else None

    @property
    def penalty(self) -> Tensor:
        """The ridge of a process; zero for references without one."""
        shrinkage = self.shrinkage
        if shrinkage is None:
            return torch.zeros((), dtype=torch.float64)
        return 0.5 * shrinkage.square().sum()


def dynamics_of(sde: SDELike) -> Dynamics:
    """The dynamics of a reference at its present parameters, differentiable in them.

    Raises:
        IncompatibleSolver: for a Stratonovich SDE, whose drift must be converted first.
    """
    if sde.sde_type != "ito":
        raise IncompatibleSolver(
            "a bridge's reference must be an Ito SDE; add the correction 1/2 (dg/dy) g to its drift"
        )
    if isinstance(sde, Process):
        return _of_process(sde, sde.values())
    return Dynamics(
        drift=sde.f,
        jacobian=partial(_jacobian, sde),
        covariance_rate=partial(_covariance_rate, sde),
        affine=None,
    )


def frozen_dynamics_of(sde: SDELike) -> Dynamics:
    """The same, without gradients and unmoved by later changes of the parameters."""
    if isinstance(sde, Process):
        found = _of_process(sde, {k: v.detach().clone() for k, v in sde.values().items()})
    else:
        found = dynamics_of(copy.deepcopy(sde))
    return replace(
        found,
        drift=partial(_without_gradients, found.drift),
        jacobian=partial(_without_gradients, found.jacobian),
        covariance_rate=partial(_without_gradients, found.covariance_rate),
    )


def _of_process(process: Process, p: Values) -> Dynamics:
    affine = process.affine(p)
    if process.noise_type == "additive" and process.volatility is not None:
        covariance_rate = partial(_constant, torch.diag(p["volatility"].square()))
    else:
        covariance_rate = partial(_process_covariance_rate, process, p)
    return Dynamics(
        drift=partial(_process_drift, process, p),
        jacobian=partial(_process_jacobian, process, p),
        covariance_rate=covariance_rate,
        affine=None if affine is None else (*affine, torch.diag(p["volatility"].square())),
    )


# Module-level functions rather than closures: a fitted bridge must be picklable.
def _without_gradients(field: Field, t: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return field(t, y)


def _process_drift(process: Process, p: Values, t: Tensor, y: Tensor) -> Tensor:
    return process.drift(t, y, p)


def _process_jacobian(process: Process, p: Values, t: Tensor, y: Tensor) -> Tensor:
    return process.jacobian(t, y, p)


def _process_covariance_rate(process: Process, p: Values, t: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(process.diffusion(t, y, p).square())


def _constant(value: Tensor, _t: Tensor, _y: Tensor) -> Tensor:
    return value


def _no_drift(_: Tensor, y: Tensor) -> Tensor:
    return torch.zeros_like(y)


def _no_jacobian(_: Tensor, y: Tensor) -> Tensor:
    return y.new_zeros(*y.shape, y.shape[1])


def _jacobian(sde: SDELike, t: Tensor, y: Tensor) -> Tensor:
    return jacobian(lambda x: sde.f(t, x), y)


def _covariance_rate(sde: SDELike, t: Tensor, y: Tensor) -> Tensor:
    g = sde.g(t, y)
    return torch.diag_embed(g.square()) if sde.noise_type == "diagonal" else g @ g.mT
