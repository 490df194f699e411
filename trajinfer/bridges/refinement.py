r"""Refining the reference: two ways to find the parameters that fit a bridge best.

*Static*: maximise the likelihood of the coupling, $\sum \pi_{ij} \log q_\theta(y_j \mid x_i)$. It
needs no paths and is an exact descent step on the objective.

*Path*: regress the reference's drift on the conditional drift along bridge paths,
$\min_\theta E\,|\Sigma^{-1/2}(u - b_\theta(X))|^2$. It finds its way from far away, where
transition densities of the start say nothing about the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer.bridges.bridge_law import bridge_law
from trajinfer.bridges.dynamics import Dynamics, dynamics_of
from trajinfer.bridges.problem import Problem
from trajinfer.bridges.static_likelihood import (
    RowStatistics,
    cholesky,
    negative_log_likelihood,
)
from trajinfer.bridges.stratified import draw_atoms, draw_partners
from trajinfer.bridges.transitions import transition
from trajinfer.processes import Process
from trajinfer.sde import SDELike

_PATH_FRACTIONS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
_PATH_DRAWS = 400
_TRUST_REGION = 1.0
_BARRIER = 1e12


class LearnableState:
    """The learnable numbers of a reference as one vector in natural units."""

    def __init__(self, sde: SDELike) -> None:
        modules = sde if isinstance(sde, nn.Module) else nn.Module()
        named = [(n, p) for n, p in modules.named_parameters() if p.requires_grad]
        units = sde.coefficients.units if isinstance(sde, Process) else {}
        self.tensors = [p for _, p in named]
        self._units = [units.get(n.rpartition(".")[2], 1.0) for n, _ in named]

    def __len__(self) -> int:
        return sum(p.numel() for p in self.tensors)

    def get(self) -> Array:
        """Current values."""
        parts = [p.detach().flatten() / u for p, u in zip(self.tensors, self._units)]
        return torch.cat(parts).double().numpy().copy()

    def set(self, vector: Array) -> None:
        """Overwrite the values."""
        position = 0
        with torch.no_grad():
            for p, unit in zip(self.tensors, self._units):
                part = vector[position : position + p.numel()] * unit
                p.copy_(torch.as_tensor(part).reshape(p.shape))
                position += p.numel()

    def gradient(self) -> Array:
        """Gradient left by the last backward pass; zero where none arrived."""
        parts = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten() * u
            for p, u in zip(self.tensors, self._units)
        ]
        return torch.cat(parts).double().numpy()

    def clear_gradient(self) -> None:
        """Forget the gradients."""
        for p in self.tensors:
            p.grad = None


def minimise(
    state: LearnableState,
    objective: Callable[[], Tensor],
    *,
    reach: float | None,
    max_iterations: int = 40,
) -> float:
    """Minimise over the learnable numbers by L-BFGS, within a box around where they are.

    Args:
        state: the numbers; they end at the best values met.
        objective: 0-d tensor; not finite where the parameters are not admissible.
        reach: half-width of the box in natural units; None for no box.
        max_iterations: of L-BFGS.

    Returns:
        The least value met.
    """
    start = state.get()
    best = (np.inf, start)

    def evaluate(vector: Array) -> tuple[float, Array]:
        nonlocal best
        state.set(vector)
        state.clear_gradient()
        value = objective()
        if not bool(torch.isfinite(value)):
            return _BARRIER, np.zeros_like(vector)
        value.backward()  # type: ignore[no-untyped-call]
        gradient = state.gradient()
        if not np.isfinite(gradient).all():
            return _BARRIER, np.zeros_like(vector)
        if value.item() < best[0]:
            best = (value.item(), vector.copy())
        return value.item(), gradient

    bounds = None if reach is None else [(v - reach, v + reach) for v in start]
    options = {"maxiter": max_iterations}
    minimize(evaluate, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    state.set(best[1])
    state.clear_gradient()
    return float(best[0])


def static_round(
    sde: SDELike,
    problem: Problem,
    statistics: RowStatistics,
    n_steps: int,
    *,
    linearise: bool = False,
) -> None:
    """Raise the static likelihood of the coupling within a trust region."""

    def objective() -> Tensor:
        dynamics = dynamics_of(sde)
        if linearise:
            dynamics = replace(dynamics, affine=None)
        law = transition(
            dynamics, problem.times[:-1], problem.start, problem.durations, n_steps=n_steps
        )
        return negative_log_likelihood(law, statistics) + penalty_of(sde)

    minimise(LearnableState(sde), objective, reach=_TRUST_REGION)


def path_round(
    sde: SDELike,
    dynamics: Dynamics,
    problem: Problem,
    plan: Tensor,
    n_steps: int,
    generator: torch.Generator,
    n_starts: int,
) -> None:
    """Regress the drift on the conditional drift of bridges of `dynamics`.

    Args:
        sde: the reference to refine.
        dynamics: the reference under which the coupling was found.
        problem: the snapshots.
        plan: (S, N, M).
        n_steps: Runge-Kutta steps per segment.
        generator: of the draws and of the random starts.
        n_starts: starting points of the regression, the first at the present parameters.
    """
    t, x, drift, factor, weight = _regression_data(dynamics, problem, plan, n_steps, generator)
    state = LearnableState(sde)

    def objective() -> Tensor:
        miss = drift - sde.f(t, x)
        white = torch.linalg.solve_triangular(factor, miss.unsqueeze(2), upper=False).squeeze(2)
        return 0.5 * (weight * white.square().sum(1)).sum() + penalty_of(sde)

    start = state.get()
    results = []
    for trial in range(n_starts):
        jump = torch.randn(len(start), generator=generator, dtype=torch.float64).numpy()
        state.set(start + (jump if trial else 0.0))
        value = minimise(state, objective, reach=None, max_iterations=200)
        results.append((value, state.get()))
    state.set(min(results, key=lambda result: result[0])[1])


def penalty_of(sde: SDELike) -> Tensor:
    """The ridge of a process; zero for references without one."""
    if not isinstance(sde, Process):
        return torch.zeros((), dtype=torch.float64)
    penalty = sde.penalty(sde.values())
    return torch.zeros((), dtype=torch.float64) if penalty is None else penalty


def _regression_data(
    dynamics: Dynamics, problem: Problem, plan: Tensor, n_steps: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Times, positions, conditional drifts, noise factors and weights along bridge paths."""
    segments = range(problem.n_segments)
    mass = problem.log_mass.exp()
    atoms = [draw_atoms(mass[k], _PATH_DRAWS, generator) for k in segments]
    partners = [draw_partners(plan[k], atoms[k], generator) for k in segments]
    x = torch.stack([problem.start[k, atoms[k]] for k in segments])
    y = torch.stack([problem.end[k, partners[k]] for k in segments])
    fractions = torch.tensor(_PATH_FRACTIONS, dtype=x.dtype)
    with torch.no_grad():
        law = bridge_law(
            dynamics, problem.times[:-1], x, problem.durations, fractions, n_steps=n_steps
        )
        positions = law.draw(y, generator)
        drift = law.conditional_drift(dynamics, positions, y)
        t = law.times.unsqueeze(2).expand(positions.shape[:3]).reshape(-1, 1)
        flat = positions.flatten(0, 2)
        rate = dynamics.covariance_rate(t, flat)
        factor, _ = cholesky(rate)
    share = problem.durations / (len(fractions) * _PATH_DRAWS)
    weight = share.reshape(1, -1, 1).expand(positions.shape[:3]).flatten()
    return t, flat, drift.flatten(0, 2), factor, weight
