"""Data of random shapes, gaps, scales and precisions, as no one chose them."""

from typing import NamedTuple

import numpy as np

from trajinfer.data import IrregularSeries, JumpSeries


class Draw(NamedTuple):
    """What a case is fed, and what the fit is asked for."""

    data: tuple
    times: np.ndarray  # two that may be asked for
    span: float


def _scale(rng, decades):
    return 10.0 ** rng.uniform(-decades, decades)


def _times(rng, n):
    """Rising times: even, uneven or in bursts, of any unit and origin."""
    steps = [np.ones(n), rng.exponential(size=n) + 0.05, 10.0 ** rng.uniform(-2, 1, n)]
    times = steps[rng.integers(3)].cumsum() * _scale(rng, 3)
    return times + (rng.normal() * 10 * times[-1] if rng.random() < 0.3 else 0.0)


def _values(rng, shape):
    """Walks, noise, levels or counts, with a scale and an origin per channel."""
    kind = rng.integers(5)
    noise = rng.normal(size=shape)
    if kind == 0:
        noise = noise.cumsum(axis=-2)
    elif kind == 1:
        noise = np.round(3 * noise)
    elif kind == 2:
        noise = (noise > 0).astype(float)
    elif kind == 3:
        noise = np.exp(noise)
    scale = np.array([_scale(rng, 4) for _ in range(shape[-1])])
    offset = scale * rng.normal(size=shape[-1]) * (10 if rng.random() < 0.5 else 0)
    return noise if kind == 2 else scale * noise + offset


def _holes(rng, values):
    """The same with a share of the cells missing, now and then a whole channel of a series."""
    share = rng.choice([0.0, 0.0, 0.2, 0.6])
    holes = rng.random(values.shape) < share
    if share and rng.random() < 0.2:
        holes[0, :, 0] = True
    return np.where(holes, np.nan, values)


def series(rng, dtype):
    """Few or many series, short or long, of one to four channels; shared times or their own."""
    shape = (int(rng.choice([1, 2, 5, 12, 22, 40])), rng.integers(1, 14), rng.integers(1, 5))
    values = _holes(rng, _values(rng, shape)).astype(dtype)
    if rng.random() < 0.5:
        times = _times(rng, shape[1])
    else:
        unit = _scale(rng, 2)
        times = np.sort(rng.random((shape[0], shape[1])) + np.arange(shape[1]), axis=1) * unit
    made = IrregularSeries.from_arrays(times, values)
    span = float(np.ptp(made.flat_times)) or 1.0
    return Draw((made,), made.flat_times.max() + span * np.array([0.1, 0.2]), span)


def labelled(rng, dtype):
    """The same with two or three classes, of which one may be rare."""
    drawn = series(rng, dtype)
    n = len(drawn.data[0])
    labels = np.where(rng.random(n) < rng.uniform(0.1, 0.9), 1, 0)
    labels = np.where(rng.random(n) < 0.2, 2, labels)
    return drawn._replace(data=(drawn.data[0], labels))


def rated(rng, dtype):
    """The same with a number each."""
    drawn = series(rng, dtype)
    numbers = rng.normal(size=len(drawn.data[0])) * _scale(rng, 4)
    return drawn._replace(data=(drawn.data[0], numbers))


def snapshots(rng, dtype):
    """Clouds at two to five times, each of its own size, in one to four coordinates."""
    times = _times(rng, rng.integers(2, 6))
    sizes = rng.integers(1, 30, len(times))
    points = _values(rng, (1, int(sizes.sum()), rng.integers(1, 5)))[0].astype(dtype)
    asked = np.array([times[0], times[-1]])
    return Draw((points, np.repeat(times, sizes)), asked, float(np.ptp(times)))


def points(rng, dtype):
    """A cloud of few or many points."""
    shape = (1, int(rng.choice([5, 20, 60, 150])), rng.integers(1, 6))
    return Draw((_values(rng, shape)[0].astype(dtype),), np.zeros(2), 1.0)


def paths(rng, dtype):
    """Paths of two to four states, of one to fifteen observations each."""
    n, length, states = rng.integers(1, 40), rng.integers(1, 16), rng.integers(2, 5)
    times = _times(rng, length)
    labels = rng.integers(0, states, (n, length))
    if rng.random() < 0.5:  # states that stay
        labels = np.minimum.accumulate(labels[:, ::-1], axis=1)[:, ::-1]
    return Draw((JumpSeries.from_arrays(times, labels),), times[[0, -1]], float(np.ptp(times)))
