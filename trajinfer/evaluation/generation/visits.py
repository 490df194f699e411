"""Series with visits of their own as paths on one grid, so that any two samples compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries

_FEWEST, _MOST = 6, 48


def share_a_grid(series: Sequence[IrregularSeries]) -> bool:
    """Whether all series of all samples are complete on the same times."""
    first = series[0]
    if any(part.shape[1] != first.shape[1] for part in series):
        return False
    if not all(part.mask.all() and (part.lengths == part.shape[1]).all() for part in series):
        return False
    span = float(np.ptp(first.times[0])) or 1.0
    return all(np.allclose(part.times, first.times[0], rtol=0, atol=1e-6 * span) for part in series)


def as_paths_of_visits(series: Sequence[IrregularSeries]) -> list[Array]:
    """Samples of irregular series as paths (n, K, C + V) that show values and visits.

    Every channel is interpolated linearly at K even places of the span of its series; channels that
    say when and how often there were visits are added, as far as they vary: the time at the place,
    the number of visits, and the share of missing values of every channel. A channel that was never
    observed in a series is filled with its mean. All samples are treated alike, so what is
    exchangeable before is so after.
    """
    places = int(np.clip(np.median(np.concatenate([s.lengths for s in series])), _FEWEST, _MOST))
    mean = np.nanmean(np.concatenate([part.flat_values for part in series]), axis=0)
    paths = [np.stack([_path(part, i, places, mean) for i in range(len(part))]) for part in series]
    n_channels = len(series[0].channels)
    whole = np.concatenate(paths)
    varies = np.ptp(whole, axis=(0, 1)) > 0
    varies[:n_channels] = True
    return [part[:, :, varies] for part in paths]


def _path(series: IrregularSeries, i: int, places: int, mean: Array) -> Array:
    length = int(series.lengths[i])
    times, values = series.times[i, :length], series.values[i, :length]
    at = np.linspace(times[0], times[-1], places)
    columns = []
    for c in range(values.shape[1]):
        there = ~np.isnan(values[:, c])
        known = values[there, c]
        columns.append(
            np.interp(at, times[there], known) if len(known) else np.full(places, mean[c])
        )
    missing = np.isnan(values).mean(axis=0)
    constants = np.broadcast_to(
        np.concatenate([[float(length)], missing]), (places, 1 + len(missing))
    )
    return np.concatenate([np.stack(columns, axis=1), at[:, None], constants], axis=1)
