"""Exact simulation of Markov jump processes."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data.jump_series import JumpSeries
from trajinfer.data.ragged import RaggedLayout
from trajinfer.markov.rates import as_law, as_rates
from trajinfer.markov.transitions import GapTable, transition_matrices

_CHUNK = 4_000_000


def simulate(
    rates: Any,
    initial: Any,
    n: int,
    ts: Any = None,
    *,
    horizon: float | None = None,
    label_noise: Any = 0.0,
    random_state: RandomState = None,
) -> JumpSeries:
    r"""Draw paths of the process with rate matrix F, exactly.

    With `horizon` every jump is recorded: holding times are exponential with rate
    $q_i = -F_{ii}$ and the next state is j with probability $F_{ij}/q_i$. With `ts` the states at
    these times are drawn from the skeleton chain $P = e^{F \Delta}$, which has the same law.

    Args:
        rates: (S, S), `rates[i, j]` is the intensity of the jump i to j; rows sum to 0.
        initial: (S,) law of the first state.
        n: number of paths.
        ts: (T,) or (n, T) observation times, increasing; a single number is taken as `horizon`.
        horizon: the length of paths observed without a gap; they come as observations of kind
            "jump", the last of them the unchanged state at the horizon.
        label_noise: probability that a label is replaced by one of the S - 1 wrong ones, or an
            (S, S) matrix of the probabilities of label o in state s.
        random_state: None, an integer or a generator.

    Returns:
        A `JumpSeries` of n paths with labels 0 .. S - 1.

    Raises:
        InputError: if the rates, the law, the noise or the times are not valid, or not exactly one
            of `ts` and `horizon` is given.

    Example:
        >>> paths = simulate([[-1, 1], [2, -2]], [1, 0], 3, [0, 0.5, 1.0], random_state=0)
        >>> paths.states.shape
        (3, 3)
    """
    matrix = as_rates(rates)
    law = as_law(initial, len(matrix), "initial")
    noise = as_emission(label_noise, len(matrix))
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"n must be a whole number of at least 1, got {n!r}")
    if horizon is None and ts is not None and np.ndim(ts) == 0:
        ts, horizon = None, float(as_array(ts, "horizon"))
    if (ts is None) == (horizon is None):
        raise InputError("give exactly one of ts= (observation times) and horizon=")
    generator = np.random.default_rng(seed_from(random_state))
    names = tuple(range(len(matrix)))
    if horizon is not None:
        if not (np.isfinite(horizon) and horizon > 0):
            raise InputError(f"horizon must be positive, got {horizon}")
        if noise is not None:
            raise InputError("label noise needs observation times: give ts= instead of horizon=")
        return _all_jumps(matrix, law, n, horizon, generator)
    times = as_array(ts, "ts")
    require_finite(times, "ts")
    if times.ndim not in (1, 2) or (times.ndim == 2 and len(times) != n):
        raise InputError(f"ts must be (T,) or ({n}, T), got shape {times.shape}")
    if (np.diff(times, axis=-1) <= 0).any():
        raise InputError("ts must increase strictly along each path; sort and merge equal times")
    states = skeleton(matrix, law, np.broadcast_to(times, (n, times.shape[-1])), generator)
    if noise is not None:
        states = draw_rows(noise[states], generator)
    return JumpSeries.from_arrays(times, states, categories=names)


def as_emission(label_noise: Any, n_states: int) -> Array | None:
    """The (S, S) matrix of label probabilities; None where labels are always right.

    Raises:
        InputError: if the probability or a row of the matrix is not valid.
    """
    if np.ndim(label_noise) == 0:
        value = float(as_array(label_noise, "label_noise"))
        if not 0 <= value < 1:
            raise InputError(f"label_noise must be a probability below 1, got {value}")
        if value == 0:
            return None
        if n_states < 2:
            raise InputError("label noise needs at least two states")
        matrix = np.full((n_states, n_states), value / (n_states - 1))
        np.fill_diagonal(matrix, 1 - value)
        return matrix
    matrix = as_array(label_noise, "label_noise", ndim=2)
    require_finite(matrix, "label_noise")
    wrong = (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1, atol=1e-8)
    if matrix.shape != (n_states, n_states) or wrong:
        raise InputError(
            f"label_noise must be ({n_states}, {n_states}) with rows of probabilities summing to "
            f"1, got shape {matrix.shape} with row sums {matrix.sum(axis=1)}"
        )
    return matrix


def draw_rows(probabilities: Array, generator: np.random.Generator) -> Array:
    """One index per row, drawn with the probabilities along the last axis."""
    cumulative = np.cumsum(probabilities, axis=-1)
    return _drawn(cumulative, generator.random(cumulative.shape[:-1]))


def _drawn(cumulative: Array, uniform: Array) -> Array:
    """The indices at which cumulative sums along the last axis pass uniform numbers."""
    passed = (uniform[..., None] * cumulative[..., -1:] >= cumulative).sum(axis=-1)
    return np.asarray(np.minimum(passed, cumulative.shape[-1] - 1))


def skeleton(rates: Array, law: Array, times: Array, generator: np.random.Generator) -> Array:
    """States (B, T) at the given times (B, T)."""
    n, steps = times.shape
    states = np.empty((steps, n), dtype=np.int64)
    states[0] = draw_rows(np.broadcast_to(law, (n, len(law))), generator)
    gaps = np.diff(times, axis=1).T
    table = GapTable.of(gaps.ravel(), float(-np.diag(rates).min()))
    matrices = transition_matrices(rates, table.nodes)
    size = max(1, _CHUNK // (n * rates.size))
    own = np.arange(n)
    for begin in range(0, steps - 1, size):
        end = min(begin + size, steps - 1)
        spread = table.spread(matrices, slice(begin * n, end * n))
        cumulative = spread.cumsum(axis=-1).reshape(end - begin, n, *rates.shape)
        uniform = generator.random((end - begin, n))
        for k in range(end - begin):
            states[begin + k + 1] = _drawn(cumulative[k, own, states[begin + k]], uniform[k])
    return states.T.copy()


def _all_jumps(
    rates: Array, law: Array, n: int, horizon: float, generator: np.random.Generator
) -> JumpSeries:
    exits = -np.diag(rates)
    jump = np.where(np.eye(len(rates), dtype=bool), 0.0, rates)
    state = draw_rows(np.broadcast_to(law, (n, len(law))), generator)
    now = np.zeros(n)
    columns = [(now.copy(), state.copy())]
    alive = np.ones(n, dtype=bool)
    while alive.any():
        with np.errstate(divide="ignore"):
            now = now + generator.standard_exponential(n) / exits[state]
        alive = alive & (now < horizon)
        state = np.where(alive, draw_rows(jump[state], generator), state)
        columns.append((np.where(alive, now, np.nan), state.copy()))
    times = np.stack([t for t, _ in columns], axis=1)
    states = np.stack([s for _, s in columns], axis=1)
    lengths = np.isfinite(times).sum(axis=1)
    rows = np.arange(n)
    times[rows, lengths] = horizon
    states[rows, lengths] = states[rows, lengths - 1]
    layout = RaggedLayout(lengths + 1)
    return JumpSeries(
        layout.flatten(times),
        layout.flatten(states),
        layout.lengths,
        tuple(range(len(rates))),
        (layout.steps > 0).astype(np.int8),
    )
