"""Exact covariances of fractional processes, all with unit variance at time 1 unless asked."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.special import gamma, hyp2f1

from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer.fractional.nodes import as_nodes
from trajinfer.fractional.normalization import (
    FbmType,
    Normalization,
    as_hurst,
    check_normalization,
    check_type,
    kernel_variance,
)
from trajinfer.fractional.ou_transition import decayed_time, stationary_covariance

_POINTS = 200
_POWER = 6
_FAR = 60.0
# beyond this many times of return the quadrature no longer resolves the exponential
_LONG, _LONG_TERMS = 40.0, 12


def fbm_covariance(
    hurst: float,
    t: Any,
    s: Any,
    fbm_type: FbmType = 1,
    *,
    normalization: Normalization = "unit",
) -> Array:
    r"""$E[B(t) B(s)]$ of fractional Brownian motion, for arrays of times that broadcast.

    Type I: $\frac12 (t^{2H} + s^{2H} - |t-s|^{2H})$ times the variance at 1; type II:
    $\frac{s^a t^{H-1/2}}{a\,\Gamma(a)^2}\,{}_2F_1(\tfrac12 - H, 1; H + \tfrac32; s/t)$ for
    $s \le t$ with $a = H + 1/2$.

    Args:
        hurst: H in (0, 1).
        t: times, not negative.
        s: times, not negative.
        fbm_type: 1 or 2.
        normalization: "unit" or "kernel".

    Raises:
        InputError: for H outside (0, 1) or negative times.

    >>> fbm_covariance(0.5, [1.0, 3.0], 2.0).tolist()
    [1.0, 2.0]
    """
    check_type(fbm_type)
    check_normalization(normalization)
    h = float(as_hurst(hurst))
    late, early = _ordered(as_array(t, "t"), as_array(s, "s"))
    size = float(kernel_variance(torch.tensor(h, dtype=torch.float64), fbm_type))
    if fbm_type == 1:
        shape = 0.5 * (late ** (2 * h) + early ** (2 * h) - (late - early) ** (2 * h))
        return np.asarray(shape * (size if normalization == "kernel" else 1.0))
    a = h + 0.5
    ratio = np.divide(early, late, out=np.zeros_like(late), where=late > 0)
    series = hyp2f1(0.5 - h, 1.0, h + 1.5, ratio)
    power = np.where(late > 0, late, 1.0) ** (h - 0.5)
    kernel = early**a * power / (a * gamma(a) ** 2) * series
    return np.asarray(kernel / (1.0 if normalization == "kernel" else size))


def fgn_autocovariance(hurst: float, n: int) -> Array:
    r"""$\frac12(|k+1|^{2H} - 2|k|^{2H} + |k-1|^{2H})$ for lags 0 to n - 1, at unit steps.

    Args:
        hurst: H in (0, 1).
        n: number of lags.

    Raises:
        InputError: for H outside (0, 1) or n < 1.
    """
    h = float(as_hurst(hurst))
    k = np.arange(require_integer(n, "n", least=1), dtype=np.float64)
    two = 2 * h
    return np.asarray(0.5 * ((k + 1) ** two - 2 * k**two + np.abs(k - 1) ** two))


def markov_covariance(omega: Any, nodes: Any, t: Any, s: Any, fbm_type: FbmType = 1) -> Array:
    r"""$E[\hat B(t) \hat B(s)]$ of the Markov approximation, for times that broadcast.

    Args:
        omega: (J,) weights.
        nodes: (J,) rates.
        t: times, not negative.
        s: times, not negative.
        fbm_type: 1 for stationary Y, 2 for Y(0) = 0.

    Raises:
        InputError: for negative times or unusable nodes.
    """
    check_type(fbm_type)
    rates = as_nodes(nodes)
    late, early = (torch.as_tensor(x)[..., None, None] for x in _ordered(*_both(t, s)))
    i, j = rates[:, None], rates
    pairs = torch.exp(-i * (late - early)) * decayed_time(i + j, early)
    if fbm_type == 1:
        past = torch.expm1(-i * late) * torch.expm1(-j * early)
        pairs = pairs + past * stationary_covariance(rates)
    w = torch.as_tensor(as_array(omega, "omega", ndim=1))
    return np.asarray(torch.einsum("i,...ij,j->...", w, pairs, w).numpy())


def fou_covariance(hurst: float, theta: float, t: Any, s: Any) -> Array:
    r"""$E[X(t) X(s)]$ of $dX = -\theta X\,dt + dB_H$ started at $X(0) = 0$.

    X is B against the signed measure $\delta_t - \theta e^{-\theta(t-u)} du$ on [0, t], of mass
    $e^{-\theta t}$; the covariance of B leaves integrals of $u^{2H}$ over one variable.

    Args:
        hurst: H in (0, 1).
        theta: rate of return, positive.
        t: times, not negative.
        s: times, not negative.

    Raises:
        InputError: for H outside (0, 1), a theta that is not positive, or negative times.

    References:
        Lysy, Pillai, arXiv 1307.1164 (stationary case).

    >>> round(float(fou_covariance(0.7, 1.0, 2.0, 2.0)), 8)
    0.56432007
    """
    h, rate = float(as_hurst(hurst)), _positive(theta)
    late, early = np.broadcast_arrays(*_ordered(*_both(t, s)))
    long = rate * late > _LONG
    found = np.empty(late.shape)
    found[~long] = _started_covariance(late[~long], early[~long], rate, 2 * h)
    # the stationary solution less what is left of its value at 0
    l, e = late[long], early[long]
    r0, gap, late_lag, early_lag = (
        stationary_fou_autocovariance(h, rate, lag) for lag in (0.0, l - e, l, e)
    )
    kept = np.exp(-rate * e), np.exp(-rate * l)
    found[long] = gap - kept[0] * late_lag - kept[1] * early_lag + kept[0] * kept[1] * r0
    return found


def _started_covariance(late: Array, early: Array, rate: float, two: float) -> Array:
    """The same by quadrature, for times that are not many times of return."""

    def against(x: Array) -> Array:
        """The measure of x applied to u^{2H}."""
        inner = _power_integral(lambda u: np.exp(-rate * (x[..., None] - u)), x, two)
        return np.asarray(x**two - rate * inner)

    gap = late - early
    own = np.exp(-rate * early) * against(late) + np.exp(-rate * late) * against(early)
    return np.asarray(0.5 * (own - _cross(late, early, gap, rate, two)))


def _cross(late: Array, early: Array, gap: Array, rate: float, two: float) -> Array:
    """Both measures applied to |u - v|^{2H}, by the density of the difference w = u - v."""
    l, e, g = late[..., None], early[..., None], gap[..., None]

    def tail(w: Array, shift: Array) -> Array:
        """Integral over v of the two exponentials at u - v = w, shift = the largest v."""
        low = np.maximum(-w, 0.0)
        top = np.exp(-rate * (l + e - w - 2 * shift))
        return np.asarray((top - np.exp(-rate * (l + e - w - 2 * low))) / (2 * rate))

    # u = late against the second density (w from gap to late), v = early against the first
    single = _power_integral(lambda w: np.where(w >= g, np.exp(-rate * (w - g)), 0), late, two, gap)
    forward = _power_integral(lambda w: np.exp(-rate * (g - w)), gap, two)
    backward = _power_integral(lambda w: np.exp(-rate * (g + w)), early, two)
    near = _power_integral(lambda w: tail(w, e + 0 * w), gap, two)
    far = _power_integral(lambda w: tail(w, l - w), late, two, gap)
    other = _power_integral(lambda w: tail(-w, e + 0 * w), early, two)
    return np.asarray(
        gap**two - rate * (single + forward + backward) + rate**2 * (near + far + other)
    )


def stationary_fou_autocovariance(hurst: float, theta: float, lags: Any) -> Array:
    r"""Autocovariance of the stationary solution of $dX = -\theta X\,dt + dB_H$.

    $$r(\tau) = \frac12\Big(\frac{\theta}{2} \int e^{-\theta |w|} |\tau + w|^{2H} dw
      - |\tau|^{2H}\Big), \qquad r(0) = \frac{\Gamma(2H+1)}{2\theta^{2H}}.$$

    Args:
        hurst: H in (0, 1).
        theta: rate of return, positive.
        lags: times, of any sign.

    Raises:
        InputError: for H outside (0, 1) or a theta that is not positive.

    >>> stationary_fou_autocovariance(0.7, 1.0, [0.0, 1.0]).round(8).tolist()
    [0.62108467, 0.39447518]
    """
    h, rate = float(as_hurst(hurst)), _positive(theta)
    lags = np.abs(as_array(lags, "lags"))
    long = rate * lags > _LONG
    tau, two = np.where(long, 0.0, lags), 2 * h
    end = tau + _FAR / rate
    left = np.exp(-rate * tau) * gamma(two + 1) / rate ** (two + 1)
    inside = _power_integral(lambda v: np.exp(-rate * (tau[..., None] - v)), tau, two)
    right = _power_integral(lambda v: np.exp(-rate * (v - tau[..., None])), end, two, tau)
    near = 0.5 * (0.5 * rate * (left + inside + right) - tau**two)
    return np.where(long, _far_autocovariance(two, rate, np.where(long, lags, np.inf)), near)


def _far_autocovariance(two: float, rate: float, tau: Array) -> Array:
    r"""Long lags: $\frac12 \sum_{n>0} \theta^{-2n} \frac{d^{2n}}{d\tau^{2n}} \tau^{2H}$."""
    total, factor = np.zeros_like(tau), 0.5
    for n in range(1, _LONG_TERMS + 1):
        factor *= (two - 2 * n + 2) * (two - 2 * n + 1)
        total += factor * (rate * tau) ** (-2.0 * n)
    slow = np.where(np.isfinite(tau), tau, 1.0) ** two
    return np.asarray(slow * total)


def _power_integral(density: Any, end: Array, power: float, start: Array | None = None) -> Array:
    """Integrals of v^power density(v) from `start` (0) to `end`, (...).

    Points crowd at the start of the interval, where the power or the density may be rough.
    """
    v, w = _legendre()
    begin = np.zeros_like(end) if start is None else start
    length = (end - begin)[..., None]
    places = begin[..., None] + length * v
    return np.asarray((density(places) * places**power * length * w).sum(-1))


@lru_cache
def _legendre() -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    s = (x + 1) / 2
    return s**_POWER, w / 2 * _POWER * s ** (_POWER - 1)


def _both(t: Any, s: Any) -> tuple[Array, Array]:
    return as_array(t, "t"), as_array(s, "s")


def _ordered(t: Array, s: Array) -> tuple[Array, Array]:
    """The later and the earlier of every two times.

    Raises:
        InputError: if one is negative or not finite.
    """
    for name, times in (("t", t), ("s", s)):
        require_finite(times, name)
        if (times < 0).any():
            raise InputError(f"{name} must not be negative (the process starts at 0)")
    return np.maximum(t, s), np.minimum(t, s)


def _positive(theta: float) -> float:
    if not 0 < theta < np.inf:
        raise InputError(f"theta must be a positive rate, got {theta!r}")
    return float(theta)
