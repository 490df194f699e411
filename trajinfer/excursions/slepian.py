"""Stays above and below a level by independent intervals that match what follows a crossing."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.special import ndtr

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.excursions.covariance import Covariance

_POINTS = 4000
_CLUSTERED = 1.5
_HIGHEST = 4.0


def mean_sign(covariance: Covariance, t: Array) -> Array:
    """Mean sign E(t) after an up-crossing of 0: -r' / sqrt(lambda_2 (1 - r^2)); E(0) = 1."""
    r, slope = covariance.values(t)
    wide = 1 - r**2 > 1e-10
    root = np.sqrt(np.where(wide, covariance.curvature * (1 - r**2), 1.0))
    return np.asarray(np.where(wide, -slope / root, 1.0))


def level_zero(covariance: Covariance, t: Array) -> Array:
    """Distribution function F (T,) of a stay on the even grid t, from E = 1 - F - F * E.

    An alternating renewal process whose mean sign after a switch is E has intervals of law F.
    """
    covariance.require_monotone()
    sign = mean_sign(covariance, t)
    middle = (sign[1:] + sign[:-1]) / 2
    steps, total = np.zeros(len(t)), 0.0
    for k in range(1, len(t)):
        known = steps[1:k] @ middle[k - 1 : 0 : -1] if k > 1 else 0.0
        steps[k] = (1 - sign[k] - total - known) / (1 + middle[0])
        total += steps[k]
    return np.cumsum(steps)


def exponent(covariance: Covariance) -> float:
    """Rate at which long stays become rare: the least theta with theta int E e^{theta t} dt = 1."""
    covariance.require_monotone()
    t = np.linspace(0, covariance.reach, 20 * _POINTS + 1)
    sign = mean_sign(covariance, t)
    usable = sign > 1e-12
    log_sign = np.log(np.where(usable, sign, 1.0))

    def excess(theta: float) -> float:
        values = np.where(usable, np.exp(np.clip(theta * t + log_sign, -700, 700)), 0.0)
        return float(theta * trapezoid(values, t) - 1)

    # beyond the rate at which E itself decays the integral has no limit
    tail = usable & (t > 0.5 * t[usable][-1])
    own = float(-np.polyfit(t[tail], log_sign[tail], 1)[0])
    low, high = 1e-9 * own, 0.999 * own
    if excess(high) < 0:
        warnings.warn(
            "no rate below that of the mean sign itself; that one is given",
            UserWarning,
            stacklevel=4,
        )
        return own
    return float(brentq(excess, low, high, xtol=1e-12))


def any_level(covariance: Covariance, level: float, t: Array) -> tuple[Array, Array]:
    """Distribution functions of stays above and below a level, in standard deviations.

    The probability to be above at t after an up- or a down-crossing is known; the laws are those of
    the alternating renewal process with the same probabilities.
    """
    covariance.require_monotone()
    if abs(level) > _HIGHEST:
        raise InputError(
            f"the level must lie within {_HIGHEST:g} standard deviations, got {level:g}"
        )
    if abs(level) > _CLUSTERED:
        warnings.warn(
            f"at {level:.2g} standard deviations crossings cluster, which this law misses",
            UserWarning,
            stacklevel=4,
        )
    up, down = _above_after(covariance, level, t)
    below = _deconvolved(down, up)
    above = _completed(up, down)
    return np.clip(above, 0, 1), np.clip(below, 0, 1)


def _above_after(covariance: Covariance, level: float, t: Array) -> tuple[Array, Array]:
    """P+ and P-: probabilities to be above after an up- and a down-crossing."""
    r, slope = covariance.values(t)
    wide = 1 - r**2 > 1e-8
    w = np.sqrt(np.where(wide, 1 - r**2, 1.0))
    k = -slope / np.sqrt(covariance.curvature)
    v = np.sqrt(np.maximum(w**2 - k**2, 1e-14))
    gap = level * (1 - r)
    tilt = k / w * np.exp(-(gap**2) / (2 * w**2))
    up = ndtr(-gap / v) + tilt * ndtr(gap * k / (v * w))
    down = ndtr(-gap / v) - tilt * ndtr(-gap * k / (v * w))
    return np.where(wide, up, 1.0), np.where(wide, down, 0.0)


def _deconvolved(down: Array, up: Array) -> Array:
    """F- from P- = f- * P+."""
    steps = np.zeros(len(up))
    middle = (up[1:] + up[:-1]) / 2
    for k in range(1, len(up)):
        known = steps[1:k] @ middle[k - 1 : 0 : -1] if k > 1 else 0.0
        steps[k] = (down[k] - known) / middle[0]
    return np.cumsum(steps)


def _completed(up: Array, down: Array) -> Array:
    """F+ from P+ = 1 - F+ + f+ * P-, where P- starts at 0."""
    steps = np.zeros(len(up))
    middle = (down[1:] + down[:-1]) / 2
    total = 0.0
    for k in range(1, len(up)):
        known = steps[1:k] @ middle[k - 1 : 0 : -1] if k > 1 else 0.0
        steps[k] = (1 - up[k] - total + known) / (1 - middle[0])
        total += steps[k]
    return np.cumsum(steps)
