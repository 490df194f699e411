"""Smoothing under a linear Langevin prior, which is a Gaussian process with a Matern kernel.

The prior has a state of two numbers, so that filters do all the work: cost follows the number of
observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array

_RATIOS = (1e-4, 1e-2, 5e-2, 0.2, 0.6, 2.0, 10.0)
_N_LENGTHS = 12
_NUGGET = 1e-9


@dataclass(frozen=True)
class Smoothed:
    """The law of one channel at some times, given observations.

    Attributes:
        mean: (Q,).
        std: (Q,) standard deviation of a new observation, its noise included.
        length: correlation time of largest likelihood.
    """

    mean: Array
    std: Array
    length: float


@dataclass(frozen=True)
class Prior:
    r"""$x'' = -2\lambda x' - \lambda^2 x + \text{noise}$ around a mean, observed with noise.

    Attributes:
        length: $\ell$, with $\lambda = \sqrt 3 / \ell$.
        ratio: variance of the noise of measurement over that of the signal.
        center: mean.
        scale: variance of the signal.
    """

    length: float
    ratio: float
    center: float
    scale: float

    @property
    def rate(self) -> float:
        r"""$\lambda$."""
        return float(np.sqrt(3.0) / self.length)


def smooth(times: Array, values: Array, weights: Array, queries: Array) -> Smoothed:
    r"""Posterior at `queries` under the `Prior` of largest likelihood.

    The stationary solution of the linear Langevin equation has the covariance
    $s^2 (1 + \lambda r) e^{-\lambda r}$. Observations have noise of variance $s^2 \rho w_i$. The
    length and the ratio $\rho$ of noise to signal are those of largest marginal likelihood on a
    grid from the smallest gap to the whole span, $s^2$ and the mean are in closed form.

    Args:
        times: (n,) increasing.
        values: (n,).
        weights: (n,) relative variances of the measurements, 1 where nothing is known.
        queries: (Q,).

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 4.2, 5.4.
        Bierman, Fixed interval smoothing with discrete measurements, Int. J. Control 18, 1973.
    """
    n = len(times)
    if n < 3:
        std = float(np.std(values)) if n > 1 else 1.0
        level = float(np.mean(values)) if n else 0.0
        spread = np.full(len(queries), std or 1.0)
        return Smoothed(np.full(len(queries), level), spread, float("inf"))
    prior = fit_prior(times, values, weights)
    clock, place = np.unique(np.concatenate([times, queries]), return_inverse=True)
    observed = np.full(len(clock), np.nan)
    observed[place[:n]] = values - prior.center
    noise = np.ones(len(clock))
    noise[place[:n]] = prior.ratio * weights + _NUGGET
    passed = _forward(clock, observed, noise, prior.rate)
    mean, variance, _, _ = _backward(passed, prior.rate)
    asked = place[n:]
    size = prior.scale * (np.maximum(variance[asked], 0.0) + prior.ratio)
    return Smoothed(prior.center + mean[asked], np.sqrt(size), prior.length)


def left_out(times: Array, values: Array, weights: Array) -> Smoothed:
    """The law of every observation given all others, under the prior of all.

    Args:
        times: (n,) increasing.
        values: (n,).
        weights: (n,) relative variances of the measurements.

    References:
        De Jong, A cross-validation filter for time series models, Biometrika 75, 1988.
    """
    n = len(times)
    if n < 3:
        others = values[::-1] if n > 1 else np.zeros(n)
        size = np.full(n, float(np.std(values)) or 1.0)
        return Smoothed(others.copy(), size, float("inf"))
    prior = fit_prior(times, values, weights)
    centred = values - prior.center
    passed = _forward(times, centred, prior.ratio * weights + _NUGGET, prior.rate)
    _, _, pull, precision = _backward(passed, prior.rate)
    size = np.sqrt(prior.scale / precision)
    return Smoothed(values - pull / precision, size, prior.length)


def fit_prior(times: Array, values: Array, weights: Array) -> Prior:
    """The prior of largest marginal likelihood for three or more observations.

    All lengths and ratios of the grid are filtered together, the values beside a column of ones,
    which gives the mean.
    """
    n = len(times)
    lengths = np.geomspace(np.median(np.diff(times)), 2 * (times[-1] - times[0]), _N_LENGTHS)
    length, ratio = (a.ravel() for a in np.meshgrid(lengths, _RATIOS, indexing="ij"))
    rate = np.sqrt(3.0) / length
    first, second = np.zeros((2, len(length))), np.zeros((2, len(length)))
    p, q, r = np.ones(len(length)), np.zeros(len(length)), np.ones(len(length))
    products, log_det = np.zeros((3, len(length))), np.zeros(len(length))
    for k in range(n):
        if k:
            first, second, p, q, r = _moved(
                (times[k] - times[k - 1]) * rate, first, second, p, q, r
            )
        size = p + ratio * weights[k] + _NUGGET
        error = np.array([[1.0], [values[k]]]) - first
        products += np.stack([error[0] ** 2, error[0] * error[1], error[1] ** 2]) / size
        log_det += np.log(size)
        first, second = first + p / size * error, second + q / size * error
        p, q, r = p - p**2 / size, q - p * q / size, r - q**2 / size
    center = products[1] / products[0]
    scale = np.maximum((products[2] - center * products[1]) / n, 1e-12)
    best = int(np.argmax(-0.5 * (n * np.log(scale) + log_det)))
    return Prior(*(float(a[best]) for a in (length, ratio, center, scale)))


def _moved(
    u: Array, first: Array, second: Array, p: Array, q: Array, r: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Mean (x, x' / rate) and covariance [[p, q], [q, r]] after times u in units of 1 / rate.

    The variance of the signal is 1.
    """
    a, b, c, d = _transition(u)
    # the stationary covariance is the identity: what is lost of the deviation from it is noise
    p, r = p - 1.0, r - 1.0
    moved = (
        a * a * p + 2 * a * b * q + b * b * r + 1.0,
        a * c * p + (a * d + b * c) * q + b * d * r,
        c * c * p + 2 * c * d * q + d * d * r + 1.0,
    )
    return a * first + b * second, c * first + d * second, *moved


def _transition(u: Array) -> tuple[Array, Array, Array, Array]:
    decay = np.exp(-u)
    return decay * (1 + u), decay * u, -decay * u, decay * (1 - u)


@dataclass(frozen=True)
class _Passed:
    """A filter's way through n times.

    Attributes:
        steps: (n,) time since the one before.
        mean, covariance: (n, 2) and (n, 2, 2) before the observation.
        error, size: (n,) of the observation and its variance; NaN and 1 where there is none.
    """

    steps: Array
    mean: Array
    covariance: Array
    error: Array
    size: Array


def _forward(times: Array, values: Array, noise: Array, rate: float) -> _Passed:
    """Filter values (n,), NaN = not observed, with noise (n,)."""
    n = len(times)
    steps = np.diff(times, prepend=times[0])
    means, covariances = np.zeros((n, 2)), np.zeros((n, 2, 2))
    errors, sizes = np.full(n, np.nan), np.ones(n)
    x, v, p, q, r = (np.asarray(one) for one in (0.0, 0.0, 1.0, 0.0, 1.0))
    for k in range(n):
        x, v, p, q, r = _moved(steps[k] * rate, x, v, p, q, r)
        means[k], covariances[k] = (x, v), ((p, q), (q, r))
        if np.isnan(values[k]):
            continue
        size, error = p + noise[k], values[k] - x
        errors[k], sizes[k] = error, size
        x, v = x + p / size * error, v + q / size * error
        p, q, r = p - p**2 / size, q - p * q / size, r - q**2 / size
    return _Passed(steps, means, covariances, errors, sizes)


def _backward(passed: _Passed, rate: float) -> tuple[Array, Array, Array, Array]:
    """Smoothed means and variances, and K^-1 y and the diagonal of K^-1 at observations."""
    n = len(passed.steps)
    means, variances = np.zeros(n), np.zeros(n)
    pulls, precisions = np.full(n, np.nan), np.full(n, np.nan)
    pull, precision = np.zeros(2), np.zeros((2, 2))
    for k in reversed(range(n)):
        covariance, error, size = passed.covariance[k], passed.error[k], passed.size[k]
        if not np.isnan(error):
            gain = covariance[:, 0] / size
            pulls[k] = error / size - gain @ pull
            precisions[k] = 1 / size + gain @ precision @ gain
            left = np.eye(2)
            left[:, 0] -= gain
            pull, precision = left.T @ pull, left.T @ precision @ left
            pull[0] += error / size
            precision[0, 0] += 1 / size
        means[k] = passed.mean[k, 0] + covariance[0] @ pull
        variances[k] = covariance[0, 0] - covariance[0] @ precision @ covariance[0]
        a, b, c, d = _transition(passed.steps[k] * rate)
        step = np.array([[a, b], [c, d]])
        pull, precision = step.T @ pull, step.T @ precision @ step
    return means, variances, pulls, precisions
