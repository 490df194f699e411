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
from trajinfer.sde.compiled import run_compiled
from trajinfer.sde.extra_step import LocalPenalty, narrowed, widened
from trajinfer.sde.gradients import (
    Checkpoint,
    march_adjoint,
    march_reversible,
    run_checkpointed,
)
from trajinfer.sde.grid import Array, StepGrid, times_tensor
from trajinfer.sde.job import Job, run_stretch
from trajinfer.sde.log_ratio import LogRatio
from trajinfer.sde.sample_march import SampleMarch
from trajinfer.sde.solution import Solution, Stats
from trajinfer.sde.step_penalty import StepPenalty
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
        compile: "chunk" to compile chunks of steps.
        local: the penalty of extra steps, if asked for.
    """

    y0: Tensor
    t0: Tensor
    times: Array
    save: Save
    gradient: Gradient | Checkpoint
    masks: bool
    compile: Literal["chunk"] | None = None
    local: LocalPenalty | None = None

    def outputs(self, grid: StepGrid) -> StepGrid:
        """The same steps with the output times asked for."""
        if self.save == "ts":
            return grid
        ends = range(grid.n_steps + 1) if self.save == "all" else (0, grid.n_steps)
        return replace(grid, saved=np.array(list(ends)))


def solve_fixed(task: Task, job: Job) -> Solution:
    """A solve on known steps."""
    return _take(task, job)


def solve_adaptive(task: Task, march: AdaptiveMarch) -> Solution:
    """A solve with controlled steps.

    Backpropagation goes through the accepted steps; the other gradients find the steps first and
    then take them again as a solve on known steps.
    """
    plain = task.gradient == "backprop"
    if plain and task.save == "ts":
        saved, ledger = replace(march, keep_states=task.local is not None).march(task.y0)
        job = _replay(task, march, ledger, None)
        if task.local is None:
            return _solution(task, job, saved, ledger)
        visits = task.local.visits(job.grid.times)
        states = [ledger.states[visit.step] for visit in visits]
        extra = task.local.terms(job.grid.times, visits, states)
        return _solution(task, job, saved, ledger, extra)
    with torch.no_grad():
        _, ledger = replace(march, tallies=(), keep_noise=True).march(task.y0)
    noise = None
    if march.stack is not None:
        w, area = (torch.stack(parts, dim=1) for parts in zip(*ledger.noise))
        noise = BrownianTable(w, area)
    job = _replay(task, march, ledger, noise)
    return _take(task, job, ledger)


def solve_by_sample(task: Task, march: SampleMarch) -> Solution:
    """A solve in which every path controls its own steps.

    They are found outside the graph; where anyone looks at more than the states, all paths take
    them again side by side.
    """
    plan, y0 = march.plan, task.y0
    ys, ledger = march.march(y0)
    grid = StepGrid(plan.ts, np.stack(ledger.times, axis=-1), np.array(ledger.saved))
    job = Job(
        plan.solver, plan.problem, march.tree, task.outputs(grid), plan.tallies, not task.masks
    )
    if plan.tallies or task.local or task.save == "all" or _differentiable(task, job):
        return _take(replace(task, t0=times_tensor(grid.times[:, :1], y0)[0]), job, ledger)
    kept = ys if task.save == "ts" else ys[-1:]
    return _solution(task, job, Saved(kept, [()] * len(kept), []), ledger)


def _differentiable(task: Task, job: Job) -> bool:
    """Whether a gradient can be asked for, as far as one evaluation tells."""
    if not torch.is_grad_enabled():
        return False
    problem = job.problem
    found = [task.y0, problem.f(task.t0, task.y0)]
    if problem.noise_type != "none":
        found.append(problem.g(task.t0, task.y0))
    return any(part.requires_grad for part in found)


def _take(task: Task, job: Job, ledger: Ledger | None = None) -> Solution:
    """Take known steps, and the extra ones of a local penalty."""
    if task.local is None:
        return _solution(task, job, _march(task, job), ledger)
    visits = task.local.visits(job.grid.times)
    wide = widened(job.grid, visits)
    saved = _march(task, replace(job, grid=wide))
    states = dict(zip(wide.saved.tolist(), [task.y0, *saved.ys]))
    extra = task.local.terms(wide.times, visits, [states[visit.step] for visit in visits])
    return _solution(task, job, narrowed(saved, wide, job.grid, job.tallies), ledger, extra)


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
        return job.march(task.y0, task.t0, run_stretch if task.compile is None else run_compiled)
    every = gradient.every if isinstance(gradient, Checkpoint) else Checkpoint().every
    return job.march(task.y0, task.t0, run_checkpointed, every)


def _solution(
    task: Task,
    job: Job,
    saved: Saved,
    ledger: Ledger | None = None,
    extra: tuple[dict[str, Tensor], int] | None = None,
) -> Solution:
    grid, problem, first = job.grid, job.problem, task.save != "final"
    ys = torch.stack([task.y0, *saved.ys] if first else saved.ys, dim=1)
    kept = grid.saved if first else grid.saved[1:]
    finite = None
    if task.masks:
        finite = torch.isfinite(ys).flatten(1).all(1)
        if ledger is not None and ledger.alive is not None:
            finite = finite & ledger.alive
        ys = torch.where(finite[:, None, None], ys, torch.nan)
    penalty, terms, steps, n_extra = _penalty(task, job, saved, extra)
    stats = Stats(
        nfe_f=problem.nfe_f,
        nfe_g=problem.nfe_g,
        n_steps=grid.n_steps,
        n_rejected=0 if ledger is None else ledger.n_rejected,
        extra_nfe=n_extra,
        method=job.solver.name,
        seed=getattr(job.path, "seed", None),
    )
    return Solution(
        ts=torch.as_tensor(_output_times(task, grid, kept)),
        ys=ys,
        stats=stats,
        penalty=penalty,
        penalty_terms=terms,
        log_ratio=_log_ratio(job.tallies, saved),
        errors=torch.cat(saved.errors) if saved.errors else None,
        stiffness=steps,
        mask=finite,
    )


def _output_times(task: Task, grid: StepGrid, kept: Array) -> Array:
    """Times of the states returned: shared ones, unless every step of paths of their own is."""
    if task.save == "all" or grid.ts.ndim == grid.times.ndim:
        return grid.times[..., kept]
    return grid.ts if task.save == "ts" else grid.ts[-1:]


def _penalty(
    task: Task, job: Job, saved: Saved, extra: tuple[dict[str, Tensor], int] | None
) -> tuple[Tensor, dict[str, Tensor], Tensor | None, int]:
    """The penalty, its terms, the stiffness of every step, and evaluations outside the steps."""
    if task.local is not None and extra is not None:
        return task.local.measure.total(extra[0]), extra[0], None, extra[1]
    for k, tally in enumerate(job.tallies):
        if isinstance(tally, StepPenalty):
            measure = tally.measure
            parts = [totals[k] for totals in saved.totals]
            terms, values = tally.finish(parts, job.grid.times)
            stiffness = values["stiffness"].detach() if "stiffness" in values else None
            if stiffness is not None and measure.shared:
                stiffness = stiffness[:, 0]
            extra_nfe = job.grid.n_steps if measure.probes else 0
            return measure.total(terms), terms, stiffness, extra_nfe
    return task.y0.new_zeros(()), {}, None, 0


def _log_ratio(tallies: tuple[Tally, ...], saved: Saved) -> Tensor | None:
    for k, tally in enumerate(tallies):
        if isinstance(tally, LogRatio):
            return tally.finish([totals[k] for totals in saved.totals])
    return None
