"""Smoothing under a linear Langevin prior, which is a Gaussian process with a Matern kernel.

The prior has a state of two numbers, so that filters do all the work: cost follows the number of
observations. M tracks (a channel of a series each) are filtered side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array

_RATIOS = (1e-4, 1e-2, 5e-2, 0.2, 0.6, 2.0, 10.0)
_N_LENGTHS = 12
_NUGGET = 1e-9
_FEWEST = 3


@dataclass(frozen=True)
class Tracks:
    """Observations of M channels, each with times of its own.

    Attributes:
        times: (M, n) ascending, padded by the last one.
        values: (M, n), padded by NaN at the end.
        weights: (M, n) relative variances of the measurements, 1 where nothing is known.
    """

    times: Array
    values: Array
    weights: Array

    @classmethod
    def of(cls, times: Array, values: Array, weights: Array) -> Tracks:
        """Pack observations to the front.

        Args:
            times: (M, n) ascending.
            values: (M, n), NaN = not observed.
            weights: (M, n).
        """
        missing = np.isnan(values)
        most = max(1, int((~missing).sum(1).max()))
        order = np.argsort(missing, axis=1, kind="stable")[:, :most]
        clock, x, w = (np.take_along_axis(a, order, axis=1) for a in (times, values, weights))
        last = np.maximum((~missing).sum(1) - 1, 0)[:, None]
        places = np.minimum(np.arange(most), last)
        return cls(np.take_along_axis(clock, places, axis=1), x, w)

    @property
    def counts(self) -> Array:
        """(M,) numbers of observations."""
        return np.asarray((~np.isnan(self.values)).sum(1))


@dataclass(frozen=True)
class Smoothed:
    """The law of M channels at some times, given observations.

    Attributes:
        mean: (M, Q).
        std: (M, Q) standard deviation of a new observation, its noise included.
    """

    mean: Array
    std: Array


@dataclass(frozen=True)
class Prior:
    r"""$x'' = -2\lambda x' - \lambda^2 x + \text{noise}$ around a mean, observed with noise.

    Attributes:
        length: (M,) $\ell$, with $\lambda = \sqrt 3 / \ell$.
        ratio: (M,) variance of the noise of measurement over that of the signal.
        center: (M,) mean.
        scale: (M,) variance of the signal.
    """

    length: Array
    ratio: Array
    center: Array
    scale: Array

    @property
    def rate(self) -> Array:
        r"""$\lambda$."""
        return np.asarray(np.sqrt(3.0) / self.length)


def smooth(tracks: Tracks, queries: Array) -> Smoothed:
    r"""Posterior at `queries` under the `Prior` of largest likelihood of each track.

    The stationary solution of the linear Langevin equation has the covariance
    $s^2 (1 + \lambda r) e^{-\lambda r}$. Observations have noise of variance $s^2 \rho w_i$. The
    length and the ratio $\rho$ of noise to signal are those of largest marginal likelihood on a
    grid from the smallest gap to the whole span, $s^2$ and the mean are in closed form. With fewer
    than three observations the law is their mean and spread.

    Args:
        tracks: M channels.
        queries: (M, Q).

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 4.2, 5.4.
        Bierman, Fixed interval smoothing with discrete measurements, Int. J. Control 18, 1973.
    """
    prior = fit_prior(tracks)
    n = tracks.times.shape[1]
    clock = np.concatenate([tracks.times, queries], axis=1)
    order = np.argsort(clock, axis=1, kind="stable")
    nothing = np.full(queries.shape, np.nan)
    observed = np.concatenate([tracks.values - prior.center[:, None], nothing], axis=1)
    noise = np.concatenate([_noise(tracks, prior), np.ones(queries.shape)], axis=1)
    clock, observed, noise = (np.take_along_axis(a, order, 1) for a in (clock, observed, noise))
    passed = _forward(clock, observed, noise, prior)
    back = _backward(passed)
    asked = np.argsort(order, axis=1)[:, n:]
    mean = prior.center[:, None] + np.take_along_axis(back.mean, asked, axis=1)
    variance = np.maximum(np.take_along_axis(back.variance, asked, axis=1), 0.0)
    std = np.sqrt(prior.scale[:, None] * (variance + prior.ratio[:, None]))
    few = tracks.counts < _FEWEST
    level, spread = _level_and_spread(tracks)
    return Smoothed(np.where(few[:, None], level, mean), np.where(few[:, None], spread, std))


def left_out(tracks: Tracks) -> Smoothed:
    """The law (M, n) of every observation given all others of its track, under the prior of all.

    References:
        De Jong, A cross-validation filter for time series models, Biometrika 75, 1988.
    """
    prior = fit_prior(tracks)
    passed = _forward(
        tracks.times, tracks.values - prior.center[:, None], _noise(tracks, prior), prior
    )
    back = _backward(passed)
    counts = tracks.counts[:, None]
    precision = np.where(back.precision > 0, back.precision, 1.0)
    mean, std = tracks.values - back.pull / precision, np.sqrt(prior.scale[:, None] / precision)
    total = np.nansum(tracks.values, axis=1, keepdims=True)
    others = total - tracks.values  # of two observations the other one, of one nothing
    few = counts < _FEWEST
    return Smoothed(np.where(few, others, mean), np.where(few, _level_and_spread(tracks)[1], std))


def fit_prior(tracks: Tracks) -> Prior:
    """The prior of largest marginal likelihood of each track of three or more observations.

    All lengths and ratios of the grid are filtered together, the values beside a column of ones,
    which gives the mean.
    """
    counts = tracks.counts
    lengths = _lengths(tracks)
    length = np.repeat(lengths, len(_RATIOS), axis=1)
    ratio = np.tile(_RATIOS, (len(length), _N_LENGTHS))
    rate = np.sqrt(3.0) / length
    first, second = np.zeros((2, *length.shape)), np.zeros((2, *length.shape))
    p, q, r = np.ones(length.shape), np.zeros(length.shape), np.ones(length.shape)
    products, log_det = np.zeros((3, *length.shape)), np.zeros(length.shape)
    for k in range(tracks.times.shape[1]):
        if k:
            gap = (tracks.times[:, k] - tracks.times[:, k - 1])[:, None]
            first, second, p, q, r = _moved(gap * rate, first, second, p, q, r)
        value = tracks.values[:, [k]]
        known = ~np.isnan(value)
        size = p + ratio * tracks.weights[:, [k]] + _NUGGET
        share = known / size
        error = np.stack([np.ones_like(value), np.where(known, value, 0.0)]) - first
        products += np.stack([error[0] ** 2, error[0] * error[1], error[1] ** 2]) * share
        log_det += np.where(known, np.log(size), 0.0)
        first, second = first + p * share * error, second + q * share * error
        p, q, r = p - p**2 * share, q - p * q * share, r - q**2 * share
    few = counts < _FEWEST
    center = products[1] / np.where(few[:, None], 1.0, products[0])
    n = np.maximum(counts, 1)[:, None]
    scale = np.maximum((products[2] - center * products[1]) / n, 1e-12)
    best = np.argmax(-0.5 * (n * np.log(scale) + log_det), axis=1)[:, None]
    return Prior(*(np.take_along_axis(a, best, 1)[:, 0] for a in (length, ratio, center, scale)))


def _lengths(tracks: Tracks) -> Array:
    """(M, 12) correlation times to try, from the median gap to twice the span."""
    known = ~np.isnan(tracks.values)
    gaps = np.where(known[:, 1:], np.diff(tracks.times, axis=1), np.nan)
    span = 2 * (tracks.times[:, -1] - tracks.times[:, 0])
    span = np.where(span > 0, span, 1.0)
    shortest = span.copy()
    several = tracks.counts > 1
    if several.any():
        shortest[several] = np.nanmedian(gaps[several], axis=1)
    return np.geomspace(shortest, span, _N_LENGTHS, axis=1)


def _noise(tracks: Tracks, prior: Prior) -> Array:
    return np.asarray(prior.ratio[:, None] * tracks.weights + _NUGGET)


def _level_and_spread(tracks: Tracks) -> tuple[Array, Array]:
    """(M, 1) mean and standard deviation of the observations; 0 and 1 where these are not known."""
    known = ~np.isnan(tracks.values)
    n = np.maximum(known.sum(1, keepdims=True), 1)
    level = np.where(known, tracks.values, 0.0).sum(1, keepdims=True) / n
    square = np.where(known, (tracks.values - level) ** 2, 0.0).sum(1, keepdims=True) / n
    return level, np.where(square > 0, np.sqrt(square), 1.0)


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
    """A filter's way through n times, time by time.

    Attributes:
        steps: (n, M) time since the one before, in units of 1 / rate.
        mean: (n, M) before the observation.
        covariance: (n, 2, M) of the value with itself and with its slope, before the observation.
        error: (n, M) of the observation, 0 where there is none.
        share: (n, M) 1 / variance of the error, 0 where there is none.
    """

    steps: Array
    mean: Array
    covariance: Array
    error: Array
    share: Array


@dataclass(frozen=True)
class _Back:
    """Smoothed means and variances, and K^-1 y and the diagonal of K^-1 at observations; (M, n)."""

    mean: Array
    variance: Array
    pull: Array
    precision: Array


def _forward(times: Array, values: Array, noise: Array, prior: Prior) -> _Passed:
    """Filter values (M, n), NaN = not observed, with noise (M, n)."""
    known = ~np.isnan(values.T)
    values, noise = np.where(known, values.T, 0.0), noise.T
    steps = np.diff(times, prepend=times[:, :1], axis=1).T * prior.rate
    means, errors, shares = np.zeros(steps.shape), np.zeros(steps.shape), np.zeros(steps.shape)
    covariances = np.zeros((len(steps), 2, steps.shape[1]))
    x, v, q = np.zeros((3, steps.shape[1]))
    p, r = np.ones((2, steps.shape[1]))
    for k in range(len(steps)):
        x, v, p, q, r = _moved(steps[k], x, v, p, q, r)
        means[k], covariances[k] = x, (p, q)
        error, share = np.where(known[k], values[k] - x, 0.0), known[k] / (p + noise[k])
        errors[k], shares[k] = error, share
        x, v = x + p * share * error, v + q * share * error
        p, q, r = p - p**2 * share, q - p * q * share, r - q**2 * share
    return _Passed(steps, means, covariances, errors, shares)


def _backward(passed: _Passed) -> _Back:
    """Adjoints of the means and of the variances, from the last time to the first."""
    shape = passed.steps.shape
    means, variances, pulls, precisions = (np.zeros(shape) for _ in range(4))
    (f, g), (s, t, u) = np.zeros((2, shape[1])), np.zeros((3, shape[1]))
    for k in reversed(range(shape[0])):
        (p, q), share, error = passed.covariance[k], passed.share[k], passed.error[k]
        first, second = p * share, q * share
        pulls[k] = error * share - first * f - second * g
        precisions[k] = share + first**2 * s + 2 * first * second * t + second**2 * u
        left, across = 1 - first, -second
        f = left * f + across * g + error * share
        s, t = left**2 * s + 2 * left * across * t + across**2 * u + share, left * t + across * u
        means[k] = passed.mean[k] + p * f + q * g
        variances[k] = p - (p**2 * s + 2 * p * q * t + q**2 * u)
        a, b, c, d = _transition(passed.steps[k])
        f, g = a * f + c * g, b * f + d * g
        s, t, u = (
            a**2 * s + 2 * a * c * t + c**2 * u,
            a * b * s + (a * d + b * c) * t + c * d * u,
            b**2 * s + 2 * b * d * t + d**2 * u,
        )
    return _Back(means.T, variances.T, pulls.T, precisions.T)
