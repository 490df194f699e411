"""Whatever is wrong with arrays: a container, or an error of ours that says what to do."""

import warnings
from functools import partial

import numpy as np
import pytest

from tests.reliability import array_mistakes
from tests.reliability.outcomes import Outcomes
from trajinfer import IrregularSeries, JumpSeries, Snapshots, Trajectories
from trajinfer.data import as_series

DOORS = {
    "series": (array_mistakes.series_arguments, IrregularSeries.from_arrays),
    "ragged series": (array_mistakes.ragged_arguments, IrregularSeries.from_arrays),
    "values alone": (array_mistakes.value_arguments, as_series),
    "points": (array_mistakes.point_arguments, Snapshots.from_arrays),
    "clouds": (array_mistakes.cloud_arguments, Snapshots),
    "paths": (array_mistakes.path_arguments, Trajectories),
    "states": (array_mistakes.state_arguments, JumpSeries.from_arrays),
    "labels": (array_mistakes.label_arguments, JumpSeries.from_arrays),
}


def _check(door, n, seed):
    right, read = DOORS[door]
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read(**right(rng))  # nothing is wrong yet
    outcomes = Outcomes()
    while outcomes.tried < n:
        given, done = right(rng), []
        try:
            for _ in range(rng.integers(1, 3)):
                given, what = array_mistakes.change(given, rng)
                done.append(what)
        except Exception:  # noqa: BLE001  the mistake cannot be made with these
            continue
        outcomes.read(partial(read, **given), done)
    outcomes.check(n)


@pytest.mark.parametrize("door", DOORS)
def test_arrays_are_read_or_refused(door):
    _check(door, 60, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_five_hundred_arrays_at_every_door(door):
    _check(door, 500, seed=1)
