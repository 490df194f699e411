"""Tables of held-out scores, with an estimator whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import LeaveOneGroupOut, cross_validate

from trajinfer._core.errors import InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.evaluation import held_out, held_out_table, leave_one_snapshot_out, mean_scores


class Straight(BaseEstimator):
    """Regards the mean as a straight function of time and draws it as a single point."""

    fits = 0

    def __init__(self, shift=0.0, settles=True):
        self.shift, self.settles = shift, settles

    def fit(self, X):
        type(self).fits += 1
        means = [points.mean() for points in X.points]
        self.line_ = np.polyfit(X.times, means, 1)
        self.axis_, self.converged_ = X.axis, self.settles
        return self

    def marginal(self, t):
        time = float(self.axis_.encode([t])[0])
        return np.full((4, 1), np.polyval(self.line_, time) + self.shift)


@pytest.fixture
def moving():
    """Two points one unit apart whose mean is twice the time."""
    return Snapshots([0, 1, 2, 4], [[[2 * t - 0.5], [2 * t + 0.5]] for t in (0, 1, 2, 4)])


def test_every_time_is_left_out_once_and_the_ends_are_marked(moving):
    table = leave_one_snapshot_out(Straight(), moving)
    assert table["time"].tolist() == [0, 1, 2, 4]
    assert table["extrapolation"].tolist() == [True, False, False, True]
    np.testing.assert_allclose(table["estimator"], 0.5, atol=1e-12)
    np.testing.assert_allclose(table["exact_ot_line"], 0.0, atol=1e-12)
    np.testing.assert_allclose(table["persistence"], [2.0, 2.0, 2.0, 4.0])
    np.testing.assert_allclose(table["sampling_floor"], 1.0)


def test_left_out_data_are_never_seen(moving):
    """The same fits on data that are wrong at the left-out time only."""
    clean = leave_one_snapshot_out(Straight(), moving).set_index("time")
    for t in (0, 1, 2, 4):
        points = [p + 100 * (s == t) for s, p in zip(moving.times, moving.points)]
        spoilt = leave_one_snapshot_out(Straight(), Snapshots(moving.times, points))
        row = spoilt.set_index("time").loc[t]
        assert row["estimator"] == pytest.approx(100, abs=1)
        assert row["exact_ot_line"] == pytest.approx(100, abs=1e-9)
    assert clean["estimator"].max() < 1


def test_several_metrics_make_several_rows(moving):
    table = leave_one_snapshot_out(Straight(shift=1.0), moving, scoring=["w1", "w2", "energy"])
    assert len(table) == 12
    w2 = table[table["metric"] == "w2"]["estimator"]
    np.testing.assert_allclose(w2, np.sqrt((0.5**2 + 1.5**2) / 2))


def test_means_keep_the_ends_apart(moving):
    table = leave_one_snapshot_out(Straight(), moving)
    table["estimator"] = [10.0, 1.0, 3.0, 20.0]
    means = mean_scores(table).set_index("kind")
    assert means.loc["interpolation", "estimator"] == 2.0
    assert means.loc["extrapolation", "estimator"] == 15.0
    assert means["n_times"].to_dict() == {"interpolation": 2, "extrapolation": 2}


def test_the_estimator_is_cloned_and_left_alone(moving):
    estimator = Straight(shift=0.25)
    Straight.fits = 0
    lines = []
    leave_one_snapshot_out(estimator, moving, progress=lines.append)
    assert Straight.fits == 4
    assert not hasattr(estimator, "line_")
    assert lines[2] == "leaving out time 2 (3 of 4)"


def test_fits_that_do_not_converge_are_counted_in_one_warning(moving):
    with pytest.warns(ConvergenceWarning, match=r"4 of 4 fits .* 0, 1, 2, 4"):
        table = leave_one_snapshot_out(Straight(settles=False), moving)
    assert not table["converged"].any()


def test_a_fixed_split(moving):
    train, held_out = moving.drop([1, 4]), moving.select([1, 4])
    table = held_out_table(Straight().fit(train), train, held_out, scoring="w1")
    assert table["time"].tolist() == [1, 4]
    assert table["extrapolation"].tolist() == [False, True]
    np.testing.assert_allclose(table["estimator"], 0.5, atol=1e-12)
    np.testing.assert_allclose(table["exact_ot_line"], 0.0, atol=1e-12)
    assert "seconds" not in table


def test_dates_stay_dates():
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-04"])
    data = Snapshots(days, [[[0.0]], [[1.0]], [[3.0]]])
    table = leave_one_snapshot_out(Straight(), data)
    assert table["time"].tolist() == list(days)
    np.testing.assert_allclose(table["estimator"], 0.0, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "scoring", "said"),
    [(2, "w1", "at least three"), (4, "w3", "unknown scoring"), (4, ["w1", "mdm"], "'mmd'")],
)
def test_bad_input(moving, n, scoring, said):
    with pytest.raises(InputError, match=said):
        leave_one_snapshot_out(Straight(), moving.select(moving.times[:n]), scoring=scoring)


def test_dimensions_must_agree(moving):
    wide = Snapshots([1], [np.zeros((2, 2))])
    with pytest.raises(InputError, match="coordinates"):
        held_out_table(Straight().fit(moving), moving, wide)


def test_coordinates_must_have_the_same_names():
    points = [np.full((2, 2), float(k)) for k in range(3)]
    train = Snapshots([0, 2], [points[0], points[2]], features=["a", "b"])
    swapped = Snapshots([1], [points[1]], features=["b", "a"])
    with pytest.raises(InputError, match="must be a, b in this order, got b, a"):
        held_out_table(Straight().fit(train), train, swapped)


def test_a_bridge_agrees_with_cross_validation(rng):
    """The rows are what scikit-learn's own leave-one-group-out gives, whose unit is the standard
    deviation of the training data."""
    times = np.array([0.0, 1.0, 2.0, 3.0])
    data = Snapshots(times, [rng.normal(2 * t, 0.5, size=(15, 1)) for t in times])
    bridge = SchrodingerBridge(volatility=0.3, n_refinements=0, n_particles=150, random_state=1)
    table = leave_one_snapshot_out(bridge, data)
    X, y = data.stacked()
    with pytest.warns(UserWarning, match="before the first|after the last"):
        found = cross_validate(bridge, X, y, groups=y, cv=LeaveOneGroupOut())
    deviation = [np.concatenate(data.drop([t]).points).std() for t in times]
    np.testing.assert_allclose(table["estimator"], -found["test_score"] * deviation, rtol=1e-12)


def test_a_printed_table_shows_the_estimator(moving):
    for table in (
        leave_one_snapshot_out(Straight(), moving),
        held_out_table(Straight().fit(moving), moving, moving.select([1])),
    ):
        with pd.option_context("display.width", 80, "display.max_columns", 0):
            assert "estimator" in repr(table)


def test_large_snapshots_are_represented_by_a_part(rng, monkeypatch):
    """Also where the estimator bounds the points itself."""
    sizes = []
    honest = held_out.score_of

    def score(name, drawn, observed):
        sizes.append((len(drawn[0]), len(observed[0])))
        return honest(name, drawn, observed)

    monkeypatch.setattr(held_out, "score_of", score)
    data = Snapshots([0, 1, 2], [rng.normal(t, 1.0, size=(60, 1)) for t in range(3)])
    held_out_table(Straight().fit(data), data.drop([1]), data.select([1]), max_samples=25)
    assert {n for _, n in sizes} == {25}
    bridge = SchrodingerBridge(max_samples=20, n_particles=50, random_state=0)
    sizes.clear()
    held_out_table(bridge.fit(data.drop([1])), data.drop([1]), data.select([1]))
    assert max(n for n, _ in sizes) <= 39  # lines along the coupling of 20 with 20 points
    assert {n for _, n in sizes} == {20}
