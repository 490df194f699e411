r"""Transition densities on a line by quadrature, where one Gaussian is wrong.

A duration is cut into L parts, each short enough for the linear-noise approximation, and the
positions between them are integrated out on an even grid (Chapman-Kolmogorov):

$q(y \mid x) = \int\!\cdots\!\int N_h(z_1 \mid x)\, N_h(z_2 \mid z_1) \cdots N_h(y \mid z_{L-1})
\,dz$.

The trapezoidal rule is exact to many digits once its nodes lie closer than the standard deviation
of a part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trajinfer.references.dynamics import Dynamics
from trajinfer.references.linalg import cholesky
from trajinfer.references.problem import SegmentBatch
from trajinfer.references.transitions import Transitions

_FRACTIONS = (0.25, 0.5, 0.75, 1.0)
_MOST_BENDING, _BENDING_OF_PARTS, _MOST_PARTS = 0.2, 0.02, 24
_NODES_PER_DEVIATION, _MOST_NODES = 1.5, 1500
_MARGIN = 4.0
_EVEN_NOISE = 0.3
_STEPS = 4
_TINY = 1e-300


@dataclass(frozen=True)
class Quadrature:
    """Transition densities of a one-dimensional reference.

    Attributes:
        transitions: the Gaussian laws of its parts.
        grid: (G,) even nodes.
        longest: duration of a part at most.
    """

    transitions: Transitions
    grid: Tensor
    longest: float

    @classmethod
    def of(cls, dynamics: Dynamics, grid: Tensor, longest: float) -> Quadrature:
        """The quadrature of these dynamics on a grid."""
        return cls(Transitions(dynamics, _STEPS), grid, longest)

    def under(self, dynamics: Dynamics) -> Quadrature:
        """The same nodes for other dynamics."""
        return replace(self, transitions=replace(self.transitions, dynamics=dynamics))

    def log_density(self, t0: Tensor, x: Tensor, duration: Tensor, y: Tensor) -> Tensor:
        """Log transition densities (N, M) from x (N,) at time t0 to y (M,) a duration later."""
        n_parts = max(1, math.ceil(float(duration) / self.longest - 1e-9))
        h = duration / n_parts
        first = self._laws(t0.reshape(1), x, h)
        if n_parts == 1:
            return _log_kernel(first, y)[0]
        spacing = self.grid[1] - self.grid[0]
        density = _log_kernel(first, self.grid)[0].exp()
        onward = self._laws(t0 + h * torch.arange(1, n_parts), self.grid, h)
        between = _log_kernel(onward.part(slice(0, -1)), self.grid).exp()
        for kernel in between:
            density = spacing * density @ kernel
        last = _log_kernel(onward.part(slice(-1, None)), y)[0].exp()
        return (spacing * density @ last + _TINY).log()

    def costs(self, batch: SegmentBatch) -> Tensor:
        """Minus the log transition densities of all pairs of a batch, (S, N, M)."""
        return torch.stack(
            [
                -self.log_density(t0, x.squeeze(1), duration, y.squeeze(1))
                for t0, x, duration, y in zip(batch.times, batch.start, batch.durations, batch.end)
            ]
        )

    def _laws(self, times: Tensor, x: Tensor, h: Tensor) -> _Laws:
        """Laws of one part from x (N,) on, begun at every one of these times (P,)."""
        starts = x.reshape(1, -1, 1).expand(len(times), -1, -1)
        law = self.transitions(times, starts, h.expand(len(times)))
        return _Laws(law.mean[..., 0], law.covariance[..., 0, 0])


@dataclass(frozen=True)
class _Laws:
    """Means and variances (P, N) of Gaussian laws on the line."""

    mean: Tensor
    variance: Tensor

    def part(self, chosen: slice) -> _Laws:
        return _Laws(self.mean[chosen], self.variance[chosen])


def _log_kernel(laws: _Laws, y: Tensor) -> Tensor:
    """Log densities at y (M,), (P, N, M)."""
    variance = laws.variance[..., None]
    miss = y - laws.mean[..., None]
    exponent = -0.5 * miss.square() / variance - 0.5 * (2 * math.pi * variance).log()
    return torch.nan_to_num(exponent, nan=-torch.inf, neginf=-torch.inf)


def quadrature_for(transitions: Transitions, batches: Sequence[SegmentBatch]) -> Quadrature | None:
    """The quadrature that these segments need; None where Gaussian laws are good or it cannot help.

    It is needed where the drift bends within the noise of a segment, and can help in one dimension,
    if the noise does not vanish anywhere near the data.
    """
    if transitions.dynamics.affine is not None or batches[0].start.shape[2] != 1:
        return None
    size = bending(transitions, batches)
    if not size > _MOST_BENDING:
        return None
    longest = max(float(batch.durations.max()) for batch in batches)
    part = longest / straight_parts(size)
    low = min(float(torch.minimum(b.start.min(), b.end.min())) for b in batches)
    high = max(float(torch.maximum(b.start.max(), b.end.max())) for b in batches)
    probe = torch.linspace(low, high, 200, dtype=batches[0].start.dtype).reshape(-1, 1)
    rate = transitions.dynamics.covariance_rate(probe.new_zeros(len(probe), 1), probe)
    noise = rate.reshape(-1).sqrt()
    if not float(noise.min()) > _EVEN_NOISE * float(noise.max()):
        return None
    margin = _MARGIN * float(noise.max()) * part**0.5
    spacing = float(noise.min()) * part**0.5 / _NODES_PER_DEVIATION
    n_nodes = math.ceil((high - low + 2 * margin) / spacing) + 1
    if n_nodes > _MOST_NODES:
        return None
    grid = torch.as_tensor(np.linspace(low - margin, high + margin, n_nodes))
    return Quadrature.of(transitions.dynamics, grid, part)


def straight_parts(size: float) -> int:
    """Parts of a segment of this bending, each short enough for the linear-noise equations.

    Within a part the bending falls with its length to the power 3/2.
    """
    parts = math.ceil(math.pow(size / _BENDING_OF_PARTS, 2 / 3))
    return min(max(parts, 1), _MOST_PARTS)


def bending(transitions: Transitions, batches: Sequence[SegmentBatch]) -> float:
    r"""Root mean square change of $\int J\,ds$ one standard deviation beside the mean path.

    The linear-noise approximation neglects it; it is 0 for affine drifts.
    """
    total, mass = 0.0, 0.0
    for batch in batches:
        weights = batch.log_a.exp()
        total += float((weights * _squared_bending(transitions, batch)).sum())
        mass += float(weights.sum())
    return math.sqrt(total / mass)


def _squared_bending(transitions: Transitions, batch: SegmentBatch) -> Tensor:
    """Of every starting point, (S, N)."""
    shape, jacobian = batch.start.shape, transitions.dynamics.jacobian
    changes: list[Tensor] = []
    for fraction in _FRACTIONS:
        law = transitions.within(fraction)(batch.times, batch.start, batch.durations * fraction)
        factor, _ = cholesky(law.covariance)
        factor = factor.expand(*shape, -1)
        t = (batch.times + fraction * batch.durations).unsqueeze(1).expand(shape[:2]).reshape(-1, 1)
        mean = law.mean.flatten(0, 1)
        moved = [jacobian(t, mean + factor[..., d].flatten(0, 1)) for d in range(shape[2])]
        changes.append(torch.stack(moved) - jacobian(t, mean))
    duration = batch.durations.repeat_interleave(shape[1]).reshape(-1, 1, 1)
    integral = torch.stack(changes).mean(0) * duration
    size: Tensor = torch.linalg.matrix_norm(integral).square().sum(0).reshape(shape[:2])
    return size
