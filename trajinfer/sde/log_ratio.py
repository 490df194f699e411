"""Girsanov's theorem along a solve: how likely a path is under f against the reference drift h."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver, SingularDiffusion
from trajinfer.sde.accumulator import AcceptedStep
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers.base import Stage

_FLOOR, _RESIDUAL = 1e-7, 1e-4
_SINGULAR = 1e3  # pivots below this many times the ridge


@dataclass(frozen=True)
class LogRatio:
    r"""Per interval, $\frac12\int |u|^2 dt$ ("kl") or $\int u\,dW + \frac12\int |u|^2 dt$ ("path").

    Here $g u = f - h$. The integral of $|u|^2$ uses the drift weights and stages of the solver; the
    martingale term uses the left end of each step, so that with Euler steps "path" is the exact
    log-ratio of the two discrete Gaussian chains.

    Args:
        kind: "kl" (low variance, its mean is the KL divergence) or "path" (the density ratio).
        sign: -1 for the density ratio along paths of an SDE whose drift and reference were swapped.
    """

    kind: Literal["kl", "path"]
    sign: float = 1.0

    def start(self, y: Tensor) -> Tensor:
        """Zeros (B, 2): the log-ratio, and the worst relative residual of g u = f - h."""
        return y.new_zeros(y.shape[0], 2)

    def update(
        self, total: Tensor, problem: Problem, steps: Sequence[AcceptedStep], errors: Tensor | None
    ) -> Tensor:
        """Add some steps."""
        for taken in steps:
            total = self._add(total, problem, taken)
        return total

    def _add(self, total: Tensor, problem: Problem, taken: AcceptedStep) -> Tensor:
        t, h, y, noise, step = taken
        if not step.stages:
            raise IncompatibleSolver("this solver has no drift stages to take a log-ratio from")
        value, worst = total.unbind(1)
        length = h if isinstance(h, float) else h[:, 0]
        left: Tensor | None = None
        for stage in step.stages:
            if stage.weight == 0.0 and stage.y is not y:
                continue
            u, residual = control(problem, stage)
            left = u if stage.y is y else left
            value = value + (0.5 * stage.weight) * length * u.square().sum(1)
            worst = torch.maximum(worst, residual)
        if self.kind == "path":
            if left is None:
                left, residual = control(problem, Stage(0.0, t, y, problem.f(t, y)))
                worst = torch.maximum(worst, residual)
            value = value + (left * noise.W).sum(1)
        return torch.stack([value, worst], dim=1)

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Log-ratios add up; the worst residual is the larger one."""
        value = first[:, 0] + second[:, 0]
        return torch.stack([value, torch.maximum(first[:, 1], second[:, 1])], dim=1)

    def finish(self, totals: Sequence[Tensor]) -> Tensor:
        """The log-ratios (B, T - 1).

        Raises:
            SingularDiffusion: if f - h left the range of g.
        """
        stacked = torch.stack(list(totals), dim=1)
        worst = stacked[..., 1].detach()
        if bool((worst > _RESIDUAL).any()):
            b, k = (int(i) for i in (worst > _RESIDUAL).nonzero()[0])
            raise SingularDiffusion(
                f"f - h is outside the range of g for sample {b} in interval {k} (relative "
                f"residual {float(worst[b, k]):.1e}): the log-ratio is infinite; give f and h "
                "the same directions as g, or define control(t, y) with f = h + g u"
            )
        return stacked[..., 0] * self.sign if self.kind == "path" else stacked[..., 0]


def control(problem: Problem, stage: Stage) -> tuple[Tensor, Tensor]:
    """The u (B, M) with g u = f - h at a stage, and the relative residual of that, (B,)."""
    direct = problem.control(stage.t, stage.y)
    if direct is not None:
        return direct, direct.detach().new_zeros(direct.shape[0])
    gap = stage.f - problem.h(stage.t, stage.y)
    g = problem.g(stage.t, stage.y) if stage.g is None else stage.g
    u = _divide(gap, g) if problem.noise_type == "diagonal" else _least_squares(g, gap)
    with torch.no_grad():
        size = gap.norm(dim=1)
        residual = (problem.prod(g, u) - gap).norm(dim=1)
        relative = torch.where(size > 0, residual / size.clamp_min(1e-30), 0.0)
    return u, relative


def _divide(gap: Tensor, g: Tensor) -> Tensor:
    """Gap / g with |g| kept above a floor; zero counts as positive."""
    sign = torch.where(g < 0, -1.0, 1.0).to(g.dtype)
    return gap / torch.where(g.abs() < _FLOOR, sign * _FLOOR, g)


def _least_squares(g: Tensor, gap: Tensor) -> Tensor:
    """The shortest u that solves g u = gap best, through the smaller Gram matrix.

    The Gram matrix squares the condition of g, so it is made in double precision. Where g is
    singular within rounding, the pseudo-inverse leaves out the directions in which it is 0: the
    Gram matrix would fill them with magnified rounding.
    """
    wide, eps = g.shape[2] > g.shape[1], torch.finfo(g.dtype).eps
    dtype, g, gap = gap.dtype, g.double(), gap.double()
    gram = g @ g.mT if wide else g.mT @ g
    size = gram.diagonal(dim1=1, dim2=2).mean(1).detach()
    ridge = size * max((10 * eps) ** 2, 10 * torch.finfo(torch.float64).eps) + 1e-30
    eye = torch.eye(gram.shape[1], dtype=g.dtype, device=g.device)
    factor = torch.linalg.cholesky_ex(gram + ridge[:, None, None] * eye)[0]
    if bool((factor.diagonal(dim1=1, dim2=2).amin(1).square() < _SINGULAR * ridge).any()):
        inverse: Tensor = torch.linalg.pinv(g, rtol=10 * eps)
        return (inverse @ gap[..., None])[..., 0].to(dtype)
    right = gap[..., None] if wide else g.mT @ gap[..., None]
    solved = torch.cholesky_solve(right, factor)
    return (g.mT @ solved if wide else solved)[..., 0].to(dtype)
