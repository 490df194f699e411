r"""Intervals of weighted values that hold as many new ones as they say, of few values too.

Value k of n stands at the probability $k / (n + 1)$, below which a new one falls (Weibull). With
weights w that sum to 1, $W_k$ in all up to the middle of $w_k$ and the effective number
$n = 1 / \sum w^2$ (Kish), it stands at

$$p_k = \frac{n W_k + 1/2}{n + 1},$$

which is the same for equal weights. Between the values, probabilities are interpolated. Unequal
weights leave fewer values in effect than there are, and the law they stand for may lie where few
values are: a probability beyond the last of them is that of a normal law with their moments,

$$m + t_{n - 1}(p)\, s \sqrt{1 + 1 / n},$$

where Student's t has as many degrees of freedom as values are in effect, less one. Values of one
sign keep it.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from trajinfer._core.checks import Array

_EQUAL = 1e-9  # of weights, up to rounding
_LEAST = 0.5  # degrees of freedom, where one value has nearly all the weight


def weighted_quantiles(values: Array, weights: Array, levels: Array) -> Array:
    """Quantiles (Q, T, D) below which a new value falls with the probabilities (Q,).

    Args:
        values: (B, T, D).
        weights: (B,) or (B, T), with sum 1 over B; values of weight 0 take no part.
        levels: (Q,).
    """
    weights = weights.reshape(*weights.shape, *[1] * (values.ndim - weights.ndim))
    absent = np.broadcast_to(weights == 0, values.shape)
    order = np.argsort(np.where(absent, np.inf, values), axis=0)  # the absent ones come last
    ordered = np.take_along_axis(values, order, axis=0)
    own = np.take_along_axis(np.broadcast_to(weights, values.shape), order, axis=0)
    n = 1 / (weights**2).sum(axis=0)
    place = (n * (np.cumsum(own, axis=0) - own / 2) + 0.5) / (n + 1)
    place = np.where(own > 0, place, np.inf)
    last = (own > 0).sum(axis=0) - 1
    inside = np.stack([_at(ordered, place, last, level) for level in levels])
    thinned = n < (own > 0).sum(axis=0) * (1 - _EQUAL)
    ends = np.take_along_axis(place, last[None], axis=0)[0]
    far = _beyond(values, weights, n, levels)
    lowest, highest = np.minimum(inside, far), np.maximum(inside, far)
    p = levels.reshape(-1, *[1] * last.ndim)
    low, high = thinned & (p < place[0]), thinned & (p > ends)
    return np.where(low, lowest, np.where(high, highest, inside))


def _beyond(values: Array, weights: Array, n: Array, levels: Array) -> Array:
    """Quantiles (Q, T, D) of a new value of a normal law with the moments of weighted values."""
    mean = (weights * values).sum(axis=0)
    variance = (weights * (values - mean) ** 2).sum(axis=0) * (n + 1) / np.maximum(n - 1, _LEAST)
    far = student.ppf(levels.reshape(-1, *[1] * n.ndim), np.maximum(n - 1, _LEAST))
    found = mean + far * np.sqrt(variance)
    positive, negative = (values >= 0).all(axis=0), (values <= 0).all(axis=0)
    found = np.where(positive, np.maximum(found, 0.0), found)
    return np.asarray(np.where(negative, np.minimum(found, 0.0), found))


def _at(ordered: Array, place: Array, last: Array, level: float) -> Array:
    """Values (T, D) interpolated where their places (B, T, D) reach a level."""
    rank = (place < level).sum(axis=0)
    ends = [np.clip(rank + k, 0, last)[None] for k in (-1, 0)]
    low, high = (np.take_along_axis(ordered, end, axis=0)[0] for end in ends)
    before, after = (np.take_along_axis(place, end, axis=0)[0] for end in ends)
    step = np.where(after > before, after - before, 1.0)
    share = np.where(after > before, (level - before) / step, 0.0)
    return np.asarray(low + np.clip(share, 0.0, 1.0) * (high - low))
