r"""Gaussian transition laws of a reference: exact where it is affine, linear-noise elsewhere.

Started at $x$, the linear-noise approximation is $N(m, P)$ with

$m' = b(m)$, $F' = J(m) F$, $P' = J P + P J^T + \Sigma(m)$; $m = x$, $F = I$, $P = 0$ at the start,

where $J$ is the Jacobian of the drift. It is exact for affine drifts with constant noise, which
have a closed form that all starting points share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trajinfer.processes import affine_transition
from trajinfer.references.dynamics import Dynamics
from trajinfer.references.problem import SegmentBatch

_FEWEST_STEPS, _MOST_STEPS = 8, 256


@dataclass(frozen=True)
class Transition:
    """Gaussian law after a duration, for a batch of starting points.

    Attributes:
        mean: (..., D).
        flow: (..., D, D), derivative of the mean with respect to the start; empty if not asked for.
        covariance: (..., D, D), or broadcastable to it where all starts share it.
    """

    mean: Tensor
    flow: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Transitions:
    """Transition laws of a reference.

    Attributes:
        dynamics: the reference.
        n_steps: Runge-Kutta steps of the linear-noise equations over a segment.
    """

    dynamics: Dynamics
    n_steps: int = _FEWEST_STEPS

    def __call__(
        self, t0: Tensor, x: Tensor, duration: Tensor, *, with_flow: bool = False
    ) -> Transition:
        """Law of the reference a duration after it stood at x.

        Args:
            t0: (S,) starting times.
            x: (S, N, D) starting points.
            duration: (S,) durations, zero allowed.
            with_flow: whether the flow matrix is needed (always there in the affine case).

        Returns:
            mean (S, N, D), flow and covariance (S, N, D, D), or (S, 1, D, D) in the affine case.
        """
        if self.dynamics.affine is not None:
            flow, shift, rate = affine_transition(*self.dynamics.affine, duration)
            mean = x @ flow.mT + shift.unsqueeze(1)
            covariance = rate * duration.reshape(-1, 1, 1)
            return Transition(mean, flow.unsqueeze(1), covariance.unsqueeze(1))
        n = x.shape[1]
        rows = x.flatten(0, 1)
        step = (duration / self.n_steps).repeat_interleave(n).unsqueeze(1)
        start = t0.repeat_interleave(n).unsqueeze(1)
        mean, flow_rows, covariance = _linear_noise(
            self.dynamics, start, rows, step, self.n_steps, with_flow
        )
        shape = (*x.shape[:2], x.shape[2], x.shape[2])
        return Transition(
            mean.reshape(x.shape),
            flow_rows.reshape(shape) if with_flow else flow_rows,
            covariance.reshape(shape),
        )

    def of(self, batch: SegmentBatch) -> Transition:
        """Laws at the end of segments, of all their starting points."""
        return self(batch.times, batch.start, batch.durations)

    def within(self, share: float) -> Transitions:
        """The same over a share of a segment."""
        return replace(self, n_steps=max(2, round(share * self.n_steps + 0.5)))

    def accurate(self, batches: Sequence[SegmentBatch], accuracy: float) -> Transitions:
        """The same with steps doubled until means move less than this many deviations."""
        if self.dynamics.affine is not None:
            return self
        coarse, coarse_laws = self, [self.of(batch) for batch in batches]
        while coarse.n_steps < _MOST_STEPS:
            fine = replace(coarse, n_steps=2 * coarse.n_steps)
            fine_laws = [fine.of(batch) for batch in batches]
            errors = [_relative_error(c, f) for c, f in zip(coarse_laws, fine_laws)]
            if bool(torch.cat(errors).quantile(0.99) <= accuracy):
                return coarse
            coarse, coarse_laws = fine, fine_laws
        return coarse


def _relative_error(coarse: Transition, fine: Transition) -> Tensor:
    deviation = fine.covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    return ((fine.mean - coarse.mean).abs() / (deviation + 1e-300)).flatten()


def _linear_noise(
    dynamics: Dynamics, t: Tensor, x: Tensor, h: Tensor, n_steps: int, with_flow: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Classical Runge-Kutta steps for mean, flow and covariance; every row has its own step."""
    mean = x
    covariance = x.new_zeros(*x.shape, x.shape[1])
    flow = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(covariance)
    wide = h.unsqueeze(2)

    def slopes(s: Tensor, m: Tensor, p: Tensor, f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        jacobian = dynamics.jacobian(s, m)
        product = torch.bmm(jacobian, p)
        spread = product + product.mT + dynamics.covariance_rate(s, m)
        return dynamics.drift(s, m), spread, torch.bmm(jacobian, f) if with_flow else f

    for _ in range(n_steps):
        m1, p1, f1 = slopes(t, mean, covariance, flow)
        m2, p2, f2 = slopes(
            t + h / 2,
            torch.addcmul(mean, h, m1, value=0.5),
            torch.addcmul(covariance, wide, p1, value=0.5),
            torch.addcmul(flow, wide, f1, value=0.5) if with_flow else flow,
        )
        m3, p3, f3 = slopes(
            t + h / 2,
            torch.addcmul(mean, h, m2, value=0.5),
            torch.addcmul(covariance, wide, p2, value=0.5),
            torch.addcmul(flow, wide, f2, value=0.5) if with_flow else flow,
        )
        m4, p4, f4 = slopes(
            t + h,
            torch.addcmul(mean, h, m3),
            torch.addcmul(covariance, wide, p3),
            torch.addcmul(flow, wide, f3) if with_flow else flow,
        )
        mean = torch.addcmul(mean, h, m1 + 2 * (m2 + m3) + m4, value=1 / 6)
        covariance = torch.addcmul(covariance, wide, p1 + 2 * (p2 + p3) + p4, value=1 / 6)
        if with_flow:
            flow = torch.addcmul(flow, wide, f1 + 2 * (f2 + f3) + f4, value=1 / 6)
        t = t + h
    return mean, flow if with_flow else x.new_zeros(0), covariance
