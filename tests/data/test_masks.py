"""What a numpy mask hides is not observed, at every door through which an array comes in."""

import numpy as np
import pytest
import torch

from trajinfer import (
    Forecast,
    IrregularSeries,
    JumpSeries,
    Snapshots,
    Trajectories,
    fractional,
    metrics,
)
from trajinfer._core.checks import as_array, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data import as_jump_series, as_series, as_snapshots

WRONG = -9999.0
HIDDEN = np.array([False, True, False, False])
TIMES = np.array([0.0, 1.0, 2.0, 3.0])
VALUES = np.array([1.0, 2.0, 3.0, 5.0])


def masked(values, hidden=HIDDEN, wrong=WRONG):
    return np.ma.array(np.where(hidden, wrong, values), mask=hidden)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.float64])
def test_numbers_become_nan(dtype):
    expected = [1.0, np.nan, 3.0, 5.0]
    hidden = masked(VALUES).astype(dtype)
    for given in (hidden, list(hidden), tuple(hidden)):
        np.testing.assert_array_equal(as_array(given, "x"), expected)
    np.testing.assert_array_equal(as_array([hidden, hidden], "x"), [expected, expected])


def test_other_kinds_become_what_is_missing_of_them():
    dates = np.ma.array(np.array(["2020-01-01", "2020-01-02"], "M8[D]"), mask=[False, True])
    assert np.isnat(unmasked(dates)).tolist() == [False, True]
    assert unmasked(np.ma.array(["a", "b"], mask=[True, False])).tolist() == [None, "b"]
    assert unmasked(np.ma.array([True, False], mask=[True, False])).tolist() == [None, False]
    whole = np.ma.array([1, 2], mask=False)
    assert unmasked(whole).dtype == whole.dtype


def test_values_of_series():
    expected = np.where(HIDDEN, np.nan, VALUES)
    column = masked(VALUES)
    for given in (column[None, :, None], column[None], [column], [column[:, None]]):
        series = IrregularSeries.from_arrays(TIMES, given)
        np.testing.assert_array_equal(series.values[0, :, 0], expected)
    for given in (column[None, :, None], [column[:, None]], [(TIMES, column)]):
        if isinstance(given, list) and isinstance(given[0], tuple):
            series = as_series(given)
        else:
            with pytest.warns(UserWarning, match="no times"):
                series = as_series(given)
        np.testing.assert_array_equal(series.values[0, :, 0], expected)


def test_statics_and_labels_of_series():
    statics = np.ma.array([[1.0], [WRONG]], mask=[[False], [True]])
    labels = np.ma.array([1, 0], mask=[False, True])
    series = IrregularSeries.from_arrays(
        [0.0, 1.0], np.ones((2, 2)), statics=statics, labels=labels
    )
    np.testing.assert_array_equal(series.statics, [[1.0], [np.nan]])
    np.testing.assert_array_equal(series.labels, [1.0, np.nan])


def test_times_that_are_hidden_are_refused_or_padding():
    hidden = np.ma.array([[0.0, 1.0, 2.0], [0.0, 1.0, WRONG]], mask=[[0, 0, 0], [0, 0, 1]])
    values = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, np.nan]])
    assert IrregularSeries.from_arrays(hidden, values).lengths.tolist() == [3, 2]
    for given in (masked(TIMES), [masked(TIMES)]):
        with pytest.raises(InputError, match="not finite"):
            IrregularSeries.from_arrays(given, VALUES[None])
    with pytest.raises(InputError, match="not finite"):
        JumpSeries.from_arrays(masked(TIMES), [[0, 1, 0, 1]])
    with pytest.raises(InputError, match="finite"):
        Snapshots.from_arrays(VALUES[:, None], masked(TIMES))
    dates = np.ma.array(np.arange(4).astype("M8[D]"), mask=HIDDEN)
    with pytest.raises(InputError, match="row 1"):
        Snapshots.from_arrays(VALUES[:, None], dates)


def test_states_signals_and_kinds_of_paths():
    states = np.ma.array([[0, 9, 1, 0]], mask=[HIDDEN])
    signal = masked(VALUES)[None]
    for given in (states, [states[0]]):
        series = JumpSeries.from_arrays(TIMES, given, signal=signal)
        assert series.categories == (0, 1)
        assert series.states.tolist() == [[0, -1, 1, 0]]
        np.testing.assert_array_equal(series.signal, [[1.0, np.nan, 3.0, 5.0]])
    names = np.ma.array([["a", "zz", "b", "a"]], mask=[HIDDEN])
    assert JumpSeries.from_arrays(TIMES, names).categories == ("a", "b")
    with pytest.warns(UserWarning, match="no times"):
        assert as_jump_series(states).categories == (0, 1)


def test_points_and_weights_of_snapshots_are_refused():
    points = np.ma.array([[1.0], [WRONG], [2.0]], mask=[[0], [1], [0]])
    for read in (Snapshots.from_arrays, lambda X, t: as_snapshots(X, t, None, None)):
        with pytest.raises(InputError, match=r"must be finite.*drop or fill these rows"):
            read(points, [0, 0, 1])
    weights = np.ma.array([1.0, WRONG, 1.0], mask=[0, 1, 0])
    for read in (
        lambda: Snapshots.from_arrays(np.ones((3, 1)), [0, 0, 1], weights),
        lambda: Snapshots([0.0], [np.ones((3, 1))], [weights]),
        lambda: as_snapshots(np.ones((3, 1)), [0, 0, 1], weights, None),
        lambda: Trajectories([0.0], np.ones((3, 1, 1)), weights),
    ):
        with pytest.raises(InputError, match="finite"):
            read()


def test_paths_and_forecasts():
    values = masked(VALUES)[None, :, None]
    np.testing.assert_array_equal(
        Trajectories(TIMES, values).values[0, :, 0], [1.0, np.nan, 3.0, 5.0]
    )
    samples = masked(VALUES)[None, None, :, None]
    assert np.isnan(Forecast(samples, TIMES).samples[0, 0, 1, 0])
    with pytest.raises(InputError, match="finite"):
        Trajectories(masked(TIMES), VALUES[None, :, None])


@pytest.mark.parametrize("method", ["mle", "state_space"])
def test_hurst_of_a_path_with_holes(method):
    x = fractional.simulate_fbm(0.3, np.arange(100.0), 1, random_state=0).values[0, :, 0]
    hidden = np.zeros(100, bool)
    hidden[[3, 40, 41, 90]] = True
    holes = fractional.estimate_hurst(np.where(hidden, np.nan, x), method=method)
    assert fractional.estimate_hurst(masked(x, hidden), method=method) == holes


@pytest.mark.parametrize(
    "measure",
    [
        lambda x: metrics.wasserstein(x, np.zeros((4, 1))),
        lambda x: metrics.wasserstein(np.zeros((4, 1)), x),
        lambda x: metrics.energy_distance(x, np.zeros((4, 1))),
        lambda x: metrics.mmd(x, np.ones((4, 1))),
        lambda x: metrics.sinkhorn_divergence(x, np.ones((4, 1))),
        lambda x: metrics.crps(x, np.zeros(1)),
        lambda x: metrics.wasserstein(np.ones((4, 1)), np.zeros((4, 1)), weights=(x[:, 0], None)),
    ],
)
def test_metrics_refuse_what_is_hidden(measure):
    with pytest.raises(InputError):
        measure(masked(VALUES)[:, None])


def test_tensors_are_arrays():
    np.testing.assert_array_equal(unmasked(torch.tensor([1.0, 2.0])), [1.0, 2.0])
