import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from trajinfer._core.errors import InputError
from trajinfer.data import Trajectories


@pytest.fixture
def values(rng):
    return rng.standard_normal((7, 4, 2))


TS = {
    "int": np.array([0, 1, 3, 4]),
    "float": np.array([0.0, 0.1, 0.30000000000000004, 7.0]),
    "datetime": pd.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-02 01:00", "2025-01-01"]),
    "timedelta": pd.TimedeltaIndex(["0s", "1s", "1h", "3D"]).as_unit("s"),
}


def assert_equal(a, b):
    assert np.array_equal(a.ts, b.ts)
    assert np.array_equal(a.values, b.values)
    assert a.features == b.features
    assert a.axis == b.axis


@pytest.mark.parametrize("kind", TS)
def test_a_table_comes_back_exactly(values, kind):
    paths = Trajectories(TS[kind], values, features=["a", "b"])
    frame = paths.to_frame()
    assert len(frame) == 28
    again = Trajectories.from_frame(frame)
    assert_equal(paths, again)
    pd.testing.assert_frame_equal(again.to_frame(), frame)


def test_times_of_its_own_for_every_path(values, rng):
    ts = np.sort(rng.random((7, 4)), axis=1)
    paths = Trajectories(ts, values)
    again = Trajectories.from_frame(paths.to_frame())
    assert again.ts.shape == (7, 4)
    assert np.array_equal(again.values, values)
    assert np.array_equal(
        paths.at(ts[0, 2]) if (ts == ts[0, 2]).any(1).all() else values[:, 0], values[:, 0]
    )


def test_weights_come_back(values, rng):
    paths = Trajectories(TS["int"], values, weights=rng.random(7))
    again = Trajectories.from_frame(paths.to_frame(), weight="weight")
    np.testing.assert_allclose(again.weights, paths.weights, rtol=1e-15)
    assert paths.weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_mean_and_quantiles_without_weights(values):
    paths = Trajectories(TS["int"], values)
    np.testing.assert_allclose(paths.mean(), values.mean(axis=0))
    np.testing.assert_allclose(
        paths.quantile(0.3), np.quantile(values, 0.3, axis=0, method="weibull")
    )
    assert paths.quantile([0.1, 0.5, 0.9]).shape == (3, 4, 2)
    lower, upper = paths.interval(0.8)
    np.testing.assert_allclose(lower, np.quantile(values, 0.1, axis=0, method="weibull"))
    np.testing.assert_allclose(upper, np.quantile(values, 0.9, axis=0, method="weibull"))


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize("weigh", [None, "alike", "at random"])
def test_intervals_of_few_paths_hold_as_many_new_ones_as_they_say(n, weigh):
    """4000 times: sd .005; quantiles between order statistics hold .81 with 20 paths."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(n + 1, 1, 4000))
    weights = {None: None, "alike": np.ones(n), "at random": rng.uniform(0.5, 1.5, n)}[weigh]
    low, high = Trajectories([0.0], draws[:-1], weights).interval(0.9)
    share = ((low <= draws[-1]) & (draws[-1] <= high)).mean()
    assert share == pytest.approx(0.9, abs=0.015)


def test_a_weight_counts_like_a_duplicated_path(values):
    counts = np.array([1, 3, 1, 2, 1, 5, 2])
    weighted = Trajectories(TS["int"], values, weights=counts)
    repeated = np.repeat(values, counts, axis=0)
    np.testing.assert_allclose(weighted.mean(), repeated.mean(axis=0))
    for q in (0.0, 0.05, 0.2, 0.5, 0.77, 1.0):
        expected = np.quantile(repeated, q, axis=0, method="inverted_cdf")
        assert np.array_equal(weighted.quantile(q), expected)
    found = weighted.quantile([0.2, 0.5])
    assert np.array_equal(found[1], weighted.quantile(0.5))


def test_intervals_of_equal_weights_are_those_without_weights(values):
    for weights in (np.ones(7), np.ones((7, 4))):
        found = Trajectories(TS["int"], values, weights).interval(0.6)
        np.testing.assert_allclose(found, Trajectories(TS["int"], values).interval(0.6))


def test_intervals_shift_with_the_weights():
    """Weights turn N(0, 1) into N(1, 1); 100 of 400 in effect, 2000 times, sd .007."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(400, 1, 50))
    shares = []
    for k in range(50):
        paths = Trajectories([0.0], draws[:, :, k : k + 1], np.exp(draws[:, 0, k]))
        low, high = paths.interval(0.9)
        new = 1 + rng.normal(size=40)
        shares.append(((low <= new) & (new <= high)).mean())
    assert np.mean(shares) == pytest.approx(0.9, abs=0.03)


def shares_of_tilted(n, tilt, times):
    """Share of N(tilt, 1) in intervals of n draws of N(0, 1) weighted by exp(tilt x), each."""
    draws = np.random.default_rng(2).normal(size=(n, times))
    paths = Trajectories(np.arange(times), draws[:, :, None], np.exp(tilt * draws))
    low, high = paths.interval(0.9)
    return (norm.cdf(high - tilt) - norm.cdf(low - tilt)).ravel()


@pytest.mark.parametrize(
    ("n", "tilt", "least"), [(20, 0.5, 0.89), (20, 1.0, 0.88), (50, 1.0, 0.87)]
)
def test_intervals_of_few_unequal_weights_reach_beyond_the_values(n, tilt, least):
    """The mean of 600 has an error of .005; the values alone reach .86, .77 and .84."""
    assert shares_of_tilted(n, tilt, 600).mean() >= least - 3 * 0.005


def test_intervals_of_weighted_positive_paths_are_positive():
    x = np.random.default_rng(0).exponential(size=(12, 1, 1))
    low, _ = Trajectories([0.0], x, np.exp(-2 * x[:, 0, 0])).interval(0.99)
    assert 0 <= low < x.min()
    assert Trajectories([0.0], -x, np.exp(-2 * x[:, 0, 0])).interval(0.99)[1] <= 0


@pytest.mark.parametrize("far", [-100.0, 100.0])
def test_paths_without_weight_are_never_a_quantile(values, far):
    values[3] = far
    weighted = Trajectories(TS["int"], values, weights=[1, 1, 1, 0, 1, 1, 1])
    without = Trajectories(TS["int"], np.delete(values, 3, axis=0)).interval(0.6)
    np.testing.assert_allclose(weighted.interval(0.6), without)
    assert (np.abs(weighted.quantile([0.0, 0.1, 0.5, 0.9, 1.0])) < 50).all()


def test_positions_at_a_time(values):
    paths = Trajectories(TS["float"], values)
    assert np.array_equal(paths.at(0.3), values[:, 2])
    with pytest.raises(InputError, match=r"time 0.2 is not on the grid.*ask for it in ts="):
        paths.at(0.2)


def test_positions_at_a_date(values):
    paths = Trajectories(TS["datetime"], values)
    assert np.array_equal(paths.at("2024-01-02 01:00"), values[:, 2])
    assert np.array_equal(paths.at(pd.Timestamp("2025-01-01")), values[:, 3])


def test_positions_at_a_time_of_every_path(values):
    ts = np.stack([np.roll([0.0, 1.0, 2.0, 3.0], 0) + k % 2 for k in range(7)])
    found = Trajectories(ts, values).at(2.0)
    expected = values[np.arange(7), [2 - k % 2 for k in range(7)]]
    assert np.array_equal(found, expected)


def test_repeated_times_are_padding(values):
    paths = Trajectories([0.0, 1.0, 1.0, 1.0], values)
    assert np.array_equal(paths.at(1.0), values[:, 1])


def test_times_may_stand_in_any_order(values):
    paths = Trajectories([2.0, 0.0, 3.0, 1.0], values)
    assert paths.ts.tolist() == [2.0, 0.0, 3.0, 1.0]
    assert np.array_equal(paths.at(1.0), values[:, 3])
    ordered = paths.in_order()
    assert ordered.ts.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.array_equal(ordered.values, values[:, [1, 3, 0, 2]])
    own = Trajectories(np.tile([2.0, 0.0, 3.0, 1.0], (7, 1)), values).in_order()
    assert np.array_equal(own.values, ordered.values)
    assert ordered.in_order() is ordered


def test_size_and_names(values):
    paths = Trajectories(TS["int"], values)
    assert (len(paths), paths.dim) == (7, 2)
    assert repr(paths) == "Trajectories(7 paths, 4 times, dim 2)"
    assert paths.to_numpy() is paths.values
    assert list(paths.to_frame().columns) == ["path", "time", "x0", "x1"]


def test_labels_are_what_was_given(values):
    assert list(Trajectories(TS["datetime"], values).labels) == list(TS["datetime"])


@pytest.mark.parametrize(
    ("ts", "shape", "options", "message"),
    [
        ([0, 1], (3, 3, 1), {}, r"ts must be \(T,\) or \(B, T\).*\(3, 3, 1\), got \(2,\)"),
        ([0, np.nan], (3, 2, 1), {}, "ts must be finite"),
        ([0, 1], (3, 2), {}, "values must have 3 axes"),
        ([0, 1], (3, 2, 1), {"features": ["a", "b"]}, "2 feature names for 1 coordinates"),
        ([0, 1], (3, 2, 1), {"weights": [1, 2]}, r"weights must have shape \(3,\)"),
        ([0, 1], (3, 2, 1), {"weights": [1, -2, 2]}, "non-negative"),
        ([0, 1], (3, 2, 1), {"weights": [0, 0, 0]}, "positive sum"),
        (["a", "b"], (3, 2, 1), {}, "times must be numbers, datetimes or durations"),
    ],
)
def test_bad_trajectories(ts, shape, options, message):
    with pytest.raises(InputError, match=message):
        Trajectories(ts, np.zeros(shape), **options)


@pytest.mark.parametrize("q", [-0.1, 1.1, [0.5, 2.0], np.nan])
def test_quantiles_outside_zero_and_one(values, q):
    with pytest.raises(InputError, match=r"quantiles must lie in \[0, 1\]"):
        Trajectories(TS["int"], values).quantile(q)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, -0.5, np.nan])
def test_bad_levels(values, level):
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        Trajectories(TS["int"], values).interval(level)


def test_bad_tables(values):
    frame = Trajectories(TS["int"], values).to_frame()
    with pytest.raises(InputError, match=r"no column 'tiem' in the table; did you mean 'time'\?"):
        Trajectories.from_frame(frame, time="tiem")
    with pytest.raises(InputError, match="equal lengths"):
        Trajectories.from_frame(frame.iloc[:-1])


def test_rows_of_a_table_may_be_shuffled(values):
    paths = Trajectories(TS["float"], values)
    shuffled = paths.to_frame().sample(frac=1, random_state=0)
    again = Trajectories.from_frame(shuffled)
    assert np.array_equal(again.ts, paths.ts)
    assert np.array_equal(np.sort(again.values, axis=0), np.sort(values, axis=0))
    assert {v.tobytes() for v in again.values} == {v.tobytes() for v in values}


def test_a_plot_is_offered(values):
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    axes = Trajectories(TS["int"], values).plot()
    assert len(axes.figure.axes) >= 1
    plt.close(axes.figure)


@pytest.mark.parametrize("ts", [1.7e9 + np.arange(3), 1e-15 * np.arange(3)])
def test_neighbouring_times_are_told_apart_at_any_scale(ts):
    shared = Trajectories(ts, np.arange(6.0).reshape(2, 3, 1))
    own = Trajectories(np.stack([ts, ts]), shared.values)
    for paths in (shared, own):
        for k, t in enumerate(ts):
            assert paths.at(t).ravel().tolist() == [k, 3 + k]


def test_weights_that_change_with_time(values, rng):
    weights = rng.uniform(0.5, 2.0, (7, 4))
    paths = Trajectories([3, 0, 1, 4], values, weights, branches=2 * weights)
    share = weights / weights.sum(0)
    np.testing.assert_allclose(paths.mean(), (share[..., None] * values).sum(0))
    for k in range(4):
        alone = Trajectories([0], values[:, k : k + 1], weights[:, k])
        found, expected = (p.quantile([0.2, 0.8]) for p in (paths, alone))
        np.testing.assert_array_equal(found[:, k], expected[:, 0])
    ordered = paths.in_order()
    np.testing.assert_array_equal(ordered.branches, 2 * weights[:, [1, 2, 0, 3]])
    np.testing.assert_allclose(ordered.weights, share[:, [1, 2, 0, 3]])
    frame = paths.to_frame()
    again = Trajectories.from_frame(frame, weight="weight", branches="branches")
    np.testing.assert_allclose(again.weights, ordered.weights)
    np.testing.assert_array_equal(again.branches, ordered.branches)
    with pytest.raises(InputError, match=r"weights must have shape \(B,\) or \(B, T\)"):
        Trajectories([0, 1, 2, 3], values, weights[:, :2])
    with pytest.raises(InputError, match="branches must have shape"):
        Trajectories([0, 1, 2, 3], values, branches=weights[:, :2])
