"""`estimate_hurst`: one door to the estimators of the Hurst index."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import (
    Array,
    as_array,
    require_finite,
    require_fraction,
    require_increasing,
)
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.time_axis import TimeAxis
from trajinfer.fractional.exact_likelihood import exact_mle
from trajinfer.fractional.reversion import gain_of_return
from trajinfer.fractional.scaling import detrended_slope, inverted, variogram_slope
from trajinfer.fractional.state_space import state_space_mle
from trajinfer.fractional.whittle import whittle

HurstMethod = Literal["whittle", "mle", "state_space", "dfa", "variogram"]
Found = tuple[float, tuple[float, float]]
_EVEN_ONLY: dict[str, Callable[[Array, float], Found]] = {
    "whittle": whittle,
    "dfa": lambda noise, level: inverted(detrended_slope, noise, level),
    "variogram": lambda noise, level: inverted(variogram_slope, noise, level),
}
_FEWEST = {"whittle": 16, "mle": 8, "state_space": 8, "dfa": 40, "variogram": 16}
_EVEN = 1e-6
_ROUNDING = 8 * np.finfo(np.float64).eps
_EDGE = 0.01
_SUSPICIOUS = 0.12
_ROUGH, _STATIONARY = 0.25, 0.97
_CLEAR = 2.0  # which chance gives in less than 5 % of paths


class NonStationaryWarning(UserWarning):
    """The noise has a trend, which estimators of H take for long memory."""


@dataclass(frozen=True)
class HurstEstimate:
    """An estimate of the Hurst index.

    Attributes:
        hurst: a float, or (C,) for several channels.
        interval: lower and upper end; (C,) each for several channels.
        method: name of the estimator.
        level: probability of the interval.
        at_boundary: whether the interval reaches 0 or 1, so that the data bound H from one side
            at most.
    """

    hurst: float | Array
    interval: tuple[float | Array, float | Array]
    method: str
    level: float
    at_boundary: bool | Array

    def __str__(self) -> str:
        rows = np.stack(np.broadcast_arrays(self.hurst, *self.interval), axis=-1).reshape(-1, 3)
        edge = np.ravel(self.at_boundary)
        texts = [
            f"H = {h:.3f} [{low:.3f}, {high:.3f}]{' (reaches the boundary)' if e else ''}"
            for (h, low, high), e in zip(rows, edge)
        ]
        return f"{', '.join(texts)} by {self.method} at level {self.level:g}"


@independent_of_global_state
def estimate_hurst(
    x: Any,
    times: Any = None,
    method: HurstMethod = "whittle",
    *,
    increments: bool = False,
    level: float = 0.95,
    observation_noise: bool = False,
) -> HurstEstimate:
    r"""Estimate the Hurst index, with an interval.

    Args:
        x: (T,) or (T, C): a path of fractional Brownian motion of any start, drift and scale.
        times: (T,) increasing; None means unit steps. Unequal steps and holes (NaN in x) suit
            "mle" and "state_space".
        method: "whittle" (spectral likelihood, O(T log T), asymptotic interval), "mle" (exact
            likelihood, O(T^2), or O(T^3) at unequal steps), "state_space" (likelihood of the
            Markov approximation, O(T) at any times), both with profile intervals; "dfa" and
            "variogram" (scaling laws), with intervals from simulated noise.
        increments: whether x is the noise itself (its mean is free), such as a yearly flow.
        level: probability of the interval.
        observation_noise: let observations have independent noise ("state_space" only), which
            otherwise passes for a small H.

    Returns:
        A `HurstEstimate`; floats for (T,), arrays (C,) for (T, C).

    Raises:
        InputError: for too few, constant or infinite values, unequal steps with a method that
            needs equal ones, or unknown words.

    Warns:
        NonStationaryWarning: if a linear trend in the noise passes for long memory, if a path
            looks like noise (a rough path and noise of long memory resemble each other) or
            returns to a mean, or if increments look like a path.

    Example:
        >>> from trajinfer.fractional import simulate_fgn
        >>> noise = simulate_fgn(0.8, 2000, random_state=0)[0]
        >>> low, high = estimate_hurst(noise, increments=True).interval
        >>> low < 0.8 < high
        True
    """
    _check_words(method, level, observation_noise)
    values = as_array(x, "x")
    if values.ndim not in (1, 2) or not values.size:
        raise InputError(f"x must have shape (T,) or (T, C), got {values.shape}")
    grid = _times(times, len(values))
    columns = values.T if values.ndim == 2 else values[None]
    found = [
        _one(row, grid, method, increments=increments, level=level, noisy=observation_noise)
        for row in columns
    ]
    hurst = np.array([h for h, _ in found])
    low, high = np.array([ends for _, ends in found]).T
    edge = (low <= _EDGE) | (high >= 1 - _EDGE)
    if values.ndim == 2:
        return HurstEstimate(hurst, (low, high), method, level, edge)
    ends = (float(low[0]), float(high[0]))
    return HurstEstimate(float(hurst[0]), ends, method, level, bool(edge[0]))


def _one(
    row: Array, times: Array, method: str, *, increments: bool, level: float, noisy: bool
) -> Found:
    seen = ~np.isnan(row)
    require_finite(row[seen], "x")
    if not seen.all() and (increments or method in _EVEN_ONLY):
        raise InputError(
            f"x has {int((~seen).sum())} missing values; give the path (increments=False) to "
            "method='mle' or method='state_space', which need no equal steps"
        )
    path, at = row[seen], times[seen]
    _require_enough(path, method)
    # a power of two changes no digit; squares of what is left neither overflow nor vanish
    path = np.ldexp(path, -np.frexp(np.abs(path).max())[1])
    gaps = np.diff(at)
    if increments:
        gaps = np.diff(at, prepend=2 * at[0] - at[1])
        noise = path
        path = np.concatenate([[0.0], np.cumsum(path)])
        at = np.concatenate([[at[0] - gaps[0]], at])
    else:
        noise = np.diff(path)
    _require_rough(noise, gaps)
    even = bool(np.ptp(gaps) <= max(_EVEN * gaps.mean(), _ROUNDING * np.abs(at).max()))
    if even:
        gaps = np.full_like(gaps, gaps.mean())
    if not even and (increments or method in _EVEN_ONLY):
        raise InputError(
            f"steps between {gaps.min():g} and {gaps.max():g} are unequal; give the path to "
            "method='mle' or method='state_space'"
        )
    other = _as_increments(noise) if increments else _as_path(path, noise, even=even)
    for message in (other, _trend(noise) if even else ""):
        if message:
            warnings.warn(message, NonStationaryWarning, stacklevel=5)
    if method in _EVEN_ONLY:
        return _EVEN_ONLY[method](noise, level)
    if method == "mle":
        return exact_mle(noise, gaps, level)
    return state_space_mle(path, at, level, observation_noise=noisy)


def _check_words(method: str, level: float, observation_noise: bool) -> None:
    if method not in get_args(HurstMethod):
        raise InputError(f"unknown method {method!r}; {nearest(method, get_args(HurstMethod))}")
    require_fraction(level, "level")
    if observation_noise and method != "state_space":
        raise InputError("observation_noise=True needs method='state_space'")


def _times(times: Any, n: int) -> Array:
    if times is None:
        return np.arange(n, dtype=np.float64)
    grid = TimeAxis.of(np.ravel(times)).encode(np.ravel(times))
    if grid.shape != (n,):
        raise InputError(f"times must have shape ({n},) as x has, got {grid.shape}")
    require_finite(grid, "times")
    require_increasing(grid, "times")
    return grid


def _require_enough(path: Array, method: str) -> None:
    if len(path) < _FEWEST[method]:
        raise InputError(
            f"method={method!r} needs at least {_FEWEST[method]} observations, got {len(path)}"
        )
    if np.ptp(path) == 0:
        raise InputError("x is constant, so that H is not defined; check the column")


def _require_rough(noise: Array, gaps: Array) -> None:
    """Refuse straight lines; values are of order one, and increments differ by rounding alone."""
    moves = noise - gaps * (noise.sum() / gaps.sum())
    if np.abs(moves).max() <= _ROUNDING:
        raise InputError(
            "x is a straight line up to rounding, as times and row numbers are, so that H is not "
            "defined; leave it out"
        )


def _trend(noise: Array) -> str:
    """Words where H falls by more than chance when a line is taken out of the noise."""
    if len(noise) < _FEWEST["whittle"] or np.ptp(noise) == 0:
        return ""
    t = np.linspace(-1.0, 1.0, len(noise))
    slope = noise @ t / (t @ t)
    before, (low, high) = whittle(noise, 0.99)
    after, _ = whittle(noise - slope * t, 0.99)
    if before - after <= max(_SUSPICIOUS, (high - low) / 2):
        return ""
    return (
        f"taking a line out of the noise lowers H from {before:.2f} to {after:.2f}: the noise "
        "may not be stationary; remove the trend, or model it, before reading H"
    )


def _as_path(path: Array, noise: Array, *, even: bool) -> str:
    """Words where a rough path may as well be stationary noise of a larger H.

    Unequal steps are taken as equal: noise forgets how long they are, a path does not.
    """
    if len(path) < _FEWEST["whittle"]:
        return ""
    rough, as_noise = whittle(noise, 0.95)[0], whittle(path, 0.95)[0]
    if rough >= _ROUGH or as_noise >= _STATIONARY:
        return _returning(noise, rough) if even else ""
    remedy = "give increments=True" if even else "give means over equal steps and increments=True"
    return (
        f"x looks like increments: as a path it has H = {rough:.2f}, as stationary noise H = "
        f"{as_noise:.2f}; if it holds flows, returns or changes, {remedy}"
    )


def _returning(noise: Array, hurst: float) -> str:
    """Words where the path is more likely to return to a mean than to be fractional."""
    gain, coefficient = gain_of_return(noise, hurst)
    if gain <= _CLEAR:
        return ""
    return (
        f"x looks like a stationary series of short memory: an autoregression of coefficient "
        f"{coefficient:.2g} is more likely than a path of H = {hurst:.2f}, by {gain:.1f} in "
        "log-likelihood; of a series that returns to a mean H says little, FractionalSDE learns "
        "both"
    )


def _as_increments(noise: Array) -> str:
    """Words where what is given as noise is no more stationary than a path, and as regular."""
    if len(noise) <= _FEWEST["whittle"] or np.ptp(np.diff(noise)) == 0:
        return ""
    as_noise, as_path = whittle(noise, 0.95)[0], whittle(np.diff(noise), 0.95)[0]
    if as_noise < _STATIONARY or as_path < _ROUGH:
        return ""
    return (
        f"x looks like a path: as stationary noise it has H = {as_noise:.2f}, as a path H = "
        f"{as_path:.2f}; if it holds levels, positions or logarithms of prices, leave out "
        "increments=True"
    )
