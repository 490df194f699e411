"""Which method answers a question, and why: one line for each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer.functionals.dynamics import Chain, Diffusion, Dynamics, PathSource, horizon_of
from trajinfer.functionals.methods import chain, galerkin, lstd, scale_measure
from trajinfer.functionals.methods.domain import domain_of, natural_duration
from trajinfer.functionals.methods.grid import require_grid
from trajinfer.functionals.methods.grid_limit import solve_on
from trajinfer.functionals.methods.grid_values import stopping_set
from trajinfer.questions.functional import Functional


@dataclass(frozen=True, eq=False)
class Task:
    """All that a method gets.

    Attributes:
        functional: the question, channels by number.
        dynamics: what is asked.
        X: (n, D) where to be good; None for a chain.
        horizon: T as a number.
        settings: of the method.
        seed: of all draws.
    """

    functional: Functional
    dynamics: Dynamics
    X: Any
    horizon: float | None
    settings: dict[str, Any]
    seed: int


def solve_exact(task: Task) -> Any:
    """Chains by linear algebra, the line by scale and speed."""
    if isinstance(task.dynamics, Chain):
        return chain.solve(task.functional, task.dynamics, task.horizon)
    if isinstance(task.dynamics, Diffusion) and scale_measure.applies(
        task.functional, task.dynamics
    ):
        return scale_measure.solve(task.functional, task.dynamics, task.X)
    raise InputError(
        "method='exact' is for chains, and for diffusions of one coordinate that are asked until "
        "they stop, without discount and horizon; take method='grid'"
    )


def solve_grid(task: Task) -> Any:
    """A diffusion on a grid, in at most three dimensions."""
    diffusion = task.dynamics
    if not isinstance(diffusion, Diffusion):
        raise InputError("method='grid' is for diffusions with known drift; take method='auto'")
    require_grid(diffusion, task.X)
    diffusion.require_steady(task.X)
    if task.functional.depends_on_time:
        raise InputError("method='grid' is for rewards that do not depend on time; take estimate")
    stop = stopping_set(task.functional)
    duration = task.horizon or natural_duration(diffusion, task.X)
    low, high = domain_of(diffusion, task.X, duration, stop, task.settings.get("domain"), task.seed)
    resolution = task.settings.get("resolution")
    return solve_on([task.functional], diffusion, low, high, resolution, task.horizon, task.X)[0]


def by_galerkin(task: Task) -> Any:
    """Least squares of what is left of a known equation."""
    if not isinstance(task.dynamics, Diffusion):
        raise InputError("method='galerkin' needs known drift and noise; take method='lstd'")
    count, domain = task.settings.get("features"), task.settings.get("domain")
    return galerkin.solve_galerkin(
        task.functional, task.dynamics, task.X, count=count, domain=domain, seed=task.seed
    )


def by_lstd(task: Task) -> Any:
    """Paths, simulated with their noise or recorded."""
    if isinstance(task.dynamics, Chain):
        raise InputError("a chain is answered exactly; take method='exact'")
    return lstd.solve_lstd(task.functional, task.dynamics, task.X, **_of_paths(task))


def by_martingale(task: Task) -> Any:
    """Realised rewards less the noise along the way."""
    return lstd.solve_martingale(task.functional, task.dynamics, task.X, **_of_paths(task))


def _of_paths(task: Task) -> dict[str, Any]:
    known = task.settings
    words = {"count": known.get("features"), "n_paths": known.get("n_paths")}
    return {**words, "step": known.get("step"), "seed": task.seed}


METHODS: dict[str, Callable[[Task], Any]] = {
    "exact": solve_exact,
    "grid": solve_grid,
    "galerkin": by_galerkin,
    "lstd": by_lstd,
    "martingale": by_martingale,
}


def choose(functional: Functional, dynamics: Dynamics) -> tuple[str, str]:
    """The name of the method for a question, and the reason in words.

    Raises:
        InputError: where no method applies.
    """
    solved = choose_solved(functional, dynamics)
    if solved is not None:
        return solved
    if isinstance(dynamics, Diffusion):
        return _for_many(functional, dynamics)
    assert isinstance(dynamics, PathSource)  # noqa: S101 (for types)
    return _for_paths(dynamics)


def choose_solved(functional: Functional, dynamics: Dynamics) -> tuple[str, str] | None:
    """What solves the equation, and the reason in words; None where nothing does."""
    if isinstance(dynamics, Chain):
        return "exact", "a chain is answered by linear algebra"
    if not isinstance(dynamics, Diffusion) or dynamics.depends_on_time(_somewhere(dynamics)):
        return None
    if scale_measure.applies(functional, dynamics):
        return "exact", "one coordinate, asked until it stops: scale and speed"
    if dynamics.dim <= 3 and dynamics.diagonal:
        return "grid", f"{dynamics.dim} coordinate(s): a jump process on a grid"
    return None


def choose_or_simulate(
    functional: Functional, dynamics: Dynamics, *, features: bool = False
) -> tuple[str, str]:
    """The same, with paths counted where no grid fits.

    Args:
        functional: the question.
        dynamics: what is asked.
        features: whether random features may answer where no grid fits.
    """
    if isinstance(dynamics, PathSource):
        return "simulate", "only paths are known, and are counted"
    solved = choose_solved(functional, dynamics)
    if solved is not None:
        return solved
    if features and isinstance(dynamics, Diffusion) and _has_features(functional, dynamics):
        return "galerkin", f"{dynamics.dim} coordinates and a known equation: random features"
    many = "no grid fits so many coordinates, correlated noise, or what changes in time"
    return "simulate", f"{many}: paths are counted"


def _has_features(functional: Functional, diffusion: Diffusion) -> bool:
    """Whether random features can meet the walls, and the equation, without a horizon."""
    origin = _somewhere(diffusion)
    smooth = all(region.smooth(origin) is not None for region, _ in functional.stopping)
    reached = galerkin.noise_reaches_all(diffusion, origin)
    still = not (functional.depends_on_time or diffusion.depends_on_time(origin))
    return functional.horizon is None and smooth and still and reached


def _for_paths(source: PathSource) -> tuple[str, str]:
    if source.recorded is not None:
        return "lstd", "only recorded paths are known"
    raise InputError(f"of {source.name} only paths are known; take estimate, which counts them")


def _somewhere(diffusion: Diffusion) -> Array:
    """A state (1, D) at which nothing need vanish."""
    return np.full((1, diffusion.dim), 0.61)


def _for_many(functional: Functional, diffusion: Diffusion) -> tuple[str, str]:
    diffusion.require_steady(_somewhere(diffusion))
    if functional.horizon is not None:
        raise InputError(
            f"{diffusion.dim} coordinates are too many for a grid, and a horizon is no question "
            "for galerkin; take estimate, which simulates"
        )
    origin = np.zeros((1, diffusion.dim))
    if all(region.smooth(origin) is not None for region, _ in functional.stopping):
        return "galerkin", f"{diffusion.dim} coordinates and a known equation: random features"
    raise InputError(
        "the stopping set has corners or no known wall, which no features in many coordinates can "
        "meet; take estimate, which simulates"
    )


def solve_by(
    method: str,
    functional: Functional,
    dynamics: Dynamics,
    X: Array | None,
    *,
    seed: int = 0,
    **settings: Any,
) -> tuple[Any, str]:
    """The solution by a method, and what was chosen and why.

    Raises:
        InputError: for an unknown method, or one that does not apply.
    """
    if method != "auto" and method not in METHODS:
        raise InputError(f"unknown method {method!r}; {nearest(method, ('auto', *METHODS))}")
    name, reason = choose(functional, dynamics) if method == "auto" else (method, "as asked")
    horizon = horizon_of(functional, dynamics.axis)
    points = None if X is None else np.asarray(X)
    task = Task(functional, dynamics, points, horizon, settings, seed)
    return METHODS[name](task), f"{name}: {reason}"
