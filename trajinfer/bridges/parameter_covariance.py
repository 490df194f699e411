r"""How far the refined parameters may be off: the delta method for the points of the snapshots.

The parameters minimise $F(\theta, \mu_1, \ldots, \mu_K)$, the least objective over couplings with
these marginals. Its slope in the weight of point i of snapshot k is the sum of the potentials of
the two segments that meet there, $\phi_{ki} = f_{ki} + g_{ki}$. Had the point more weight, the
minimum would move by $-H^{-1}\,\partial_\theta \phi_{ki}$ with H the Hessian of F in the
parameters, so that points drawn independently give

$\operatorname{Cov}\hat\theta = H^{-1} \Big[\sum_k \sum_i w_{ki}^2 (s_{ki} - \bar s_k)
(s_{ki} - \bar s_k)^T\Big] H^{-1}, \qquad s_{ki} = \partial_\theta \phi_{ki}$.

This is the limit of refits to resampled snapshots, for the price of two couplings per parameter.

References:
    Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 9 (1981), and its
    infinitesimal form by Jaeckel (1972).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.bridges.coupling_rules import AnyBridge
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.drift_bridge import DriftBridge
from trajinfer.bridges.multi_marginal import MultiMarginalBridge
from trajinfer.bridges.refinement import static_objective
from trajinfer.processes import Process
from trajinfer.references.dynamics import Reference
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import pair_cost
from trajinfer.sde import SDELike

_DIFFERENCE = 1e-3
_MOST_PARAMETERS = 50
_SMALLEST = 1e-8
_REMEDY = "hand over fits to resampled snapshots (evaluation.bootstrap) instead"


@dataclass(frozen=True, eq=False)
class ParameterLaw:
    """The normal law of the refined parameters.

    Attributes:
        sde: the refined reference.
        mean: (P,) its learnable numbers in natural units.
        covariance: (P, P).
    """

    sde: SDELike
    mean: Array
    covariance: Array

    @classmethod
    def of(cls, bridge: AnyBridge) -> ParameterLaw:
        """The law for a fitted bridge.

        Raises:
            InputError: if too many numbers were refined, or one that the data do not settle.
        """
        if isinstance(bridge, DriftBridge):
            bridge = bridge.base
        if not isinstance(bridge, MultiMarginalBridge):
            raise InputError(
                "bridges by mixtures of Gaussians, and those with hidden coordinates, have no "
                "potentials of single points, so the errors of their parameters are not known; "
                f"{_REMEDY}"
            )
        mean, rows = influence(bridge)
        total = np.zeros((len(mean), len(mean)))
        for log_mass, of_points in zip(bridge.problem.log_mass, rows):
            weights = log_mass.exp().numpy()
            miss = weights[:, None] * (of_points - weights @ of_points)
            total += miss.T @ miss
        return cls(bridge.reference.sde, mean, total)

    def errors(self) -> dict[str, float | Array]:
        """Standard errors of the parameters by name, in their own units."""
        sde = copy.deepcopy(self.sde)
        if not isinstance(sde, Process):
            raise InputError(
                f"the parameters of a {type(sde).__name__} have no names; draw references instead"
            )
        vector, center = ParameterVector(sde), sde.parameters_dict()
        variance = {name: np.zeros(np.shape(value)) for name, value in center.items()}
        values, ways = np.linalg.eigh(self.covariance)
        for size, way in zip(np.sqrt(np.maximum(values, 0.0)), ways.T):
            sides = []
            for sign in (_DIFFERENCE, -_DIFFERENCE):
                vector.set(self.mean + sign * size * way)
                sides.append(sde.parameters_dict())
            for name, total in variance.items():
                up, down = (np.asarray(side[name]) for side in sides)
                variance[name] = total + ((up - down) / (2 * _DIFFERENCE)) ** 2
        return {
            name: float(np.sqrt(total)) if np.ndim(total) == 0 else np.sqrt(total)
            for name, total in variance.items()
        }

    def draw(self, n: int, rng: np.random.Generator) -> list[SDELike]:
        """References with numbers drawn n times from the law."""
        drawn = []
        for numbers in rng.multivariate_normal(self.mean, self.covariance, size=n, method="eigh"):
            sde = copy.deepcopy(self.sde)
            ParameterVector(sde).set(numbers)
            drawn.append(sde)
        return drawn


def influence(bridge: MultiMarginalBridge) -> tuple[Array, list[Array]]:
    """Learnable numbers (P,), and per snapshot their derivatives (N_k, P) by the points' weights.

    Raises:
        InputError: if too many numbers were refined, or one that the data do not settle.
    """
    sde = copy.deepcopy(bridge.reference.sde)
    vector = ParameterVector(sde)
    mean = vector.get()
    _require_few(len(mean))
    moved = replace(bridge.reference, sde=sde)
    slopes, scores = [], []
    for position, step in enumerate(_DIFFERENCE * np.maximum(1.0, np.abs(mean))):
        sides = []
        for sign in (1.0, -1.0):
            vector.set(mean + sign * step * np.eye(len(mean))[position])
            sides.append(_at(bridge, moved, vector))
        (slope_up, up), (slope_down, down) = sides
        slopes.append((slope_up - slope_down) / (2 * step))
        scores.append([(high - low) / (2 * step) for high, low in zip(up, down)])
    hessian = np.stack(slopes)
    inverse = _inverse((hessian + hessian.T) / 2)
    return mean, [-np.stack(columns, axis=1) @ inverse for columns in zip(*scores)]


def _require_few(count: int) -> None:
    if count > _MOST_PARAMETERS:
        raise InputError(
            f"a reference of {count} learnable numbers has no useful normal law; {_REMEDY}"
        )


def _at(
    bridge: MultiMarginalBridge, reference: Reference, vector: ParameterVector
) -> tuple[Array, list[Array]]:
    """Slope of the objective (P,), and potentials of all points, at the reference's parameters."""
    problem, transitions = (
        bridge.problem,
        replace(bridge.transitions, dynamics=reference.frozen_dynamics),
    )
    quadrature = bridge.quadrature
    if quadrature is not None:
        quadrature = quadrature.under(transitions.dynamics)
    with torch.no_grad():
        costs = [
            pair_cost(transitions.of(b), b.end) if quadrature is None else quadrature.costs(b)
            for b in problem.batches
        ]
        couplings = Couplings.solve(problem, costs, bridge.couplings)
    with torch.enable_grad():
        objective = static_objective(reference, couplings, transitions.n_steps, quadrature)
        slope = vector.gradient_of(objective())
    return slope, _potentials(couplings, problem)


def _potentials(couplings: Couplings, problem: Problem) -> list[Array]:
    """Per snapshot the slopes (N_k,) of the objective in the weights of its points."""
    sums = [np.zeros(len(points)) for points in problem.points]
    for k in range(problem.n_segments):
        segment = couplings.of(k)
        sums[k] += _by_weight(segment.f, problem.log_starts(k), problem.log_mass[k])
        sums[k + 1] += _by_weight(segment.g, problem.log_ends(k), problem.log_mass[k + 1])
    return sums


def _by_weight(potential: Tensor, log_grown: Tensor, log_mass: Tensor) -> Array:
    """Slope (N,) in the weights, of which the masses that are coupled are grown and normalised."""
    mass = log_grown.exp()
    real = mass > 0
    present = torch.where(real, potential, 0.0)
    growth = torch.where(real, (log_grown - log_mass).exp(), 0.0)
    return np.asarray((growth * (present - mass @ present)).numpy())


def _inverse(hessian: Array) -> Array:
    size = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-300))
    even = hessian / size / size[:, None]
    values, vectors = np.linalg.eigh(even)
    if not values.min() > _SMALLEST:
        raise InputError(
            "the snapshots do not settle all parameters of the reference (its objective is flat "
            "there), so their errors have no normal law; give one of them a value"
        )
    return np.asarray((vectors / values) @ vectors.T / size / size[:, None])
