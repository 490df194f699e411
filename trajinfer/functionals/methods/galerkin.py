"""Known equations by least squares of what is left of them: nothing is simulated but the places."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.linalg

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.methods.bases import Polynomials, RandomFeatures
from trajinfer.functionals.methods.domain import (
    domain_of,
    natural_duration,
    occupied,
    pilot_paths,
)
from trajinfer.functionals.methods.grid_values import stopping_set
from trajinfer.functionals.methods.span import Bias, Span, SpanSolution
from trajinfer.questions.functional import Functional, values_at
from trajinfer.questions.region import Region

FEATURES = {1: 30, 2: 200}
MANY_FEATURES = 300
_POINTS = 4
_SMALLEST = 1e-10
_DOUBLINGS, _SMALL_RESIDUAL = 4, 1e-9
_AROUND = 0.2
_NO_NOISE = 1e-10
_WALKS, _WALK_STEPS, _PLACES = 200, 4000, 2000
_DOUBT, _TOLD = 3.0, 0.02


def solve_galerkin(
    functional: Functional,
    diffusion: Diffusion,
    X: Array,
    *,
    count: int | None,
    domain: Any,
    seed: int,
) -> SpanSolution:
    """The value in a span of functions, at which the equation holds best.

    Args:
        functional: the question, without a horizon.
        diffusion: the process.
        X: (n, D) where to be good.
        count: of the functions; None takes 30 polynomials on the line, or as many more as the
            equation needs, 200 random features in the plane, 300 in more dimensions.
        domain: (low, high) of the polynomials.
        seed: of the features and of the paths that find the places.

    Raises:
        InputError: for a horizon, rewards or drifts that depend on time, walls with corners, or
            noise that does not reach every coordinate.
    """
    if functional.horizon is not None or functional.power > 1:
        raise InputError("method='galerkin' has no horizon and no powers; take 'grid' or estimate")
    if functional.depends_on_time or diffusion.depends_on_time(X):
        raise InputError("method='galerkin' is for what does not depend on time; take estimate")
    if not noise_reaches_all(diffusion, X):
        raise InputError(
            "the noise does not reach every coordinate (the equation is hypoelliptic), and least "
            "squares of such an equation swing; take method='lstd', or estimate, which simulates"
        )
    rng = np.random.default_rng(seed)
    if diffusion.dim == 1:
        return _on_the_line(functional, diffusion, X, count, domain, seed)
    size = count or FEATURES.get(diffusion.dim, MANY_FEATURES)
    places = states_on_the_way(functional, diffusion, X, (2 * _POINTS + 2) * size, seed)
    draws = [
        _fitted(functional, diffusion, RandomFeatures.draw(places, size, rng), *_split(places, k))
        for k in range(2)
    ]
    first, second = draws
    solution = SpanSolution(first.span, first.coefficients, first.condition, first.residual, second)
    return replace(solution, bias=_told_bias(solution, diffusion, X, seed))


def noise_reaches_all(diffusion: Diffusion, x: Array) -> bool:
    """Whether the equation is of second order in every direction at some of the states x."""
    sizes = np.linalg.eigvalsh(diffusion.covariance(0.0, x[:64]))
    return diffusion.dim == 1 or bool((sizes[:, 0] > _NO_NOISE * sizes[:, -1]).any())


def _told_bias(solution: SpanSolution, diffusion: Diffusion, X: Array, seed: int) -> Bias | None:
    """By how much the values are off at X in the mean: what is left of the equation, summed on
    the way of paths until they stop (Dynkin's formula).
    """
    functional = solution.functional
    stop = stopping_set(functional)
    starts = X if stop is None else X[~stop.contains(X)]
    duration = natural_duration(diffusion, starts)
    states, length = occupied(
        diffusion, starts, duration, stop, seed + 3, n_paths=_WALKS, least_steps=_WALK_STEPS
    )
    least = float(values_at(functional.discount, 0.0, starts).min())
    length = min(length, 1 / least) if least > 0 else length
    going = states if stop is None else states[~stop.contains(states)]
    rng = np.random.default_rng(seed + 4)
    chosen = going[rng.integers(len(going), size=min(_PLACES, len(going)))]
    matrix, right = _equation(solution.span, diffusion, chosen)
    left = matrix @ solution.coefficients - right
    size = abs(float(length * left.mean()))
    doubt = float(length * left.std() / np.sqrt(len(left)))
    values = solution.value(0.0, np.concatenate([starts, going[:_PLACES]]))
    if size > max(_DOUBT * doubt, _TOLD * float(np.ptp(values))):
        warnings.warn(
            f"no sum of {len(solution.coefficients)} functions meets the equation everywhere: "
            f"values are off by about {size:.2g}, as paths from the states of X tell; take more "
            "features= or estimate, which simulates",
            UserWarning,
            stacklevel=3,
        )
    return Bias(size, float(np.abs(solution.span.gate(starts)).mean()))


def _split(places: Array, k: int) -> tuple[Array, Array]:
    """Places of a fit, and others to test it at."""
    half = len(places) // 2
    part = places[k * half : (k + 1) * half]
    cut = len(part) * _POINTS // (_POINTS + 1)
    return part[:cut], part[cut:]


def _on_the_line(
    functional: Functional, diffusion: Diffusion, X: Array, size: int | None, domain: Any, seed: int
) -> SpanSolution:
    """Polynomials of a degree, or of a doubling one until the equation holds to rounding."""
    stop = stopping_set(functional)
    low, high = domain_of(diffusion, X, natural_duration(diffusion, X), stop, domain, seed)
    ends = float(low[0]), float(high[0])
    sizes = [size // 2, size] if size else [FEATURES[1] // 2 * 2**k for k in range(_DOUBLINGS)]
    solution = _of_degree(functional, diffusion, ends, max(sizes[0], 1))
    for count in sizes[1:]:
        finer = _of_degree(functional, diffusion, ends, count)
        solution = replace(finer, other=solution)
        if finer.residual <= _SMALL_RESIDUAL * finer.wanted:
            break
    return solution


def _of_degree(
    functional: Functional, diffusion: Diffusion, ends: tuple[float, float], size: int
) -> SpanSolution:
    nodes, weights = np.polynomial.legendre.leggauss(4 * size)
    middle, half = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
    x = middle + half * nodes[:, None]
    fresh = middle + half * np.linspace(-0.995, 0.995, 2 * size)[:, None]
    inner = weights * (1 - nodes**2)  # what is left beside a wall moves the value little
    return _fitted(functional, diffusion, Polynomials(*ends, size), x, fresh, np.sqrt(inner))


def states_on_the_way(
    functional: Functional, diffusion: Diffusion, X: Array, n: int, seed: int
) -> Array:
    """States (n, D) that do not stop: half on paths from X, half in the box around them.

    Beyond the states of X nothing fixes the values but the equation, so it must hold there, too: a
    solution that is wrong at the edge of the places is wrong at some depth behind it.
    """
    stop: Region | None = stopping_set(functional)
    states = pilot_paths(diffusion, X, natural_duration(diffusion, X), stop, seed)
    if stop is not None:
        states = states[~stop.contains(states)]
    if not len(states):
        raise InputError("all states of X lie in the stopping set; give states outside it")
    rng = np.random.default_rng(seed + 1)
    low, high = states.min(axis=0), states.max(axis=0)
    if diffusion.dim > 3:  # a box is mostly corners
        around = states[rng.integers(len(states), size=4 * n)]
        around = around + rng.normal(0, _AROUND, around.shape) * states.std(axis=0)
    else:
        pad = _AROUND * (high - low)
        around = rng.uniform(low - pad, high + pad, (4 * n, diffusion.dim))
    around = around if stop is None else around[~stop.contains(around)]
    half = min(n // 2, len(around))
    chosen = [around[:half], states[rng.integers(len(states), size=n - half)]]
    return rng.permutation(np.concatenate(chosen))


def _fitted(
    functional: Functional,
    diffusion: Diffusion,
    basis: Any,
    x: Array,
    fresh: Array,
    weights: Any = 1.0,
) -> SpanSolution:
    span = Span.of(functional, basis, np.concatenate([x, fresh]))
    matrix, right = _equation(span, diffusion, x)
    scale = np.broadcast_to(weights, (len(x),))
    solved = scipy.linalg.lstsq(matrix * scale[:, None], right * scale, cond=_SMALLEST)
    coefficients, sizes = solved[0], solved[3]
    left, wanted = _equation(span, diffusion, fresh)
    residual = float(np.sqrt(np.mean((left @ coefficients - wanted) ** 2)))
    condition = float(sizes[0] / max(sizes[-1], 1e-300))
    size = float(np.sqrt(np.mean(wanted**2)))
    return SpanSolution(span, coefficients, condition, residual, wanted=size)


def _equation(span: Span, diffusion: Diffusion, x: Array) -> tuple[Array, Array]:
    """The system (L - beta) p psi c = -(r + (L - beta) lift) at the states x."""
    functional = span.functional
    of_features, of_lift = span.generator(diffusion, x)
    beta = values_at(functional.discount, 0.0, x)
    reward = values_at(functional.running, 0.0, x)
    matrix = of_features - beta[:, None] * span.features(x)
    return np.asarray(matrix), np.asarray(-(reward + of_lift - beta * span.lift(x)))
