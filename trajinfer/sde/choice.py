"""Which solver: by name, by default, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver, InputError, nearest
from trajinfer.sde.adaptive import Adaptive
from trajinfer.sde.commutativity import noise_commutes, require_additive
from trajinfer.sde.conversion import convert
from trajinfer.sde.heuristics import SolverRegularization
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import SOLVERS, Solver
from trajinfer.sde.solvers.base import Estimate


def methods() -> list[dict[str, Any]]:
    """The solvers as a table: name, calculus, noise, strong order, noise used, error estimates.

    >>> [row["order"] for row in methods() if row["name"] == "sra1"]
    ['3/2']
    """
    return [
        {
            "name": solver.name,
            "type": " or ".join(solver.calculus),
            "noise": ", ".join(solver.noise),
            "order": solver.order,
            "needs": solver.need,
            "commuting_noise": solver.commuting,
            "estimates": ", ".join(solver.estimates),
        }
        for solver in SOLVERS.values()
    ]


@dataclass(frozen=True)
class SolverRequirements:
    """Requirements of a solve on its solver.

    Attributes:
        control: step control, None for fixed steps.
        gradient: how it is differentiated.
        stages: whether drift stages are needed (log-ratio), which exact steps lack.
        convert: whether the SDE may be solved in the other calculus.
        allow_order_loss: whether a lower order than promised is accepted.
        regularization: the penalty on its steps.
    """

    control: Adaptive | None
    gradient: Any
    stages: bool
    convert: bool
    allow_order_loss: bool
    regularization: SolverRegularization | None = None


def choose(
    problem: Problem,
    method: str | Solver | None,
    t: Tensor,
    y: Tensor,
    requirements: SolverRequirements,
) -> tuple[Problem, Solver]:
    """The solver, checked against the SDE, and the SDE in the calculus it needs.

    Raises:
        InputError: if there is no solver of that name.
        IncompatibleSolver: if it does not fit.
    """
    control = requirements.control
    if problem.noise_type == "additive":
        require_additive(problem, t, y)
    if control is not None:
        noise_commutes(problem, t, y)
    solver = _find(problem, method, requirements)
    other = problem.sde_type not in solver.calculus or _wants_stratonovich(problem, requirements)
    if requirements.convert and other and problem.noise_type not in ("none", "additive"):
        problem = convert(problem, commutes=noise_commutes(problem, t, y))
    if control is not None:
        solver = replace(solver, estimate=_estimate(solver, control))
        _check_adaptive(solver, problem, control)
    if requirements.regularization is not None:
        solver = _with_estimate(solver, requirements, requirements.regularization)
    _check_solver(solver, problem, t, y, requirements)
    _check_gradient(solver, problem, requirements)
    return problem, solver


def _find(
    problem: Problem, method: str | Solver | None, requirements: SolverRequirements
) -> Solver:
    if isinstance(method, Solver):
        return method
    if method is None:
        return SOLVERS[_default(problem, requirements)]
    if method not in SOLVERS:
        raise InputError(f"no solver is called {method!r}; {nearest(str(method), SOLVERS)}")
    return SOLVERS[method]


def _default(problem: Problem, requirements: SolverRequirements) -> str:
    adaptive = requirements.control is not None
    if requirements.gradient == "reversible":
        return "reversible_heun"
    steps = requirements.stages or requirements.regularization is not None
    if problem.exact_step is not None and not steps and not adaptive:
        return "exact"
    if problem.noise_type in ("none", "additive"):
        return "tsit5" if problem.noise_type == "none" else "shark"
    if problem.sde_type == "stratonovich" or (
        requirements.convert and requirements.gradient == "adjoint"
    ):
        return "spark" if adaptive else "heun"
    commutes = problem.commutes and problem.noise_type in ("diagonal", "scalar")
    return "sriw1" if commutes else "euler"


def _wants_stratonovich(problem: Problem, requirements: SolverRequirements) -> bool:
    return requirements.gradient == "adjoint" and problem.sde_type == "ito"


def _check_solver(
    solver: Solver, problem: Problem, t: Tensor, y: Tensor, requirements: SolverRequirements
) -> None:
    """Refuse a solver that is wrong, or of lower order than it promises, on this SDE."""
    if not _fits(solver, problem):
        fitting = [s.name for s in SOLVERS.values() if _fits(s, problem)]
        raise IncompatibleSolver(
            f"it solves {' or '.join(solver.calculus)} SDEs with {', '.join(solver.noise)} noise, "
            f"this one is {problem.sde_type} with {problem.noise_type} noise; "
            f"try method={' or '.join(repr(name) for name in fitting)}, or convert=True if only "
            "the calculus differs",
            method=solver.name,
        )
    if solver.name == "exact" and problem.exact_step is None:
        raise IncompatibleSolver(
            f"{type(problem.sde).__name__} offers no exact_step; leave method=None",
            method=solver.name,
        )
    if solver.name == "exp_euler" and problem.drift_linear is None:
        raise IncompatibleSolver(
            f"{type(problem.sde).__name__} declares no drift_linear = LinearDrift(A); "
            "leave method=None",
            method=solver.name,
        )
    if solver.commuting and not requirements.allow_order_loss and not noise_commutes(problem, t, y):
        cure = "'euler'" if problem.sde_type == "ito" else "'heun' or 'spark'"
        raise IncompatibleSolver(
            "the noise does not commute (row i of g depends on more than y_i), so this solver "
            f"would only reach strong order 1/2; use method={cure}, or pass allow_order_loss=True",
            method=solver.name,
        )


def _fits(solver: Solver, problem: Problem) -> bool:
    calculus = problem.noise_type in ("none", "additive") or problem.sde_type in solver.calculus
    return calculus and problem.noise_type in solver.noise


def _estimate(solver: Solver, control: Adaptive) -> Estimate | None:
    """The error estimate to use; None stands for step doubling."""
    if control.error is None:
        return "embedded" if "embedded" in solver.estimates else None
    if control.error == "doubling":
        return None
    if control.error not in solver.estimates:
        raise IncompatibleSolver(
            f"it has no {control.error} error estimate; use error='doubling'", method=solver.name
        )
    return control.error


def _with_estimate(
    solver: Solver, requirements: SolverRequirements, settings: SolverRegularization
) -> Solver:
    """The solver with the error estimate that a global penalty needs.

    Raises:
        IncompatibleSolver: if it cannot give it, or the gradient does not go through the steps.
    """
    if settings.mode == "local":
        return solver
    if requirements.gradient in ("reversible", "adjoint"):
        raise IncompatibleSolver(
            f"gradient={requirements.gradient!r} does not go through the steps that a global "
            "penalty sums up; use SolverRegularization(mode='local'), or gradient='checkpoint'",
            method=solver.name,
        )
    if not settings.wants_error:
        return solver
    if requirements.control is not None:
        controlled = solver.estimate or "doubling"
        if controlled != settings.estimate:
            raise IncompatibleSolver(
                f"the steps are controlled by the {controlled} error estimate, the penalty asks "
                f"for the {settings.estimate} one; use Adaptive(error={settings.estimate!r}) or "
                f"SolverRegularization(estimate={controlled!r})",
                method=solver.name,
            )
        return solver
    if settings.estimate == "doubling" or settings.estimate not in solver.estimates:
        raise IncompatibleSolver(
            f"with fixed steps it has no {settings.estimate} error estimate to sum up; use "
            "SolverRegularization(mode='local', estimate='doubling'), or a solver with an "
            "embedded estimate (see `methods()`)",
            method=solver.name,
        )
    return replace(solver, estimate=settings.estimate)


def _check_adaptive(solver: Solver, problem: Problem, control: Adaptive) -> None:
    """Refuse adaptive solves whose limit may be wrong.

    A step is rejected for what its noise does. The steps that are kept then have the right law only
    if the solver uses all it knows of the noise to first order: it must have order 1 at least, or,
    for noise that does not commute, be unbiased given (W, H) with rejected steps halved.
    """
    if "Z" in solver.needs(problem) and problem.noise_type != "none":
        raise IncompatibleSolver("it needs no step control; give step=None", method=solver.name)
    safe = problem.noise_type in ("none", "additive")
    if problem.commutes:
        safe = safe or solver.strong_order(problem) >= 1.0
    safe = safe or (solver.halving and control.reject == "halve")
    if not safe and not control.unsafe_adaptive:
        raise IncompatibleSolver(
            "with adaptive steps it may converge to a wrong limit on this noise "
            f"({problem.noise_type}, {'commuting' if problem.commutes else 'not commuting'}); use "
            "method='spark' or 'heun' with Adaptive(reject='halve') (convert=True for an Ito SDE), "
            "a fixed step, or Adaptive(unsafe_adaptive=True)",
            method=solver.name,
        )


def _check_gradient(solver: Solver, problem: Problem, requirements: SolverRequirements) -> None:
    """Refuse gradients that do not belong to the solver or the calculus."""
    if requirements.gradient == "reversible" and solver.name != "reversible_heun":
        raise IncompatibleSolver(
            "gradient='reversible' undoes the steps of method='reversible_heun'; use that, or "
            "gradient='checkpoint'",
            method=solver.name,
        )
    unstable = getattr(problem.sde, "unstable_backwards", None)
    if requirements.gradient == "adjoint" and unstable:
        raise IncompatibleSolver(f"the adjoint is unstable here: {unstable}", method=solver.name)
    neutral = problem.noise_type in ("none", "additive")
    if requirements.gradient == "adjoint" and problem.sde_type == "ito" and not neutral:
        raise IncompatibleSolver(
            "the continuous adjoint is for Stratonovich SDEs; pass convert=True, or use "
            "gradient='checkpoint'",
            method=solver.name,
        )
    if requirements.gradient in ("reversible", "adjoint") and requirements.stages:
        raise IncompatibleSolver(
            f"gradient={requirements.gradient!r} does not reach the log-ratio; use "
            "gradient='checkpoint'",
            method=solver.name,
        )
