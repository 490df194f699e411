r"""The path law of a bridge between snapshots that show some coordinates of its reference.

Individuals pass from point to point by the couplings. Given the points that one visits, its hidden
coordinates have the law that the reference gives them: that of a Kalman smoother with the Gaussian
transition laws, linearised at what is expected of all who stand at a point. Between two snapshots,
once both states are known in full, the path is a bridge of the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.hidden.coordinates import Coordinates
from trajinfer.hidden.hidden_law import Arrival, HiddenLaw, Passage
from trajinfer.references.between import (
    draw_between,
    expected_between,
    reference_means,
    segment_times,
)
from trajinfer.references.dynamics import Reference
from trajinfer.references.linalg import cholesky
from trajinfer.references.marginal_error import missed_marginals
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.references.stratified import draw_atoms, draw_partners
from trajinfer.references.transitions import Transition, Transitions

_FUTURES = 100


@packable
@dataclass(frozen=True)
class HiddenBridge:
    """A reference, couplings of measured coordinates, and laws of the hidden ones.

    Attributes:
        reference: the SDE, of dimension D.
        transitions: its transition laws.
        coordinates: which are measured.
        problem: the snapshots, of dimension d.
        potentials: f (N_k,) and g (N_{k+1},) of every segment.
        laws: of the hidden coordinates at the points of every snapshot, given where those who
            arrive there come from.
        error: largest L1 distance of a coupling from its marginals.
    """

    reference: Reference
    transitions: Transitions
    coordinates: Coordinates
    problem: Problem
    potentials: tuple[tuple[Tensor, Tensor], ...]
    laws: tuple[HiddenLaw, ...]
    error: float
    tolerance: ClassVar[float] = 1e-6
    growth: ClassVar[None] = None

    @property
    def shortfall(self) -> str | None:
        """How far the couplings miss their marginals, in words; None where they meet them."""
        return missed_marginals(self.error, self.tolerance)

    def to_state(self) -> dict[str, Any]:
        """What can be saved."""
        return {
            "problem": self.problem,
            "sde": self.reference.sde,
            "linear_noise": self.reference.linear_noise,
            "n_steps": self.transitions.n_steps,
            "coordinates": self.coordinates,
            "potentials": self.potentials,
            "laws": self.laws,
            "error": self.error,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The path law that `to_state` described."""
        reference = Reference(state["sde"], state["linear_noise"])
        transitions = Transitions(reference.frozen_dynamics, state["n_steps"])
        kept = (state[name] for name in ("coordinates", "problem", "potentials", "laws", "error"))
        return cls(reference, transitions, *kept)

    def plan(self, k: int) -> Tensor:
        """Coupling of segment k, (N_k, N_{k+1})."""
        f, g = self.potentials[k]
        cost = pair_cost(self._arrival(k).seen, self.problem.points[k + 1].unsqueeze(0))[0]
        return (f.unsqueeze(1) + g - cost).exp()

    def onward(self, k: int) -> Tensor:
        """Probabilities (N_k, N_{k+1}) of the end points of segment k, given the start."""
        plan = self.plan(k)
        mass = plan.sum(1, keepdim=True)
        return plan / torch.where(mass > 0, mass, 1.0)

    def plan_at(self, k: int, share: float) -> Tensor:
        """The same, at any share of the segment."""
        return self.plan(k)

    def mass(self, t: float) -> float:
        """Total mass relative to the first snapshot: it does not change."""
        return 1.0

    def draw(self, ts: Array, n: int, generator: torch.Generator) -> Array:
        """Draw n paths (n, T, D) at increasing times within the range of the snapshots.

        Points are drawn stratified, hidden coordinates given all points that a path visits.
        """
        atoms = self._chains(n, generator)
        states = self._states(atoms, generator)
        pieces = []
        for k in range(self.problem.n_segments):
            final = k == self.problem.n_segments - 1
            ends = states[k], states[k + 1]
            pieces.append(
                draw_between(
                    self.transitions, self.problem.span(k), ends, ts, generator, with_end=final
                )
            )
        return torch.cat(pieces, dim=1).numpy()

    def draw_branching(self, ts: Array, n: int, generator: torch.Generator) -> tuple[Array, None]:
        """The same; nobody divides."""
        return self.draw(ts, n, generator), None

    def draw_last(self, n: int, generator: torch.Generator) -> Tensor:
        """States (n, D) of individuals at the last snapshot."""
        atoms = draw_atoms(self.problem.log_mass[-1].exp(), n, generator)
        law = self.laws[-1]
        drawn = law.of_rows(atoms).draw(generator)
        return self.coordinates.whole(self.problem.points[-1][atoms], drawn)

    def velocity(self, t: float, x: Tensor) -> Tensor:
        """Drift of the path law at time t and states x (n, D)."""
        rows = x.new_full((len(x), 1), t)
        dynamics = self.transitions.dynamics
        drift = dynamics.drift(rows, x)
        if t >= float(self.problem.times[-1]):
            return drift
        k = self.problem.segment_of(t)
        law = self._onward(t, self.problem.span(k)[1], x)
        seen = list(self.coordinates.observed)
        weights = self._end_weights(k, law)
        miss = weights @ self.problem.points[k + 1] - law.mean[0, :, seen]
        factor, _ = cholesky(law.covariance[0][:, seen][:, :, seen])
        pull = torch.cholesky_solve(miss.unsqueeze(2), factor.expand(len(x), -1, -1))
        rate = dynamics.covariance_rate(rows, x)
        return drift + (rate @ law.flow[0][:, seen].mT @ pull).squeeze(2)

    def expected(self, x: Tensor, t0: float, ts: Array) -> Array:
        """Mean states (n, T, D) at ts of individuals that stand at x (n, D) at time t0.

        The mean of a hundred futures each, always the same ones.
        """
        last = float(self.problem.times[-1])
        if t0 >= last:
            return reference_means(self.transitions, last, x, ts - last).numpy()
        generator = torch.Generator().manual_seed(0)
        state, pieces = x.repeat_interleave(_FUTURES, dim=0), []
        for k in range(self.problem.segment_of(t0), self.problem.n_segments):
            end = self.problem.span(k)[1]
            final = k == self.problem.n_segments - 1
            arrived = self._arrived(k, t0, state, generator)
            inside = segment_times(ts, t0, end, final=final)
            pieces.append(expected_between(self.transitions, (t0, end), state, arrived, inside))
            state, t0 = arrived, end
        if ts[-1] > last:
            pieces.append(reference_means(self.transitions, last, state, ts[ts > last] - last))
        futures = torch.cat(pieces, dim=1)
        return futures.reshape(len(x), _FUTURES, *futures.shape[1:]).mean(1).numpy()

    def start_weights(self, k: int, y: Tensor) -> Tensor:
        """Probability of every start point of segment k, given a measured end y (m, d): (m, N)."""
        cost = pair_cost(self._arrival(k).seen, y.unsqueeze(0))[0]
        return torch.softmax(self.potentials[k][0] - cost.mT, 1)

    def end_weights(self, k: int, x: Tensor) -> Tensor:
        """Probability of every end point of segment k, given the measured start x (n, d): (n, M).

        Hidden coordinates at x are taken to be those at the nearest point of the snapshot.
        """
        nearest = torch.cdist(x, self.problem.points[k]).argmin(1)
        law = self.laws[k].of_rows(nearest)
        passage = Passage.of(self.transitions, self.coordinates, self.problem.span(k), x, law.mean)
        return self._end_weights(k, passage.arrival(law).seen)

    def _end_weights(self, k: int, law: Transition) -> Tensor:
        """Probability of every end point (n, M) under laws of the state or of what is measured."""
        d = len(self.coordinates.observed)
        if law.mean.shape[-1] != d:
            seen = list(self.coordinates.observed)
            law = Transition(law.mean[..., seen], law.flow, law.covariance[..., seen, :][..., seen])
        cost = pair_cost(law, self.problem.points[k + 1].unsqueeze(0))[0]
        return torch.softmax(self.potentials[k][1] - cost, dim=1)

    def _onward(self, t: float, end: float, x: Tensor) -> Transition:
        """Laws (1, n, ...) at the end of a segment, of states x (n, D) at time t."""
        law = self.transitions(
            x.new_full((1,), t), x.unsqueeze(0), x.new_full((1,), end - t), with_flow=True
        )
        full = (1, *x.shape, x.shape[1])
        return Transition(law.mean, law.flow.expand(full), law.covariance.expand(full))

    def _arrived(self, k: int, t: float, x: Tensor, generator: torch.Generator) -> Tensor:
        """One state (n, D) each, at the end of segment k, of those at x (n, D) at time t."""
        law = self._onward(t, self.problem.span(k)[1], x)
        weights = self._end_weights(k, law)
        chosen = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        ends = self.problem.points[k + 1][chosen]
        return self._given(law.mean[0], law.covariance[0], ends, generator)

    def _given(
        self, mean: Tensor, covariance: Tensor, ends: Tensor, generator: torch.Generator
    ) -> Tensor:
        """States (n, D) drawn from Gaussian laws, given what is measured of them."""
        o, h = list(self.coordinates.observed), list(self.coordinates.hidden)
        factor, _ = cholesky(covariance[:, o][:, :, o])
        cross = covariance[:, h][:, :, o]
        gain = torch.cholesky_solve(cross.mT, factor).mT
        middle = mean[:, h] + (gain @ (ends - mean[:, o]).unsqueeze(2)).squeeze(2)
        law = HiddenLaw(middle, covariance[:, h][:, :, h] - gain @ cross.mT)
        return self.coordinates.whole(ends, law.draw(generator))

    def _chains(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """Points (n,) that n individuals visit at every snapshot."""
        atoms = [draw_atoms(self.problem.log_mass[0].exp(), n, generator)]
        for k in range(self.problem.n_segments):
            atoms.append(draw_partners(self.plan(k), atoms[-1], generator))
        return atoms

    def _states(self, atoms: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """States (n, D) at every snapshot, given all points visited: filter, then draw back."""
        seen = [points[rows] for points, rows in zip(self.problem.points, atoms)]
        law, laws, passages = self.laws[0].of_rows(atoms[0]), [], []
        for k, ends in enumerate(seen[1:]):
            laws.append(law)
            passages.append(self._passages[k].of_rows(atoms[k]))
            law = passages[k].arrival(law).at(ends)
        states = [self.coordinates.whole(seen[-1], law.draw(generator))]
        for k in range(len(laws) - 1, -1, -1):
            law, passage = laws[k], passages[k]
            mean, spread = passage.states(law)
            factor, _ = cholesky(spread)
            cross = passage.flow @ law.covariance
            gain = torch.cholesky_solve(cross, factor).mT
            middle = law.mean + (gain @ (states[0] - mean).unsqueeze(2)).squeeze(2)
            left = law.covariance - gain @ cross
            drawn = HiddenLaw(middle, (left + left.mT) / 2).draw(generator)
            states.insert(0, self.coordinates.whole(seen[k], drawn))
        return states

    @cached_property
    def _passages(self) -> list[Passage]:
        """Over every segment from all its starts, found once for all answers."""
        return [
            Passage.of(self.transitions, self.coordinates, self.problem.span(k), points, law.mean)
            for k, (points, law) in enumerate(zip(self.problem.points[:-1], self.laws))
        ]

    def _arrival(self, k: int) -> Arrival:
        """Where those at the points of snapshot k arrive."""
        return self._passages[k].arrival(self.laws[k])
