"""What can be asked: a registry from the kinds of fitted things to the three kinds of process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import IrregularSeries, TimeAxis, Trajectories
from trajinfer.functionals.dynamics import Chain, Diffusion, Dynamics, PathSource
from trajinfer.functionals.sources import of_forecaster, of_fractional, of_generator
from trajinfer.generation import DirectedChainGenerator
from trajinfer.jumps import JumpModel, MarkovJumpProcess
from trajinfer.long_memory import FractionalSDE
from trajinfer.processes import FractionalBrownian, Process
from trajinfer.sde import SDE, SDELike
from trajinfer.sde.conversion import convert
from trajinfer.sde.problem import Problem
from trajinfer.series import NeuralSDEForecaster, NeuralSDEInterpolator

_SIZED = "the size of the noise is taken as known; passage times depend on it exponentially"


@singledispatch
def as_dynamics(process: Any) -> Dynamics:
    """The process that stands behind a fitted estimator, an SDE, rates or recorded paths.

    A further type joins by `as_dynamics.register(Type, function)`.

    Args:
        process: a fitted `SchrodingerBridge` or `MarkovJumpProcess`, an SDE, rates (S, S), a
            forecaster or generator whose samples are paths, `Trajectories` or `IrregularSeries`.

    Returns:
        A `Diffusion`, a `Chain` or a `PathSource`.

    Raises:
        InputError: for anything else.
    """
    if isinstance(process, SDELike):
        return _of_any_sde(process)
    raise InputError(
        f"a {type(process).__name__} cannot be asked; give a fitted SchrodingerBridge, "
        "MarkovJumpProcess, FractionalSDE, NeuralSDEForecaster or DirectedChainGenerator, an SDE, "
        "or recorded Trajectories"
    )


@as_dynamics.register(Diffusion)
@as_dynamics.register(Chain)
@as_dynamics.register(PathSource)
def _as_it_is(process: Dynamics) -> Dynamics:
    return process


@as_dynamics.register
def _of_process(process: Process) -> Diffusion:
    if process.volatility is None:
        raise InputError(
            f"the volatility of {type(process).__name__} is not known; give volatility= a number"
        )
    values = process.values(torch.float64)
    affine = process.affine(values)
    known = None
    if affine is not None:
        matrix, offset = (part.detach().numpy().copy() for part in affine)
        known = matrix, offset, values["volatility"].detach().numpy().copy()

    def diffusion(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return process.diffusion(t, y, values).expand_as(y)

    return Diffusion(
        drift=_in_numpy(lambda t, y: process.drift(t, y, values)),
        noise=_in_numpy(diffusion),
        dim=process.dim,
        diagonal=True,
        affine=known,
        exact=_exact_step(process) if known is None and process.has_exact_step else None,
        sde=process,
    )


def _exact_step(process: Process) -> Callable[[float, Array, Array], Array] | None:
    """The exact step of a process that follows the Brownian increment."""
    if process.exact_noise != "W":
        return None

    def step(h: float, x: Array, normals: Array) -> Array:
        with torch.no_grad():
            length, y = torch.tensor(h, dtype=torch.float64), torch.from_numpy(x)
            w = torch.from_numpy(normals * np.sqrt(h))
            return process.exact_step(torch.zeros(()), length, y, w, None, None).numpy()

    return step


@as_dynamics.register
def _of_sde(sde: SDE) -> Diffusion:
    return _of_any_sde(sde)


def _of_any_sde(sde: Any) -> Diffusion:
    problem = Problem(sde)
    if getattr(sde, "dim", None) is None:
        raise InputError(
            f"{type(sde).__name__} must say how many coordinates it has; set the attribute dim"
        )
    if problem.noise_type == "none":
        raise InputError(
            f"{type(sde).__name__} has no noise, so its future is certain; solve it by "
            "trajinfer.solve"
        )
    if problem.sde_type == "stratonovich":
        problem = convert(problem, commutes=bool(problem.commutes))
    return Diffusion(
        drift=_in_numpy(problem.f),
        noise=_in_numpy(problem.g),
        dim=int(sde.dim),
        diagonal=problem.noise_type == "diagonal",
    )


def _in_numpy(function: Callable[..., torch.Tensor]) -> Callable[[float, Array], Array]:
    def call(t: float, x: Array) -> Array:
        with torch.no_grad():
            at = torch.tensor(t, dtype=torch.float64)
            return function(at, torch.from_numpy(np.ascontiguousarray(x))).numpy()

    return call


@as_dynamics.register
def _refuse_memory(_: FractionalBrownian) -> Dynamics:
    raise InputError(
        "fractional Brownian motion remembers its past, so its state alone does not answer; ask "
        "paths of it: trajinfer.fractional.simulate_fbm gives Trajectories"
    )


@as_dynamics.register
def _of_bridge(process: SchrodingerBridge) -> Diffusion:
    check_is_fitted(process, "bridge_")
    snapshots = process.snapshots_
    notes = ["the refined reference of the bridge is asked, not the bridge between snapshots"]
    if not isinstance(process.volatility, str):
        notes.append(_SIZED)

    def in_data(sde: Any) -> Diffusion:
        reference = as_dynamics(sde)
        assert isinstance(reference, Diffusion)  # noqa: S101 (for types)
        return replace(
            reference,
            features=snapshots.features,
            axis=snapshots.axis,
            last=np.asarray(snapshots.points[-1], dtype=np.float64),
            observed=np.concatenate(snapshots.points).astype(np.float64),
            duration=float(np.ptp(snapshots.times)),
            notes=tuple(notes),
        )

    def draw(n: int, seed: Any) -> list[Diffusion]:
        drawn = process.draw_references(n, random_state=seed)
        # what lies outside the data is said once, of the fit itself
        return [replace(in_data(sde), observed=None) for sde in drawn]

    return replace(in_data(process.reference_), draw_fits=draw)


@as_dynamics.register
def _of_jump_process(process: MarkovJumpProcess) -> Chain:
    check_is_fitted(process)
    model = process.model_
    draws = process.draw_rates if hasattr(process, "uncertainty_") else None

    def draw(n: int, seed: Any) -> Array:
        assert draws is not None  # noqa: S101 (for types)
        return draws(n, random_state=seed)

    notes = () if model.effects is None else ("rates at mean covariates",)
    axis = TimeAxis() if model.axis is None else model.axis
    return Chain(model.rates, model.states, axis, None if draws is None else draw, notes=notes)


@as_dynamics.register
def _of_jump_model(model: JumpModel) -> Chain:
    return Chain(model.rates, model.states, TimeAxis() if model.axis is None else model.axis)


@as_dynamics.register(np.ndarray)
@as_dynamics.register(list)
def _of_rates(process: Any) -> Chain:
    return _of_jump_model(JumpModel.from_rates(process))


as_dynamics.register(NeuralSDEForecaster)(of_forecaster)
as_dynamics.register(FractionalSDE)(of_fractional)
as_dynamics.register(DirectedChainGenerator)(of_generator)


@as_dynamics.register
def _of_interpolator(_: NeuralSDEInterpolator) -> Dynamics:
    raise InputError(
        "an interpolator answers at times, not along paths, and not after the last observation; "
        "fit a NeuralSDEForecaster and ask that"
    )


@as_dynamics.register
def _of_trajectories(process: Trajectories) -> PathSource:
    return PathSource(
        None, "Trajectories", process.dim, process.features, process.axis, recorded=process
    )


@as_dynamics.register
def _of_series(process: IrregularSeries) -> PathSource:
    if not process.mask.all() or (process.lengths != process.lengths[0]).any():
        raise InputError(
            "series with holes or of unequal length cannot be asked as paths; ask excursion_law "
            "of them, or fit an estimator and ask that"
        )
    paths = Trajectories(process.times, process.values, None, process.channels, process.axis)
    return _of_trajectories(paths)
