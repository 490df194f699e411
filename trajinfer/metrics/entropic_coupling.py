r"""Entropic couplings of many segments at once.

For costs $C$ and masses $a, b$ the coupling $\pi_{ij} = \exp(f_i + g_j - C_{ij})$ with row sums $a$
and column sums $b$ minimises $\sum \pi_{ij} (\log \pi_{ij} + C_{ij})$. Its potentials maximise the
concave semi-dual $\langle a, f\rangle + \langle b, g(f)\rangle$. Where the costs are large against
1 (small noise), Sinkhorn sweeps need tens of thousands of rounds; here a few sweeps, annealed from
a high temperature, are followed by damped Newton steps on the semi-dual. Where the smallest entries
of a plan underflow, a group of points that holds too much mass no longer feels the others: such
problems start from the potentials of exact transport, under which no group does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trajinfer.metrics.exact_coupling import exact_potential
from trajinfer.metrics.stabilised_scaling import scale

_LARGE = 600
_SHARP = 350.0  # spread of the costs from which exp(f + g - C) may underflow
_COOLING = 4.0
_SWEEPS_PER_TEMPERATURE = 4
_SWEEPS_BEFORE_NEWTON = 20
_NEAR = 0.5  # L1 error of the rows from which Newton steps need no further sweeps
_MAX_HALVINGS = 30
_SMALLEST_DEGREE = 1e-290
_LONGEST_MOVE = 30.0


@dataclass(frozen=True)
class EntropicCoupling:
    """Entropic couplings of S segments.

    Attributes:
        log_plan: (S, N, M) logarithm of the coupling.
        f, g: (S, N) and (S, M) potentials.
        error: (S,) L1 distance of the row sums from their masses (columns are exact).
        n_steps: sweeps and Newton steps spent.
    """

    log_plan: Tensor
    f: Tensor
    g: Tensor
    error: Tensor
    n_steps: int

    @classmethod
    def of(cls, f: Tensor, g: Tensor, cost: Tensor, log_a: Tensor, n_steps: int = 0) -> Self:
        """The couplings with these potentials."""
        log_plan = f.unsqueeze(2) + g.unsqueeze(1) - cost
        error = (log_plan.exp().sum(2) - log_a.exp()).abs().sum(1)
        return cls(log_plan, f, g, error, n_steps)

    def entropy_term(self) -> Tensor:
        """Sum of pi log pi over all segments."""
        plan = self.log_plan.exp()
        return torch.where(plan > 0, plan * self.log_plan, 0.0).sum()

    def transport(self, cost: Tensor) -> Tensor:
        """Sum of pi C over all segments."""
        plan = self.log_plan.exp()
        return torch.where(plan > 0, plan * cost, 0.0).sum()


def couple(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    *,
    warm_start: Tensor | None = None,
    tol: float = 1e-9,
    max_steps: int = 200,
) -> EntropicCoupling:
    """Solve S entropic transport problems at temperature 1.

    Args:
        cost: (S, N, M).
        log_a, log_b: (S, N) and (S, M) log-masses, minus infinity for padding.
        warm_start: (S, N) potential f of a similar problem.
        tol: L1 error of the row sums at which to stop.
        max_steps: bound on the Newton steps.

    Returns:
        The couplings; `error` tells how far the iteration came.
    """
    sharp = _spread(cost, log_a, log_b) > max(_SHARP, min(cost.shape[1:]))
    first = _exact_potentials(cost, log_a, log_b) if sharp and warm_start is None else warm_start
    found = _couple_from(first, cost, log_a, log_b, tol, max_steps)
    missed = (found.error > tol).nonzero().squeeze(1)
    if warm_start is None or not sharp or not len(missed):
        return found
    parts = cost[missed], log_a[missed], log_b[missed]
    anew = _couple_from(_exact_potentials(*parts), *parts, tol, max_steps)
    f = found.f.index_copy(0, missed, anew.f)
    g = found.g.index_copy(0, missed, anew.g)
    return EntropicCoupling.of(f, g, cost, log_a, found.n_steps + anew.n_steps)


def _couple_from(
    first: Tensor | None,
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    tol: float,
    max_steps: int,
) -> EntropicCoupling:
    """The couplings, sought from the potentials `first` of the rows."""
    if cost.shape[1] <= cost.shape[2]:
        f, n_steps = _solve(cost, log_a, log_b, first, tol, max_steps)
    else:  # Newton steps cost the cube of the side on which they are taken
        turned = cost.mT.contiguous()
        columns = None if first is None else _column_potential(first, cost, log_b)
        g, n_steps = _solve(turned, log_b, log_a, columns, tol, max_steps)
        f = _column_potential(g, turned, log_a)
    g = _column_potential(f, cost, log_b)
    return EntropicCoupling.of(f, g, cost, log_a, n_steps)


def _exact_potentials(cost: Tensor, log_a: Tensor, log_b: Tensor) -> Tensor:
    """Row potentials (S, N) at temperature 0."""
    potentials = torch.full_like(log_a, -torch.inf)
    for k in range(len(cost)):
        rows, columns = torch.isfinite(log_a[k]), torch.isfinite(log_b[k])
        part = cost[k][rows][:, columns]
        found = exact_potential(
            part.numpy(), log_a[k][rows].exp().numpy(), log_b[k][columns].exp().numpy()
        )
        potentials[k, rows] = torch.as_tensor(found)
    return potentials


def _spread(cost: Tensor, log_a: Tensor, log_b: Tensor) -> float:
    """Range of the costs between points that have mass."""
    real = torch.isfinite(log_a).unsqueeze(2) & torch.isfinite(log_b).unsqueeze(1)
    return float(
        torch.where(real, cost, -torch.inf).amax() - torch.where(real, cost, torch.inf).amin()
    )


def _solve(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    warm_start: Tensor | None,
    tol: float,
    max_steps: int,
) -> tuple[Tensor, int]:
    """Row potentials (S, N), and the steps spent."""
    if cost.shape[1] > _LARGE:
        return _solve_large(cost, log_a, log_b, warm_start, tol, max_steps)
    f, n_sweeps = _anneal(cost, log_a, log_b, warm_start)
    f, n_newton = _newton(f, cost, log_a, log_b, tol, max_steps)
    return f, n_sweeps + n_newton


def _solve_large(
    cost: Tensor,
    log_a: Tensor,
    log_b: Tensor,
    warm_start: Tensor | None,
    tol: float,
    max_steps: int,
) -> tuple[Tensor, int]:
    """The same, one segment after the other, without padding."""
    potentials = torch.full_like(log_a, -torch.inf)
    most = 0
    for k in range(len(cost)):
        rows, columns = torch.isfinite(log_a[k]), torch.isfinite(log_b[k])
        part = cost[k]
        if not (bool(rows.all()) and bool(columns.all())):
            part = part[rows][:, columns]
        first = None if warm_start is None else warm_start[k][rows]
        potentials[k, rows], n_steps = scale(
            part, log_a[k][rows].exp(), log_b[k][columns].exp(), first, tol, max_steps
        )
        most = max(most, n_steps)
    return potentials, most


def _column_potential(f: Tensor, cost: Tensor, log_b: Tensor, temperature: float = 1.0) -> Tensor:
    """The g that makes the column sums exact."""
    reach = torch.logsumexp((f.unsqueeze(2) - cost) / temperature, dim=1)
    return temperature * (log_b - reach)


def _row_potential(g: Tensor, cost: Tensor, log_a: Tensor, temperature: float = 1.0) -> Tensor:
    """The f that makes the row sums exact."""
    reach = torch.logsumexp((g.unsqueeze(1) - cost) / temperature, dim=2)
    return temperature * (log_a - reach)


def _anneal(
    cost: Tensor, log_a: Tensor, log_b: Tensor, warm_start: Tensor | None
) -> tuple[Tensor, int]:
    """Sinkhorn sweeps while the temperature falls from the size of the costs to 1."""
    temperature = 1.0
    if warm_start is None:
        temperature = max(1.0, _spread(cost, log_a, log_b))
        f = torch.where(torch.isfinite(log_a), 0.0, -torch.inf)
    else:
        f = warm_start
    a = log_a.exp()
    n_sweeps = 0
    while True:
        final = temperature <= 1.0
        for _ in range(_SWEEPS_BEFORE_NEWTON if final else _SWEEPS_PER_TEMPERATURE):
            g = _column_potential(f, cost, log_b, temperature)
            before, f = f, _row_potential(g, cost, log_a, temperature)
            n_sweeps += 1
            if final and _row_error(before, f, a) <= _NEAR:
                return f, n_sweeps
        if final:
            return f, n_sweeps
        temperature = max(1.0, temperature / _COOLING)


def _row_error(before: Tensor, after: Tensor, a: Tensor) -> float:
    """Largest L1 error of the row sums that a sweep at temperature 1 found, and mended."""
    growth = torch.where(a > 0, before - after, 0.0)
    return float((a * torch.expm1(growth)).abs().sum(1).max())


def _newton(
    f: Tensor, cost: Tensor, log_a: Tensor, log_b: Tensor, tol: float, max_steps: int
) -> tuple[Tensor, int]:
    """Damped Newton steps on the semi-dual, each followed by one Sinkhorn sweep."""
    a, b = log_a.exp(), log_b.exp()
    damping = torch.full(a.shape[:1], 1e-8, dtype=a.dtype, device=a.device)
    g = _column_potential(f, cost, log_b)
    for step in range(max_steps):
        plan = (f.unsqueeze(2) + g.unsqueeze(1) - cost).exp()
        rows = plan.sum(2)
        open_segments = (rows - a).abs().sum(1) > tol
        if not bool(open_segments.any()):
            return f, step
        index = open_segments.nonzero().squeeze(1)
        move, whole = _newton_move(plan[index], rows[index], a[index], b[index], damping[index])
        damping[index] = torch.where(whole, damping[index] / 10, damping[index] * 100).clamp(
            1e-12, 1
        )
        g_open = g[index] - _growth(move, plan[index], b[index]).log()
        f[index] = _row_potential(g_open, cost[index], log_a[index])
        g[index] = _column_potential(f[index], cost[index], log_b[index])
    return f, max_steps


def _newton_move(
    plan: Tensor, rows: Tensor, a: Tensor, b: Tensor, damping: Tensor
) -> tuple[Tensor, Tensor]:
    """Move of f along the Newton direction, halved until the semi-dual rises; whether it was whole.

    The Hessian diag(r) - pi diag(1/b) pi^T is the Laplacian of a graph between the rows. Its
    degrees are summed from the off-diagonal, without cancellation, and scale the system: rows that
    are tied to the others by vanishing weights (small noise) then move as freely as the rest. The
    null vector, a constant shift of f, is lifted to 1.
    """
    real = (a > 0) & (rows > 0)
    reach = plan * torch.where(b > 0, b, 1.0).rsqrt().unsqueeze(1)
    ties = reach @ reach.mT
    ties.diagonal(dim1=1, dim2=2).zero_()
    degree = ties.sum(2)
    tied = real & (degree > _SMALLEST_DEGREE)
    root = torch.where(tied, degree, 1.0).sqrt()
    null = torch.where(tied, root, 0.0)
    null = null / null.square().sum(1, keepdim=True).sqrt().clamp_min(_SMALLEST_DEGREE)
    hessian = null.unsqueeze(2) * null.unsqueeze(1) - ties / (root.unsqueeze(2) * root.unsqueeze(1))
    hessian.diagonal(dim1=1, dim2=2).add_(1.0 + damping.unsqueeze(1))
    gradient = torch.where(tied, (a - rows) / root, 0.0)
    factor, failed = torch.linalg.cholesky_ex(hessian)
    direction = torch.cholesky_solve(gradient.unsqueeze(2), factor).squeeze(2) / root
    direction = direction.clamp(-_LONGEST_MOVE, _LONGEST_MOVE)
    usable = (failed == 0) & torch.isfinite(direction).all(1)
    direction = torch.where(usable.unsqueeze(1) & tied, direction, 0.0)
    return _line_search(direction, plan, a, b)


def _line_search(direction: Tensor, plan: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Halve the step of every segment until its semi-dual does not fall; say where step 1 held."""

    def rise(move: Tensor) -> Tensor:
        return (a * move).sum(1) - (b * _growth(move, plan, b).log()).sum(1)

    start = rise(torch.zeros_like(direction))
    length = torch.ones_like(start)
    for _ in range(_MAX_HALVINGS):
        rising = rise(length.unsqueeze(1) * direction) >= start - 1e-14
        if bool(rising.all()):
            break
        length = torch.where(rising, length, length / 2)
    length = torch.where(rising, length, 0.0)
    return length.unsqueeze(1) * direction, length == 1.0


def _growth(move: Tensor, plan: Tensor, b: Tensor) -> Tensor:
    """Factor of the column sums when f moves, from the plan: no exponential of all the costs."""
    columns = (plan.mT @ move.exp().unsqueeze(2)).squeeze(2)
    return torch.where(b > 0, columns, 1.0) / torch.where(b > 0, b, 1.0)
