"""What can be asked: a registry from the kinds of fitted things to the three kinds of process."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, singledispatch
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array
from trajinfer._core.devices import on_cpu
from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import IrregularSeries, TimeAxis, Trajectories
from trajinfer.functionals.dynamics import Chain, Diffusion, Dynamics, PathSource
from trajinfer.functionals.sources import (
    of_forecaster,
    of_fractional,
    of_generator,
    of_score_series,
)
from trajinfer.generation import DirectedChainGenerator
from trajinfer.jumps import JumpModel, MarkovJumpProcess
from trajinfer.long_memory import FractionalSDE
from trajinfer.processes import FractionalBrownian, Process
from trajinfer.processes.fields import FieldsOfProblem, FieldsOfProcess
from trajinfer.scores import ScoreSeries
from trajinfer.sde import SDE, SDELike
from trajinfer.sde.conversion import convert
from trajinfer.sde.problem import Problem
from trajinfer.series import NeuralSDEForecaster, NeuralSDEInterpolator

_SIZED = (
    "the size of the noise is taken as known, and passage times depend on it exponentially; "
    "volatility='learn' fits it"
)


@singledispatch
def as_dynamics(process: Any) -> Dynamics:
    """The process that stands behind a fitted estimator, an SDE, rates or recorded paths.

    A further type joins by `as_dynamics.register(Type, function)`.

    Args:
        process: a fitted `SchrodingerBridge` or `MarkovJumpProcess`, an SDE, rates (S, S), a
            forecaster or generator whose samples are paths, `Trajectories` or `IrregularSeries`.
            Of an SDE on another device, a copy on the CPU is asked.

    Returns:
        A `Diffusion`, a `Chain` or a `PathSource`.

    Raises:
        InputError: for anything else.
    """
    if isinstance(process, SDELike):
        return _of_any_sde(process)
    raise InputError(
        f"a {type(process).__name__} cannot be asked; give a fitted SchrodingerBridge, "
        "MarkovJumpProcess, FractionalSDE, NeuralSDEForecaster, ScoreSeries or "
        "DirectedChainGenerator, an SDE, or recorded Trajectories"
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
    process = on_cpu(process)
    fields = FieldsOfProcess.of(process)
    affine = process.affine(fields.parameters)
    known = None
    if affine is not None:
        matrix, offset = (part.detach().numpy().copy() for part in affine)
        known = matrix, offset, fields.parameters["volatility"].numpy().copy()
    steps = known is None and process.has_exact_step and process.exact_noise == "W"
    return Diffusion(
        drift=fields.drift,
        noise=fields.noise,
        dim=process.dim,
        diagonal=True,
        affine=known,
        exact=fields.exact_step if steps else None,
        sde=process,
    )


@as_dynamics.register
def _of_sde(sde: SDE) -> Diffusion:
    return _of_any_sde(sde)


def _of_any_sde(sde: Any) -> Diffusion:
    sde = on_cpu(sde)
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
    fields = FieldsOfProblem(problem)
    diagonal = problem.noise_type == "diagonal"
    return Diffusion(fields.drift, fields.noise, dim=int(sde.dim), diagonal=diagonal)


@as_dynamics.register
def _refuse_memory(_: FractionalBrownian) -> Dynamics:
    raise InputError(
        "fractional Brownian motion remembers its past, so its state alone does not answer; ask "
        "paths of it: trajinfer.fractional.simulate_fbm gives Trajectories"
    )


@as_dynamics.register
def _of_bridge(process: SchrodingerBridge) -> Diffusion:
    check_is_fitted(process, "bridge_")
    notes = ["the refined reference of the bridge is asked, not the bridge between snapshots"]
    if not isinstance(process.volatility, str):
        notes.append(_SIZED)

    draws = partial(_drawn_references, process, tuple(notes))
    return replace(_in_data(process, process.reference_, tuple(notes)), draw_fits=draws)


def _in_data(bridge: SchrodingerBridge, sde: Any, notes: tuple[str, ...]) -> Diffusion:
    """A reference of a bridge, with names, times and data of its snapshots."""
    reference, snapshots = as_dynamics(sde), bridge.snapshots_
    assert isinstance(reference, Diffusion)  # noqa: S101 (for types)
    return replace(
        reference,
        features=snapshots.features,
        axis=snapshots.axis,
        last=np.asarray(snapshots.points[-1], dtype=np.float64),
        observed=np.concatenate(snapshots.points).astype(np.float64),
        duration=float(np.ptp(snapshots.times)),
        notes=notes,
    )


def _drawn_references(
    bridge: SchrodingerBridge, notes: tuple[str, ...], n: int, seed: Any
) -> list[Diffusion]:
    drawn = bridge.draw_references(n, random_state=seed)
    # what lies outside the data is said once, of the fit itself
    return [replace(_in_data(bridge, sde, notes), observed=None) for sde in drawn]


@as_dynamics.register
def _of_jump_process(process: MarkovJumpProcess) -> Chain:
    check_is_fitted(process)
    model = process.model_
    draws = partial(_drawn_rates, process) if hasattr(process, "uncertainty_") else None
    notes = () if model.effects is None else ("rates at mean covariates",)
    axis = TimeAxis() if model.axis is None else model.axis
    return Chain(model.rates, model.states, axis, draws, notes=notes)


def _drawn_rates(process: MarkovJumpProcess, n: int, seed: Any) -> Array:
    return process.draw_rates(n, random_state=seed)


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
as_dynamics.register(ScoreSeries)(of_score_series)


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
