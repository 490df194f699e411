"""Exact gradients of reversible Heun at constant memory: the steps are undone one by one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer.sde.gradients.tracked import Tracked, gradients, refuse_second
from trajinfer.sde.job import Job, run_chunk
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Size, StepNoise, add_noise, scaled_add
from trajinfer.sde.stepping import (
    CHUNK_STEPS,
    Saved,
    State,
    StepChunk,
    chunks,
    end_time,
    parts_between_saves,
)


def integrate_reversible(job: Job, y0: Tensor, t0: Tensor) -> Saved:
    """Solve without storing the path; its backward pass reconstructs it."""
    tracked = Tracked(job.problem)
    ys: Tensor = _Reversible.apply(job, tracked, t0, y0, *tracked.inputs())  # type: ignore[no-untyped-call]
    return Saved(list(ys.unbind(0)), [()] * len(ys), [])


class _Reversible(torch.autograd.Function):
    """States at the output times, (T - 1, B, D), from y0 and the tracked tensors."""

    @staticmethod
    def forward(ctx: Any, job: Job, tracked: Tracked, t0: Tensor, y0: Tensor, *_: Tensor) -> Tensor:
        counts = job.problem.nfe_f + 1, job.problem.nfe_g + 1
        problem, inputs = tracked.detached()
        with torch.enable_grad():
            f, g = problem.f_and_g(t0, y0.detach())
        tracked.check((f, g), inputs)
        job.problem.nfe_f, job.problem.nfe_g = counts
        state = State(y0.detach(), (y0.detach(), f.detach(), g.detach()), ())
        ends: list[tuple[Tensor, Tensor]] = []
        saved, watch = [], job.watch()
        for chunk in chunks(job.grid, y0, CHUNK_STEPS):
            for part in parts_between_saves(chunk):
                after, new = run_chunk(job, part, state)
                watch.see(part, state, after)
                state = after
                if part.saves[-1]:
                    ends.append((state.y, state.carry[0]))
                saved.extend(new.ys)
        watch.read()
        ctx.job, ctx.tracked, ctx.y0, ctx.ends, ctx.t0 = job, tracked, y0.detach(), ends, t0
        return torch.stack(saved)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second("reversible")
        (grad_ys,) = cotangents
        job: Job = ctx.job
        counts = job.problem.nfe_f, job.problem.nfe_g
        problem, inputs = ctx.tracked.detached()
        back = _Backward(problem, inputs, ctx.tracked)
        parts = [p for s in chunks(job.grid, ctx.y0, CHUNK_STEPS) for p in parts_between_saves(s)]
        k = len(ctx.ends)
        times = [*(part.t[0] for part in parts[1:]), end_time(parts[-1], ctx.y0)]
        for part, t_end in zip(reversed(parts), reversed(times)):
            if part.saves[-1]:
                k -= 1
                back.restart(ctx.ends[k], t_end, grad_ys[k])
            back.undo(part, job.noise(part, ctx.y0))
        y0_bar = back.finish()
        job.problem.nfe_f, job.problem.nfe_g = counts
        return (None, None, None, y0_bar, *back.totals)


class _Backward:
    r"""The backward recursion: one evaluation with graph and one product per step.

    With $\bar y = 2 s$ the recursion of the cotangents is, for the product
    $\Delta = (\partial_z (f, g))^T (\bar f + h s,\ \bar g + s W^T)$ at the end of a step,

    $$\bar Z = \bar z + \Delta, \quad s_n = s + \bar Z, \quad \bar z_n = -\bar Z, \quad
      \bar f_n = h s_n, \quad \bar g_n = s_n W^T.$$

    References:
        Kidger, Foster, Li and Lyons, arXiv 2105.13493, algorithm 2.
    """

    def __init__(self, problem: Problem, inputs: list[Tensor], tracked: Tracked) -> None:
        self.problem, self.inputs, self.tracked = problem, inputs, tracked
        self.totals = [torch.zeros_like(x) for x in inputs]
        # s, the cotangent of z with the other sign, and those of f and g
        self.bars: list[Tensor] = []

    def restart(self, end: tuple[Tensor, Tensor], t: Tensor, grad: Tensor) -> None:
        """At an output time: take the stored (y, z), add the incoming gradient."""
        self.y, z = end
        self._evaluate(t, z)
        if not self.bars:
            # a tensor may be used late that was not at the start
            self.tracked.check((self.f, self.g), [*self.inputs, self.z])
            self.bars = [torch.zeros_like(x) for x in (z, z, self.f, self.g)]
        self.bars[0] = torch.add(self.bars[0], grad, alpha=0.5)

    def undo(self, part: StepChunk, noises: list[StepNoise]) -> None:
        """Go back over the steps of a part, which ends where the recursion stands."""
        for t, h, noise in zip(reversed(part.t), reversed(part.h), reversed(noises)):
            self._step(t, h, noise.W)

    def finish(self) -> Tensor:
        """Cotangent of y0: there z = y, and f and g are those of y0."""
        s, minus_z_bar, f_bar, g_bar = self.bars
        return 2 * s - minus_z_bar + self._product(f_bar, g_bar)

    def _step(self, t: Tensor, h: Size, w: Tensor) -> None:
        s, minus_z_bar, f_bar, g_bar = self.bars
        problem, f, g = self.problem, self.f.detach(), self.g.detach()
        change = self._product(scaled_add(f_bar, h, s), self._outer(s, w, g_bar))
        z_bar = change - minus_z_bar
        earlier = scaled_add(torch.lerp(self.z.detach(), self.y, 2.0), h, f, -1.0)
        self._evaluate(t, add_noise(problem, earlier, g, w, -1.0))
        y = scaled_add(self.y, h, f + self.f.detach(), -0.5)
        self.y = add_noise(problem, y, g + self.g.detach(), w, -0.5)
        s = s + z_bar
        self.bars = [s, z_bar, s * h, self._outer(s, w)]

    def _outer(self, s: Tensor, w: Tensor, base: Tensor | None = None) -> Tensor:
        """The cotangent of g in the product g w, added to `base`."""
        if self.problem.noise_type != "diagonal":
            s, w = s[..., None], w[:, None, :]
        return s * w if base is None else torch.addcmul(base, s, w)

    def _evaluate(self, t: Tensor, z: Tensor) -> None:
        self.z = z.detach().requires_grad_()
        with torch.enable_grad():
            self.f, self.g = self.problem.f_and_g(t, self.z)

    def _product(self, f_bar: Tensor, g_bar: Tensor) -> Tensor:
        """Cotangent of z from those of f and g; the inputs' share goes to the totals."""
        z_more, *more = gradients((self.f, self.g), [self.z, *self.inputs], (f_bar, g_bar))
        if more:
            torch._foreach_add_(self.totals, more)
        return z_more
