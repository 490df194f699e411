"""The continuous stochastic adjoint: constant memory, gradients right up to the step error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.sde.gradients.tracked import Tracked, gradients, refuse_second
from trajinfer.sde.job import Job, run_chunk
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, StepNoise
from trajinfer.sde.stepping import CHUNK_STEPS, Saved, chunks, end_time, parts_between_saves


def integrate_adjoint(job: Job, y0: Tensor, t0: Tensor) -> Saved:
    """Solve without storing the path; its backward pass solves the adjoint equation."""
    tracked = Tracked(job.problem)
    ys: Tensor = _Adjoint.apply(job, tracked, t0, y0, *tracked.inputs())  # type: ignore[no-untyped-call]
    return Saved(list(ys.unbind(0)), [()] * len(ys), [])


class _Adjoint(torch.autograd.Function):
    """States at the output times, (T - 1, B, D), from y0 and the tracked tensors."""

    @staticmethod
    def forward(ctx: Any, job: Job, tracked: Tracked, t0: Tensor, y0: Tensor, *_: Tensor) -> Tensor:
        problem, inputs = tracked.detached()
        with torch.enable_grad():
            tracked.check(_pair(problem, t0, y0.detach()), inputs)
        state, saved = job.start(y0.detach(), t0), Saved([], [], [])
        watch = job.watch()
        for chunk in chunks(job.grid, y0, CHUNK_STEPS):
            after, new = run_chunk(job, chunk, state)
            watch.see(chunk, state, after)
            saved, state = saved.joined(new), after
        watch.read()
        ctx.job, ctx.tracked, ctx.y0, ctx.ys = job, tracked, y0.detach(), saved.ys
        return torch.stack(saved.ys)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        r"""$da = -(\partial_y f)^T a\,dt - \sum_k (\partial_y g_k)^T a \circ dW_k$, backward."""
        refuse_second("adjoint")
        (grad_ys,) = cotangents
        job: Job = ctx.job
        counts = job.problem.nfe_f, job.problem.nfe_g
        problem, inputs = ctx.tracked.detached()
        _check_at_the_end(ctx, problem, inputs)
        totals = [torch.zeros_like(x) for x in inputs]
        parts = [p for s in chunks(job.grid, ctx.y0, CHUNK_STEPS) for p in parts_between_saves(s)]
        k, y, a = len(ctx.ys), ctx.y0, torch.zeros_like(ctx.y0)
        for part in reversed(parts):
            if part.saves[-1]:
                k -= 1
                y, a = ctx.ys[k], a + grad_ys[k]
            starts, noises = part.t, job.noise(part, ctx.y0)
            ends = (*starts[1:], end_time(part, ctx.y0))
            for t0, t1, h, noise in reversed(list(zip(starts, ends, part.h, noises))):
                y, a, more = _heun_back(problem, inputs, (t0, t1), h, noise, (y, a))
                if totals:
                    torch._foreach_add_(totals, more)
        job.problem.nfe_f, job.problem.nfe_g = counts
        return (None, None, None, a, *totals)


def _check_at_the_end(ctx: Any, problem: Problem, inputs: list[Tensor]) -> None:
    """Refuse tensors that are used late and were not at the start."""
    end = torch.as_tensor(ctx.job.grid.times[..., -1], dtype=ctx.y0.dtype, device=ctx.y0.device)
    t = end[:, None] if end.ndim == 1 else end
    with torch.enable_grad():
        ctx.tracked.check(_pair(problem, t, ctx.ys[-1]), inputs)


def _heun_back(
    problem: Problem,
    inputs: list[Tensor],
    times: tuple[Tensor, Tensor],
    h: Size,
    noise: StepNoise,
    state: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """One Heun step of (y, a) from t1 back to t0, and what it adds to the inputs' gradients."""
    (t0, t1), (y, a) = times, state
    change_1, a_1, more_1 = _product(problem, inputs, t1, h, noise, y, a)
    change_0, a_0, more_0 = _product(problem, inputs, t0, h, noise, y - change_1, a + a_1)
    more = [0.5 * (x + z) for x, z in zip(more_1, more_0)]
    return y - 0.5 * (change_1 + change_0), a + 0.5 * (a_1 + a_0), more


def _product(
    problem: Problem,
    inputs: list[Tensor],
    t: Tensor,
    h: Size,
    noise: StepNoise,
    y: Tensor,
    a: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The Euler change h f + g W at (t, y), and its vector-Jacobian products with a."""
    with torch.enable_grad():
        y = y.detach().requires_grad_()
        if problem.noise_type == "none":
            change = h * problem.f(t, y)
        else:
            f, kick = problem.f_and_g_prod(t, y, noise.W)
            change = h * f + kick
    y_bar, *more = gradients((change,), [y, *inputs], (a,))
    return change.detach(), y_bar, more


def _pair(problem: Problem, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Drift and diffusion, or the drift of an ODE."""
    return (problem.f(t, y),) if problem.noise_type == "none" else problem.f_and_g(t, y)
