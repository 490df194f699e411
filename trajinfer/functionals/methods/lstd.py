"""Values from paths, simulated with their noise or recorded, by linear systems."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion, PathSource
from trajinfer.functionals.exits import Touch
from trajinfer.functionals.methods.bases import RandomFeatures
from trajinfer.functionals.methods.domain import natural_duration
from trajinfer.functionals.methods.galerkin import states_on_the_way
from trajinfer.functionals.methods.span import Span, SpanSolution
from trajinfer.functionals.walk import Stepper
from trajinfer.questions.functional import Functional, values_at
from trajinfer.questions.region import Region

PATHS = 2000
FEATURES = 60
_STEPS = 400
_MOST_STEPS = 20_000
_KEPT = 12
_NEAR, _LEAST_NEAR = 0.5, 0.01


@dataclass(frozen=True, eq=False)
class Transition:
    """One step of n paths that had not stopped.

    Attributes:
        rows: (n,) their numbers.
        x: (n, D) before.
        place: (n, D) after, or where they stopped.
        stopped: (n,) bool.
        duration: (n,).
        noise: (n, D) the part of the step that noise made; None where paths were recorded.
    """

    rows: Array
    x: Array
    place: Array
    stopped: Array
    duration: Array
    noise: Array | None


def simulated(
    functional: Functional, diffusion: Diffusion, X: Array, n: int, step: float, seed: int
) -> Iterator[Transition]:
    """Steps of n paths from X until nearly all have stopped, or discount has eaten the rest."""
    rng = np.random.default_rng(seed)
    regions = [region for region, _ in functional.stopping]
    stepper = Stepper(diffusion, step, None)
    x = X[rng.integers(len(X), size=n)]
    rows = np.arange(n)
    most = _MOST_STEPS if regions else int(np.ceil(5 / _rate(functional, X) / step))
    for _ in range(most):
        y = stepper.move(0.0, x, rng.standard_normal((len(x), stepper.width)))
        touch = Touch.of(regions, x, y, stepper.spread(0.0, x), plain=False)
        uniform = rng.random((len(x), 2 * len(regions)))
        late = rng.standard_normal((len(x), len(regions)))
        share, place, which = touch.first(regions, x, y, uniform, late)
        moved = place - x - (stepper.mean(0.0, x) - x) * share[:, None]
        yield Transition(rows, x, place, which >= 0, share * step, moved)
        x, rows = place[which < 0], rows[which < 0]
        if len(x) < 0.01 * n:
            return


def _rate(functional: Functional, X: Array) -> float:
    return float(values_at(functional.discount, 0.0, X).min())


def recorded(functional: Functional, source: PathSource) -> Iterator[Transition]:
    """Steps of recorded paths until they stop, with exits between the observations.

    The noise along the way is taken from the squares of the increments.
    """
    paths = source.recorded.in_order()
    values, gaps = paths.values, np.diff(np.broadcast_to(paths.ts, paths.values.shape[:2]), axis=1)
    steps = np.diff(values, axis=1)
    rate = np.einsum("btd,bte->de", steps, steps) / gaps.sum()
    regions = [region for region, _ in functional.stopping]
    rng = np.random.default_rng(0)
    rows = np.arange(len(values))
    inside = _inside(regions, values[:, 0])
    rows = rows[~inside]
    for k in range(values.shape[1] - 1):
        x, y, gap = values[rows, k], values[rows, k + 1], gaps[rows, k]
        touch = Touch.of(regions, x, y, rate * gap[:, None, None], plain=False)
        uniform = rng.random((len(x), 2 * len(regions)))
        late = rng.standard_normal((len(x), len(regions)))
        share, place, which = touch.first(regions, x, y, uniform, late)
        yield Transition(rows, x, place, which >= 0, share * gap, None)
        rows = rows[which < 0]
        if not len(rows):
            return


def _inside(regions: list[Region], x: Array) -> Array:
    parts = [region.contains(x) for region in regions]
    return np.any(parts, axis=0) if parts else np.zeros(len(x), dtype=bool)


@dataclass(frozen=True, eq=False)
class Pieces:
    """What one step contributes: features and known parts, before and after.

    Attributes:
        before: (n, J) features before.
        change: (n, J) of the value by the coefficients, with the noise taken out where known.
        known: (n,) reward, less the change of the lift.
        decay: (n,) the discount of the step.
    """

    before: Array
    change: Array
    known: Array
    decay: Array

    @classmethod
    def of(cls, span: Span, step: Transition) -> Pieces:
        """The contributions of a step."""
        functional = span.functional
        rate = values_at(functional.discount, 0.0, step.x)
        decay = np.exp(-rate * step.duration)
        if step.noise is None:
            before, noise = span.features(step.x), None
        else:
            before, noise = span.features_and_change(step.x, step.noise)
        after = span.features(step.place) * ~step.stopped[:, None]
        # the trapezoid: the left end alone is wrong by half a step of reward
        first, last = (values_at(functional.running, 0.0, x) for x in (step.x, step.place))
        reward = step.duration / 2 * (first + decay * last)
        change = before - decay[:, None] * after
        known = reward + decay * span.lift(step.place) - span.lift(step.x)
        if step.noise is not None:
            change = change + noise
            known = known - span.lift_along(step.x, step.noise)
        return cls(before, change, known, decay)


def solve_lstd(
    functional: Functional,
    dynamics: Diffusion | PathSource,
    X: Array | None,
    *,
    count: int | None = None,
    n_paths: int | None = None,
    step: float | None = None,
    seed: int = 0,
) -> SpanSolution:
    """The value whose increments are orthogonal to the features at the start of every step.

    Simulated paths hand their noise over: what it contributes to a step has mean zero and is taken
    out, so that the noise per step is of the order of the step, not of its root. Sums of features
    that the paths do not tell from 0, to 1e-10 of the largest, are left out.

    Raises:
        InputError: for a horizon, too few paths, or paths that hardly move.
    """
    span, steps = _prepared(functional, dynamics, X, count, n_paths, step, seed)
    size = len(span.basis.offsets)
    matrix, right = np.zeros((size, size)), np.zeros(size)
    squares, total = 0.0, 0
    for transition in steps:
        piece = Pieces.of(span, transition)
        matrix += piece.before.T @ piece.change
        right += piece.before.T @ piece.known
        squares, total = squares + float(piece.known @ piece.known), total + len(piece.known)
    scale = np.sqrt(np.abs(np.diag(matrix)) + 1e-300)
    even = matrix / scale / scale[:, None]
    solved = np.linalg.lstsq(even, right / scale, rcond=1e-10)
    sizes, told = solved[3], int(solved[2])
    if told <= span.scale.size:
        raise InputError(
            f"the paths tell {told} of {size} features apart, which is no more than there are "
            "coordinates: they hardly move; give paths that spread over the states asked about"
        )
    condition = float(sizes[0] / sizes[told - 1])
    return SpanSolution(span, solved[0] / scale, condition, np.sqrt(squares / max(total, 1)))


def _prepared(
    functional: Functional,
    dynamics: Diffusion | PathSource,
    X: Array | None,
    count: int | None,
    n_paths: int | None,
    step: float | None,
    seed: int,
) -> tuple[Span, Iterator[Transition]]:
    if functional.horizon is not None or functional.depends_on_time or functional.power > 1:
        raise InputError(
            "values from paths are for questions without horizon, powers and parts that depend on "
            "time; take estimate"
        )
    size = count or FEATURES
    rng = np.random.default_rng(seed)
    if isinstance(dynamics, PathSource):
        return _from_recorded(functional, dynamics, X, size, rng)
    if X is None:
        raise InputError("X is needed: the states (n, D) at which paths are to start")
    dynamics.require_steady(X)
    n = n_paths or PATHS
    _require_paths(n, size)
    places = states_on_the_way(functional, dynamics, X, 4 * size, seed)
    span = Span.of(functional, RandomFeatures.draw(places, size, rng), places)
    # distances change by the noise of all coordinates
    length = step or natural_duration(dynamics, X) / (10 * _STEPS * dynamics.dim)
    return span, simulated(functional, dynamics, X, n, length, seed + 2)


def _from_recorded(
    functional: Functional,
    source: PathSource,
    X: Array | None,
    size: int,
    rng: np.random.Generator,
) -> tuple[Span, Iterator[Transition]]:
    if source.recorded is None:
        raise InputError(f"draw paths of the {source.name} and ask them, as Trajectories")
    values = source.recorded.values
    _require_paths(len(values), size)
    regions = [region for region, _ in functional.stopping]
    places = values.reshape(-1, source.dim)
    places = places[~_inside(regions, places)]
    if not len(places):
        raise InputError("every observation lies in the stopping set; nothing can be learned")
    if X is not None:
        _require_near(X, places)
    basis = RandomFeatures.draw(places, size, rng)
    return Span.of(functional, basis, places), recorded(functional, source)


def _require_near(X: Array, places: Array) -> None:
    """Refuse questions at states of which hardly one was ever near the recorded ones."""
    spread = places.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    gaps, _ = cKDTree(places / scale).query(X / scale)
    near = float(np.mean(gaps <= _NEAR * np.sqrt(X.shape[1])))
    if near < _LEAST_NEAR:
        raise InputError(
            f"the recorded paths were near {near:.0%} of the states asked about (half a standard "
            "deviation), so nothing is known there; ask where the paths were"
        )


def _require_paths(n: int, size: int) -> None:
    if n < 5 * size:
        raise InputError(f"{n} paths are too few for {size} features; give at least {5 * size}")


def solve_martingale(
    functional: Functional,
    diffusion: Any,
    X: Array | None,
    *,
    count: int | None = None,
    n_paths: int | None = None,
    step: float | None = None,
    seed: int = 0,
) -> SpanSolution:
    """The value nearest in mean square to the realised rewards, less the noise along the way.

    Raises:
        InputError: as for `solve_lstd`.
    """
    if not isinstance(diffusion, Diffusion):
        raise InputError("method='martingale' simulates; of recorded paths ask method='lstd'")
    span, steps = _prepared(functional, diffusion, X, count, n_paths, step, seed)
    n, size = n_paths or PATHS, len(span.basis.offsets)
    discount, total, known = np.ones(n), np.zeros((n, size)), np.zeros(n)
    live = np.ones(n, dtype=bool)
    kept: list[tuple[Array, Array, Array, Array]] = []
    when = {int(k) for k in np.unique(np.geomspace(1, _STEPS, _KEPT).round())}
    for k, transition in enumerate(steps):
        rows, piece = transition.rows, Pieces.of(span, transition)
        if k == 0 or k in when:
            kept.append((rows, discount[rows], total[rows].copy(), known[rows].copy()))
        # the sum of changes along a path is the value at its start, but for what is left at its end
        total[rows] += discount[rows, None] * piece.change
        known[rows] += discount[rows] * piece.known
        discount[rows] *= piece.decay
        live[rows] = ~transition.stopped
    left, right = [], []
    for rows, weight, features, value in kept:
        done = rows if not functional.stopping else rows[~live[rows]]
        here = np.isin(rows, done)
        scale = 1 / np.maximum(weight[here], 1e-12)
        left.append((total[done] - features[here]) * scale[:, None])
        right.append((known[done] - value[here]) * scale)
    matrix, target = np.concatenate(left), np.concatenate(right)
    solved = np.linalg.lstsq(matrix, target, rcond=1e-8)
    sizes = solved[3]
    residual = float(np.sqrt(np.mean((matrix @ solved[0] - target) ** 2)))
    condition = float(sizes[0] / max(sizes[-1], 1e-300))
    return SpanSolution(span, solved[0], condition, residual)
