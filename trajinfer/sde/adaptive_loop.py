"""The loop over controlled steps: propose, judge, accept or shorten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import MaxStepsExceeded, StepSizeUnderflow
from trajinfer.paths.step_grid import Array
from trajinfer.sde.accumulator import AcceptedStep, StepAccumulator
from trajinfer.sde.adaptive import (
    Adaptive,
    History,
    after_accept,
    after_reject,
    batch_ratio,
    error_ratios,
    shortest_step,
)
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.first_step import hairer_steps
from trajinfer.sde.noise import RejectableNoise
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import (
    Size,
    Solver,
    Stage,
    Step,
    StepNoise,
    shifted,
    single_noise,
)
from trajinfer.sde.solvers.error_sum import ErrorSum, error_value
from trajinfer.sde.stepping import Saved, State, StepChunk, enough, folded

_SNAP = 1e-9


@dataclass
class StepRecord:
    """The accepted steps, enough to take them again.

    Attributes:
        times: their ends on the host, floats or (B,).
        noise: their (W, H).
        saved: index into `times` of every output time.
        n_rejected: rejected steps.
        active: (B,), False for paths given up under `on_error="mask"`.
        states: the states they start from, if asked for.
    """

    times: list[Array]
    noise: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    saved: list[int] = field(default_factory=lambda: [0])
    n_rejected: int = 0
    active: Tensor | None = None
    states: list[Tensor] = field(default_factory=list)

    @property
    def n_steps(self) -> int:
        """Accepted steps."""
        return len(self.times) - 1


class Trial(NamedTuple):
    """A step that was tried.

    Attributes:
        length: in units of s.
        step: its result.
        noise: of the step.
        error: value of its error estimate, (B, D), outside the graph.
    """

    length: float
    step: Step
    noise: StepNoise
    error: Tensor


class Segment:
    """One interval between output times, walked by s from 0 to `length`.

    No step is shorter than `shortest`, which is given in time and kept in units of s.
    Where all series share their times s is time. Where each has its own, s runs over [0, 1] and the
    step of a series is its own interval times ds; Brownian scaling makes the noise follow.
    """

    def __init__(self, start: Array, end: Array, y: Tensor, shortest: float) -> None:
        self.start, self.end = start, end
        self.gap: Tensor | None = None
        self.length = 1.0
        if np.ndim(start) == 0:
            self.length = float(end - start)
        else:
            gap = torch.as_tensor(end - start, dtype=y.dtype, device=y.device)
            self.gap = gap[:, None]
            shortest /= max(float(np.max(end - start)), 1e-300)
        self.shortest = shortest

    def time(self, s: float) -> Array:
        """Times on the host at s."""
        if s >= self.length:
            return self.end
        return np.asarray(self.start + (s if self.gap is None else s * (self.end - self.start)))

    def size(self, ds: float) -> Size:
        """Length of a step ds as the solver takes it."""
        return ds if self.gap is None else self.gap * ds

    def noise(self, solver: Solver, pair: tuple[Tensor, Tensor], ds: float) -> StepNoise:
        """The noise of a step ds as the solver takes it."""
        w, area = pair
        if self.gap is not None:
            w, area = w * self.gap.sqrt(), area * self.gap.sqrt()
        return single_noise(solver, w, area, self.size(ds))


@dataclass
class AdaptiveLoop:
    """A controlled solve, ready to run.

    Attributes:
        solver: with its error estimate switched on.
        problem: the SDE.
        stack: the noise, None for an ODE.
        control: tolerances and gains.
        ts: output times, (T,) or (B, T).
        accumulators: what to add up over the accepted steps.
        max_steps: accepted and rejected steps allowed.
        mask_failures: give up paths that fail instead of raising.
        keep_noise: enter the noise of the accepted steps into the record.
        keep_states: likewise the states they start from.
    """

    solver: Solver
    problem: Problem
    stack: RejectableNoise | None
    control: Adaptive
    ts: Array
    accumulators: tuple[StepAccumulator, ...]
    max_steps: int
    mask_failures: bool
    keep_noise: bool = False
    keep_states: bool = False

    def integrate(self, y0: Tensor) -> tuple[Saved, StepRecord]:
        """Run to the last output time."""
        t0 = self._tensor(self.ts[..., 0], y0)
        saved, record = Saved([], [], []), StepRecord([self.ts[..., 0]])
        if self.mask_failures:
            record.active = torch.ones(y0.shape[0], dtype=torch.bool, device=y0.device)
        totals = tuple(accumulator.start(y0) for accumulator in self.accumulators)
        state = State(y0, self.solver.start(self.problem, t0, y0), totals)
        history, ds, shortest = History(), 0.0, shortest_step(self.control, self.ts)
        for k in range(self.ts.shape[-1] - 1):
            segment = Segment(self.ts[..., k], self.ts[..., k + 1], y0, shortest)
            if k == 0:
                ds = self._first(segment, t0, y0)
            state, ds, history = self._advance(segment, state, ds, history, saved, record)
            saved.ys.append(state.y)
            saved.totals.append(state.totals)
            record.saved.append(record.n_steps)
            totals = tuple(accumulator.start(state.y) for accumulator in self.accumulators)
            state = state._replace(totals=totals)
        return saved, record

    def _advance(
        self,
        segment: Segment,
        state: State,
        ds: float,
        history: History,
        saved: Saved,
        record: StepRecord,
    ) -> tuple[State, float, History]:
        """Accepted steps from one output time to the next."""
        s, order, ode = 0.0, self._order(), self.stack is None
        steps: list[AcceptedStep] = []
        while s < segment.length:
            left, ds = segment.length - s, max(ds, segment.shortest)
            lands = ds >= left * (1 - _SNAP)
            trial = left if lands else ds
            taken, r, history = self._accepted(segment, s, trial, state, history, record)
            trial, step = taken.length, taken.step
            lands = lands and trial == left
            if self.accumulators:
                t = self._tensor(segment.time(s), state.y)
                steps.append(AcceptedStep(t, segment.size(trial), state.y, taken.noise, step))
            saved.errors.append(taken.error[None])
            if self.keep_states:
                record.states.append(state.y)
            totals = state.totals
            if enough(steps, step.y):
                totals, _ = folded(self.accumulators, totals, self.problem, steps)
                steps = []
            state = State(step.y, step.carry, totals)
            s = segment.length if lands else s + trial
            record.times.append(segment.time(s))
            factor, history = after_accept(self.control, r, history, order=order, ode=ode)
            # a step cut short by an output time says nothing against the longer one proposed before
            longer = float(factor) * trial
            ds = max(longer, ds) if lands else longer
        totals, _ = folded(self.accumulators, state.totals, self.problem, steps)
        return state._replace(totals=totals), ds, history

    def _accepted(
        self,
        segment: Segment,
        s: float,
        trial: float,
        state: State,
        history: History,
        record: StepRecord,
    ) -> tuple[Trial, float, History]:
        """Try steps from s until one is accepted: the step, its error ratio, and the memory."""
        pair = None if self.stack is None else self.stack.propose(trial)
        while True:
            self._count(record, segment, s)
            taken = self._attempt(segment, s, trial, state, pair)
            ratios = error_ratios(self.control, taken.error, state.y, taken.step.y)
            r = batch_ratio(self.control, ratios, record.active)
            if r <= 1.0:
                break
            if trial <= segment.shortest:
                self._give_up(segment, s, trial, state, taken.noise, ratios, record)
                r = 1.0
                break
            record.n_rejected += 1
            factor, history = after_reject(self.control, r, history, order=self._order())
            trial = max(float(factor) * trial, segment.shortest)
            pair = None if self.stack is None else self.stack.reject(trial)
        if self.stack is not None:
            self.stack.accept()
        if self.keep_noise and pair is not None:
            record.noise.append((taken.noise.W, taken.noise.H))
        return taken, r, history

    def _attempt(
        self,
        segment: Segment,
        s: float,
        ds: float,
        state: State,
        pair: tuple[Tensor, Tensor] | None,
    ) -> Trial:
        """One step of length ds, with its error estimate."""
        t, h = self._tensor(segment.time(s), state.y), segment.size(ds)
        if pair is None:
            noise = StepNoise(None, None, None, 0.0, ())
        else:
            noise = segment.noise(self.solver, pair, ds)
        step = self.solver.step(self.problem, t, h, state.y, noise, state.carry)
        if self.solver.estimate is None:
            step = self._doubled(segment, t, ds, state, step)
        error = torch.zeros_like(step.y) if step.error is None else error_value(step.error)
        return Trial(ds, step, noise, error)

    def _doubled(self, segment: Segment, t: Tensor, ds: float, state: State, whole: Step) -> Step:
        """Two half steps; their difference from the whole one is the error estimate."""
        half = segment.size(ds / 2)
        noises = [StepNoise(None, None, None, 0.0, ())] * 2
        if self.stack is not None:
            pairs = self.stack.halve()
            noises = [segment.noise(self.solver, pair, ds / 2) for pair in pairs]
        first = self.solver.step(self.problem, t, half, state.y, noises[0], state.carry)
        middle = shifted(t, 1.0, half)
        last = self.solver.step(self.problem, middle, half, first.y, noises[1], first.carry)
        stages = tuple(
            Stage(0.5 * stage.weight, stage.t, stage.y, stage.f, stage.g)
            for stage in (*first.stages, *last.stages)
        )
        return Step(last.y, last.carry, ErrorSum(rest=last.y - whole.y), stages)

    def _give_up(
        self,
        segment: Segment,
        s: float,
        trial: float,
        state: State,
        noise: StepNoise,
        ratios: Tensor,
        record: StepRecord,
    ) -> None:
        """A step at the minimum failed: raise, or go on without the paths concerned."""
        if record.active is not None:
            record.active = record.active & (ratios <= 1.0)
            return
        time = float(np.max(segment.time(s)))
        if bool(torch.isfinite(ratios).all()):
            raise StepSizeUnderflow(
                f"a step of {trial:.3g} still has {float(ratios.max()):.3g} times the error "
                "allowed; loosen rtol and atol, or use a solver for stiff problems",
                t=time,
                step=record.n_steps,
                method=self.solver.name,
                h=trial,
            )
        y = state.y
        times = np.stack([segment.time(s), segment.time(min(s + trial, segment.length))], axis=-1)
        chunk = StepChunk(
            record.n_steps, times, (self._tensor(times[..., 0], y),), [segment.size(trial)], (True,)
        )
        failed = torch.isnan(ratios).nonzero()[:, 0].tolist()
        raise_non_finite(self.solver, self.problem, chunk, [noise], state, failed)

    def _count(self, record: StepRecord, segment: Segment, s: float) -> None:
        if record.n_steps + record.n_rejected >= self.max_steps:
            raise MaxStepsExceeded(
                f"{record.n_steps} steps were accepted and {record.n_rejected} rejected; loosen "
                "the tolerances or raise max_steps",
                t=float(np.max(segment.time(s))),
                method=self.solver.name,
            )

    def _order(self) -> float:
        if self.solver.estimate is None:
            return self.solver.strong_order(self.problem) + (0.0 if self.stack is None else 0.5)
        return self.solver.error_order()

    def _first(self, segment: Segment, t0: Tensor, y0: Tensor) -> float:
        """Length of the first trial, in units of s."""
        span = float(np.max(self.ts[..., -1] - self.ts[..., 0]))
        if self.control.first_step is not None:
            first = self.control.first_step
        elif self.stack is not None:
            first = 0.01 * span
        else:
            first = min(self.hairer_step(t0, y0), span)
        if segment.gap is None:
            return first
        return first / max(float(np.max(segment.end - segment.start)), 1e-300)

    def hairer_step(self, t0: Tensor, y0: Tensor) -> float:
        """First step of an ODE that suits the whole batch."""
        order = self.solver.error_order()
        return float(hairer_steps(self.problem, self.control, order, t0, y0, shared=True))

    @staticmethod
    def _tensor(time: Array, y: Tensor) -> Tensor:
        """A time as the networks see it."""
        tensor = torch.as_tensor(np.asarray(time), dtype=y.dtype, device=y.device)
        return tensor[:, None] if tensor.ndim == 1 else tensor
