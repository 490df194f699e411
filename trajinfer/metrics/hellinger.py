"""Hellinger distances between the laws of two Markov jump processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import expm

from trajinfer._core.checks import Array, as_array, require_finite, require_increasing
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from


def hellinger_kernel(p: Any, q: Any, ts: Any) -> float:
    r"""Mean over the starting states i of the time-averaged distance of the rows of the kernels.

    $\frac{1}{S} \sum_i \frac{1}{n} \sum_t H\big((e^{Pt})_{i\cdot}, (e^{Qt})_{i\cdot}\big)$ with
    $H(a, b)^2 = \frac12 \sum_s (\sqrt{a_s} - \sqrt{b_s})^2$. It sees the rates even where both
    processes are stationary, and is free of sampling noise: the first one to report.

    Args:
        p: (S, S) rates of one process.
        q: (S, S) rates of the other.
        ts: (n,) positive times.

    Returns:
        The distance, in [0, 1].

    Raises:
        InputError: if shapes differ or the times do not increase.

    Example:
        >>> rates = [[-1, 1], [1, -1]]
        >>> hellinger_kernel(rates, rates, [1.0])
        0.0
    """
    a, b, times = _checked(p, q, ts)
    starts = np.eye(len(a))
    return float(_distance(_laws(a, starts, times), _laws(b, starts, times)).mean())


def hellinger_marginal(p: Any, q: Any, initial: Any, ts: Any) -> float:
    """Time-averaged Hellinger distance of the exact laws started from `initial`, (S,).

    Raises:
        InputError: if shapes differ or the times do not increase.
    """
    a, b, times = _checked(p, q, ts)
    law = as_array(initial, "initial", ndim=1)[None]
    if law.shape[1] != len(a):
        raise InputError(f"initial must have {len(a)} entries, got {law.shape[1]}")
    return float(_distance(_laws(a, law, times), _laws(b, law, times)).mean())


@dataclass(frozen=True)
class HellingerEstimate:
    """A distance between histograms, and what it would be for equal processes.

    Attributes:
        mean: over simulations.
        std: over simulations.
        noise_floor: mean distance of two independent sets of as many paths of the same process;
            a `mean` near it says that the sets cannot be told apart.
    """

    mean: float
    std: float
    noise_floor: float


def hellinger_empirical(
    target: Any,
    rates: Any,
    initial: Any,
    ts: Any,
    *,
    n_repeats: int = 100,
    random_state: RandomState = None,
) -> HellingerEstimate:
    """Distance of histograms of target paths and of as many simulated ones, time-averaged.

    Args:
        target: (M, n) codes 0 .. S - 1 of M paths at the times.
        rates: (S, S) rates of the model.
        initial: (S,) its law at `ts[0]`.
        ts: (n,) times.
        n_repeats: number of simulations.
        random_state: of the simulations.

    Raises:
        InputError: if shapes or codes do not fit.
    """
    matrix, _, times = _checked(rates, rates, ts)
    codes = as_array(target, "target", ndim=2).astype(np.int64)
    size = len(matrix)
    if codes.shape[1] != len(times) or codes.min() < 0 or codes.max() >= size:
        raise InputError(f"target must be (M, {len(times)}) codes 0 .. {size - 1}")
    law = as_array(initial, "initial", ndim=1)
    generator = np.random.default_rng(seed_from(random_state))
    observed = np.stack([(codes == s).mean(axis=0) for s in range(size)], axis=1)
    drawn = [_histogram(matrix, law, times, len(codes), generator) for _ in range(2 * n_repeats)]
    values = np.array([_distance(observed, h).mean() for h in drawn[:n_repeats]])
    floor = [_distance(a, b).mean() for a, b in zip(drawn[:n_repeats], drawn[n_repeats:])]
    return HellingerEstimate(float(values.mean()), float(values.std()), float(np.mean(floor)))


def _histogram(
    rates: Array, law: Array, times: Array, n: int, generator: np.random.Generator
) -> Array:
    """(n_times, S) shares of n paths; numbers are split among the next states, which is exact."""
    count = generator.multinomial(n, law / law.sum())
    out = [count]
    steps = {float(g): expm(rates * g).clip(min=0) for g in np.unique(np.diff(times))}
    for gap in np.diff(times):
        step = steps[float(gap)]
        moves = generator.multinomial(count, step / step.sum(axis=1, keepdims=True))
        count = moves.sum(axis=0)
        out.append(count)
    return np.asarray(np.stack(out) / n)


def _checked(p: Any, q: Any, ts: Any) -> tuple[Array, Array, Array]:
    a, b = as_array(p, "p", ndim=2), as_array(q, "q", ndim=2)
    times = np.atleast_1d(as_array(ts, "ts"))
    if a.shape != b.shape or a.shape[0] != a.shape[1]:
        raise InputError(f"rate matrices must be square and equal in shape: {a.shape}, {b.shape}")
    for name, matrix in (("p", a), ("q", b)):
        require_finite(matrix, name)
        if np.abs(matrix.sum(axis=1)).max() > 1e-6 * max(np.abs(matrix).max(), 1e-300):
            raise InputError(f"rows of {name} must sum to 0; set its diagonal")
    require_finite(times, "ts")
    require_increasing(times, "ts")
    return a, b, times


def _laws(rates: Array, starts: Array, times: Array) -> Array:
    return np.stack([(starts @ expm(rates * t)).clip(min=0) for t in times])


def _distance(a: Array, b: Array) -> Array:
    """Hellinger distance along the last axis."""
    return np.asarray(np.sqrt(0.5 * ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(axis=-1)))
