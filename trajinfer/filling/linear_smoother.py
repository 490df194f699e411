"""Smoothing under a linear Langevin prior, which is a Gaussian process with a Matern kernel.

Its paths have a slope, or are as rough as Brownian motion, as the data say. The prior has a state
of two numbers, so that filters do all the work: cost follows the number of observations. M tracks
(a channel of a series each) are filtered side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.filling.linear_prior import NUGGET, Prior, PriorFamily, fit_prior, moved, transition
from trajinfer.filling.tracks import Tracks

_FEWEST = 3
_LEAST = 1e-12


@dataclass(frozen=True)
class Smoothed:
    """The law of M channels at some times, given observations.

    Attributes:
        mean: (M, Q).
        std: (M, Q) standard deviation of a new observation, its noise included.
    """

    mean: Array
    std: Array


def smooth(tracks: Tracks, queries: Array, family: PriorFamily) -> Smoothed:
    r"""Posterior at `queries` under the `Prior` of largest likelihood of each track.

    The stationary solution of the linear Langevin equation has the covariance
    $s^2 (1 + \lambda r) e^{-\lambda r}$, the rough one $s^2 e^{-\lambda r}$. Observations have
    noise of variance $s^2 \rho w_i$. The smoothness, the length and the ratio $\rho$ are those of
    largest marginal likelihood on a grid from the smallest gap to twice the span; $s^2$ and the
    mean, whose uncertainty enters the law, are in closed form. A track of fewer than three
    observations has their mean and spread, unless others of its channel are known.

    Args:
        tracks: M channels.
        queries: (M, Q).
        family: of the priors.

    References:
        Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, 2.7, 4.2, 5.4.
        Bierman, Fixed interval smoothing with discrete measurements, Int. J. Control 18, 1973.
    """
    prior = fit_prior(tracks, family)
    n = tracks.times.shape[1]
    clock = np.concatenate([tracks.times, queries], axis=1)
    order = np.argsort(clock, axis=1, kind="stable")
    values = np.concatenate([tracks.values, np.full(queries.shape, np.nan)], axis=1)
    noise = np.concatenate([_noise(tracks, prior), np.ones(queries.shape)], axis=1)
    clock, values, noise = (np.take_along_axis(a, order, axis=1) for a in (clock, values, noise))
    back, ones = _both(clock, values, noise, prior)
    asked = np.argsort(order, axis=1)[:, n:]
    mean = prior.center[:, None] + np.take_along_axis(back.mean, asked, axis=1)
    variance = np.maximum(np.take_along_axis(back.variance, asked, axis=1), 0.0)
    unexplained = (1 - np.take_along_axis(ones.mean, asked, axis=1)) ** 2
    certainty = np.maximum(np.nansum(ones.pull, axis=1) + prior.certainty, _LEAST)
    doubt = unexplained / certainty[:, None]
    std = np.sqrt(prior.scale[:, None] * (variance + prior.ratio[:, None] + doubt))
    few = (tracks.counts < _FEWEST)[:, None] & (family.pool is None)
    level, spread = _level_and_spread(tracks)
    return Smoothed(np.where(few, level, mean), np.where(few, spread, std))


def left_out(tracks: Tracks, family: PriorFamily) -> Smoothed:
    """The law (M, n) of every observation given all others of its track, under the prior of all.

    References:
        De Jong, A cross-validation filter for time series models, Biometrika 75, 1988.
    """
    prior = fit_prior(tracks, family)
    back, ones = _both(tracks.times, tracks.values, _noise(tracks, prior), prior)
    # the mean is estimated from the others as well
    total = (ones.pull.sum(1) + prior.certainty)[:, None]
    precision = back.precision - ones.pull**2 / np.where(total > 0, total, 1.0)
    precision = np.where(precision > _LEAST, precision, 1.0)
    mean, std = tracks.values - back.pull / precision, np.sqrt(prior.scale[:, None] / precision)
    counts = tracks.counts[:, None]
    total_value = np.nansum(tracks.values, axis=1, keepdims=True)
    others = total_value - tracks.values  # of two observations the other one, of one nothing
    few = (counts < _FEWEST) & (family.pool is None)
    return Smoothed(np.where(few, others, mean), np.where(few, _level_and_spread(tracks)[1], std))


def _noise(tracks: Tracks, prior: Prior) -> Array:
    return np.asarray(prior.ratio[:, None] * tracks.weights + NUGGET)


def _level_and_spread(tracks: Tracks) -> tuple[Array, Array]:
    """(M, 1) mean and standard deviation of the observations; 0 and 1 where these are not known."""
    known = ~np.isnan(tracks.values)
    n = np.maximum(known.sum(1, keepdims=True), 1)
    level = np.where(known, tracks.values, 0.0).sum(1, keepdims=True) / n
    square = np.where(known, (tracks.values - level) ** 2, 0.0).sum(1, keepdims=True) / n
    return level, np.where(square > 0, np.sqrt(square), 1.0)


def _both(times: Array, values: Array, noise: Array, prior: Prior) -> tuple[_Back, _Back]:
    """What smoothing makes of the values around their mean, and of ones in their place.

    They go side by side, since what a step costs hardly depends on how many take it.
    """
    ones = np.where(np.isnan(values), np.nan, 1.0)
    observed = np.concatenate([values - prior.center[:, None], ones])
    rate, smoothness = np.tile(prior.rate, 2), np.tile(prior.smoothness, 2)
    passed = _forward(np.tile(times, (2, 1)), observed, np.tile(noise, (2, 1)), rate, smoothness)
    return _backward(passed, smoothness).halves()


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

    def halves(self) -> tuple[_Back, _Back]:
        """The first and the second half of the tracks."""
        parts = [np.split(getattr(self, field.name), 2) for field in fields(self)]
        first, second = zip(*parts, strict=True)
        return _Back(*first), _Back(*second)


def _forward(times: Array, values: Array, noise: Array, rate: Array, smoothness: Array) -> _Passed:
    """Filter values (M, n), NaN = not observed, with noise (M, n) under M priors."""
    known = ~np.isnan(values.T)
    values, noise = np.where(known, values.T, 0.0), noise.T
    steps = np.diff(times, prepend=times[:, :1], axis=1).T * rate
    means, errors, shares = np.zeros(steps.shape), np.zeros(steps.shape), np.zeros(steps.shape)
    covariances = np.zeros((len(steps), 2, steps.shape[1]))
    x, v, q = np.zeros((3, steps.shape[1]))
    p, r = np.ones((2, steps.shape[1]))
    for k in range(len(steps)):
        x, v, p, q, r = moved(steps[k], smoothness, x, v, p, q, r)
        means[k], covariances[k] = x, (p, q)
        error, share = np.where(known[k], values[k] - x, 0.0), known[k] / (p + noise[k])
        errors[k], shares[k] = error, share
        x, v = x + p * share * error, v + q * share * error
        p, q, r = p - p**2 * share, q - p * q * share, r - q**2 * share
    return _Passed(steps, means, covariances, errors, shares)


def _backward(passed: _Passed, smoothness: Array) -> _Back:
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
        a, b, c, d = transition(passed.steps[k], smoothness)
        f, g = a * f + c * g, b * f + d * g
        s, t, u = (
            a**2 * s + 2 * a * c * t + c**2 * u,
            a * b * s + (a * d + b * c) * t + c * d * u,
            b**2 * s + 2 * b * d * t + d**2 * u,
        )
    return _Back(means.T, variances.T, pulls.T, precisions.T)
