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
from scipy.optimize import least_squares, minimize
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
from trajinfer.bridges.transitions import Transition, transition
from trajinfer.processes import Process
from trajinfer.sde import SDELike

_PATH_FRACTIONS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
_PATH_DRAWS = 150
_TRUST_REGION = 1.0
_BARRIER = 1e12
_LARGE = 1e6
_MOST_COLUMNS = 200
_DIFFERENCE = 1e-5
_MOST_ITERATIONS = 100
_STATIC_ITERATIONS = 20


class LearnableState:
    """The learnable numbers of a reference as one vector in natural units.

    Args:
        sde: the reference.
        with_volatility: whether a learnable volatility is one of them; paths cannot tell it.
    """

    def __init__(self, sde: SDELike, *, with_volatility: bool = True) -> None:
        module = sde if isinstance(sde, nn.Module) else nn.Module()
        units: dict[str, float] = sde.coefficients.units if isinstance(sde, Process) else {}
        hidden = set() if with_volatility else {"coefficients.volatility"}
        named = [
            (name, p)
            for name, p in module.named_parameters()
            if p.requires_grad and name not in hidden
        ]
        self.tensors = [p for _, p in named]
        self._units = [units.get(name.rpartition(".")[2], 1.0) for name, _ in named]

    def __len__(self) -> int:
        return sum(p.numel() for p in self.tensors)

    def get(self) -> Array:
        """Current values."""
        parts = [p.detach().flatten() / u for p, u in zip(self.tensors, self._units)]
        return torch.cat(parts).double().numpy().copy() if parts else np.zeros(0)

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
    max_iterations: int,
    reach: float = np.inf,
    metric: Array | None = None,
) -> float:
    """Minimise over the learnable numbers by L-BFGS.

    Args:
        state: the numbers; they end at the best values met.
        objective: 0-d tensor; not finite where the parameters are not admissible.
        max_iterations: of L-BFGS.
        reach: the farthest any number may move, in natural units.
        metric: positive definite matrix, roughly the Hessian, in which the search is round.

    Returns:
        The least value met.
    """
    start = state.get()
    stretch = np.eye(len(start)) if metric is None else np.linalg.inv(np.linalg.cholesky(metric)).T
    best = (np.inf, start)
    wall: float | None = None

    def evaluate(move: Array) -> tuple[float, Array]:
        nonlocal best, wall
        vector = start + stretch @ move
        if np.abs(vector - start).max() > reach:
            return wall or _BARRIER, np.zeros_like(move)
        state.set(vector)
        state.clear_gradient()
        value = objective()
        if not bool(torch.isfinite(value)):
            return wall or _BARRIER, np.zeros_like(move)
        value.backward()
        gradient = stretch.T @ state.gradient()
        if not np.isfinite(gradient).all():
            return wall or _BARRIER, np.zeros_like(move)
        if value.item() < best[0]:
            best = (value.item(), vector)
        # A wall of moderate height: line searches interpolate through it.
        wall = value.item() + 10 + 10 * abs(value.item()) if wall is None else wall
        return value.item(), gradient

    options = {"maxiter": max_iterations}
    minimize(evaluate, np.zeros_like(start), jac=True, method="L-BFGS-B", options=options)
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

    def law() -> Transition:
        dynamics = dynamics_of(sde)
        if linearise:
            dynamics = replace(dynamics, affine=None)
        return transition(
            dynamics, problem.times[:-1], problem.start, problem.durations, n_steps=n_steps
        )

    def objective() -> Tensor:
        return negative_log_likelihood(law(), statistics) + penalty_of(sde)

    state = LearnableState(sde)
    metric = None
    if len(state) <= _MOST_COLUMNS:
        metric = _fisher_information(sde, state, law, statistics.mass)
    minimise(
        state, objective, max_iterations=_STATIC_ITERATIONS, reach=_TRUST_REGION, metric=metric
    )


def _fisher_information(
    sde: SDELike, state: LearnableState, law: Callable[[], Transition], mass: Tensor
) -> Array:
    r"""Information that transition means and variances carry about the learnable numbers.

    By differences: $\sum_i a_i [\partial m_i^T P_i^{-1} \partial m_i + \tfrac12 \partial v_i^2]$
    with v the log standard deviations of the whitened coordinates, plus that of the ridge.
    """
    start = state.get()
    with torch.no_grad():
        center = law()
        factor, _ = cholesky(center.covariance)
        factor = factor.expand(*center.mean.shape, -1)
        root = mass.sqrt().unsqueeze(2)
        ridge = _shrinkage(sde)
        columns = []
        for position in range(len(start)):
            moved = start.copy()
            moved[position] += _DIFFERENCE
            state.set(moved)
            there = law()
            white = _whiten(factor, (there.mean - center.mean).unsqueeze(3)).squeeze(3)
            change = (there.covariance - center.covariance).expand(*center.mean.shape, -1)
            spread = _whiten(factor, _whiten(factor, change).mT).diagonal(dim1=2, dim2=3)
            parts = [(root * white).flatten(), (root * spread).flatten() / 2**0.5]
            if ridge is not None:
                shrunk = _shrinkage(sde)
                parts.append(ridge if shrunk is None else shrunk - ridge)
            columns.append(torch.cat(parts) / _DIFFERENCE)
        state.set(start)
    slopes = np.nan_to_num(torch.stack(columns, dim=1).numpy(), posinf=0.0, neginf=0.0)
    information = slopes.T @ slopes
    floor = 1e-8 * max(1e-8, np.diag(information).max())
    return np.asarray(information + floor * np.eye(len(start)))


def _whiten(factor: Tensor, matrix: Tensor) -> Tensor:
    white: Tensor = torch.linalg.solve_triangular(factor, matrix, upper=False)
    return white


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
        n_starts: starting points of the regression, the first at the present parameters; a drift
            that is linear in its parameters needs but one.
    """
    t, x, drift, factor, weight = _regression_data(dynamics, problem, plan, n_steps, generator)
    root = weight.sqrt().unsqueeze(1)

    def residuals() -> Tensor:
        miss = drift - sde.f(t, x)
        white = torch.linalg.solve_triangular(factor, miss.unsqueeze(2), upper=False).squeeze(2)
        shrinkage = _shrinkage(sde)
        fit = (root * white).flatten()
        return fit if shrinkage is None else torch.cat([fit, shrinkage])

    state = LearnableState(sde, with_volatility=False)
    if len(state) == 0:
        return
    linear = isinstance(sde, Process) and sde.linear_in_parameters
    start = state.get()
    results = []
    for trial in range(1 if linear else n_starts):
        jump = torch.randn(len(start), generator=generator, dtype=torch.float64).numpy()
        state.set(start + (jump if trial else 0.0))
        value = _least_squares(state, residuals)
        results.append((value, state.get()))
    state.set(min(results, key=lambda result: result[0])[1])


def _least_squares(state: LearnableState, residuals: Callable[[], Tensor]) -> float:
    """Half the least sum of squares: Levenberg-Marquardt for few parameters, else L-BFGS."""
    if len(state) > _MOST_COLUMNS:

        def half_squares() -> Tensor:
            return 0.5 * residuals().square().sum()

        return minimise(state, half_squares, max_iterations=_MOST_ITERATIONS)

    def values(vector: Array) -> Array:
        state.set(vector)
        with torch.no_grad():
            found = residuals().numpy()
        return np.asarray(np.clip(np.nan_to_num(found, nan=_LARGE), -_LARGE, _LARGE))

    solution = least_squares(values, state.get(), x_scale="jac", max_nfev=_MOST_ITERATIONS)
    state.set(solution.x)
    return float(solution.cost)


def penalty_of(sde: SDELike) -> Tensor:
    """The ridge of a process; zero for references without one."""
    shrinkage = _shrinkage(sde)
    if shrinkage is None:
        return torch.zeros((), dtype=torch.float64)
    return 0.5 * shrinkage.square().sum()


def _shrinkage(sde: SDELike) -> Tensor | None:
    return sde.shrinkage(sde.values()) if isinstance(sde, Process) else None


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
