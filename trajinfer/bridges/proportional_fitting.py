r"""Iterative proportional fitting of a segment: simulate, reverse time, simulate back.

A diffusion with drift f and constant covariance rate $\Sigma$, whose marginals have densities p, is
seen backwards in time a diffusion with drift

$\beta = -f + \Sigma \nabla \log p$.

Start the reference at the first snapshot, turn it round, start that at the second snapshot, turn it
round again: every turn meets one marginal and is a projection in relative entropy, and the sequence
ends at the bridge. What is regressed is the score alone. For a function linear in features it needs
no density: integration by parts turns $E|\phi^T\theta - \Sigma\nabla\log p|^2$ into

$E[\phi \phi^T]\,\theta = -E[\nabla\phi]\,\Sigma$,

which has none of the noise $\Sigma/h$ of differences along paths. Both drifts are the reference's,
with its sign, plus features times numbers, so that turning round is a subtraction.

The reference is remembered through the drift alone: whatever a turn errs by, the next one takes
for the reference. The turns therefore end when the drift moves by hardly less than in the turn
before, which is when errors of regression are all that moves it.

References:
    Vargas, Thodoroff, Lawrence, Lamacraft, "Solving Schroedinger bridges via maximum likelihood",
    Entropy 23 (2021), arXiv 2106.02081; De Bortoli, Thornton, Heng, Doucet, "Diffusion
    Schroedinger bridge", NeurIPS 2021; Hyvarinen, "Estimation of non-normalized statistical models
    by score matching", JMLR 6 (2005).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.packing import packable
from trajinfer.bridges.local_features import LocalFeatures
from trajinfer.references.dynamics import Dynamics

logger = logging.getLogger(__name__)

_LEAST, _TURNS, _TOLERANCE, _FALL = 3, 20, 0.01, 0.8
_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_CHOOSING, _DEGREE = 2, 6
_TINY = 1e-9


@packable
@dataclass(frozen=True)
class SegmentDrifts:
    """Forward and backward drift of a segment.

    Attributes:
        times: (S,) of the nodes.
        features: at the nodes.
        forward: (S, F, D); features times these are added to the drift of the reference.
        backward: (S, F, D), added to minus the drift of the reference.
        change: of the forward drift in the last turn, relative to its size.
    """

    times: Tensor
    features: LocalFeatures
    forward: Tensor
    backward: Tensor
    change: float

    def control(self, t: float, x: Tensor, *, backwards: bool = False) -> Tensor:
        """What is added to the reference's drift at time t and positions x (N, D)."""
        numbers = self.backward if backwards else self.forward
        last = len(self.times) - 1
        place = float((t - self.times[0]) / (self.times[-1] - self.times[0])) * last
        node = min(max(int(place), 0), last - 1)
        share = place - node
        before, after = (self.features(n, x) @ numbers[n] for n in (node, node + 1))
        return before + share * (after - before)


@dataclass(frozen=True)
class ProportionalFit:
    """What the turns of one segment share.

    Attributes:
        dynamics: of the reference.
        rate: (D, D), its constant covariance rate.
        times: (S,) even nodes.
        ends: positions (N, D) of the two snapshots.
        features: at the nodes.
        noise: (2, S - 1, N, D) of all simulations forwards and backwards.
    """

    dynamics: Dynamics
    rate: Tensor
    times: Tensor
    ends: tuple[Tensor, Tensor]
    features: LocalFeatures
    noise: Tensor

    def run(self) -> SegmentDrifts:
        """Turn round until the forward drift stands still, or hardly less than before."""
        width = self.features.n_linear + len(self.features.phase)
        forward = self.noise.new_zeros(len(self.times), width, self.noise.shape[3])
        ridges: Sequence[Sequence[float]] = (_RIDGES, _RIDGES)
        before = float("inf")
        for turn in range(_TURNS):
            forward, backward, change, chosen = once("turn", self._turn, forward, ridges)
            logger.info("turn %d: forward drift moved by %.3g of its size", turn + 1, change)
            if change < _TOLERANCE or (turn >= _LEAST and change > _FALL * before):
                break
            if turn + 1 == _CHOOSING:
                ridges = chosen
            before = change
        return SegmentDrifts(self.times, self.features, forward, backward, change)

    def _turn(
        self, forward: Tensor, ridges: Sequence[Sequence[float]]
    ) -> tuple[Tensor, Tensor, float, tuple[tuple[float], tuple[float]]]:
        """Forward and backward drift, how far the former moved, and the ridges that were chosen."""
        backward, first = self._turned(self._paths(forward, backwards=False), forward, ridges[0])
        paths = self._paths(backward, backwards=True)
        found, second = self._turned(paths, backward, ridges[1])
        return found, backward, self._change(forward, found, paths), ((first,), (second,))

    def _drift(self, node: int, x: Tensor, numbers: Tensor, sign: float) -> Tensor:
        time = self.times[node].expand(len(x), 1)
        return sign * self.dynamics.drift(time, x) + self.features(node, x) @ numbers[node]

    def _paths(self, numbers: Tensor, *, backwards: bool) -> Tensor:
        """Positions (S, N, D) in order of time, by Heun steps from one end to the other."""
        nodes = list(range(len(self.times)))
        if backwards:
            nodes.reverse()
        sign, x = (-1.0, self.ends[1]) if backwards else (1.0, self.ends[0])
        step, seen = float(self.times[1] - self.times[0]), [x]
        for k, (here, there) in enumerate(pairwise(nodes)):
            noise = step**0.5 * self.noise[int(backwards), k]
            first = self._drift(here, x, numbers, sign)
            second = self._drift(there, x + step * first + noise, numbers, sign)
            x = x + step / 2 * (first + second) + noise
            seen.append(x)
        if backwards:
            seen.reverse()
        return torch.stack(seen)

    def _turned(
        self, paths: Tensor, numbers: Tensor, ridges: Sequence[float]
    ) -> tuple[Tensor, float]:
        """Numbers (S, F, D) of the drift the other way, and the ridge that held-out paths choose.

        They are regressed as a whole, score and drift, so that no error of an earlier turn stays.
        """
        halves = [self._moments(part, numbers) for part in (paths[:, ::2], paths[:, 1::2])]
        best = ridges[0]
        if len(ridges) > 1:
            best = min(ridges, key=lambda ridge: self._miss(halves, ridge))
        gram, moment = ((a + b) / 2 for a, b in zip(*halves, strict=True))
        return self._solved(gram, moment, best), best

    def _moments(self, paths: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """E[phi phi^T] (S, F, F) and E[phi (score - drift)] (S, F, D)."""
        grams, moments = [], []
        for node, x in enumerate(paths):
            phi = self.features(node, x)
            gram = phi.mT @ phi / len(x)
            grams.append(gram)
            moments.append(-self.features.mean_slope(node, x) @ self.rate - gram @ numbers[node])
        return torch.stack(grams), torch.stack(moments)

    def _solved(self, gram: Tensor, moment: Tensor, ridge: float) -> Tensor:
        weight = torch.full((gram.shape[1],), ridge, dtype=gram.dtype)
        weight[: self.features.n_linear] = _TINY
        found = torch.cholesky_solve(moment, torch.linalg.cholesky(gram + torch.diag(weight)))
        smooth: Tensor = torch.einsum("st,tfd->sfd", self._smoother, found)
        return smooth

    @cached_property
    def _smoother(self) -> Tensor:
        """Projection (S, S) of what is found at the nodes on polynomials of time."""
        share = np.linspace(-1, 1, len(self.times))
        basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(share, _DEGREE))
        return torch.as_tensor(basis @ basis.T)

    def _miss(self, halves: Sequence[tuple[Tensor, Tensor]], ridge: float) -> float:
        """Squared error of the drift in the noise, up to a constant, on the other half."""
        total, unit = 0.0, torch.linalg.inv(self.rate)
        for mine, theirs in (halves, halves[::-1]):
            found = self._solved(*mine, ridge)
            loss = 0.5 * found.mT @ theirs[0] @ found - found.mT @ theirs[1]
            total += float((loss @ unit).diagonal(dim1=1, dim2=2).sum())
        return total

    def _change(self, old: Tensor, new: Tensor, paths: Tensor) -> float:
        """Root mean square change of the forward drift, relative to that of all that is added."""
        moved, size = (
            sum(float((self.features(n, x) @ v[n]).square().mean()) for n, x in enumerate(paths))
            for v in (new - old, new)
        )
        return math.sqrt(moved / max(size, _TINY))
