"""`solve`: the one verb on stochastic differential equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import (
    IncompatibleSolver,
    InputError,
    MaxStepsExceeded,
    SingularDiffusion,
    nearest,
)
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.paths.step_grid import build_grid, output_times, times_tensor
from trajinfer.sde.accumulator import StepAccumulator
from trajinfer.sde.adaptive import Adaptive
from trajinfer.sde.adaptive_loop import AdaptiveLoop
from trajinfer.sde.choice import SolverRequirements, choose
from trajinfer.sde.extra_step import LocalPenalty, extra_solver
from trajinfer.sde.gradients import Checkpoint
from trajinfer.sde.heuristics import SolverRegularization
from trajinfer.sde.job import Job
from trajinfer.sde.log_ratio import LogRatio
from trajinfer.sde.noise import NoiseLike, noise_by_sample, noise_on_grid, rejectable_noise
from trajinfer.sde.per_sample_loop import PerSampleLoop
from trajinfer.sde.per_step import PerStep
from trajinfer.sde.problem import Problem
from trajinfer.sde.run import (
    Gradient,
    Save,
    Task,
    solve_adaptive,
    solve_by_sample,
    solve_fixed,
)
from trajinfer.sde.solution import Solution
from trajinfer.sde.solvers import Solver
from trajinfer.sde.step_penalty import Measure, StepPenalty
from trajinfer.sde.under_reference import under_reference

OnError = Literal["raise", "mask"]
LogRatioKind = Literal["kl", "path"]
PathLaw = Literal["model", "reference"]


def solve(  # noqa: PLR0913 (the contract of the front door)
    sde: Any,
    y0: Tensor,
    ts: Any,
    *,
    step: float | Adaptive | None = None,
    method: str | Solver | None = None,
    context: Any = None,
    noise: NoiseLike | None = None,
    random_state: RandomState = None,
    gradient: Gradient | Checkpoint = "backprop",
    regularization: SolverRegularization | None = None,
    log_ratio: LogRatioKind | None = None,
    max_steps: int = 100_000,
    on_error: OnError = "raise",
    save: Save = "ts",
    allow_order_loss: bool = False,
    convert: bool = False,
    compile: Literal["chunk"] | None = None,
    measure: PathLaw = "model",
    per_sample_seed: bool | Sequence[int] = False,
) -> Solution:
    r"""Solve $dY = f(t, Y)\,dt + g(t, Y)\,dW$ from y0 over the times ts.

    Steps land on every time of `ts`; nothing is interpolated. Noise is drawn in chunks from a seed
    of its own: global random state is neither read nor moved.

    Args:
        sde: an `SDE`, or any object that torchsde solves.
        y0: start, (B, D), at the first time; dtype and device of the solve follow it.
        ts: output times, (T,), or (B, T) where each series has its own, padded by repeating its
            last time.
        step: None takes one step per interval of ts, a float is the largest step, `Adaptive(...)`
            controls the steps by an error estimate.
        method: a name of `methods()`, a solver, or None to choose by calculus and noise.
        context: third argument of f and g, for SDEs driven by something at run time; `PerStep`
            gives every fixed step its own.
        noise: Brownian increments (B, n_steps, M), the pair (W, H), or a `BrownianPath`; None
            draws it.
        random_state: seed of the noise; at most one of it and `noise`.
        gradient: "backprop"; "checkpoint" or `Checkpoint(every)`, which runs chunks of steps
            again in the backward pass instead of storing them; "reversible", exact at constant
            memory, for `method="reversible_heun"`; or "adjoint", constant memory, right up to the
            step error, for Stratonovich SDEs.
        regularization: penalty on what the steps cost, to be had as `solution.penalty`; off while
            the SDE is in evaluation mode.
        log_ratio: "kl" or "path", against the reference drift `sde.h`, per interval.
        max_steps: more steps than this are refused.
        on_error: "raise", or "mask" to return NaN for paths that became non-finite, and a mask.
            Fixed steps are looked at once, at the end or after 4096 of them; inside
            `torch.func.vmap` nothing can be looked at.
        save: "ts", "all" (every step) or "final".
        allow_order_loss: let a solver of high order run on noise that does not commute.
        compile: "chunk" compiles chunks of eight fixed steps (`torch.compile`): tens of seconds
            once per model, shape and gradient mode, so for thousands of solves; needs a C++
            compiler.
        convert: solve the SDE in the other calculus if the method or the gradient needs it.
        measure: "model" follows f; "reference" follows the reference drift h, and `log_ratio` is
            then that of f against h along paths of h.
        per_sample_seed: give each path noise that depends on `random_state` and its number alone,
            True for 0..B-1, or the numbers, so that a batch may be solved in pieces (fixed steps).

    Returns:
        A `Solution` with ys (B, T, D).

    Raises:
        InputError: for arguments that cannot be used.
        SolverError: one of its kinds, for times, noise, solvers and states that do not fit.

    Example:
        >>> import torch, trajinfer.sde as tsde
        >>> class Decay(tsde.SDE):
        ...     dim = noise_dim = 1
        ...     def f(self, t, y, context=None):
        ...         return -y
        ...     def g(self, t, y, context=None):
        ...         return torch.full_like(y, 0.1)
        >>> solution = tsde.solve(Decay(), torch.ones(5, 1), [0.0, 1.0], step=0.1, random_state=0)
        >>> solution.ys.shape
        torch.Size([5, 2, 1])
    """
    _check_words(on_error=(on_error, OnError), save=(save, Save), gradient=(gradient, Gradient))
    problem = Problem(sde, context)
    _check_start(y0, step, max_steps, noise, random_state)
    _check_words(measure=(measure, PathLaw))
    if measure == "reference":
        _require_reference(problem)
        problem = under_reference(problem)
    times = output_times(ts, y0.shape[0])
    t0 = times_tensor(times[..., :1], y0)[0]
    settings = _active(regularization, problem, on_error)
    control, largest = (step, None) if isinstance(step, Adaptive) else (None, step)
    _check_doubling(control, gradient, save)
    problem, solver = choose(
        problem,
        method,
        t0,
        y0,
        SolverRequirements(
            control, gradient, log_ratio is not None, convert, allow_order_loss, settings
        ),
    )
    shared = times.ndim == 1 and not _by_sample(control, solver)
    accumulators = _tallies(problem, log_ratio, -1.0 if measure == "reference" else 1.0)
    if settings is not None and settings.mode == "global":
        gauge = _measure(settings, solver, control, shared)
        accumulators = (*accumulators, StepPenalty(gauge))
    shape = (y0.shape[0], problem.noise_dim(t0, y0))
    problem.reset()
    if isinstance(problem.context, PerStep):
        _check_per_step(control, gradient, settings, compile, log_ratio)
    _check_steps(control, compile, per_sample_seed, accumulators, gradient)
    local = _local(settings, problem, solver, control, shared, shape[1])
    task = Task(y0, t0, times, save, gradient, on_error == "mask", compile, local)
    if control is not None:
        loop = AdaptiveLoop(
            solver, problem, None, control, times, accumulators, max_steps, task.mask_failures
        )
        return _solve_controlled(task, loop, noise, random_state, shape)
    grid = task.outputs(build_grid(times, largest, max_steps))
    if isinstance(problem.context, PerStep):
        problem.context.check(solver.name, grid.n_steps)
    samples = _sample_numbers(per_sample_seed, y0.shape[0])
    path = noise_on_grid(noise, random_state, grid, shape, y0, samples)
    if local is not None:
        task = replace(task, local=local.ready(_own_generator(path, random_state, y0)))
    return solve_fixed(task, Job(solver, problem, path, grid, accumulators, not task.mask_failures))


def _solve_controlled(
    task: Task,
    loop: AdaptiveLoop,
    noise: NoiseLike | None,
    random_state: RandomState,
    shape: tuple[int, int],
) -> Solution:
    """A solve with controlled steps, shared by the batch or of every path."""
    source = (noise, random_state, task.times, shape, task.y0)
    by_sample = loop.control.control == "sample"
    tree = noise_by_sample(*source) if by_sample else None
    if not by_sample:
        loop.stack = rejectable_noise(*source)
    if task.local is not None:
        generator = _own_generator(tree or loop.stack, random_state, task.y0)
        task = replace(task, local=task.local.ready(generator, loop))
    if by_sample:
        return solve_by_sample(task, PerSampleLoop(loop, tree))
    return solve_adaptive(task, loop)


def _by_sample(control: Adaptive | None, solver: Solver) -> bool:
    """Whether every path controls its own steps."""
    if control is None or control.control == "batch":
        return False
    if solver.estimate is None:
        raise IncompatibleSolver(
            "Adaptive(control='sample') needs an error estimate of the solver's own; use method= "
            "one of those that `methods()` lists with an estimate, or control='batch'",
            method=solver.name,
        )
    return True


def _active(
    regularization: SolverRegularization | None, problem: Problem, on_error: OnError
) -> SolverRegularization | None:
    """The penalty asked for, unless the SDE is in evaluation mode."""
    if regularization is None:
        return None
    if not isinstance(regularization, SolverRegularization):
        raise InputError(
            f"regularization must be a SolverRegularization, got {type(regularization).__name__}"
        )
    if on_error == "mask":
        raise InputError(
            "paths that fail have no penalty; use on_error='raise' together with regularization"
        )
    return regularization if getattr(problem.sde, "training", True) else None


def _measure(
    settings: SolverRegularization, solver: Solver, control: Adaptive | None, shared: bool
) -> Measure:
    """The measure of steps: by the tolerances of the penalty, else of the solve."""
    own = control or Adaptive()
    rtol = own.rtol if settings.rtol is None else settings.rtol
    atol = own.atol if settings.atol is None else settings.atol
    return Measure(settings, solver.name, rtol, atol, shared)


def _local(
    settings: SolverRegularization | None,
    problem: Problem,
    solver: Solver,
    control: Adaptive | None,
    shared: bool,
    n_channels: int,
) -> LocalPenalty | None:
    """The penalty of extra steps, where that is asked for."""
    if settings is None or settings.mode == "global":
        return None
    if settings.h == "auto" and control is None:
        raise InputError("h='auto' is the first step of an adaptive solve; give step=Adaptive(...)")
    extra = extra_solver(settings, problem, solver)
    measure = _measure(settings, extra, control, shared)
    return LocalPenalty(measure, solver, extra, problem, n_channels)


def _own_generator(noise: Any, random_state: RandomState, y0: Tensor) -> torch.Generator:
    """Randomness of the extra steps: the noise of the solve is the same with and without them."""
    seed = getattr(noise, "seed", None)
    own = seed_from(random_state) if seed is None else spawn(seed, 1)[0]
    return torch_generator(own, y0.device)


def _check_words(**choices: tuple[Any, Any]) -> None:
    for name, (value, literal) in choices.items():
        if not isinstance(value, Checkpoint) and value not in get_args(literal):
            hint = nearest(str(value), get_args(literal))
            raise InputError(f"{name}={value!r} is unknown; {hint}")


def _check_start(
    y0: Tensor, step: Any, max_steps: int, noise: Any, random_state: RandomState
) -> None:
    if not isinstance(y0, Tensor) or not y0.is_floating_point():
        raise InputError(
            f"y0 must be a floating-point tensor (B, D), got {type(y0).__name__}"
            f"{' of ' + str(y0.dtype) if isinstance(y0, Tensor) else ''}; try torch.as_tensor"
        )
    check_shape(y0, "B D")
    fixed = isinstance(step, (int, float)) and 0 < step < float("inf")
    if not (step is None or fixed or isinstance(step, Adaptive)):
        raise InputError(f"step must be None, a positive number or Adaptive(...), got {step!r}")
    if isinstance(step, Adaptive) and not y0.numel():
        raise InputError(
            f"y0 of shape {tuple(y0.shape)} holds no numbers to control the steps by; leave empty "
            "batches out, or give a fixed step"
        )
    if not isinstance(max_steps, int):
        raise InputError(f"max_steps must be a whole number, got {max_steps!r}")
    if max_steps < 1:
        raise MaxStepsExceeded(f"max_steps must be at least 1, got {max_steps}")
    if noise is not None and random_state is not None:
        raise InputError("give either noise or random_state, not both")


def _sample_numbers(per_sample_seed: bool | Sequence[int], n_paths: int) -> list[int] | None:
    if per_sample_seed is False:
        return None
    numbers = range(n_paths) if per_sample_seed is True else per_sample_seed
    if len(numbers) != n_paths:
        raise InputError(f"per_sample_seed gives {len(numbers)} numbers for {n_paths} paths")
    return [int(number) for number in numbers]


def _require_reference(problem: Problem) -> None:
    if not problem.has_reference:
        raise InputError(
            "log_ratio needs the reference drift h(t, y), or control(t, y), on the SDE"
        )
    if problem.noise_type == "none":
        raise SingularDiffusion(
            "without noise two drifts have no density against each other; log_ratio is for SDEs"
        )


def _check_doubling(control: Adaptive | None, gradient: Gradient | Checkpoint, save: Save) -> None:
    """Doubled steps end where two half steps lead, which a replay of whole steps does not."""
    doubled = control is not None and control.error == "doubling"
    if doubled and (gradient != "backprop" or save != "ts"):
        raise IncompatibleSolver(
            "Adaptive(error='doubling') goes with gradient='backprop' and save='ts'; use a solver "
            "with an error estimate of its own for the others"
        )


def _check_steps(
    control: Adaptive | None,
    compiled: str | None,
    per_sample_seed: bool | Sequence[int],
    accumulators: tuple[StepAccumulator, ...],
    gradient: Gradient | Checkpoint,
) -> None:
    """Refuse what only goes with fixed steps."""
    if compiled not in (None, "chunk"):
        raise InputError(f"compile={compiled!r} is unknown; known: chunk, or None")
    if compiled is not None and (control is not None or accumulators or gradient != "backprop"):
        raise IncompatibleSolver(
            "compile='chunk' is for fixed steps with gradient='backprop' and no log-ratio"
        )
    if control is not None and per_sample_seed is not False:
        raise InputError("per_sample_seed needs fixed steps: adaptive ones depend on the batch")


def _check_per_step(
    control: Adaptive | None,
    gradient: Gradient | Checkpoint,
    settings: SolverRegularization | None,
    compiled: str | None,
    log_ratio: str | None,
) -> None:
    """Contexts are known at the left ends of known steps, and nowhere else."""
    replayed = gradient in ("reversible", "adjoint") or compiled is not None
    if control is not None or replayed or settings is not None or log_ratio is not None:
        raise IncompatibleSolver(
            "a context per step goes with fixed steps, gradient='backprop' or 'checkpoint', no "
            "compilation, regularization or log-ratio; give the control path itself as context"
        )


def _tallies(
    problem: Problem, log_ratio: LogRatioKind | None, sign: float
) -> tuple[StepAccumulator, ...]:
    if log_ratio is None:
        return ()
    _check_words(log_ratio=(log_ratio, LogRatioKind))
    _require_reference(problem)
    return (LogRatio(log_ratio, sign),)
