"""Summaries of whole series: counts, levels, spreads, slopes, extremes and coarse shapes."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries

_BINS = 4
_QUANTILES = (0.25, 0.5, 0.75)
_CHUNK = 2**22


def summaries(series: IrregularSeries) -> Array:
    """Features (B, F) of series; NaN where a channel says nothing.

    Per channel: number of observations, mean, standard deviation, quartiles, extremes and the
    shares of the span at which they lie, first and last value, least-squares slope, typical
    change between neighbours, means over quarters of the span. Then the correlations of the
    channels, the span, and the statics.
    """
    longest = max(1, series.shape[1] * series.shape[2])
    rows = np.array_split(np.arange(len(series)), -(-len(series) * longest // _CHUNK))
    return np.concatenate([_part(series[index]) for index in rows if len(index)])


def _part(series: IrregularSeries) -> Array:
    values, mask = series.values, series.mask
    first, last = series.first_times, series.last_times
    span = last - first
    share = (series.times - first[:, None]) / np.where(span > 0, span, 1.0)[:, None]
    clock = np.broadcast_to(share[:, :, None], values.shape)
    count = mask.sum(1)
    few = np.maximum(count, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(mask, values, 0.0).sum(1) / np.where(count > 0, few, np.nan)
        off = np.where(mask, values - mean[:, None], 0.0)
        std = np.sqrt((off**2).sum(1) / few)
        middle = np.where(mask, clock, 0.0).sum(1) / few
        lever = np.where(mask, clock - middle[:, None], 0.0)
        slope = (lever * off).sum(1) / np.where((lever**2).sum(1) > 0, (lever**2).sum(1), np.nan)
        blocks = [
            count.astype(float),
            mean,
            std,
            slope,
            *_quantiles(values, count),
            *_extremes(values, mask, clock),
            *_ends(values, mask),
            _roughness(values, mask),
        ]
        for k in range(_BINS):
            inside = mask & (clock >= k / _BINS) & ((clock < (k + 1) / _BINS) | (k == _BINS - 1))
            inner = inside.sum(1)
            blocks.append(np.where(inside, values, 0.0).sum(1) / np.where(inner > 0, inner, np.nan))
        blocks += [_correlations(off, mask), span[:, None]]
    if series.statics is not None:
        blocks.append(series.statics)
    return np.concatenate(blocks, axis=1)


def _quantiles(values: Array, count: Array) -> list[Array]:
    """(B, C) each: quartiles of the known values."""
    ordered = np.sort(values, axis=1)  # NaN stand last
    last = np.maximum(count - 1, 0)
    quantiles = []
    for q in _QUANTILES:
        place = q * last
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, last)
        left, right = (np.take_along_axis(ordered, k[:, None], 1)[:, 0] for k in (low, high))
        quantiles.append(left + (place - low) * (right - left))
    return quantiles


def _extremes(values: Array, mask: Array, clock: Array) -> list[Array]:
    """(B, C) each: smallest and largest value and the shares of the span at which they lie."""
    blocks = []
    known = mask.any(1)
    for sign in (1.0, -1.0):
        place = np.where(mask, sign * values, np.inf).argmin(1)[:, None]
        value = np.take_along_axis(values, place, 1)[:, 0]
        at = np.take_along_axis(clock, place, 1)[:, 0]
        blocks += [value, np.where(known, at, np.nan)]
    return blocks


def _ends(values: Array, mask: Array) -> list[Array]:
    """(B, C) each: first and last known value."""
    n = values.shape[1]
    first = mask.argmax(1)[:, None]
    last = (n - 1 - mask[:, ::-1].argmax(1))[:, None]
    return [np.take_along_axis(values, place, 1)[:, 0] for place in (first, last)]


def _roughness(values: Array, mask: Array) -> Array:
    """(B, C) mean absolute change between neighbouring times at which both are known."""
    both = mask[:, 1:] & mask[:, :-1]
    changes = np.where(both, np.abs(np.diff(values, axis=1)), 0.0).sum(1)
    n = both.sum(1)
    return np.asarray(changes / np.where(n > 0, n, np.nan))


def _correlations(off: Array, mask: Array) -> Array:
    """(B, C (C - 1) / 2) correlations of channels over the times at which both are known."""
    left, right = np.triu_indices(off.shape[2], 1)
    if len(left) > 200:  # more pairs than can be learned from
        left, right = left[:200], right[:200]
    both = mask[:, :, left] & mask[:, :, right]
    x, y = np.where(both, off[:, :, left], 0.0), np.where(both, off[:, :, right], 0.0)
    size = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    return np.asarray((x * y).sum(1) / np.where((both.sum(1) > 2) & (size > 0), size, np.nan))
