r"""The path law of a fitted bridge: everything that can be asked of it.

Between two snapshots the law is the reference, tilted by $h(t, x) = \sum_j e^{g_j} q(t, x; T, y_j)$
with the potential g of the coupling: started anywhere, its end is atom j with probability
proportional to $e^{g_j} q(t, x; T, y_j)$, and its drift is $b + \Sigma \nabla \log h$.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.bridges.bridge_law import BridgeLaw, bridge_law
from trajinfer.bridges.dynamics import Dynamics
from trajinfer.bridges.problem import Problem
from trajinfer.bridges.sinkhorn import Coupling
from trajinfer.bridges.static_likelihood import cholesky, pair_cost
from trajinfer.bridges.stratified import draw_atoms, draw_partners
from trajinfer.bridges.transitions import transition

_CHUNK_ELEMENTS = 2**24


@dataclass(frozen=True)
class MultiMarginalBridge:
    """A reference together with its couplings at all segments.

    Attributes:
        problem: the snapshots.
        dynamics: the reference.
        coupling: of the K-1 segments.
        n_steps: Runge-Kutta steps per segment.
    """

    problem: Problem
    dynamics: Dynamics
    coupling: Coupling
    n_steps: int

    def plan(self, k: int) -> Tensor:
        """Coupling of segment k between its real points, (N_k, N_{k+1})."""
        n, m = self.problem.sizes[k], self.problem.sizes[k + 1]
        return self.coupling.log_plan[k, :n, :m].exp()

    def segment_of(self, t: float) -> int:
        """Index of the segment that holds time t; at a snapshot, the one that starts there."""
        times = self.problem.times
        index = int(torch.searchsorted(times, torch.tensor(t, dtype=times.dtype), right=True)) - 1
        return min(max(index, 0), self.problem.n_segments - 1)

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths at increasing times within the range of the snapshots, (n, T, D).

        Atoms are drawn stratified: every one as often as its weight says, its partners
        systematically along its row.
        """
        first, last = self.segment_of(float(ts[0])), self.segment_of(float(ts[-1]))
        atoms = draw_atoms(self.problem.log_mass[first].exp(), n, generator)
        pieces = []
        for k in range(first, last + 1):
            partners = draw_partners(self.coupling.log_plan[k].exp(), atoms, generator)
            pieces.append(self._draw_segment(k, ts, atoms, partners, generator))
            atoms = partners
        return torch.cat(pieces, dim=1).numpy()

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and positions x (n, D)."""
        start = x.new_full((1,), t)
        rows = start.expand(len(x)).unsqueeze(1)
        if t >= float(self.problem.times[-1]):
            return self.dynamics.drift(rows, x)
        k = self.segment_of(t)
        remaining = self.problem.times[k + 1] - t
        law = transition(
            self.dynamics,
            start,
            x.unsqueeze(0),
            remaining.reshape(1),
            n_steps=self.n_steps,
            with_flow=True,
        )
        target = self._end_weights(k, start, x, remaining) @ self.problem.end[k]
        factor, _ = cholesky(law.covariance)
        miss = (target - law.mean[0]).unsqueeze(2)
        pull = torch.cholesky_solve(miss, factor[0].expand(len(x), -1, -1))
        flow = law.mean.new_zeros(0) if law.flow is None else law.flow[0]
        rate = self.dynamics.covariance_rate(rows, x)
        return self.dynamics.drift(rows, x) + (rate @ flow.mT @ pull).squeeze(2)

    def expected(self, x: Tensor, t0: float, ts: Array) -> Array:
        """Mean positions at ts of individuals that stand at x (n, D) at time t0, (n, T, D)."""
        if t0 >= float(self.problem.times[-1]):
            return self._reference_means(x, ts - float(self.problem.times[-1])).numpy()
        k = self.segment_of(t0)
        pieces = []
        weights: Tensor | None = None
        while True:
            end_time = float(self.problem.times[k + 1])
            final = k == self.problem.n_segments - 1
            inside = ts[(ts >= t0) & ((ts < end_time) | (final & (ts <= end_time)))]
            if weights is None:
                remaining = self.problem.times[k + 1] - t0
                weights_end = self._end_weights(k, x.new_full((1,), t0), x, remaining)
                pieces.append(self._expected_from(k, x, t0, weights_end, inside))
            else:
                rows = self._row_probabilities(k)
                atoms = self._expected_from(
                    k, self.problem.start[k], float(self.problem.times[k]), rows, inside
                )
                pieces.append(torch.einsum("na,atd->ntd", weights, atoms))
                weights_end = weights @ rows
            if final and ts[-1] > end_time:
                atoms = self._reference_means(self.problem.end[k], ts[ts > end_time] - end_time)
                pieces.append(torch.einsum("na,atd->ntd", weights_end, atoms))
            if final or ts[-1] < end_time:
                return torch.cat(pieces, dim=1).numpy()
            weights, k, t0 = weights_end, k + 1, end_time

    def _reference_means(self, x: Tensor, durations: Array) -> Tensor:
        """Means (n, T, D) of the reference, a while after it stood at x at the last snapshot."""
        n_times = len(durations)
        law = transition(
            self.dynamics,
            self.problem.times[-1:].expand(n_times),
            x.expand(n_times, -1, -1),
            torch.as_tensor(durations),
            n_steps=self.n_steps,
        )
        return law.mean.transpose(0, 1)

    def _row_probabilities(self, k: int) -> Tensor:
        """Conditional law of the partner of every atom, (N, M); zero rows for padding."""
        plan = self.coupling.log_plan[k].exp()
        mass = plan.sum(1, keepdim=True)
        return plan / torch.where(mass > 0, mass, 1.0)

    def _end_weights(self, k: int, t: Tensor, x: Tensor, remaining: Tensor) -> Tensor:
        """Probability of every end atom of segment k from x (n, D) at time t, (n, M)."""
        end = self.problem.end[k : k + 1]
        size = max(1, _CHUNK_ELEMENTS // max(1, end[0].numel()))
        parts = []
        for rows in x.split(size):
            law = transition(
                self.dynamics,
                t,
                rows.unsqueeze(0),
                remaining.reshape(1),
                n_steps=self.n_steps,
            )
            logits = self.coupling.g[k] - pair_cost(law, end)[0]
            parts.append(torch.softmax(logits, dim=1))
        return torch.cat(parts)

    def _bridge(self, k: int, x: Tensor, t0: float, inside: Array) -> BridgeLaw:
        t1 = float(self.problem.times[k + 1])
        fractions = torch.as_tensor((inside - t0) / (t1 - t0))
        start = x.new_full((1,), t0)
        duration = x.new_full((1,), t1 - t0)
        return bridge_law(
            self.dynamics, start, x.unsqueeze(0), duration, fractions, n_steps=self.n_steps
        )

    def _expected_from(self, k: int, x: Tensor, t0: float, weights: Tensor, times: Array) -> Tensor:
        """Mean positions (n, T, D) at times of one segment, given the law of the end atom."""
        t1 = float(self.problem.times[k + 1])
        target = weights @ self.problem.end[k]
        inside = times[(times > t0) & (times < t1)]
        pieces = [x.unsqueeze(1).expand(-1, int((times <= t0).sum()), -1)]
        if len(inside):
            law = self._bridge(k, x, t0, inside)
            pieces.append(law.expected(target.unsqueeze(0))[:, 0].transpose(0, 1))
        pieces.append(target.unsqueeze(1).expand(-1, int((times >= t1).sum()), -1))
        return torch.cat(pieces, dim=1)

    def _draw_segment(
        self, k: int, ts: Array, atoms: Tensor, partners: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Positions (n, T_k, D) at the times of segment k (its end only in the last segment)."""
        t0, t1 = float(self.problem.times[k]), float(self.problem.times[k + 1])
        x, y = self.problem.start[k, atoms], self.problem.end[k, partners]
        final = k == self.problem.n_segments - 1
        inside = ts[(ts > t0) & (ts < t1)]
        pieces = [x.unsqueeze(1)] * int((ts == t0).sum())
        if len(inside):
            law = self._bridge(k, x, t0, inside)
            pieces.append(law.draw(y.unsqueeze(0), generator)[:, 0].transpose(0, 1))
        if final:
            pieces += [y.unsqueeze(1)] * int((ts == t1).sum())
        return torch.cat(pieces, dim=1) if pieces else x.new_zeros(len(x), 0, x.shape[1])
