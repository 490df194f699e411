"""Numbers that a database gives as Python objects are numbers at every door."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, IrregularSeries, JumpSeries, Snapshots, fractional

IDS = np.repeat(["a", "b", "c"], 4)
TIMES = np.tile([0.0, 1.0, 2.0, 3.5], 3)
VALUES = np.round(np.random.default_rng(0).normal(size=12), 3)
STATES = np.tile(["u", "v"], 6)


def decimals(values):
    return [Decimal(str(value)) for value in values]


def fractions(values):
    return [Fraction(str(value)) for value in values]


def table(**columns):
    return pd.DataFrame({"id": IDS, "t": TIMES, **columns})


DOORS = {
    "snapshots": lambda make: Snapshots.from_frame(table(x=make(VALUES))[["t", "x"]], time="t"),
    "weights": lambda make: Snapshots.from_frame(
        table(x=VALUES, w=make(np.abs(VALUES)))[["t", "x", "w"]], time="t", weight="w"
    ),
    "times": lambda make: Snapshots.from_frame(
        pd.DataFrame({"t": make(TIMES), "x": VALUES}), time="t"
    ),
    "channels": lambda make: IrregularSeries.from_frame(table(x=make(VALUES)), id="id", time="t"),
    "statics": lambda make: IrregularSeries.from_frame(
        table(x=VALUES, age=make(np.ones(12))), id="id", time="t", statics=["age"]
    ),
    "values of a long table": lambda make: IrregularSeries.from_frame(
        table(v=STATES, x=make(VALUES)), id="id", time="t", variable="v", value="x"
    ),
    "signals": lambda make: JumpSeries.from_frame(
        table(x=make(VALUES)), id="id", time="t", state=None, signal="x"
    ),
    "covariates": lambda make: JumpSeries.from_frame(
        table(s=STATES, x=make(VALUES)), id="id", time="t", state="s", covariates=["x"]
    ),
}


@pytest.mark.parametrize("make", [decimals, fractions])
@pytest.mark.parametrize("door", DOORS)
def test_objects_are_read_as_the_numbers_they_are(door, make):
    read, expected = DOORS[door](make), DOORS[door](np.array)
    if hasattr(read, "to_frame"):
        pd.testing.assert_frame_equal(read.to_frame(), expected.to_frame(), check_dtype=False)
    else:
        for name in ("flat_times", "flat_covariates", "flat_signal"):
            if getattr(expected, name, None) is not None:
                np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))


def test_missing_objects_are_missing_numbers():
    values = decimals(VALUES)
    values[3] = None
    read = IrregularSeries.from_frame(table(x=values), id="id", time="t")
    assert (~read.mask).sum() == 1
    np.testing.assert_array_equal(read.values[0, :3, 0], VALUES[:3])


def test_an_index_of_objects_is_estimated():
    path = np.random.default_rng(0).normal(size=64).cumsum().round(6)
    exact = fractional.estimate_hurst(path).hurst
    assert fractional.estimate_hurst(pd.Series(decimals(path))).hurst == exact


@pytest.mark.parametrize("cell", [1j, b"1"])
def test_covariates_that_are_no_numbers_are_refused(cell):
    with pytest.raises(InputError, match="covariate 'x' is a column of"):
        DOORS["covariates"](lambda values: [cell] * len(values))
