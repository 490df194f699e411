"""How far a grid must reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.functionals.dynamics import Diffusion, as_points
from trajinfer.questions.region import Region

_PILOTS = 1000
_STEPS = 400
_PAD = 0.25
_WIDE = 1e6


def pilot_paths(
    diffusion: Diffusion, X: Array, duration: float, stop: Region | None, seed: int
) -> Array:
    """States (n, D) of some paths from X at many times, until they stop.

    Raises:
        InputError: if paths grow without bound.
    """
    states, _ = occupied(diffusion, X, duration, stop, seed)
    return np.concatenate([X, states])


def occupied(
    diffusion: Diffusion,
    X: Array,
    duration: float,
    stop: Region | None,
    seed: int,
    *,
    n_paths: int = _PILOTS,
    least_steps: int = _STEPS,
) -> tuple[Array, float]:
    """States (n, D) in which paths from X are until they stop, and the mean time until then.

    The mean is the time of all paths over the number of those that stopped.

    Raises:
        InputError: if paths grow without bound.
    """
    rng = np.random.default_rng(seed)
    x = X[rng.integers(len(X), size=n_paths)]
    spread = np.ptp(X, axis=0) + np.abs(X).max(initial=1.0)
    wanted = 5 * duration * _fastest(diffusion, X, spread)
    n_steps = int(np.clip(wanted, least_steps, 10 * _STEPS))
    step = min(duration / n_steps, 0.2 / max(_fastest(diffusion, X, spread), 1e-300))
    states = [x]
    for k in range(n_steps):
        noise = rng.standard_normal(x.shape if diffusion.diagonal else (len(x), _width(diffusion)))
        g = diffusion.noise(k * step, x)
        kick = g * noise if diffusion.diagonal else np.einsum("ndm,nm->nd", g, noise)
        # the drift half a step on, since Euler's steps wind outwards where it turns fast
        half = x + _tamed(diffusion.drift(k * step, x) * step / 2, spread)
        drift = diffusion.drift((k + 0.5) * step, half) * step
        x = x + _tamed(drift, spread) + kick * np.sqrt(step)
        if not np.isfinite(x).all() or (np.abs(x) > _WIDE * (1 + spread)).any():
            raise InputError(
                f"paths of this process leave every bounded domain within {duration:g}; give "
                "domain= (low, high) or a horizon="
            )
        if stop is not None:
            x = x[~stop.contains(x)]
            if not len(x):
                break
        states.append(x)
    whole = np.concatenate(states)
    return whole, step * len(whole) / max(n_paths - len(x), 1)


def _tamed(move: Array, spread: Array) -> Array:
    """A move (n, D) that is no longer than what the states are apart."""
    return np.asarray(move / (1 + np.abs(move) / spread))


def _fastest(diffusion: Diffusion, X: Array, spread: Array) -> float:
    """The largest rate at which the drift changes along a coordinate, at states of X."""
    x = X[:64]
    slopes = [
        np.abs(diffusion.drift(0.0, x + d) - diffusion.drift(0.0, x)).max() / d.max()
        for d in np.diag(1e-4 * spread)
    ]
    return float(max(slopes))


def natural_duration(diffusion: Diffusion, X: Array) -> float:
    """How long paths take to see most of what they will see.

    A coordinate that rests at X, as a place does whose speed is 0, counts by how it moves around.
    """
    spread = np.ptp(X, axis=0) + np.abs(X).max(initial=1.0)
    drift = np.abs(diffusion.drift(0.0, X)).mean(axis=0)
    noise = np.einsum("ndd->nd", diffusion.covariance(0.0, X)).mean(axis=0)
    rate = drift + noise / spread
    around = np.abs(diffusion.drift(0.0, X + spread)).mean(axis=0)
    rate = np.where(rate > 0, rate, np.where(around > 0, around, np.inf))
    return float(10 * (spread / rate).max()) or 1.0


def _width(diffusion: Diffusion) -> int:
    return int(diffusion.noise(0.0, np.zeros((1, diffusion.dim))).shape[-1])


def domain_of(
    diffusion: Diffusion,
    X: Array,
    duration: float,
    stop: Region | None,
    given: Any,
    seed: int,
) -> tuple[Array, Array]:
    """Lower and upper corner (D,) of what a grid must cover.

    Args:
        diffusion: the process.
        X: (n, D) where to be good.
        duration: how long paths are followed.
        stop: the stopping set.
        given: (low, high) from the user; None to look for it.
        seed: of the paths that look.

    Raises:
        InputError: if the domain given does not cover X, or is no box.
    """
    if given is not None:
        return _given(diffusion, X, given)
    states = pilot_paths(diffusion, X, duration, stop, seed)
    low, high = states.min(axis=0), states.max(axis=0)
    pad = _PAD * np.maximum(high - low, 1e-9 + 1e-3 * np.abs(high))
    low, high = low - pad, high + pad
    if stop is None or diffusion.dim > 1:
        return low, high
    return _aligned(low, high, stop, X)


def _given(diffusion: Diffusion, X: Array, given: Any) -> tuple[Array, Array]:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise InputError(f"domain must be a pair (low, high), got {given!r}")
    low, high = (as_points(end, diffusion.dim, "domain")[0] for end in given)
    if (low >= high).any():
        raise InputError(f"domain needs low < high in every coordinate, got {low} and {high}")
    outside = (np.clip(X, low, high) != X).any(axis=1)
    if outside.any():
        raise InputError(
            f"{int(outside.sum())} of the states lie outside domain, such as "
            f"{X[outside][0].tolist()}; widen the domain"
        )
    return low, high


def _aligned(low: Array, high: Array, stop: Region, X: Array) -> tuple[Array, Array]:
    """The domain of a line cut at walls, so that no cell lies behind one."""
    parts = stop.intervals()
    if parts is None:
        return low, high
    walls = np.array([end for pair in parts.pairs for end in pair if np.isfinite(end)])
    free = X[~stop.contains(X), 0] if len(X) else X[:, 0]
    if not len(free):
        return low, high
    before, after = walls[walls <= free.min()], walls[walls >= free.max()]
    lower = before.max() if len(before) else low[0]
    upper = after.min() if len(after) else high[0]
    return np.array([lower]), np.array([upper])
