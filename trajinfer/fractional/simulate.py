"""Sample paths of fractional Brownian motion and what it drives: exact, or by the Markov chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import (
    Array,
    require_finite,
    require_increasing,
    require_integer,
)
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, spawn, torch_generator
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.trajectories import Trajectories
from trajinfer.fractional.covariance import (
    fbm_covariance,
    fgn_autocovariance,
    fou_covariance,
    stationary_fou_autocovariance,
)
from trajinfer.fractional.nodes import default_nodes
from trajinfer.fractional.normalization import FbmType, as_hurst, check_type
from trajinfer.fractional.ou_transition import ou_transition, stationary_covariance
from trajinfer.fractional.weights import weights

Method = Literal["davies_harte", "cholesky", "markov"]
Reading = Literal["volterra", "incremental"]
_JITTER = 1e-12
_REGULAR = 1e-9


@independent_of_global_state
def simulate_fbm(
    hurst: Any,
    ts: Any,
    n: int,
    method: Method = "davies_harte",
    *,
    fbm_type: FbmType = 1,
    n_ou: int = 12,
    random_state: RandomState = None,
) -> Trajectories:
    r"""Paths of fractional Brownian motion with B(0) = 0 and variance 1 at t = 1.

    Args:
        hurst: H in (0, 1), or (C,) for C independent channels.
        ts: (T,) increasing times, not negative.
        n: number of paths.
        method: "davies_harte" (exact, equal steps from 0 or a multiple of the step, type I, O(T log
            T)), "cholesky" (exact, any times, O(T^3)) or "markov" (the approximation).
        fbm_type: 1 for stationary increments, 2 for Riemann-Liouville.
        n_ou: number of nodes of the approximation.
        random_state: seed or generator.

    Returns:
        n trajectories of C coordinates.

    Raises:
        InputError: for H outside (0, 1), unusable times, or times that do not suit the method.

    References:
        Davies, Harte, Biometrika 74 (1987).

    Example:
        >>> simulate_fbm(0.8, [0.0, 1.0, 2.0], n=5, random_state=0)
        Trajectories(5 paths, 3 times, dim 1)
    """
    check_type(fbm_type)
    if method not in get_args(Method):
        raise InputError(f"unknown method {method!r}; {nearest(method, get_args(Method))}")
    channels = np.atleast_1d(as_hurst(hurst).detach().numpy())
    axis, times = _times(ts)
    n = require_integer(n, "n", least=1)
    seeds = spawn(seed_from(random_state), len(channels))
    if method == "markov":
        values = _markov(channels, times, n, fbm_type, n_ou, seeds[0])
    else:
        draw = _davies_harte if method == "davies_harte" else _cholesky
        paths = [draw(h, times, n, fbm_type, seed) for h, seed in zip(channels, seeds)]
        values = np.stack(paths, axis=-1)
    return Trajectories(times, values, axis=axis)


@independent_of_global_state
def simulate_fgn(
    hurst: float, n_steps: int, n: int = 1, *, random_state: RandomState = None
) -> Array:
    """Exact fractional Gaussian noise of unit variance, (n, n_steps).

    Args:
        hurst: H in (0, 1).
        n_steps: length of each series.
        n: number of series.
        random_state: seed or generator.

    Raises:
        InputError: for H outside (0, 1) or sizes below 1.
    """
    size = require_integer(n_steps, "n_steps", least=1)
    rng = np.random.default_rng(seed_from(random_state))
    return stationary_gaussian(fgn_autocovariance(hurst, size + 1), size, n, rng)


@independent_of_global_state
def simulate_fractional_ou(
    hurst: float,
    theta: float,
    ts: Any,
    n: int,
    *,
    volatility: float = 1.0,
    mean: float = 0.0,
    start: Literal["zero", "stationary"] = "stationary",
    random_state: RandomState = None,
) -> Trajectories:
    r"""Exact paths of $dX = \theta (m - X)\,dt + \sigma\,dB_H$ with unit-variance noise.

    Args:
        hurst: H in (0, 1).
        theta: rate of return, positive.
        ts: (T,) increasing times, not negative.
        n: number of paths.
        volatility: $\sigma$.
        mean: m.
        start: "stationary", or "zero" for X(0) = m, independent of the past of the noise. For
            H other than 1/2 the second is not the first conditioned on X(0) = m.
        random_state: seed or generator.

    Raises:
        InputError: for parameters or times that cannot be used.

    >>> simulate_fractional_ou(0.3, 1.0, [0.0, 0.5, 2.0], n=4, random_state=0)
    Trajectories(4 paths, 3 times, dim 1)
    """
    axis, times = _times(ts)
    n = require_integer(n, "n", least=1)
    if start not in ("zero", "stationary"):
        raise InputError(f"start must be 'zero' or 'stationary', got {start!r}")
    if start == "stationary":
        covariance = stationary_fou_autocovariance(hurst, theta, times[:, None] - times)
    else:
        covariance = fou_covariance(hurst, theta, times[:, None], times)
    rng = np.random.default_rng(seed_from(random_state))
    noise = _correlated(covariance, n, rng)
    return Trajectories(times, (mean + volatility * noise)[..., None], axis=axis)


@independent_of_global_state
def simulate_varying_hurst(
    hurst: Callable[[Array], Array],
    ts: Any,
    n: int,
    *,
    reading: Reading = "volterra",
    n_ou: int = 12,
    random_state: RandomState = None,
) -> Trajectories:
    r"""Paths whose Hurst index depends on time, by the Markov approximation (type I).

    Args:
        hurst: times (T,) -> H (T,) in (0, 1).
        ts: (T,) increasing times, not negative.
        n: number of paths.
        reading: "volterra" weighs the whole past by the present index,
            $\sum_k \omega_k(H(t)) (Y_k(t) - Y_k(0))$; "incremental" adds
            $\sum_k \omega_k(H(t))\,dY_k$. The two differ by the drift
            $\sum_k \omega_k'(H) \dot H (Y_k - Y_k(0))$.
        n_ou: number of nodes.
        random_state: seed or generator.

    Raises:
        InputError: if an index lies outside (0, 1), or for unusable times.

    >>> simulate_varying_hurst(lambda t: 0.3 + 0.1 * t, [0.0, 1.0, 2.0], n=4, random_state=0)
    Trajectories(4 paths, 3 times, dim 1)
    """
    if reading not in get_args(Reading):
        raise InputError(f"reading must be 'volterra' or 'incremental', got {reading!r}")
    axis, times = _times(ts)
    n = require_integer(n, "n", least=1)
    nodes = default_nodes(n_ou, times[-1])
    index = np.broadcast_to(np.asarray(hurst(times), dtype=np.float64), times.shape)
    omega = torch.as_tensor(weights(index, nodes, float(times[-1]), 1, normalization="unit"))
    states = _ou_paths(torch.as_tensor(nodes), times, n, 1, 1, seed_from(random_state))[:, :, 0]
    if reading == "volterra":
        values = ((states[:, 1:] - states[:, :1]) * omega).sum(-1)
    else:
        middle = 0.5 * (omega + torch.cat([omega[:1], omega[:-1]]))
        values = ((states[:, 1:] - states[:, :-1]) * middle).sum(-1).cumsum(1)
    return Trajectories(times, values.unsqueeze(-1).numpy(), axis=axis)


def stationary_gaussian(
    autocovariance: Array, n_steps: int, n: int, rng: np.random.Generator
) -> Array:
    """Exact draws (n, n_steps) of a stationary series by circulant embedding.

    Args:
        autocovariance: at lags 0 to n_steps at least.
        n_steps: length of the draws.
        n: their number.
        rng: generator.

    Raises:
        InputError: if the embedding is not a covariance.
    """
    r = autocovariance[: n_steps + 1]
    circle = np.concatenate([r, r[-2:0:-1]])
    eigenvalues = np.fft.rfft(circle).real
    if eigenvalues.min() < -1e-9 * eigenvalues.max():
        raise InputError("this autocovariance has no circulant embedding; use method='cholesky'")
    size = len(circle)
    # real white noise, coloured in the frequency domain: the same law as complex normals
    white = np.fft.rfft(rng.standard_normal((n, size)), axis=1)
    coloured = np.fft.irfft(white * np.sqrt(np.maximum(eigenvalues, 0.0)), size, axis=1)
    return np.asarray(coloured[:, :n_steps])


def _davies_harte(hurst: float, times: Array, n: int, fbm_type: FbmType, seed: int) -> Array:
    if fbm_type == 2:
        raise InputError("type 2 has no stationary increments; use method='cholesky' or 'markov'")
    if len(times) == 1:
        return _cholesky(hurst, times, n, fbm_type, seed)
    steps = np.diff(times)
    step = float(steps.mean())
    first = times[0] / step
    even = np.abs(steps - step).max() <= _REGULAR * max(step, times[-1])
    if not even or abs(first - round(first)) > _REGULAR * len(times):
        raise InputError(
            "method='davies_harte' needs equal steps from 0 (or a multiple of the step); use "
            "method='cholesky' for other times"
        )
    skipped, n_steps = round(first), len(times) - 1 + round(first)
    rng = np.random.default_rng(seed)
    noise = stationary_gaussian(fgn_autocovariance(hurst, n_steps + 1), n_steps, n, rng)
    path = np.concatenate([np.zeros((n, 1)), noise.cumsum(axis=1)], axis=1)
    return np.asarray(path[:, skipped:] * step**hurst)


def _cholesky(hurst: float, times: Array, n: int, fbm_type: FbmType, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    if fbm_type == 2:
        return _correlated(fbm_covariance(hurst, times[:, None], times, fbm_type), n, rng)
    # increments keep the digits that levels far from 0 lose
    begin, end = np.concatenate([[0.0], times[:-1]]), times
    power = [
        np.abs(a[:, None] - b) ** (2 * hurst)
        for a, b in ((end, begin), (begin, end), (end, end), (begin, begin))
    ]
    increments = 0.5 * (power[0] + power[1] - power[2] - power[3])
    return np.asarray(_correlated(increments, n, rng).cumsum(axis=1))


def _correlated(covariance: Array, n: int, rng: np.random.Generator) -> Array:
    """Draws (n, T); a time of no variance stays at 0."""
    moving = np.diag(covariance) > 0
    out = np.zeros((n, len(covariance)))
    if moving.any():
        part = covariance[np.ix_(moving, moving)]
        factor = np.linalg.cholesky(part + _JITTER * np.diag(np.diag(part)))
        out[:, moving] = rng.standard_normal((n, len(part))) @ factor.T
    return out


def _markov(hurst: Array, times: Array, n: int, fbm_type: FbmType, n_ou: int, seed: int) -> Array:
    horizon = float(times[-1])
    nodes = default_nodes(n_ou, horizon, fbm_type)
    omega = torch.as_tensor(weights(hurst, nodes, horizon, fbm_type, normalization="unit"))
    states = _ou_paths(torch.as_tensor(nodes), times, n, len(hurst), fbm_type, seed)
    return np.asarray(((states - states[:, :1]) * omega).sum(-1)[:, 1:].numpy())


def _ou_paths(
    nodes: Tensor, times: Array, n: int, n_channels: int, fbm_type: FbmType, seed: int
) -> Tensor:
    """States (n, 1 + T, C, J) at time 0 and at the T times, the first of which may be 0 again."""
    generator = torch_generator(seed)
    moves = ou_transition(nodes, torch.as_tensor(np.diff(times, prepend=0.0)))
    y = torch.zeros(n, n_channels, len(nodes), dtype=torch.float64)
    if fbm_type == 1:
        values, vectors = torch.linalg.eigh(stationary_covariance(nodes))
        factor = vectors * values.clamp_min(0.0).sqrt()
        y = torch.randn(y.shape, generator=generator, dtype=torch.float64) @ factor.T
    states = [y]
    rank = moves.factor.shape[-1]
    for decay, factor in zip(moves.decay, moves.factor):
        normal = torch.randn(n, n_channels, rank, generator=generator, dtype=torch.float64)
        y = y * decay + normal @ factor.T
        states.append(y)
    return torch.stack(states, dim=1)


def _times(ts: Any) -> tuple[TimeAxis, Array]:
    labels = np.atleast_1d(ts)
    axis = TimeAxis.of(labels)
    times = axis.encode(labels)
    require_finite(times, "ts")
    require_increasing(times, "ts")
    if times[0] < 0 or times[-1] <= 0:
        raise InputError(
            f"ts must hold times from 0 on, one of them positive, got {times[0]:g} to "
            f"{times[-1]:g}; the process is 0 at time 0"
        )
    return axis, times
