"""L-BFGS in scaled variables, for functions that refuse some points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError


def minimise(
    cost: Callable[[Array], tuple[float, Array]],
    start: Array,
    scale: Array,
    max_iter: int,
    tol: float,
    bounds: list[tuple[float, float]] | None = None,
) -> Any:
    """The result of scipy's L-BFGS-B; points out of the domain count as very bad.

    Args:
        cost: value and gradient at x (P,).
        start: (P,).
        scale: (P,) typical changes of x.
        max_iter: bound on iterations.
        tol: relative change of the value at which the search stops, times 10^4.
        bounds: (low, high) of every variable.
    """
    worst = abs(cost(start)[0]) * 10 + 1e3

    def scaled(z: Array) -> tuple[float, Array]:
        try:
            value, gradient = cost(z * scale)
        except InputError:
            return worst, np.zeros(len(z))
        if not np.isfinite(value):
            return worst, np.zeros(len(z))
        return value, gradient * scale

    box = None if bounds is None else [(a / s, b / s) for (a, b), s in zip(bounds, scale)]
    options = {"maxiter": max_iter, "ftol": tol * 1e-4, "gtol": 1e-7, "maxcor": 30}
    result = minimize(
        scaled, start / scale, jac=True, method="L-BFGS-B", bounds=box, options=options
    )
    result.x = result.x * scale
    return result
