"""Running a solve that has been checked: with which gradient, and what becomes of the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch
from trajinfer.paths import BrownianTable
from trajinfer.paths.step_grid import Array, StepGrid, times_tensor
from trajinfer.sde.accumulator import StepAccumulator
from trajinfer.sde.adaptive_loop import AdaptiveLoop, StepRecord
from trajinfer.sde.compiled import run_compiled
from trajinfer.sde.extra_step import LocalPenalty, with_probe_times, without_probe_times
from trajinfer.sde.gradients import (
    Checkpoint,
    integrate_adjoint,
    integrate_reversible,
    run_checkpointed,
)
from trajinfer.sde.job import Job, run_chunk
from trajinfer.sde.log_ratio import LogRatio
from trajinfer.sde.per_sample_loop import PerSampleLoop
from trajinfer.sde.solution import Solution, Stats
from trajinfer.sde.step_penalty import StepPenalty
from trajinfer.sde.stepping import Saved

Gradient = Literal["backprop", "checkpoint", "reversible", "adjoint"]
Save = Literal["ts", "all", "final"]


@dataclass(frozen=True)
class Task:
    """Outputs and gradients of a solve, beside its numerics.

    Attributes:
        y0: start.
        t0: first time as the networks see it.
        times: output times, (T,) or (B, T).
        save: which times to return.
        gradient: how to differentiate.
        mask_failures: return NaN for paths that fail instead of raising.
        compile: "chunk" to compile chunks of steps.
        local: the penalty of extra steps, if asked for.
    """

    y0: Tensor
    t0: Tensor
    times: Array
    save: Save
    gradient: Gradient | Checkpoint
    mask_failures: bool
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


def solve_adaptive(task: Task, loop: AdaptiveLoop) -> Solution:
    """A solve with controlled steps.

    Backpropagation goes through the accepted steps; the other gradients find the steps first and
    then take them again as a solve on known steps.
    """
    plain = task.gradient == "backprop"
    if plain and task.save == "ts":
        saved, record = replace(loop, keep_states=task.local is not None).integrate(task.y0)
        job = _replay(task, loop, record, None)
        if task.local is None:
            return _solution(task, job, saved, record)
        probes = task.local.probes(job.grid.times)
        states = [record.states[probe.step] for probe in probes]
        extra = task.local.terms(job.grid.times, probes, states)
        return _solution(task, job, saved, record, extra)
    with torch.no_grad():
        _, record = replace(loop, accumulators=(), keep_noise=True).integrate(task.y0)
    noise = None
    if loop.stack is not None:
        w, area = (torch.stack(parts, dim=1) for parts in zip(*record.noise))
        noise = BrownianTable(w, area)
    job = _replay(task, loop, record, noise)
    return _take(task, job, record)


def solve_by_sample(task: Task, loop: PerSampleLoop) -> Solution:
    """A solve in which every path controls its own steps.

    They are found outside the graph; where anyone looks at more than the states, all paths take
    them again side by side.
    """
    plan, y0 = loop.plan, task.y0
    ys, record = loop.integrate(y0)
    grid = StepGrid(plan.ts, np.stack(record.times, axis=-1), np.array(record.saved))
    job = Job(
        plan.solver,
        plan.problem,
        loop.tree,
        task.outputs(grid),
        plan.accumulators,
        not task.mask_failures,
    )
    if plan.accumulators or task.local or task.save == "all" or _differentiable(task, job):
        return _take(replace(task, t0=times_tensor(grid.times[:, :1], y0)[0]), job, record)
    states = ys if task.save == "ts" else ys[-1:]
    return _solution(task, job, Saved(states, [()] * len(states), []), record)


def _differentiable(task: Task, job: Job) -> bool:
    """Whether a gradient can be asked for, as far as one evaluation tells."""
    if not torch.is_grad_enabled():
        return False
    problem = job.problem
    values = [task.y0, problem.f(task.t0, task.y0)]
    if problem.noise_type != "none":
        values.append(problem.g(task.t0, task.y0))
    return any(part.requires_grad for part in values)


def _take(task: Task, job: Job, record: StepRecord | None = None) -> Solution:
    """Take known steps, and the extra ones of a local penalty."""
    if task.local is None:
        return _solution(task, job, _integrate(task, job), record)
    probes = task.local.probes(job.grid.times)
    wide = with_probe_times(job.grid, probes)
    saved = _integrate(task, replace(job, grid=wide))
    states = dict(zip(wide.saved.tolist(), [task.y0, *saved.ys]))
    extra = task.local.terms(wide.times, probes, [states[probe.step] for probe in probes])
    return _solution(
        task, job, without_probe_times(saved, wide, job.grid, job.accumulators), record, extra
    )


def _replay(task: Task, loop: AdaptiveLoop, record: StepRecord, noise: BrownianTable | None) -> Job:
    """The accepted steps of an adaptive solve as a job of their own."""
    grid = StepGrid(loop.ts, np.stack(record.times, axis=-1), np.array(record.saved))
    return Job(
        loop.solver,
        loop.problem,
        noise,
        task.outputs(grid),
        loop.accumulators,
        not task.mask_failures,
    )


def _integrate(task: Task, job: Job) -> Saved:
    gradient = task.gradient
    if gradient != "backprop" and job.path is not None and not job.path.repeatable:
        raise BrownianMismatch(
            f"gradient={gradient!r} asks for the noise again, which a {type(job.path).__name__} "
            "cannot give; use BrownianGrid or BrownianTree"
        )
    if gradient == "reversible":
        return integrate_reversible(job, task.y0, task.t0)
    if gradient == "adjoint":
        return integrate_adjoint(job, task.y0, task.t0)
    if gradient == "backprop":
        return job.integrate(task.y0, task.t0, run_chunk if task.compile is None else run_compiled)
    every = gradient.every if isinstance(gradient, Checkpoint) else Checkpoint().every
    return job.integrate(task.y0, task.t0, run_checkpointed, every)


def _solution(
    task: Task,
    job: Job,
    saved: Saved,
    record: StepRecord | None = None,
    extra: tuple[dict[str, Tensor], int] | None = None,
) -> Solution:
    grid, problem, first = job.grid, job.problem, task.save != "final"
    ys = torch.stack([task.y0, *saved.ys] if first else saved.ys, dim=1)
    kept = grid.saved if first else grid.saved[1:]
    finite = None
    if task.mask_failures:
        finite = torch.isfinite(ys).flatten(1).all(1)
        if record is not None and record.active is not None:
            finite = finite & record.active
        ys = torch.where(finite[:, None, None], ys, torch.nan)
    penalty, terms, steps, n_extra = _penalty(task, job, saved, extra)
    stats = Stats(
        nfe_f=problem.nfe_f,
        nfe_g=problem.nfe_g,
        n_steps=grid.n_steps,
        n_rejected=0 if record is None else record.n_rejected,
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
        log_ratio=_log_ratio(job.accumulators, saved),
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
    for k, accumulator in enumerate(job.accumulators):
        if isinstance(accumulator, StepPenalty):
            measure = accumulator.measure
            parts = [totals[k] for totals in saved.totals]
            terms, values = accumulator.finish(parts, job.grid.times)
            stiffness = values["stiffness"].detach() if "stiffness" in values else None
            if stiffness is not None and measure.shared:
                stiffness = stiffness[:, 0]
            extra_nfe = job.grid.n_steps if measure.probes else 0
            return measure.total(terms), terms, stiffness, extra_nfe
    return task.y0.new_zeros(()), {}, None, 0


def _log_ratio(accumulators: tuple[StepAccumulator, ...], saved: Saved) -> Tensor | None:
    for k, accumulator in enumerate(accumulators):
        if isinstance(accumulator, LogRatio):
            return accumulator.finish([totals[k] for totals in saved.totals])
    return None
