"""Which solver: by name, by default, and whether it fits."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from trajinfer._core.errors import IncompatibleSolver, InputError, nearest
from trajinfer.sde.commutativity import noise_commutes
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import SOLVERS, Solver


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


def find_solver(
    method: str | Solver | None, problem: Problem, *, stepped: bool, adaptive: bool = False
) -> Solver:
    """The solver asked for, or the default for this calculus and noise.

    Args:
        method: a name, a solver, or None.
        problem: the SDE.
        stepped: whether the solve needs drift stages (log-ratio, penalty), which exact steps lack.
        adaptive: whether the steps will be controlled.

    Raises:
        InputError: if there is no solver of that name.
    """
    if isinstance(method, Solver):
        return method
    if method is None:
        return SOLVERS[_default(problem, stepped, adaptive)]
    if method not in SOLVERS:
        raise InputError(f"no solver is called {method!r}; {nearest(method, SOLVERS)}")
    return SOLVERS[method]


def _default(problem: Problem, stepped: bool, adaptive: bool) -> str:
    if problem.exact_step is not None and not stepped and not adaptive:
        return "exact"
    if problem.noise_type in ("none", "additive"):
        return "tsit5" if problem.noise_type == "none" else "shark"
    if problem.sde_type == "stratonovich":
        return "spark" if adaptive else "heun"
    commutes = problem.commutes and problem.noise_type in ("diagonal", "scalar")
    return "sriw1" if commutes else "euler"


def check_solver(
    solver: Solver, problem: Problem, t: Tensor, y: Tensor, *, allow_order_loss: bool
) -> None:
    """Refuse a solver that is wrong, or of lower order than it promises, on this SDE.

    Raises:
        IncompatibleSolver: naming solvers that fit.
    """
    fitting = [s.name for s in SOLVERS.values() if _fits(s, problem)]
    if not _fits(solver, problem):
        raise IncompatibleSolver(
            f"it solves {' or '.join(solver.calculus)} SDEs with {', '.join(solver.noise)} noise, "
            f"this one is {problem.sde_type} with {problem.noise_type} noise; "
            f"try method={' or '.join(repr(name) for name in fitting)}",
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
    if solver.commuting and not allow_order_loss and not noise_commutes(problem, t, y):
        cure = "'euler'" if problem.sde_type == "ito" else "'heun' or 'spark'"
        raise IncompatibleSolver(
            "the noise does not commute (row i of g depends on more than y_i), so this solver "
            f"would only reach strong order 1/2; use method={cure}, or pass allow_order_loss=True",
            method=solver.name,
        )


def _fits(solver: Solver, problem: Problem) -> bool:
    calculus = problem.noise_type in ("none", "additive") or problem.sde_type in solver.calculus
    return calculus and problem.noise_type in solver.noise
