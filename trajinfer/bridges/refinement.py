r"""Refining the reference: two ways to find the parameters that fit a bridge best.

*Static*: maximise the likelihood of the coupling, $\sum \pi_{ij} \log q_\theta(y_j \mid x_i)$. It
needs no paths and is an exact descent step on the objective.

*Path*: regress the reference's drift on the conditional drift along bridge paths,
$\min_\theta E\,|\Sigma^{-1/2}(u - b_\theta(X))|^2$. It finds its way from far away, where
transition densities of the start say nothing about the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.mixture_couplings import MixtureCouplings
from trajinfer.processes import Process
from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.dynamics import Reference
from trajinfer.references.information import as_metric, fisher_information
from trajinfer.references.linalg import cholesky, whiten
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.partners import Pairs, Partners
from trajinfer.references.quadrature import Quadrature
from trajinfer.references.static_likelihood import negative_log_likelihood
from trajinfer.references.transitions import Transition, Transitions

_PATH_FRACTIONS = (0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
_PATH_DRAWS = 150
_TRUST_REGION = 1.0
_LARGE = 1e6
_MOST_COLUMNS = 200
_MOST_ITERATIONS = 100
_STATIC_ITERATIONS = 20

Laws = Callable[[], list[Transition]]
AnyCouplings = Couplings | MixtureCouplings


def static_round(
    reference: Reference, couplings: AnyCouplings, n_steps: int, quadrature: Quadrature | None
) -> None:
    """Raise the static likelihood of the couplings within a trust region.

    Args:
        reference: refined in place.
        couplings: of all segments.
        n_steps: Runge-Kutta steps of the linear-noise equations.
        quadrature: of transition densities that are not Gaussian.
    """
    partners = couplings.partners()
    laws, masses = _laws_of(reference, partners, n_steps), [p.statistics.mass for p in partners]
    objective = static_objective(reference, couplings, n_steps, quadrature)
    vector = ParameterVector(reference.sde)
    metric = None
    if len(vector) <= _MOST_COLUMNS:
        metric = as_metric(fisher_information(vector, laws, masses, lambda: reference.shrinkage))
    vector.minimise(
        objective, max_iterations=_STATIC_ITERATIONS, reach=_TRUST_REGION, metric=metric
    )


def static_objective(
    reference: Reference, couplings: AnyCouplings, n_steps: int, quadrature: Quadrature | None
) -> Callable[[], Tensor]:
    """Minus the static likelihood of couplings that do not move, with the ridge of the reference.

    Its slope is that of the objective, least over couplings, where these are the best ones.
    """
    if isinstance(couplings, Couplings) and quadrature is not None:
        likelihood = _likelihood_by_quadrature(reference, couplings, quadrature)
    else:
        partners = couplings.partners()
        likelihood = _gaussian_likelihood(partners, _laws_of(reference, partners, n_steps))
    return lambda: likelihood() + reference.penalty


def _laws_of(reference: Reference, partners: Sequence[Partners], n_steps: int) -> Laws:
    """The transition laws at the present parameters."""

    def laws() -> list[Transition]:
        transitions = Transitions(reference.dynamics, n_steps)
        return [transitions(p.times, p.start, p.durations) for p in partners]

    return laws


def _gaussian_likelihood(partners: Sequence[Partners], laws: Laws) -> Callable[[], Tensor]:
    """Minus the static likelihood, from the moments of the partners of every point."""
    return lambda: torch.stack(
        [negative_log_likelihood(law, p.statistics) for law, p in zip(laws(), partners)]
    ).sum()


def _likelihood_by_quadrature(
    reference: Reference, couplings: Couplings, quadrature: Quadrature
) -> Callable[[], Tensor]:
    """Minus the static likelihood, pair by pair."""
    plans = [coupling.log_plan.exp() for coupling in couplings.batches]

    def likelihood() -> Tensor:
        present = quadrature.under(reference.dynamics)
        costs = [present.costs(batch) for batch in couplings.problem.batches]
        return torch.stack([(plan * cost).sum() for plan, cost in zip(plans, costs)]).sum()

    return likelihood


def path_round(
    reference: Reference,
    transitions: Transitions,
    couplings: AnyCouplings,
    generator: torch.Generator,
    n_starts: int,
) -> None:
    """Regress the drift on the conditional drift of bridges.

    Args:
        reference: refined in place.
        transitions: those under which the couplings were found.
        couplings: of all segments.
        generator: of the draws and of the random starts.
        n_starts: starting points of the regression, the first at the present parameters; a drift
            that is linear in its parameters needs but one.
    """
    sde = reference.sde
    vector = ParameterVector(sde, with_volatility=False)
    t, x, drift, factor, weight = _regression_data(transitions, couplings, generator)
    root = weight.sqrt().unsqueeze(1)

    def residuals() -> Tensor:
        miss = drift - sde.f(t, x)
        white = whiten(factor, miss.unsqueeze(2)).squeeze(2)
        shrinkage = reference.shrinkage
        residual = (root * white).flatten()
        return residual if shrinkage is None else torch.cat([residual, shrinkage])

    if len(vector) == 0:
        return
    linear = isinstance(sde, Process) and sde.linear_in_parameters
    start = vector.get()
    results = []
    for trial in range(1 if linear else n_starts):
        jump = torch.randn(len(start), generator=generator, dtype=torch.float64).numpy()
        vector.set(start + (jump if trial else 0.0))
        value = _least_squares(vector, residuals)
        results.append((value, vector.get()))
    vector.set(min(results, key=lambda result: result[0])[1])


def _least_squares(vector: ParameterVector, residuals: Callable[[], Tensor]) -> float:
    """Half the least sum of squares: Levenberg-Marquardt for few parameters, else L-BFGS."""
    if len(vector) > _MOST_COLUMNS:

        def half_squares() -> Tensor:
            return 0.5 * residuals().square().sum()

        return vector.minimise(half_squares, max_iterations=_MOST_ITERATIONS)

    def values(numbers: Array) -> Array:
        vector.set(numbers)
        with torch.no_grad():
            residual = residuals().numpy()
        return np.asarray(np.clip(np.nan_to_num(residual, nan=_LARGE), -_LARGE, _LARGE))

    solution = least_squares(values, vector.get(), x_scale="jac", max_nfev=_MOST_ITERATIONS)
    vector.set(solution.x)
    return float(solution.cost)


RegressionData = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _regression_data(
    transitions: Transitions, couplings: AnyCouplings, generator: torch.Generator
) -> RegressionData:
    """Times, positions, conditional drifts, noise factors and weights along bridge paths."""
    parts = [
        _along_bridges(transitions, pairs, generator)
        for pairs in couplings.pairs(_PATH_DRAWS, generator)
    ]
    t, x, drift, factor, weight = (torch.cat(columns) for columns in zip(*parts))
    return t, x, drift, factor, weight


def _along_bridges(
    transitions: Transitions, pairs: Pairs, generator: torch.Generator
) -> RegressionData:
    fractions = torch.tensor(_PATH_FRACTIONS, dtype=pairs.start.dtype)
    with torch.no_grad():
        law = bridge_law(transitions, pairs.times, pairs.start, pairs.durations, fractions)
        positions = law.draw(pairs.end, generator)
        drift = law.conditional_drift(positions, pairs.end)
        t = law.times.unsqueeze(2).expand(positions.shape[:3]).reshape(-1, 1)
        flat = positions.flatten(0, 2)
        rate = transitions.dynamics.covariance_rate(t, flat)
        factor, _ = cholesky(rate)
        factor = factor.expand(len(flat), -1, -1)
    share = pairs.durations / (len(fractions) * _PATH_DRAWS)
    weight = share.reshape(1, -1, 1).expand(positions.shape[:3]).flatten()
    return t, flat, drift.flatten(0, 2), factor, weight
