"""L-BFGS that turns back at points where the objective has no value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable

_BARRIER = 1e12


@packable
@dataclass(frozen=True)
class Minimum:
    """Where a search ended.

    Attributes:
        x: (P,) the best point met.
        value: of the objective there; infinite where no point had a value.
        n_iter: iterations.
        converged: whether the search came to rest within its bound on iterations.
    """

    x: Array
    value: float
    n_iter: int
    converged: bool


def minimise(
    objective: Callable[[Array], tuple[float, Array]],
    start: Array,
    *,
    stretch: Array | None = None,
    reach: float = np.inf,
    bounds: Sequence[tuple[float, float]] | None = None,
    options: dict[str, Any] | None = None,
) -> Minimum:
    r"""Minimise over $x = x_0 + S z$ by L-BFGS in z.

    Where the objective has no value the search meets a wall of moderate height: line searches
    interpolate through it, so that a very high one would stop them.

    Args:
        objective: x (P,) to value and gradient; a value or slope that is not finite, or an
            `InputError`, marks a point out of the domain.
        start: x_0, (P,).
        stretch: S, a matrix (P, P) or scales (P,) in which the search is round; None is 1.
        reach: the farthest any coordinate may move.
        bounds: lowest and highest value of every coordinate of x; `stretch` must not be a matrix.
        options: of SciPy's L-BFGS-B.

    Example:
        >>> minimum = minimise(lambda x: (float(x @ x), 2 * x), np.array([3.0, -1.0]))
        >>> bool(np.abs(minimum.x).max() < 1e-6), minimum.converged
        (True, True)
    """
    origin = np.array(start, dtype=np.float64)
    best = (np.inf, origin)
    wall: float | None = None
    matrix = stretch is not None and stretch.ndim == 2

    def onward(move: Array) -> Array:
        if stretch is None:
            return move
        return np.asarray(stretch @ move if matrix else stretch * move)

    def evaluate(move: Array) -> tuple[float, Array]:
        nonlocal best, wall
        x = origin + onward(move)
        outside = wall or _BARRIER, np.zeros_like(move)
        if np.abs(x - origin).max(initial=0.0) > reach:
            return outside
        try:
            value, slope = objective(x)
        except InputError:
            return outside
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return outside
        if value < best[0]:
            best = (value, x)
        wall = value + 10 + 10 * abs(value) if wall is None else wall
        if stretch is None:
            return value, slope
        return value, np.asarray(stretch.T @ slope if matrix else stretch * slope)

    box = None
    if bounds is not None:
        scale = np.ones_like(origin) if stretch is None else stretch
        box = [((a - x) / s, (b - x) / s) for (a, b), x, s in zip(bounds, origin, scale)]
    result = minimize(
        evaluate,
        np.zeros_like(origin),
        jac=True,
        method="L-BFGS-B",
        bounds=box,
        options=options or {},
    )
    return Minimum(best[1], float(best[0]), int(result.nit), bool(result.success))
