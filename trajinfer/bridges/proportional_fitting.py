r"""Iterative proportional fitting of a segment: simulate, reverse time, simulate back.

Start the reference at the first snapshot, turn it round, start that at the second snapshot, turn it
round again: every turn meets one marginal and is a projection in relative entropy, and the sequence
ends at the bridge. A turn changes the law of the two ends and nothing else: between them, every
iterate has the bridges of the reference. A turn therefore simulates from one end to the other,
keeps the ends (x, y), draws positions z between them from those bridges, and regresses on them

$E[b + \Sigma \nabla_z \log q(y \mid z) \mid z]$ forwards,
$E[-b + \Sigma \nabla_z \log q(z \mid x) \mid z]$ backwards.

Where the drift of the reference is not affine, these bridges are drawn by weighted guesses, and x
and y are positions of the same path, so near z that the drift between them is nearly linear.

Every turn so returns to the reference itself. Were the simulated paths turned round, a turn would
take for the reference whatever the one before erred by, and the errors would add up.

Forwards the drift b of the reference is known and its complement regressed; backwards the whole is.
Minus the drift of a reference that holds its paths together drives them apart, and what is added to
it would not be known where no path has been.

Every turn has noise of its own. As soon as the drift moves by hardly less than in the turn before,
noise is all that moves it, and the turns that follow are averaged.

References:
    Vargas, Thodoroff, Lawrence, Lamacraft, "Solving Schroedinger bridges via maximum likelihood",
    Entropy 23 (2021), arXiv 2106.02081; De Bortoli, Thornton, Heng, Doucet, "Diffusion
    Schroedinger bridge", NeurIPS 2021; Shi, De Bortoli, Campbell, Doucet, "Diffusion Schroedinger
    bridge matching", NeurIPS 2023, for the bridges of the reference between the ends.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.errors import NotConverged
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.bridges.local_features import LocalFeatures
from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.linalg import apply, cholesky
from trajinfer.references.pinned_paths import pinned_paths
from trajinfer.references.problem import Problem
from trajinfer.references.quadrature import bending, straight_parts
from trajinfer.references.stratified import draw_atoms
from trajinfer.references.tied_drifts import backward_drifts, forward_controls
from trajinfer.references.transitions import Transitions

logger = logging.getLogger(__name__)

_LEAST, _TURNS, _AVERAGED, _FALL = 2, 12, 4, 0.8
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_SMOOTHED, _DEGREE = 5, 8
_ELEMENTS = 2**22
_TINY = 1e-9


@packable
@dataclass(frozen=True)
class SegmentDrifts:
    """Forward and backward drift of a segment.

    Attributes:
        times: (S,) of the nodes, evenly apart.
        features: at the nodes.
        forward: (S, F, D); features times these are added to the drift of the reference.
        backward: (S, F, D); features times these are the backward drift.
        change: of the forward drift in the last turn, relative to its size.
    """

    times: Tensor
    features: LocalFeatures
    forward: Tensor
    backward: Tensor
    change: float

    def control(self, t: float, x: Tensor) -> Tensor:
        """What is added to the reference's drift at time t and positions x (N, D)."""
        return self._between_nodes(self.forward, t, x)

    def backward_drift(self, t: float, x: Tensor) -> Tensor:
        """Drift towards earlier times at time t and positions x (N, D)."""
        return self._between_nodes(self.backward, t, x)

    def _between_nodes(self, numbers: Tensor, t: float, x: Tensor) -> Tensor:
        last = len(self.times) - 1
        place = float((t - self.times[0]) / (self.times[-1] - self.times[0])) * last
        place = min(max(place, 0.0), float(last))
        node = min(int(place), last - 1)
        share = place - node
        before, after = (self.features(n, x) @ numbers[n] for n in (node, node + 1))
        return before + share * (after - before)


@dataclass(frozen=True)
class ProportionalFit:
    """What the turns of one segment share.

    Attributes:
        problem: the snapshots.
        transitions: of the reference, whose noise is the same everywhere.
        segment: which one.
        shares: (S,) of the segment at which the nodes lie, the middles of even intervals.
        features: at the nodes.
        n_paths: of every simulation, even.
    """

    problem: Problem
    transitions: Transitions
    segment: int
    shares: Tensor
    features: LocalFeatures
    n_paths: int

    @property
    def times(self) -> Tensor:
        """(S,) of the nodes."""
        start, end = self.problem.span(self.segment)
        return start + (end - start) * self.shares

    def run(self, seed: int) -> SegmentDrifts:
        """Turn round until noise alone moves the forward drift, then average some turns."""
        width, dim = len(self.features.steepness), self.features.centre.shape[1]
        forward = self.shares.new_zeros(len(self.shares), width, dim)
        before, settled, averaged = float("inf"), False, []
        for turn, own in enumerate(spawn(seed, _TURNS)):
            forward, backward, change = once("turn", self._turn, forward, own)
            logger.info("turn %d: forward drift moved by %.3g of its size", turn + 1, change)
            settled = settled or (turn >= _LEAST and change > _FALL * before)
            if settled or turn >= _TURNS - _AVERAGED:
                averaged.append((forward, backward))
            if len(averaged) == _AVERAGED:
                break
            before = change
        means = [torch.stack(turns).mean(0) for turns in zip(*averaged, strict=True)]
        return SegmentDrifts(self.times, self.features, means[0], means[1], change)

    def _turn(self, forward: Tensor, seed: int) -> tuple[Tensor, Tensor, float]:
        """Forward and backward drift, and how far the former moved."""
        generator = torch_generator(seed)
        start = self._some_points(self.segment, generator)
        reached = self._far_end(start, forward, generator, backwards=False)
        backward = self._regressed(start, reached, generator, backwards=True)
        end = self._some_points(self.segment + 1, generator)
        reached = self._far_end(end, backward, generator, backwards=True)
        found = self._regressed(reached, end, generator, backwards=False)
        return found, backward, self._change(forward, found)

    def _some_points(self, snapshot: int, generator: torch.Generator) -> Tensor:
        """Points (N, D) of a snapshot; those of odd rows are others than those of even rows.

        Paths from the same point would not judge a drift that was found on each other.
        """
        mass = self.problem.log_mass[snapshot].exp()
        alive = mass.nonzero().squeeze(1)
        order = alive[torch.randperm(len(alive), generator=generator)]
        rows = order.new_empty(self.n_paths)
        for half in range(2):
            part = order[half::2] if len(order) > 1 else order
            drawn = draw_atoms(mass[part] / mass[part].sum(), self.n_paths // 2, generator)
            rows[half::2] = part[drawn]
        return self.problem.points[snapshot][rows]

    def _far_end(
        self, x: Tensor, numbers: Tensor, generator: torch.Generator, *, backwards: bool
    ) -> Tensor:
        """Where paths from x (N, D) at one end stand at the other; a midpoint step for a node."""
        nodes = range(len(self.shares))
        start, end = self.problem.span(self.segment)
        step = (end - start) / len(self.shares)
        factor, _ = cholesky(self._rate)
        for node in reversed(nodes) if backwards else nodes:
            normal = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            noise = step**0.5 * apply(factor, normal)
            middle = x + step / 2 * self._drift(node, x, numbers, backwards) + noise / 2
            x = x + step * self._drift(node, middle, numbers, backwards) + noise
        if not bool(torch.isfinite(x).all()):
            raise NotConverged(
                "simulated paths of backend='ipf' run away to where nothing told their drift; take "
                "a larger volatility, or backend='auto'"
            )
        return x

    def _drift(self, node: int, x: Tensor, numbers: Tensor, backwards: bool) -> Tensor:
        found = self.features(node, x) @ numbers[node]
        return found if backwards else found + self._of_reference(node, x)

    def _of_reference(self, node: int, x: Tensor) -> Tensor:
        return self.transitions.dynamics.drift(self.times[node].expand(len(x), 1), x)

    @cached_property
    def _rate(self) -> Tensor:
        """(D, D), covariance rate of the reference."""
        x = self.problem.points[self.segment][:1]
        rate = self.transitions.dynamics.covariance_rate(self.times[:1, None], x)
        return rate.reshape(x.shape[1], x.shape[1])

    def _regressed(
        self, start: Tensor, end: Tensor, generator: torch.Generator, *, backwards: bool
    ) -> Tensor:
        """Numbers (S, F, D) of the control or the backward drift, from bridges between ends (N, D).

        Every node has the ridge that serves it best on the half of the paths on which the numbers
        were not found, evened out with its neighbours'.
        """
        halves = [
            self._moments(start[half::2], end[half::2], generator, backwards=backwards)
            for half in range(2)
        ]
        misses = torch.stack([self._miss(halves, ridge) for ridge in _RIDGES])
        best = torch.tensor(_RIDGES, dtype=start.dtype)[misses.argmin(0)].log()
        around = best.expand(1, 1, -1)
        padded = torch.nn.functional.pad(around, (_SMOOTHED // 2,) * 2, mode="replicate")
        ridges = padded.unfold(2, _SMOOTHED, 1).mean(3)[0, 0].exp()
        gram, moment = ((a + b) / 2 for a, b in zip(*halves, strict=True))
        return self._smooth(self._solved(gram, moment, ridges), backwards=backwards)

    def _moments(
        self, start: Tensor, end: Tensor, generator: torch.Generator, *, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """E[phi phi^T] (S, F, F) and E[phi v^T] (S, F, D), v is tied to one of the ends."""
        most = max(64, _ELEMENTS // (len(self.shares) * start.shape[1] ** 2))
        grams, moments = [], []
        for x, y in zip(start.split(most), end.split(most), strict=True):
            positions, tied = self._between(x, y, generator, backwards=backwards)
            phi = torch.stack([self.features(node, z) for node, z in enumerate(positions)])
            grams.append(phi.mT @ phi)
            moments.append(phi.mT @ tied)
        return torch.stack(grams).sum(0) / len(start), torch.stack(moments).sum(0) / len(start)

    def _between(
        self, start: Tensor, end: Tensor, generator: torch.Generator, *, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """Positions (S, N, D) on bridges of the reference, and controls or drifts there."""
        if self.transitions.dynamics.affine is None:
            return self._on_pinned(start, end, generator, backwards=backwards)
        t0, t1 = self.problem.span(self.segment)
        begin, duration = start.new_full((1,), t0), start.new_full((1,), t1 - t0)
        law = bridge_law(self.transitions, begin, start.unsqueeze(0), duration, self.shares)
        ends = end.unsqueeze(0)
        positions = law.draw(ends, generator)
        seen = positions.squeeze(1)
        if backwards:
            return seen, law.backward_drift(positions).squeeze(1)
        known = torch.stack([self._of_reference(node, z) for node, z in enumerate(seen)])
        return seen, law.conditional_drift(positions, ends).squeeze(1) - known

    def _on_pinned(
        self, start: Tensor, end: Tensor, generator: torch.Generator, *, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """The same where the drift of the reference is not affine."""
        span = self.problem.span(self.segment)
        found, effective = pinned_paths(
            self.transitions, span, (start, end), self.shares, generator
        )
        logger.info("paths between two points: %.2f of the guesses count", effective)
        times = torch.cat([found.new_tensor(span[:1]), self.times, found.new_tensor(span[1:])])
        paths = torch.cat([start.unsqueeze(0), found, end.unsqueeze(0)])
        tied = backward_drifts if backwards else forward_controls
        return found, tied(self.transitions, times, paths, self._reach)

    @cached_property
    def _reach(self) -> int:
        """Nodes over which the drift of the reference is nearly linear."""
        parts = straight_parts(bending(self.transitions, self.problem.batches))
        return max(1, len(self.shares) // parts)

    def _solved(self, gram: Tensor, moment: Tensor, ridges: Tensor) -> Tensor:
        weight = ridges.reshape(-1, 1) * self.features.steepness + _TINY
        factor = torch.linalg.cholesky(gram + torch.diag_embed(weight.expand(len(gram), -1)))
        return torch.cholesky_solve(moment, factor)

    def _miss(self, halves: Sequence[tuple[Tensor, Tensor]], ridge: float) -> Tensor:
        """Squared errors (S,) in the noise, up to constants, on the half that was not used."""
        unit, total = torch.linalg.inv(self._rate), self.shares.new_zeros(len(self.shares))
        for mine, theirs in (halves, halves[::-1]):
            found = self._solved(*mine, self.shares.new_full((1,), ridge))
            loss = 0.5 * found.mT @ theirs[0] @ found - found.mT @ theirs[1]
            total = total + (loss @ unit).diagonal(dim1=1, dim2=2).sum(1)
        return total

    def _smooth(self, numbers: Tensor, *, backwards: bool) -> Tensor:
        """Numbers (S, F, D) on polynomials of time, nodes weighted against their noise.

        The pull of an end varies as the inverse of the time to it.
        """
        basis = np.polynomial.legendre.legvander(2 * self.shares.numpy() - 1, _DEGREE)
        weight = (self.shares if backwards else 1 - self.shares).numpy()
        heavy = basis.T * weight
        project = torch.as_tensor(basis @ np.linalg.solve(heavy @ basis, heavy))
        smooth: Tensor = torch.einsum("st,tfd->sfd", project, numbers)
        return smooth

    def _change(self, old: Tensor, new: Tensor) -> float:
        """Root mean square change of the forward drift, relative to that of all that is added.

        Over points of the standard normal law in the deviations of every node.
        """
        moved, size = (
            sum(float((phi @ v[n]).square().mean()) for n, phi in enumerate(self._probes))
            for v in (new - old, new)
        )
        return math.sqrt(moved / max(size, _TINY))

    @cached_property
    def _probes(self) -> list[Tensor]:
        """Features (N, F) at every node of points drawn around it."""
        dim = self.features.centre.shape[1]
        z = torch.randn(512, dim, generator=torch_generator(0), dtype=self.shares.dtype)
        return [
            self.features(node, centre + torch.linalg.solve_triangular(w, z.mT, upper=False).mT)
            for node, (centre, w) in enumerate(
                zip(self.features.centre, self.features.whiten, strict=True)
            )
        ]
