"""The local penalty: one step more, from a random place on the path that a solve has taken."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver
from trajinfer.paths.levy_area import join
from trajinfer.paths.step_grid import Array, StepGrid
from trajinfer.sde.accumulator import AcceptedStep, StepAccumulator
from trajinfer.sde.adaptive_loop import AdaptiveLoop
from trajinfer.sde.heuristics import SolverRegularization
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import SOLVERS, Solver
from trajinfer.sde.solvers.base import Size, Step, StepNoise, shifted, single_noise
from trajinfer.sde.solvers.error_sum import ErrorSum, error_values
from trajinfer.sde.step_penalty import Measure
from trajinfer.sde.stepping import Saved


@dataclass(frozen=True)
class ProbeStep:
    """A place on the path.

    Attributes:
        step: index of the step it lies in.
        share: how far into that step, a float or (B,).
        weight: its density relative to uniform sampling, a float or (B,).
    """

    step: int
    share: float | Array
    weight: float | Array


@dataclass(frozen=True)
class LocalPenalty:
    """Draws places on a path, steps from there, and judges the steps.

    Attributes:
        measure: how a step is judged.
        approach: the solver that goes to the place.
        solver: the solver of the extra step, its estimate switched on, or none for doubling.
        problem: the SDE.
        noisy: number of Brownian channels.
        generator: of places and noise; the noise of the solve itself is never touched.
        loop: the adaptive solve, where there is one: it knows the first step of a solve.
    """

    measure: Measure
    approach: Solver
    solver: Solver
    problem: Problem
    noisy: int
    generator: torch.Generator = field(default_factory=torch.Generator)
    loop: AdaptiveLoop | None = None

    def ready(self, generator: torch.Generator, loop: AdaptiveLoop | None = None) -> LocalPenalty:
        """The same with the randomness of one solve, and the solve itself where it is adaptive."""
        return replace(self, generator=generator, loop=loop)

    @property
    def settings(self) -> SolverRegularization:
        """The settings of the penalty."""
        return self.measure.settings

    def probes(self, times: Array) -> list[ProbeStep]:
        """Places on a path whose steps end at `times`, (N + 1,) or (B, N + 1)."""
        draw = _uniform_in_time if self.settings.sampling == "unbiased" else _uniform_over_steps
        return [draw(times, self._uniform(times)) for _ in range(self.settings.n_times)]

    def terms(
        self, times: Array, probes: Sequence[ProbeStep], states: Sequence[Tensor]
    ) -> tuple[dict[str, Tensor], int]:
        """The terms of the penalty, and the evaluations they took.

        Args:
            times: ends of the steps.
            probes: places on the path.
            states: the state at the start of the step of each probe.
        """
        problem = self.problem
        counts = problem.nfe_f, problem.nfe_g
        values = [self._probe(times, probe, y) for probe, y in zip(probes, states)]
        extra = problem.nfe_f + problem.nfe_g - sum(counts)
        problem.nfe_f, problem.nfe_g = counts
        mean = {k: torch.stack([terms[k] for terms in values]).mean() for k in values[0]}
        return mean, extra + (len(values) if self.measure.probes else 0)

    def _uniform(self, times: Array) -> Array:
        """Two uniform numbers, the second for every series with times of its own."""
        rows = 1 if times.ndim == 1 else len(times)
        device = self.generator.device
        draws = torch.rand(1 + rows, generator=self.generator, dtype=torch.float64, device=device)
        return np.asarray(draws.cpu().numpy())

    def _probe(self, times: Array, probe: ProbeStep, y: Tensor) -> dict[str, Tensor]:
        start, end = times[..., probe.step], times[..., probe.step + 1]
        with nullcontext() if self.settings.state_grad else torch.no_grad():
            y = self._go(start, probe.share * (end - start), y)
        if not self.settings.state_grad:
            y = y.detach()
        t1 = start + probe.share * (end - start)
        length = np.minimum(self._length(t1, end - start, y), times[..., -1] - t1)
        t, h = _tensor(t1, y), _size(length, y)
        nothing = StepNoise(None, None, None, 0.0, ())
        step = self._extra(t, h, y)
        errors = None if step.error is None else error_values([step.error])
        raw = self.measure.raw(self.problem, [AcceptedStep(t, h, y, nothing, step)], errors)
        values = self.measure.powers(raw[0])
        return self._estimates(times, probe, values, np.atleast_1d(length))

    def _estimates(
        self, times: Array, probe: ProbeStep, values: dict[str, Tensor], length: Array
    ) -> dict[str, Tensor]:
        """Estimates of the sum or mean over all steps from the values of one step, (R,)."""
        settings, gaps = self.settings, np.atleast_2d(np.diff(times, axis=-1))
        n_steps, span = (gaps > 0).sum(1), np.atleast_1d(times[..., -1] - times[..., 0])
        shares = {"stiffness": n_steps if settings.reduce == "sum" else np.ones(1)}
        uniform = settings.sampling == "unbiased"
        shares["error"] = span if uniform else n_steps * length
        if settings.reduce == "mean":
            shares["error"] = length
        elif settings.reduce == "steps":
            taken = n_steps * np.where(length > 0, length, np.inf)
            shares["error"] = span / taken if uniform else np.ones(1)
        weights = {name: torch.as_tensor(probe.weight * share) for name, share in shares.items()}
        return {k: (value * weights[k].to(value)).mean() for k, value in values.items()}

    def _length(self, t1: Array, controlled: Array, y: Tensor) -> Array:
        """The length asked for, before it is cut at the end of the time span."""
        if self.settings.h == "controller":
            return controlled
        if self.settings.h != "auto" or self.loop is None:
            return np.asarray(np.where(controlled > 0, float(self.settings.h), 0.0))
        if self.problem.noise_type == "none":
            first = self.loop.hairer_step(_tensor(t1, y), y)
        else:
            first = 0.01 * float(np.max(self.loop.ts[..., -1] - self.loop.ts[..., 0]))
        return np.asarray(np.where(controlled > 0, first, 0.0))

    def _go(self, t: Array, length: Array, y: Tensor) -> Tensor:
        """Step into a step, with noise of its own."""
        if not np.any(length > 0):
            return y
        start, h = _tensor(t, y), _size(length, y)
        carry = self.approach.start(self.problem, start, y)
        noise = self._noise(self.approach, y, h)
        return self.approach.step(self.problem, start, h, y, noise, carry).y

    def _extra(self, t: Tensor, h: Size, y: Tensor) -> Step:
        """The extra step with its error estimate."""
        solver, problem = self.solver, self.problem
        carry = solver.start(problem, t, y)
        if solver.estimate is not None or not self.settings.wants_error:
            return solver.step(problem, t, h, y, self._noise(solver, y, h), carry)
        half = 0.5 * h
        noises = [self._noise(solver, y, half) for _ in range(2)]
        whole_noise = noises[0]
        if self.noisy:
            (w1, a1), (w2, a2) = ((noise.W, noise.H) for noise in noises)
            whole_noise = single_noise(solver, *join(0.5, w1, a1, 0.5, w2, a2), h)
        whole = solver.step(problem, t, h, y, whole_noise, carry)
        first = solver.step(problem, t, half, y, noises[0], carry)
        last = solver.step(problem, shifted(t, 1.0, half), half, first.y, noises[1], first.carry)
        return Step(whole.y, (), ErrorSum(rest=last.y - whole.y), whole.stages)

    def _noise(self, solver: Solver, y: Tensor, h: Size) -> StepNoise:
        if not self.noisy:
            return StepNoise(None, None, None, 0.0, ())
        shape, generator = (2, y.shape[0], self.noisy), self.generator
        z = torch.randn(shape, generator=generator, dtype=y.dtype, device=generator.device)
        w, area = z.to(y.device).unbind(0)
        root = h**0.5
        return single_noise(solver, w * root, area * (root * 12**-0.5), h)


def extra_solver(settings: SolverRegularization, problem: Problem, solver: Solver) -> Solver:
    """The solver of the extra step: tsit5 for ODEs, else that of the solve.

    Raises:
        IncompatibleSolver: if it has no such error estimate.
    """
    if problem.noise_type == "none":
        return replace(SOLVERS["tsit5"], estimate="embedded")
    if settings.estimate == "doubling" or not settings.wants_error:
        return replace(solver, estimate=None)
    if settings.estimate not in solver.estimates:
        raise IncompatibleSolver(
            f"it has no {settings.estimate} error estimate for the local penalty; use "
            "SolverRegularization(estimate='doubling')",
            method=solver.name,
        )
    return replace(solver, estimate=settings.estimate)


def with_probe_times(grid: StepGrid, probes: Sequence[ProbeStep]) -> StepGrid:
    """The same steps, with the starts of the steps visited among the output times."""
    starts = [probe.step for probe in probes]
    return replace(grid, saved=np.unique(np.concatenate([grid.saved, starts])))


def without_probe_times(
    saved: Saved, wide: StepGrid, grid: StepGrid, accumulators: tuple[StepAccumulator, ...]
) -> Saved:
    """The outputs at the times of `grid` alone."""
    wanted = set(grid.saved.tolist())
    ys, totals = [], []
    pending: tuple[Tensor, ...] | None = None
    for index, y, new in zip(wide.saved[1:].tolist(), saved.ys, saved.totals):
        if pending is not None:
            new = tuple(
                accumulator.join(a, b) for accumulator, a, b in zip(accumulators, pending, new)
            )
        pending = None if index in wanted else new
        if index in wanted:
            ys.append(y)
            totals.append(new)
    return Saved(ys, totals, saved.errors)


def _uniform_in_time(times: Array, draws: Array) -> ProbeStep:
    """Uniform over the time span of every series."""
    gaps = np.diff(times, axis=-1)
    if times.ndim == 1:
        t1 = times[0] + draws[0] * (times[-1] - times[0])
        step = int(np.clip(np.searchsorted(times, t1, side="right") - 1, 0, len(gaps) - 1))
        return ProbeStep(step, float((t1 - times[step]) / gaps[step]), 1.0)
    n_steps = gaps.shape[1]
    step = min(int(draws[0] * n_steps), n_steps - 1)
    span = times[:, -1] - times[:, 0]
    weight = n_steps * gaps[:, step] / np.where(span > 0, span, 1.0)
    return ProbeStep(step, draws[1:], weight)


def _uniform_over_steps(times: Array, draws: Array) -> ProbeStep:
    """Uniform over the steps of every series; steps of no length do not count."""
    gaps = np.diff(times, axis=-1)
    n_steps = gaps.shape[-1]
    step = min(int(draws[0] * n_steps), n_steps - 1)
    if times.ndim == 1:
        return ProbeStep(step, 0.0, 1.0)
    taken = gaps > 0
    # a series with fewer steps is met less often: n / n_b makes up for it in the mean
    weight = taken[:, step] * n_steps / np.maximum(taken.sum(1), 1)
    return ProbeStep(step, np.zeros(len(times)), weight)


def _tensor(time: Array, y: Tensor) -> Tensor:
    tensor = torch.as_tensor(np.asarray(time), dtype=y.dtype, device=y.device)
    return tensor[:, None] if tensor.ndim == 1 else tensor


def _size(length: Array, y: Tensor) -> Size:
    return float(length) if np.ndim(length) == 0 else _tensor(length, y)
