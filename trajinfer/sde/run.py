"""Running a solve that has been checked: with which gradient, and what becomes of the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch
from trajinfer.paths import BrownianTable
from trajinfer.sde.adaptive_march import AdaptiveMarch, Ledger
from trajinfer.sde.gradients import (
    Checkpoint,
    march_adjoint,
    march_reversible,
    run_checkpointed,
)
from trajinfer.sde.grid import Array, StepGrid
from trajinfer.sde.job import Job, run_stretch
from trajinfer.sde.log_ratio import LogRatio
from trajinfer.sde.solution import Solution, Stats
from trajinfer.sde.stepping import Saved
from trajinfer.sde.tally import Tally

Gradient = Literal["backprop", "checkpoint", "reversible", "adjoint"]
Save = Literal["ts", "all", "final"]


@dataclass(frozen=True)
class Task:
    """What is asked of a solve beside its numerics.

    Attributes:
        y0: start.
        t0: first time as the networks see it.
        times: output times, (T,) or (B, T).
        save: which times to return.
        gradient: how to differentiate.
        masks: return NaN for paths that fail instead of raising.
    """

    y0: Tensor
    t0: Tensor
    times: Array
    save: Save
    gradient: Gradient | Checkpoint
    masks: bool

    def outputs(self, grid: StepGrid) -> StepGrid:
        """The same steps with the output times asked for."""
        if self.save == "ts":
            return grid
        ends = range(grid.n_steps + 1) if self.save == "all" else (0, grid.n_steps)
        return replace(grid, saved=np.array(list(ends)))


def solve_fixed(task: Task, job: Job) -> Solution:
    """A solve on known steps."""
    return _solution(task, job, _march(task, job))


def solve_adaptive(task: Task, march: AdaptiveMarch) -> Solution:
    """A solve with controlled steps.

    Backpropagation goes through the accepted steps; the other gradients find the steps first and
    then take them again as a solve on known steps.
    """
    plain = task.gradient == "backprop"
    if plain and task.save == "ts":
        saved, ledger = march.march(task.y0)
        job = _replay(task, march, ledger, None)
        return _solution(task, job, saved, ledger)
    with torch.no_grad():
        _, ledger = replace(march, tallies=(), keep_noise=True).march(task.y0)
    noise = None
    if march.stack is not None:
        w, area = (torch.stack(parts, dim=1) for parts in zip(*ledger.noise))
        noise = BrownianTable(w, area)
    job = _replay(task, march, ledger, noise)
    return _solution(task, job, _march(task, job), ledger)


def _replay(task: Task, march: AdaptiveMarch, ledger: Ledger, noise: BrownianTable | None) -> Job:
    """The accepted steps of an adaptive solve as a job of their own."""
    grid = StepGrid(march.ts, np.stack(ledger.times, axis=-1), np.array(ledger.saved))
    return Job(
        march.solver, march.problem, noise, task.outputs(grid), march.tallies, not task.masks
    )


def _march(task: Task, job: Job) -> Saved:
    gradient = task.gradient
    if gradient != "backprop" and job.path is not None and not job.path.repeatable:
        raise BrownianMismatch(
            f"gradient={gradient!r} asks for the noise again, which a {type(job.path).__name__} "
            "cannot give; use BrownianGrid or BrownianTree"
        )
    if gradient == "reversible":
        return march_reversible(job, task.y0, task.t0)
    if gradient == "adjoint":
        return march_adjoint(job, task.y0, task.t0)
    if gradient == "backprop":
        return job.march(task.y0, task.t0, run_stretch)
    every = gradient.every if isinstance(gradient, Checkpoint) else Checkpoint().every
    return job.march(task.y0, task.t0, run_checkpointed, every)


def _solution(task: Task, job: Job, saved: Saved, ledger: Ledger | None = None) -> Solution:
    grid, problem, first = job.grid, job.problem, task.save != "final"
    ys = torch.stack([task.y0, *saved.ys] if first else saved.ys, dim=1)
    kept = grid.saved if first else grid.saved[1:]
    finite = None
    if task.masks:
        finite = torch.isfinite(ys).flatten(1).all(1)
        if ledger is not None and ledger.alive is not None:
            finite = finite & ledger.alive
        ys = torch.where(finite[:, None, None], ys, torch.nan)
    stats = Stats(
        nfe_f=problem.nfe_f,
        nfe_g=problem.nfe_g,
        n_steps=grid.n_steps,
        n_rejected=0 if ledger is None else ledger.n_rejected,
        method=job.solver.name,
        seed=getattr(job.path, "seed", None),
    )
    return Solution(
        ts=torch.as_tensor(grid.times[..., kept]),
        ys=ys,
        stats=stats,
        penalty=task.y0.new_zeros(()),
        log_ratio=_log_ratio(job.tallies, saved),
        errors=torch.stack(saved.errors) if saved.errors else None,
        mask=finite,
    )


def _log_ratio(tallies: tuple[Tally, ...], saved: Saved) -> Tensor | None:
    for k, tally in enumerate(tallies):
        if isinstance(tally, LogRatio):
            return tally.finish([totals[k] for totals in saved.totals])
    return None
