"""Linear Langevin priors by marginal likelihood, of a channel alone or with those of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.filling.tracks import Tracks

_RATIOS = (1e-4, 1e-2, 5e-2, 0.2, 0.6, 2.0, 10.0)
_N_LENGTHS = 12
_PSEUDO = 10.0
_LEAST = 1e-12
NUGGET = 1e-9


@dataclass(frozen=True)
class Prior:
    r"""$x'' = -2\lambda x' - \lambda^2 x + \text{noise}$ around a mean, observed with noise.

    A rough prior is $x' = -\lambda x + \text{noise}$, whose state has a second number without use.

    Attributes:
        smoothness: (M,) 1 where paths have a slope, 0 where they are rough.
        length: (M,) $\ell$, with $\lambda = \sqrt 3 / \ell$.
        ratio: (M,) variance of the noise of measurement over that of the signal.
        center: (M,) mean, given the observations.
        scale: (M,) variance of the signal.
        certainty: (M,) variance of the signal over that of the mean without observations; 0 where
            nothing is known of it, infinite where it is known.
    """

    smoothness: Array
    length: Array
    ratio: Array
    center: Array
    scale: Array
    certainty: Array

    @property
    def rate(self) -> Array:
        r"""$\lambda$."""
        return np.asarray(np.sqrt(3.0) / self.length)


@packable
@dataclass(frozen=True, eq=False)
class Pool:
    """What the tracks of a channel have in common, for C channels; G candidates for a prior.

    A track adds ten observations of typical likelihood to its own, and its mean is drawn towards
    the mean of all.

    Attributes:
        lengths: (C, 12) correlation times to try.
        log_det: (C, G) logarithm of the variance of an observation given those before, per
            observation.
        scale: (C, G) variances of the signal.
        center, spread: (C,) mean and variance of the means of the tracks.
    """

    lengths: Array
    log_det: Array
    scale: Array
    center: Array
    spread: Array


@packable
@dataclass(frozen=True, eq=False)
class PriorFamily:
    """Which priors a channel may have.

    Attributes:
        pool: of several series; None: every track speaks for itself.
        plain: as version 0.1 had them: paths have slopes, and the mean is taken as known.
    """

    pool: Pool | None = None
    plain: bool = False


def fit_prior(tracks: Tracks, family: PriorFamily) -> Prior:
    """The prior of largest marginal likelihood of each track, with a pool's pseudo-observations.

    All candidates are filtered together, the values beside a column of ones, which gives the mean.

    Args:
        tracks: M channels; those of a pool in the order of its channels, again and again.
        family: of the priors.
    """
    pool, n = family.pool, tracks.counts[:, None]
    if pool is None:
        grid = _Grid.of(_lengths(tracks), rough=not family.plain)
        found = _profile(tracks, grid)
        scale = np.maximum(found.squares / np.maximum(n, 1), _LEAST)
        fit = -0.5 * (n * np.log(scale) + found.log_det)
        pull = np.zeros(len(n))
        outer = np.zeros(len(n))
    else:
        repeats = len(n) // len(pool.center)
        lengths, log_det, typical, outer, spread = (
            np.concatenate([part] * repeats)
            for part in (pool.lengths, pool.log_det, pool.scale, pool.center, pool.spread)
        )
        grid = _Grid.of(lengths, rough=True)
        found = _profile(tracks, grid)
        scale = (found.squares + _PSEUDO * typical) / (n + _PSEUDO)
        fit = -0.5 * ((n + _PSEUDO) * np.log(scale) + found.log_det + _PSEUDO * log_det)
    best = np.argmax(fit, axis=1)[:, None]
    names = (grid.smoothness, grid.length, grid.ratio, scale, found.ones, found.product)
    smoothness, length, ratio, size, ones, product = (
        np.take_along_axis(part, best, 1)[:, 0] for part in names
    )
    if pool is not None:
        pull = size / np.maximum(spread, _LEAST)
    # without observations and without others nothing is known of the mean: 0
    center = (product + pull * outer) / np.maximum(ones + pull, _LEAST)
    return Prior(
        smoothness,
        length,
        ratio,
        center,
        size,
        np.full_like(pull, np.inf) if family.plain else pull,
    )


def pool_of(parts: list[Tracks], n_channels: int) -> Pool:
    """What tracks have in common.

    Args:
        parts: tracks of all channels of a series after those of another, in groups.
        n_channels: C.
    """
    pools = []
    for c in range(n_channels):
        own = [part.channel(c, n_channels) for part in parts]
        gaps = np.concatenate([part.gaps() for part in own])
        spans = np.concatenate([part.times[:, -1] - part.times[:, 0] for part in own])
        longest = 2 * float(spans.max()) or 1.0
        shortest = float(np.median(gaps)) if len(gaps) else longest
        lengths = np.geomspace(shortest, longest, _N_LENGTHS)
        found = [
            _profile(one, _Grid.of(np.tile(lengths, (len(one.times), 1)), rough=True))
            for one in own
        ]
        counts = np.concatenate([one.counts for one in own])
        squares, log_det, ones, product = (
            np.concatenate([getattr(one, name) for one in found])
            for name in ("squares", "log_det", "ones", "product")
        )
        # a mean of its own takes one observation from each track; one more, of the variance of all,
        # tells the scale where no track has two
        n, free = max(counts.sum(), 1), np.maximum(counts - 1, 0).sum() + 1
        scale = np.maximum((squares.sum(0) + _variance(own)) / free, _LEAST)
        each = log_det.sum(0) / n
        best = int(np.argmin(free * np.log(scale) + log_det.sum(0) + np.log1p(ones).sum(0)))
        pools.append((lengths, each, scale, *_means(ones[:, best], product[:, best], scale[best])))
    return Pool(*(np.stack(part) for part in zip(*pools)))


def _variance(tracks: list[Tracks]) -> float:
    """Variance of the observations of all tracks; 1 where there are fewer than two."""
    values = np.concatenate([one.values[~np.isnan(one.values)] for one in tracks])
    return float(values.var(ddof=1)) if len(values) > 1 else 1.0


def _means(ones: Array, product: Array, scale: float) -> tuple[float, float]:
    """Mean and variance of the means of tracks, by the method of moments.

    References:
        DerSimonian and Laird, Meta-analysis in clinical trials, 1986.
    """
    known = ones > 0
    if not known.any():
        return 0.0, 1.0
    precision, mean = ones[known] / scale, product[known] / ones[known]
    center = float(np.average(mean, weights=precision))
    excess = float((precision * (mean - center) ** 2).sum()) - (known.sum() - 1)
    room = float(precision.sum() - (precision**2).sum() / precision.sum())
    spread = max(excess / room, 0.0) if room > 0 else 1.0
    precision = 1 / (1 / precision + spread)
    return float(np.average(mean, weights=precision)), spread


@dataclass(frozen=True)
class _Grid:
    """(M, G) smoothness, lengths and ratios of noise to signal that are tried."""

    smoothness: Array
    length: Array
    ratio: Array

    @classmethod
    def of(cls, lengths: Array, *, rough: bool) -> _Grid:
        """All combinations with lengths (M, 12)."""
        smoothness = (1.0, 0.0) if rough else (1.0,)
        length = np.tile(np.repeat(lengths, len(_RATIOS), axis=1), len(smoothness))
        kinds = np.repeat(smoothness, length.shape[1] // len(smoothness))
        ratio = np.tile(_RATIOS, (len(length), len(smoothness) * _N_LENGTHS))
        return cls(np.broadcast_to(kinds, length.shape), length, ratio)


@dataclass(frozen=True)
class _Profile:
    """Figures (M, G) of observations x with covariance K, in units of the signal's variance.

    Attributes:
        ones: 1' K^-1 1.
        product: 1' K^-1 x.
        squares: x' K^-1 x around the mean.
        log_det: log det K.
    """

    ones: Array
    product: Array
    squares: Array
    log_det: Array


def _profile(tracks: Tracks, grid: _Grid) -> _Profile:
    shape = grid.length.shape
    rate = np.sqrt(3.0) / grid.length
    first, second = np.zeros((2, *shape)), np.zeros((2, *shape))
    p, q, r = np.ones(shape), np.zeros(shape), np.ones(shape)
    products, log_det = np.zeros((3, *shape)), np.zeros(shape)
    for k in range(tracks.times.shape[1]):
        if k:
            gap = (tracks.times[:, k] - tracks.times[:, k - 1])[:, None]
            first, second, p, q, r = moved(gap * rate, grid.smoothness, first, second, p, q, r)
        value = tracks.values[:, [k]]
        known = ~np.isnan(value)
        size = p + grid.ratio * tracks.weights[:, [k]] + NUGGET
        share = known / size
        error = np.stack([np.ones_like(value), np.where(known, value, 0.0)]) - first
        products += np.stack([error[0] ** 2, error[0] * error[1], error[1] ** 2]) * share
        log_det += np.where(known, np.log(size), 0.0)
        first, second = first + p * share * error, second + q * share * error
        p, q, r = p - p**2 * share, q - p * q * share, r - q**2 * share
    ones, product, squares = products
    around = squares - product**2 / np.where(ones > 0, ones, 1.0)
    return _Profile(ones, product, np.maximum(around, 0.0), log_det)


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


def moved(
    u: Array, smoothness: Array, first: Array, second: Array, p: Array, q: Array, r: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Mean (x, x' / rate) and covariance [[p, q], [q, r]] after times u in units of 1 / rate.

    The variance of the signal is 1.
    """
    a, b, c, d = transition(u, smoothness)
    # the stationary covariance is the identity: what is lost of the deviation from it is noise
    p, r = p - 1.0, r - 1.0
    moved = (
        a * a * p + 2 * a * b * q + b * b * r + 1.0,
        a * c * p + (a * d + b * c) * q + b * d * r,
        c * c * p + 2 * c * d * q + d * d * r + 1.0,
    )
    return a * first + b * second, c * first + d * second, *moved


def transition(u: Array, smoothness: Array) -> tuple[Array, Array, Array, Array]:
    """Matrix (a, b, c, d) of the mean (x, x' / rate) over times u in units of 1 / rate."""
    decay, turned = np.exp(-u), smoothness * u
    return decay * (1 + turned), decay * turned, -decay * turned, decay * (1 - turned)
