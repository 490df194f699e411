"""Pairings and paths of known individuals, on data where the right answer is known."""

import numpy as np
import pandas as pd
import pytest
import scipy.linalg

from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.evaluation import (
    forecast_scores,
    individual_scores,
    interval_coverage,
    mistaken_pairs,
    successor_counts,
    true_pair_dynamics,
)
from trajinfer.processes import AffineDrift, simulate

MATRIX, OFFSET, VOLATILITY = [[-0.3, 0.8], [-0.8, -0.3]], [0.2, 0.1], [0.1, 0.2]


@pytest.fixture(scope="module")
def paths():
    """60 individuals of a rotating affine process, seen every half unit of time."""
    process = AffineDrift(2, matrix=MATRIX, offset=OFFSET, volatility=VOLATILITY)
    start = np.random.default_rng(0).normal(size=(60, 2))
    return simulate(process, start, np.arange(0, 3.1, 0.5), 60, random_state=1)


def _snapshots(paths, times):
    return Snapshots(times, [paths.at(t) for t in times])


@pytest.fixture(scope="module")
def bridge(paths):
    reference = AffineDrift(2, matrix=MATRIX, offset=OFFSET, volatility=VOLATILITY)
    train = _snapshots(paths, [0.0, 1.0, 2.0])
    return SchrodingerBridge(reference, random_state=0).fit(train)


def test_the_true_reference_finds_more_than_the_nearest_point(bridge):
    counts = successor_counts(bridge)
    assert counts["n"].tolist() == [60, 60]
    assert (counts["bridge"] > counts["nearest"]).all()
    assert (counts["bridge_top_three"] >= counts["bridge"]).all()


def test_counts_agree_with_the_list_of_mistakes(bridge):
    names = [f"number {i}" for i in range(60)]
    for k, row in successor_counts(bridge).iterrows():
        mistakes = mistaken_pairs(bridge, names, k)
        assert len(mistakes) == row["n"] - row["bridge"]
        assert (mistakes["weight"] >= mistakes["weight_of_truth"]).all()
        assert (mistakes["individual"] != mistakes["taken_for"]).all()
        assert mistakes["weight"].is_monotonic_decreasing


def test_individuals_that_do_not_move_are_all_found():
    points = np.random.default_rng(3).normal(size=(20, 2))
    still = Snapshots([0.0, 1.0, 2.0], [points] * 3)
    fitted = SchrodingerBridge(volatility=0.01, n_refinements=0, random_state=0).fit(still)
    counts = successor_counts(fitted)
    for column in ("nearest", "exact_ot", "bridge", "exact_ot_learned_units"):
        assert counts[column].tolist() == [20, 20]
    middle = Snapshots([0.5, 1.5], [points] * 2)
    scores = individual_scores(fitted, middle).set_index("method")
    assert scores.loc[["persistence", "exact_ot_line", "true_pairs"], "rmse"].max() < 1e-12
    assert scores.loc["bridge_means", "rmse"].max() < 0.01
    # the middle of a Brownian bridge of two coordinates: sd volatility / 2 each
    expected = 0.01 / 2 * np.sqrt(2)
    assert scores.loc["bridge_samples", "rmse"].mean() == pytest.approx(expected, rel=0.05)


def test_true_pairs_and_bridge_beat_persistence(bridge, paths):
    scores = individual_scores(bridge, _snapshots(paths, [0.5, 1.5]))
    means = scores.groupby("method")[["w1", "w2", "rmse"]].mean()
    assert means.loc["bridge_means", "rmse"] < means.loc["exact_ot_line", "rmse"]
    assert means.loc["exact_ot_line", "rmse"] < means.loc["persistence", "rmse"]
    assert (scores["w1"] <= scores["w2"] + 1e-12).all()
    assert (scores["w2"] <= scores["rmse"] + 1e-12).all()


def test_the_mean_of_the_samples_is_the_predicted_mean(bridge, paths):
    """Averaged over many draws, errors of samples exceed those of means by the spread alone."""
    held_out = _snapshots(paths, [1.5])
    few = individual_scores(bridge, held_out, draws=1).set_index("method")
    many = individual_scores(bridge, held_out, draws=20).set_index("method")
    assert few.loc["bridge_means", "rmse"] == many.loc["bridge_means", "rmse"]
    assert many.loc["bridge_samples", "rmse"] > many.loc["bridge_means", "rmse"]


def test_forecasts_with_the_true_process_beat_the_simple_ones(bridge, paths):
    scores = forecast_scores(bridge, _snapshots(paths, [3.0])).set_index("method")["rmse"]
    assert scores.idxmin() == "bridge_means"
    noise = np.sqrt(np.sum(np.square(VOLATILITY)))
    assert scores["bridge_means"] < 1.3 * noise


def test_coverage_of_a_true_law_is_nominal(bridge, paths):
    """120 intervals of a correct forecast: binomial range with false alarm below 1e-4."""
    table = interval_coverage(bridge, _snapshots(paths, [2.5]), level=0.8, draws=400)
    inside = table["coverage"].mean() * 120
    assert 79 <= inside <= 111
    assert set(table["coordinate"]) == {"x0", "x1"}


def test_dynamics_of_the_true_pairs(paths):
    matrix, offset, volatility = true_pair_dynamics(_snapshots(paths, np.arange(0, 3.1, 0.5)))
    np.testing.assert_allclose(matrix, MATRIX, atol=0.1)
    np.testing.assert_allclose(offset, OFFSET, atol=0.06)
    np.testing.assert_allclose(volatility, VOLATILITY, rtol=0.2)


def test_dynamics_of_pairs_without_noise_are_exact():
    step = scipy.linalg.expm(np.array(MATRIX))
    points = [np.random.default_rng(1).normal(size=(9, 2))]
    points += [points[0] @ step.T]
    matrix, offset, volatility = true_pair_dynamics(Snapshots([0.0, 1.0], points))
    np.testing.assert_allclose(matrix, MATRIX, atol=1e-10)
    np.testing.assert_allclose(offset, 0, atol=1e-10)
    np.testing.assert_allclose(volatility, 0, atol=1e-10)


def test_a_common_shift_has_a_logarithm_although_its_matrix_has_no_eigenbasis():
    points = np.random.default_rng(1).normal(size=(9, 2))
    shifted = Snapshots([0.0, 2.0], [points, points + np.array([3.0, -1.0])])
    matrix, offset, _ = true_pair_dynamics(shifted)
    np.testing.assert_allclose(matrix, 0, atol=1e-10)
    np.testing.assert_allclose(offset, [1.5, -0.5], atol=1e-10)


def test_reflected_pairs_have_no_real_dynamics():
    points = np.random.default_rng(1).normal(size=(9, 1))
    with pytest.raises(InputError, match="no real logarithm"):
        true_pair_dynamics(Snapshots([0.0, 1.0], [points, -points]))


def test_dates_of_their_own_origin_are_the_same_times(bridge, paths):
    """Held-out dates count from the first of them: they are read on the axis of the fit."""
    start = pd.Timestamp("2024-01-01")
    train = bridge.snapshots_
    dated = SchrodingerBridge(bridge.reference_, random_state=0).fit(
        Snapshots(start + pd.to_timedelta(train.times, unit="D"), train.points)
    )
    for score, t in ((individual_scores, 1.5), (forecast_scores, 2.5), (interval_coverage, 2.5)):
        plain = score(bridge, _snapshots(paths, [t]), draws=4)
        later = Snapshots(start + pd.to_timedelta([t], unit="D"), [paths.at(t)])
        found = score(dated, later, draws=4)
        numbers = [name for name in plain if plain[name].dtype == float and name != "time"]
        np.testing.assert_allclose(found[numbers], plain[numbers], rtol=1e-9)


def test_individuals_at_the_same_place_keep_their_own_paths(paths):
    """Two stand together, then part; a method that mixed up others would miss those too."""
    x = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    y = np.array([[0.0, 1.0], [10.0, 1.0], [10.0, 1.0], [20.0, 1.0]])
    bridge = SchrodingerBridge(volatility=1e-2, random_state=0).fit(Snapshots([0, 1], [x, y]))
    table = individual_scores(bridge, Snapshots([0.5], [(x + y) / 2]), draws=7)
    assert table.set_index("method").loc["bridge_samples", "rmse"] < 0.02


def test_paths_of_individuals_need_everybody(paths):
    train, held_out = _snapshots(paths, [0.0, 1.0]), _snapshots(paths, [0.5])
    weights = [np.arange(60) + 1.0] * 2
    weighted = SchrodingerBridge(random_state=0).fit(
        Snapshots(train.times, train.points, weights=weights)
    )
    thinned = SchrodingerBridge(max_samples=20, random_state=0).fit(train)
    for bridge in (weighted, thinned):
        with pytest.raises(InputError, match="equal weights and all points"):
            individual_scores(bridge, held_out, draws=3)
    absent = np.where(np.arange(60) < 40, 0.0, 1.0)
    gone = SchrodingerBridge(random_state=0).fit(
        Snapshots(train.times, train.points, weights=[absent, np.ones(60)])
    )
    for ask in (successor_counts, lambda b: mistaken_pairs(b, list(range(60)), 0)):
        assert len(ask(thinned))  # couplings hold everybody, thinned or not
        with pytest.raises(InputError, match="40 of 60 individuals have no weight"):
            ask(gone)


def test_pairs_count_from_the_end_too(bridge):
    names = [f"n{i}" for i in range(60)]
    pd.testing.assert_frame_equal(
        mistaken_pairs(bridge, names, -1), mistaken_pairs(bridge, names, 1)
    )


def test_bad_input(bridge, paths):
    few = Snapshots([1.5], [paths.at(1.5)[:30]])
    for score in (individual_scores, forecast_scores, interval_coverage):
        with pytest.raises(InputError, match="same individuals are needed at every time"):
            score(bridge, few)
    with pytest.raises(InputError, match="does not lie after the first snapshot"):
        interval_coverage(bridge, _snapshots(paths, [0.0]))
    tiny = Snapshots([0.0, 1e-15, 5e-14], [paths.at(t) for t in (0.0, 0.5, 1.0)])
    with pytest.raises(InputError, match="equally spaced"):
        true_pair_dynamics(tiny)
    uneven = Snapshots([0.0, 1.0], [np.zeros((3, 2)), np.ones((4, 2))])
    with pytest.raises(InputError, match="same individuals"):
        true_pair_dynamics(uneven)
    with pytest.raises(InputError, match="equally spaced"):
        true_pair_dynamics(_snapshots(paths, [0.0, 0.5, 2.0]))
    with pytest.raises(InputError, match="names for 60"):
        mistaken_pairs(bridge, ["a"], 0)
    with pytest.raises(InputError, match="level"):
        interval_coverage(bridge, _snapshots(paths, [2.5]), level=1.0)
    with pytest.raises(InputError, match="does not lie between"):
        individual_scores(bridge, _snapshots(paths, [2.5]))
