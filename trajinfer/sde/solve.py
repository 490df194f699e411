"""`solve`: the one verb on stochastic differential equations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import InputError, MaxStepsExceeded, nearest
from trajinfer._core.seeding import RandomState
from trajinfer.paths import BrownianGrid, BrownianPath, BrownianTable
from trajinfer.paths.brownian import require_match
from trajinfer.sde.choice import check_solver, find_solver
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.gradients import Checkpoint, run_checkpointed
from trajinfer.sde.grid import StepGrid, build_grid, output_times, times_tensor
from trajinfer.sde.log_ratio import LogRatio
from trajinfer.sde.problem import Problem
from trajinfer.sde.solution import Solution, Stats
from trajinfer.sde.solvers import Solver
from trajinfer.sde.stepping import CHUNK_STEPS, Saved, State, all_finite, draw, run, stretches
from trajinfer.sde.tally import Tally

Gradient = Literal["backprop", "checkpoint"]
Save = Literal["ts", "all", "final"]
OnError = Literal["raise", "mask"]
LogRatioKind = Literal["kl", "path"]
NoiseLike = BrownianPath | Tensor | tuple[Tensor, Tensor]


def solve(  # noqa: PLR0913 (the contract of the front door)
    sde: Any,
    y0: Tensor,
    ts: Any,
    *,
    step: float | None = None,
    method: str | Solver | None = None,
    context: Any = None,
    noise: NoiseLike | None = None,
    random_state: RandomState = None,
    gradient: Gradient | Checkpoint = "backprop",
    log_ratio: LogRatioKind | None = None,
    max_steps: int = 100_000,
    on_error: OnError = "raise",
    save: Save = "ts",
    allow_order_loss: bool = False,
) -> Solution:
    r"""Solve $dY = f(t, Y)\,dt + g(t, Y)\,dW$ from y0 over the times ts.

    Steps land on every time of `ts`; nothing is interpolated. Noise is drawn in chunks from a seed
    of its own: global random state is neither read nor moved.

    Args:
        sde: an `SDE`, or any object that torchsde solves.
        y0: start, (B, D), at the first time; dtype and device of the solve follow it.
        ts: output times, (T,), or (B, T) where each series has its own, padded by repeating its
            last time.
        step: None takes one step per interval of ts, a float is the largest step.
        method: a name of `methods()`, a solver, or None to choose by calculus and noise.
        context: third argument of f and g, for SDEs driven by something at run time.
        noise: Brownian increments (B, n_steps, M), the pair (W, H), or a `BrownianPath`; None
            draws it.
        random_state: seed of the noise; at most one of it and `noise`.
        gradient: "backprop", or "checkpoint" / `Checkpoint(every)`, which runs stretches of steps
            again in the backward pass instead of storing them.
        log_ratio: "kl" or "path", against the reference drift `sde.h`, per interval.
        max_steps: more steps than this are refused.
        on_error: "raise", or "mask" to return NaN for paths that became non-finite, and a mask.
        save: "ts", "all" (every step) or "final".
        allow_order_loss: let a solver of high order run on noise that does not commute.

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
    _check_words(on_error=(on_error, OnError), save=(save, Save))
    problem = Problem(sde, context)
    _check_start(y0, step, max_steps, noise, random_state)
    grid = build_grid(output_times(ts, y0.shape[0]), step, max_steps)
    grid = _saving(grid, save)
    t0 = times_tensor(grid.times[..., :1], y0)[0]
    solver = find_solver(method, problem, stepped=log_ratio is not None)
    check_solver(solver, problem, t0, y0, allow_order_loss=allow_order_loss)
    tallies = _tallies(problem, log_ratio)
    width = problem.noise_dim(t0, y0)
    path = _noise_path(noise, random_state, grid, (y0.shape[0], width), y0)
    job = Job(solver, problem, path, grid, tallies, on_error == "raise")
    saved = job.march(y0, t0, _checkpoint(gradient))
    return _solution(job, y0, saved, tallies, mask=on_error == "mask", first=save != "final")


@dataclass(frozen=True)
class Job:
    """A fixed-step solve, ready to run."""

    solver: Solver
    problem: Problem
    path: BrownianPath | None
    grid: StepGrid
    tallies: tuple[Tally, ...]
    checks: bool

    def march(self, y0: Tensor, t0: Tensor, checkpoint: Checkpoint | None) -> Saved:
        """Run all stretches, checking the state once after each."""
        saved = Saved([], [], [])
        carry = self.solver.start(self.problem, t0, y0)
        state = State(y0, carry, tuple(tally.start(y0) for tally in self.tallies))
        length = CHUNK_STEPS if checkpoint is None else checkpoint.every
        for stretch in stretches(self.grid, y0, length):
            noises = None
            if checkpoint is None:
                noises = draw(self.solver, self.problem, self.path, stretch, y0)
                after, new = run(self.solver, self.problem, stretch, noises, state, self.tallies)
            else:
                after, new = run_checkpointed(
                    self.solver, self.problem, self.path, stretch, state, self.tallies
                )
            if self.checks and not all_finite(after):
                noises = noises or draw(self.solver, self.problem, self.path, stretch, y0)
                raise_non_finite(self.solver, self.problem, stretch, noises, state)
            saved = saved.joined(new)
            state = after
        return saved


def _solution(
    job: Job,
    y0: Tensor,
    saved: Saved,
    tallies: tuple[Tally, ...],
    *,
    mask: bool,
    first: bool,
) -> Solution:
    grid, problem = job.grid, job.problem
    ys = torch.stack([y0, *saved.ys] if first else saved.ys, dim=1)
    kept = grid.saved if first else grid.saved[1:]
    finite = None
    if mask:
        finite = torch.isfinite(ys).flatten(1).all(1)
        ys = torch.where(finite[:, None, None], ys, torch.nan)
    ratio = None
    for k, tally in enumerate(tallies):
        if isinstance(tally, LogRatio):
            ratio = tally.finish([totals[k] for totals in saved.totals])
    stats = Stats(
        nfe_f=problem.nfe_f,
        nfe_g=problem.nfe_g,
        n_steps=grid.n_steps,
        method=job.solver.name,
        seed=getattr(job.path, "seed", None),
    )
    return Solution(
        ts=torch.as_tensor(grid.times[..., kept]),
        ys=ys,
        stats=stats,
        penalty=y0.new_zeros(()),
        log_ratio=ratio,
        errors=torch.stack(saved.errors) if saved.errors else None,
        mask=finite,
    )


def _check_words(**choices: tuple[Any, Any]) -> None:
    for name, (value, literal) in choices.items():
        if value not in get_args(literal):
            hint = nearest(str(value), get_args(literal))
            raise InputError(f"{name}={value!r} is unknown; {hint}")


def _check_start(
    y0: Tensor, step: float | None, max_steps: int, noise: Any, random_state: RandomState
) -> None:
    if not isinstance(y0, Tensor) or not y0.is_floating_point():
        raise InputError(
            f"y0 must be a floating-point tensor (B, D), got {type(y0).__name__}"
            f"{' of ' + str(y0.dtype) if isinstance(y0, Tensor) else ''}; try torch.as_tensor"
        )
    check_shape(y0, "B D")
    if step is not None and not (isinstance(step, (int, float)) and 0 < step < float("inf")):
        raise InputError(f"step must be None or a positive number, got {step!r}")
    if max_steps < 1:
        raise MaxStepsExceeded(f"max_steps must be at least 1, got {max_steps}")
    if noise is not None and random_state is not None:
        raise InputError("give either noise or random_state, not both")


def _tallies(problem: Problem, log_ratio: LogRatioKind | None) -> tuple[Tally, ...]:
    if log_ratio is None:
        return ()
    _check_words(log_ratio=(log_ratio, LogRatioKind))
    if not problem.has_reference:
        raise InputError(
            "log_ratio needs the reference drift h(t, y), or control(t, y), on the SDE"
        )
    return (LogRatio(log_ratio),)


def _noise_path(
    noise: NoiseLike | None,
    random_state: RandomState,
    grid: StepGrid,
    shape: tuple[int, int],
    y0: Tensor,
) -> BrownianPath | None:
    """The source of noise; None for an ODE.

    Raises:
        BrownianMismatch: if the noise given does not fit.
    """
    if noise is None:
        if shape[1] == 0 and random_state is None:
            return None
        return BrownianGrid(
            grid.times, shape, random_state=random_state, dtype=y0.dtype, device=y0.device
        )
    if isinstance(noise, Tensor):
        noise = BrownianTable(noise)
    elif isinstance(noise, tuple):
        noise = BrownianTable(*noise)
    elif not isinstance(noise, BrownianPath):
        raise InputError(
            "noise must be a tensor (B, n_steps, M), a pair (W, H) or a BrownianPath, got "
            f"{type(noise).__name__}"
        )
    require_match(noise, shape, y0.dtype, y0.device)
    return noise


def _saving(grid: StepGrid, save: Save) -> StepGrid:
    """The same steps with other output times."""
    if save == "ts":
        return grid
    ends = range(grid.n_steps + 1) if save == "all" else (0, grid.n_steps)
    return replace(grid, saved=np.array(list(ends)))


def _checkpoint(gradient: Gradient | Checkpoint) -> Checkpoint | None:
    if isinstance(gradient, Checkpoint):
        return gradient
    _check_words(gradient=(gradient, Gradient))
    return Checkpoint() if gradient == "checkpoint" else None
