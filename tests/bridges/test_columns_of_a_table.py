"""Tables with more columns of numbers than coordinates: some are named, at every door."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import InputError, SchrodingerBridge, Snapshots
from trajinfer.scores import StochasticInterpolant

NAMES = ["y", "x"]


@pytest.fixture
def table():
    """Two coordinates, in another order, with a column of numbers that is none."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(45, 3))
    return pd.DataFrame(
        {"day": np.repeat([0, 1, 2], 15), "x": rows[:, 0], "depth": rows[:, 1]} | {"y": rows[:, 2]}
    )


def bridge():
    return SchrodingerBridge(random_state=0, n_particles=20)


def interpolant():
    return StochasticInterpolant(model="mixture", n_components=1, random_state=0, n_particles=20)


BOTH = pytest.mark.parametrize("made", [bridge, interpolant])


@BOTH
def test_named_columns_are_those_of_the_reader(made, table):
    data = Snapshots.from_frame(table, time="day", features=NAMES)
    expected = made().fit(data)
    weight = np.ones(len(table))
    for fitted in (
        made().fit(table, time="day", features=NAMES),
        made().fit(table, table["day"], features=NAMES),
        made().fit(table, time="day", features=NAMES, sample_weight=weight),
    ):
        assert list(fitted.feature_names_in_) == NAMES
        np.testing.assert_allclose(fitted.marginal(0.5), expected.marginal(0.5), atol=1e-8)
    score = expected.score(table, time="day", features=NAMES)
    assert score == pytest.approx(expected.score(data))


@BOTH
@pytest.mark.parametrize(
    ("features", "words"),
    [
        (["x", "z"], "no column 'z' in the table"),
        ("x", "list of columns of a DataFrame, got the text 'x'"),
    ],
)
def test_columns_that_are_not_there_are_named(made, table, features, words):
    with pytest.raises(InputError, match=words):
        made().fit(table, time="day", features=features)
    with pytest.raises(InputError, match=words):
        made().fit(table, table["day"], features=features)


@BOTH
def test_only_tables_have_columns_to_choose(made, table):
    data = Snapshots.from_frame(table, time="day")
    with pytest.raises(InputError, match="list of columns of a DataFrame, got Snapshots"):
        made().fit(data, features=NAMES)
    with pytest.raises(InputError, match="list of columns of a DataFrame, got ndarray"):
        made().fit(table[NAMES].to_numpy(), table["day"], features=NAMES)
