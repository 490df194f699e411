"""Controlled steps of every path by itself: each has its own time, step and memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import MaxStepsExceeded, StepSizeUnderflow
from trajinfer.paths import BrownianTree
from trajinfer.paths.step_grid import Array, step_sizes, times_tensor
from trajinfer.sde.adaptive import History, after_accept, after_reject, error_ratios, shortest_step
from trajinfer.sde.adaptive_loop import AdaptiveLoop, StepRecord
from trajinfer.sde.failures import raise_non_finite
from trajinfer.sde.first_step import hairer_steps
from trajinfer.sde.solvers.base import Step, StepNoise, split_noise
from trajinfer.sde.solvers.error_sum import error_value
from trajinfer.sde.stepping import State, StepChunk

_SNAP = 1e-9


@dataclass
class PathStates:
    """State of every path, on the host; all arrays are (B,).

    Attributes:
        t: times.
        h: lengths of the next trials.
        history: what the controller remembers.
        active: False for paths given up under `on_error="mask"`.
        n_taken: accepted steps.
        n_rejected: rejected steps.
    """

    t: Array
    h: Array
    history: History
    active: Array
    n_taken: Array
    n_rejected: Array

    @classmethod
    def at(cls, t: Array, h: Array) -> PathStates:
        """All paths at their first time."""
        ones, zeros = np.ones(t.shape), np.zeros(t.shape, dtype=np.int64)
        history = History(ones, ones, zeros.astype(bool))
        return cls(t.copy(), h, history, ones.astype(bool), zeros, zeros.copy())


@dataclass(frozen=True)
class PerSampleLoop:
    """A solve with steps controlled path by path; it finds the steps, outside the graph.

    Paths that have reached an output time wait there with steps of no length, which are exact
    no-ops, until all have.

    Attributes:
        plan: solver, problem, tolerances, output times and limits.
        tree: the noise, which can be asked for at different times per path; None for an ODE.
    """

    plan: AdaptiveLoop
    tree: BrownianTree | None

    @torch.no_grad()
    def integrate(self, y0: Tensor) -> tuple[list[Tensor], StepRecord]:
        """The states at the output times, and the steps that led there, (B,) times each."""
        ts = np.array(np.broadcast_to(self.plan.ts, (len(y0), self.plan.ts.shape[-1])))
        t0 = times_tensor(ts[:, :1], y0)[0]
        path_states = PathStates.at(ts[:, 0], self._first(t0, y0))
        state = State(y0, self.plan.solver.start(self.plan.problem, t0, y0), ())
        record, ys = StepRecord([ts[:, 0]]), []
        for end in ts.T[1:]:
            state = self._advance(state, path_states, end, record)
            ys.append(state.y)
            record.saved.append(record.n_steps)
        record.n_rejected = int(path_states.n_rejected.max())
        if self.plan.mask_failures:
            record.active = torch.as_tensor(path_states.active, device=y0.device)
        return ys, record

    def _advance(
        self, state: State, path_states: PathStates, end: Array, record: StepRecord
    ) -> State:
        """Bring all paths to their next output time."""
        times, taken = [], []
        while True:
            active = path_states.active & (path_states.t < end)
            if not active.any():
                break
            self._count(path_states, active)
            state, accepted = self._try(state, path_states, end, active)
            times.append(path_states.t.copy())
            taken.append(accepted)
        record.times.extend(_packed(times, taken, path_states.t))
        return state

    def _try(
        self, state: State, path_states: PathStates, end: Array, active: Array
    ) -> tuple[State, Array]:
        """One trial step of every active path: the states after it, and who accepted it."""
        left, floor = end - path_states.t, shortest_step(self.plan.control, self.plan.ts)
        h = np.maximum(path_states.h, floor)
        lands = h >= left * (1 - _SNAP)
        after = np.where(active, np.where(lands, end, path_states.t + h), path_states.t)
        times = np.stack([path_states.t, after], axis=1)
        step, noise = self._step(state, times)
        error = torch.zeros_like(step.y) if step.error is None else error_value(step.error)
        ratios = error_ratios(self.plan.control, error, state.y, step.y).cpu().numpy()
        length = after - path_states.t
        hopeless = active & ~(ratios <= 1.0) & (length <= floor)
        if hopeless.any():
            self._give_up(state, path_states, times, noise, ratios, hopeless)
        accepted = active & (ratios <= 1.0)
        self._adapt(path_states, ratios.astype(np.float64), length, lands, active, accepted)
        path_states.t = np.where(accepted, after, path_states.t)
        keep = torch.as_tensor(accepted, device=state.y.device)
        return State(_chosen(keep, step.y, state.y), _all_chosen(keep, step, state), ()), accepted

    def _adapt(
        self,
        path_states: PathStates,
        ratios: Array,
        length: Array,
        lands: Array,
        active: Array,
        accepted: Array,
    ) -> None:
        """The next trial of every path that was active, and what its controller remembers."""
        control, ode = self.plan.control, self.tree is None
        order, old = self.plan.solver.error_order(), path_states.history
        known = np.where(accepted, ratios, 1.0)
        grown, after = after_accept(control, known, old, order=order, ode=ode)
        cut, memory = after_reject(control, ratios, old, order=order)
        # a step cut short by an output time says nothing against the longer one proposed before
        longer = np.where(lands, np.maximum(grown * length, path_states.h), grown * length)
        rejected = active & ~accepted
        path_states.h = np.where(accepted, longer, np.where(rejected, cut * length, path_states.h))
        path_states.history = History(
            *(
                np.where(accepted, new, np.where(rejected, kept, before))
                for new, kept, before in zip(after, memory, old)
            )
        )
        path_states.n_taken += accepted
        path_states.n_rejected += rejected

    def _step(self, state: State, times: Array) -> tuple[Step, StepNoise]:
        """A step of every path between its own two times, (B, 2)."""
        plan, y = self.plan, state.y
        sizes = step_sizes(times, y)
        noise = StepNoise(None, None, None, 0.0, ())
        if self.tree is not None:
            need = plan.solver.needs(plan.problem)
            drawn = self.tree.steps(0, times, need, y.shape[1])
            noise = split_noise(plan.solver, plan.problem, drawn, times, sizes, y)[0]
        t = times_tensor(times[:, :1], y)[0]
        return plan.solver.step(plan.problem, t, sizes[0], y, noise, state.carry), noise

    def _give_up(
        self,
        state: State,
        path_states: PathStates,
        times: Array,
        noise: StepNoise,
        ratios: Array,
        hopeless: Array,
    ) -> None:
        """Steps at the minimum failed: raise, or go on without the paths concerned."""
        if self.plan.mask_failures:
            path_states.active &= ~hopeless
            return
        worst = int(np.argmax(hopeless))
        length = float(times[worst, 1] - times[worst, 0])
        if np.isfinite(ratios[hopeless]).all():
            raise StepSizeUnderflow(
                f"a step of {length:.3g} of sample {worst} still has {ratios[worst]:.3g} times the "
                "error allowed; loosen rtol and atol, or use a solver for stiff problems",
                t=float(times[worst, 0]),
                step=int(path_states.n_taken[worst]),
                method=self.plan.solver.name,
                h=length,
            )
        first = int(path_states.n_taken[worst])
        t = times_tensor(times[:, :1], state.y)
        chunk = StepChunk(first, times, t, step_sizes(times, state.y), (True,))
        plan, failed = self.plan, np.flatnonzero(hopeless & np.isnan(ratios)).tolist()
        raise_non_finite(plan.solver, plan.problem, chunk, [noise], state, failed)

    def _count(self, path_states: PathStates, active: Array) -> None:
        tried = np.where(active, path_states.n_taken + path_states.n_rejected, 0)
        worst = int(np.argmax(tried))
        if tried[worst] >= self.plan.max_steps:
            raise MaxStepsExceeded(
                f"{path_states.n_taken[worst]} steps of sample {worst} were accepted and "
                f"{path_states.n_rejected[worst]} rejected; loosen the tolerances or raise "
                "max_steps",
                t=float(path_states.t[worst]),
                method=self.plan.solver.name,
            )

    def _first(self, t0: Tensor, y0: Tensor) -> Array:
        """Lengths of the first trials, (B,)."""
        plan, n_paths = self.plan, len(y0)
        spans = np.broadcast_to(plan.ts[..., -1] - plan.ts[..., 0], (n_paths,))
        if plan.control.first_step is not None:
            return np.full(n_paths, plan.control.first_step)
        if self.tree is not None:
            return 0.01 * spans
        order = plan.solver.error_order()
        steps = hairer_steps(plan.problem, plan.control, order, t0, y0, shared=False)
        return np.asarray(np.minimum(steps.cpu().numpy(), spans))


def _packed(times: list[Array], taken: list[Array], now: Array) -> list[Array]:
    """The ends of the accepted steps, each path's own ones first, then its present time."""
    if not times:
        return [now.copy()]
    mask = np.stack(taken)
    order = np.argsort(~mask, axis=0, kind="stable")
    counts = mask.sum(axis=0)
    ends = np.take_along_axis(np.stack(times), order, axis=0)[: max(1, counts.max())]
    waiting = np.arange(len(ends))[:, None] >= counts
    return list(np.where(waiting, now, ends))


def _chosen(keep: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(keep.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _all_chosen(keep: Tensor, step: Step, state: State) -> tuple[Tensor, ...]:
    return tuple(_chosen(keep, new, old) for new, old in zip(step.carry, state.carry))
