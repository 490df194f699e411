"""Values that real series do not take: off the grid, beyond bounds, far outside the range."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.evaluation.generation.decimals import decimal_properties
from trajinfer.evaluation.generation.exchangeable import fewest_alone
from trajinfer.evaluation.generation.figure import Figure, around
from trajinfer.evaluation.generation.samples import Samples

_ALPHA = 0.003
_TAIL = 0.05
_FEWEST_TAIL = 20
_MOST_LEVELS = 50
_REPEATS = 4
_FARTHEST = 3.0


def support_figures(samples: Samples) -> Iterator[Figure]:
    """Shares of generated series with impossible values, and the farthest value.

    A property that all real series have (no value below zero, whole numbers, so many decimals and
    no more, or more than so many, a few levels only, a channel that never changes) is one of the
    law where so many generated series lack it that they would not all be generated ones by chance.
    """
    real = [*samples.rows[0], *samples.rows[1]]
    fake = samples.rows[2]
    n_channels = len(samples.scale)
    count, worst = 0, ("", 0.0)
    least = fewest_alone(len(fake), len(real), _ALPHA / (6 * n_channels))
    for c in range(n_channels):
        columns = [_known(rows, c) for rows in real]
        generated = [_known(rows, c) for rows in fake]
        for lacks in chain(_properties(columns), decimal_properties(columns)):
            lacking = sum(bool(lacks(values)) for values in generated)
            if lacking > count:
                count, worst = lacking, (str(c), lacking / len(fake))
    share = worst[1]
    error = float(np.sqrt(max(share * (1 - share), 1 / len(fake)) / len(fake)))
    yield Figure(
        "impossible_values",
        share,
        *around(share, error),
        0.0,
        (least - 0.5) / len(fake),
        "support",
    )
    beyond = [
        _farthest([_known(rows, c) for rows in real], [_known(rows, c) for rows in fake])
        for c in range(n_channels)
    ]
    value, limit = max(beyond, key=lambda pair: pair[0] / pair[1])
    yield Figure("farthest_value", value, value, value, 1.0, limit, "support")


def _known(rows: Array, channel: int) -> Array:
    column = rows[:, channel]
    return np.asarray(column[~np.isnan(column)])


def _properties(columns: list[Array]) -> Iterator[Callable[[Array], bool]]:
    """Tests of a series for what no real series shows."""
    values = np.concatenate(columns)
    if not len(values):
        return
    low, high = values.min(), values.max()
    if low >= 0:
        yield lambda x: bool((x < 0).any())
    yield lambda x: bool(((x < low) | (x > high)).any())
    if (values == np.round(values)).all():
        yield lambda x: bool((x != np.round(x)).any())
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) <= _MOST_LEVELS and np.median(counts) >= _REPEATS:
        yield lambda x: not np.isin(x, levels).all()
    if all(len(x) == 0 or np.ptp(x) == 0 for x in columns):
        yield lambda x: len(x) > 0 and bool(np.ptp(x) > 0)


def _farthest(real: list[Array], fake: list[Array]) -> tuple[float, float]:
    """Largest distance from the median over the real one, and what the tail of these allows.

    The tail is that of a power, by Hill's estimate from the largest values of the series.
    """
    values = np.concatenate(real)
    centre = float(np.median(values)) if len(values) else 0.0
    largest = np.array([np.abs(x - centre).max(initial=0.0) for x in real])
    drawn = max((float(np.abs(x - centre).max(initial=0.0)) for x in fake), default=0.0)
    top = float(largest.max())
    if top <= 0:
        return 1.0 + drawn, 2.0
    ordered = np.sort(largest)[::-1]
    k = min(max(int(_TAIL * len(ordered)), _FEWEST_TAIL), len(ordered) - 1)
    index = float(np.log(ordered[:k] / max(ordered[k], 1e-300)).mean()) if k else 0.0
    chance = _ALPHA / 2 * len(largest) / len(fake)
    allowed = max(chance, 1e-12) ** -max(index * (1 + 2 / np.sqrt(max(k, 1))), 0.0)
    return drawn / top, max(allowed, _FARTHEST)
