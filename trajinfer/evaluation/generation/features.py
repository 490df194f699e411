"""What a classifier is shown of a path: levels, increments and summaries."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from trajinfer._core.checks import Array

_MOST_LEVELS = 40
_MOST_INCREMENTS = 300
_LOCAL = 5
_RESOLVED = 0.01
_RESOLUTION = 1e-9


def path_features(paths: Array) -> Array:
    """Table (n, F) of levels, increments and summaries of paths (n, T, C).

    Long series are thinned: at most 40 times of the levels and 300 increments over all channels
    are shown; summaries always see every time. Levels, increments and means are shown to a
    billionth of the spread of their channel: what lies below is rounding of floats, which tells
    how a path was computed and nothing of its law.
    """
    steps = np.diff(paths, axis=1)
    n, n_times, dim = paths.shape
    unit = _RESOLUTION * np.nanstd(paths, axis=(0, 1))
    paths, steps = _to_unit(paths, unit), _to_unit(steps, unit)
    levels = paths[:, evenly_thinned(n_times, _MOST_LEVELS)]
    increments = steps[:, evenly_thinned(n_times - 1, max(2, _MOST_INCREMENTS // dim))]
    mean, *summaries = _summaries(paths, steps)
    parts = [levels.reshape(n, -1), increments.reshape(n, -1), _to_unit(mean, unit), *summaries]
    return np.concatenate(parts, axis=1)


def evenly_thinned(n: int, most: int) -> Array:
    """Indices of at most `most` of n times, ends included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def _to_unit(values: Array, unit: Array) -> Array:
    """Values (..., C) moved to the nearest multiple of a unit per channel; as they are where 0."""
    size = np.where(unit > 0, unit, 1.0)
    return np.where(unit > 0, np.round(values / size) * size, values)


def _summaries(paths: Array, steps: Array) -> list[Array]:
    """Level, spread, roughness, memory and pull of every channel, (n, C) each."""
    size = np.abs(steps)
    power = (steps**2).sum(axis=1)
    centred = paths[:, :-1] - paths[:, :-1].mean(axis=1, keepdims=True)
    dim = paths.shape[2]
    upper = np.triu_indices(dim, 1)
    products = (steps[:, :, upper[0]] * steps[:, :, upper[1]]).sum(axis=1)
    return [
        paths.mean(axis=1),
        paths.std(axis=1),
        paths.min(axis=1),
        paths.max(axis=1),
        power,
        _local_noise(steps, power),
        size.mean(axis=1),
        size.max(axis=1),
        (steps[:, 1:] * steps[:, :-1]).sum(axis=1),
        (size[:, 1:] * size[:, :-1]).sum(axis=1),
        (centred * steps).sum(axis=1),
        (steps == 0).mean(axis=1),
        products,
    ]


def _local_noise(steps: Array, power: Array) -> Array:
    """Power of the increments less their local mean: the noise alone, where drift is far larger.

    A channel of which it is not a hundredth of the power counts as free of noise and gets 0: what
    remains of a smooth path is its curvature, small against everything that a path shows.
    """
    noise = steps - uniform_filter1d(steps, _LOCAL, axis=1, mode="nearest")
    found = (noise**2).sum(axis=1)
    share = np.median(found / np.where(power > 0, power, 1.0), axis=0)
    return np.asarray(np.where(share < _RESOLVED, 0.0, found))
