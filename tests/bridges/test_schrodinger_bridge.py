"""The estimator: what goes in, what comes out, and what is refused."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_validate

import trajinfer
from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import moments, samples
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer.bridges import SchrodingerBridge
from trajinfer.bridges.fitting import AlternatingFit
from trajinfer.data import Snapshots, Trajectories
from trajinfer.metrics import energy_distance, mmd, wasserstein
from trajinfer.processes import AffineDrift, Brownian, LotkaVolterra, OrnsteinUhlenbeck

A = np.array(ROTATION)
TIMES = [0.0, 1.0, 1.5, 3.0]
X0 = np.array([[1.0, 0.5], [-0.2, 0.3]])


@pytest.fixture(scope="module")
def snapshots():
    return samples(A, TIMES, [2.0, 0.0], 0.1 * np.eye(2), 0.5, 30, 0)


@pytest.fixture(scope="module")
def fixed(snapshots):
    """A bridge under a known rotating reference."""
    reference = AffineDrift(2, A, [0.5, 0.0], volatility=0.5)
    return SchrodingerBridge(reference, random_state=0).fit(snapshots)


@pytest.fixture(scope="module")
def fitted(snapshots):
    """A bridge whose reference was refined."""
    return SchrodingerBridge(AffineDrift(2), random_state=0).fit(snapshots)


@pytest.fixture(scope="module")
def few(snapshots):
    """Ten individuals at three times, for what needs many fits."""
    return Snapshots(snapshots.times[:3], [p[:10] for p in snapshots.points[:3]])


@pytest.fixture(scope="module")
def table(snapshots):
    return snapshots.to_frame()


def answers(bridge):
    """A little of everything a bridge can be asked."""
    first, last = bridge.snapshots_.times[[0, -1]]
    middle, X = (first + last) / 2, X0
    if hasattr(bridge, "feature_names_in_"):
        X = pd.DataFrame(X0, columns=bridge.feature_names_in_)
    return [
        bridge.sample(7, [first, middle, last]).values,
        bridge.marginal(middle, 5),
        bridge.forecast([last, last + 0.5], 5).values,
        bridge.predict(X, first, [middle, last]),
        bridge.velocity(X, middle),
        bridge.coupling(0),
        bridge.volatility_,
        bridge.objective_history_,
    ]


def assert_same_answers(one, other, atol=0.0):
    for a, b in zip(answers(one), answers(other), strict=True):
        if scipy.sparse.issparse(a):
            a, b = a.toarray(), b.toarray()
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# --- ways in ------------------------------------------------------------------------------------


def test_containers_arrays_and_tables_are_the_same_data(snapshots, table):
    options = {"reference": OrnsteinUhlenbeck([1.0, 1.0], 0.0), "random_state": 0}
    X, t = snapshots.stacked()
    expected = SchrodingerBridge(**options).fit(snapshots)
    for given in (
        (X, t),
        (X.tolist(), t.tolist()),
        (torch.as_tensor(X), torch.as_tensor(t)),
        (table[["x0", "x1"]], table["time"]),
        (table,),
    ):
        assert_same_answers(SchrodingerBridge(**options).fit(*given), expected)


def test_a_table_may_call_its_time_column_anything(table):
    renamed = table.rename(columns={"time": "day"})
    expected = SchrodingerBridge(random_state=0).fit(table)
    assert_same_answers(SchrodingerBridge(random_state=0).fit(renamed, time="day"), expected)
    with pytest.raises(InputError, match=r"no column 'time' in the table"):
        SchrodingerBridge().fit(renamed)
    with pytest.raises(InputError, match=r"no column 'dya' in the table; did you mean 'day'\?"):
        SchrodingerBridge().fit(renamed, time="dya")


def test_anndata(snapshots):
    anndata = pytest.importorskip("anndata", reason="anndata is not installed")
    X, t = snapshots.stacked()
    obs = pd.DataFrame({"day": t}, index=[f"cell{i}" for i in range(len(t))])
    cells = anndata.AnnData(X=np.zeros((len(t), 3)), obs=obs)
    cells.obsm["X_pca"] = X
    expected = SchrodingerBridge(random_state=0).fit(X, t)
    assert_same_answers(SchrodingerBridge(random_state=0).fit(cells, time="day"), expected)
    weight = np.linspace(1, 2, len(t))
    weighted = SchrodingerBridge(random_state=0).fit(cells, time="day", sample_weight=weight)
    expected = SchrodingerBridge(random_state=0).fit(X, t, sample_weight=weight)
    assert_same_answers(weighted, expected, atol=1e-12)


def test_weights_of_rows(snapshots, table):
    X, t = snapshots.stacked()
    weight = np.linspace(1, 2, len(t))
    expected = SchrodingerBridge(random_state=0).fit(Snapshots.from_arrays(X, t, weight))
    rows = SchrodingerBridge(random_state=0).fit(X, t, sample_weight=weight)
    assert_same_answers(rows, expected, atol=1e-12)
    weighted = SchrodingerBridge(random_state=0).fit(table, sample_weight=weight)
    assert_same_answers(weighted, expected, atol=1e-12)
    np.testing.assert_allclose(rows.coupling(0).sum(axis=1), weight[:30] / weight[:30].sum())


def test_weights_of_a_table_go_by_position(snapshots, table):
    shuffled = table.sample(frac=1, random_state=0)
    weight = pd.Series(np.arange(len(table)) + 1.0)
    X, t = shuffled.drop(columns="time").to_numpy(), shuffled["time"].to_numpy()
    as_table = SchrodingerBridge(random_state=0).fit(shuffled, sample_weight=weight)
    as_rows = SchrodingerBridge(random_state=0).fit(X, t, sample_weight=weight)
    assert np.array_equal(as_table.coupling(0), as_rows.coupling(0))
    with pytest.raises(InputError, match=r"sample_weight must have shape \(120,\), got \(2,\)"):
        SchrodingerBridge().fit(table, sample_weight=[1.0, 2.0])


def test_coordinates_in_another_order_are_refused(table):
    bridge = SchrodingerBridge(random_state=0).fit(table)
    names = [name for name in table.columns if name != "time"]
    swapped = table[["time", *names[::-1]]]
    asks = [
        lambda: bridge.score(swapped),
        lambda: bridge.score(Snapshots.from_frame(swapped, time="time")),
        lambda: bridge.predict(swapped[names[::-1]], 0.0),
        lambda: bridge.velocity(swapped[names[::-1]], 0.0),
    ]
    for ask in asks:
        with pytest.raises(InputError, match="in this order, got"):
            ask()
    right, plain = table[names].head(3), table[names].head(3).to_numpy()
    assert np.array_equal(bridge.predict(right, 0.0), bridge.predict(plain, 0.0))


def test_a_second_fit_forgets_the_first(table, few):
    X, t = table.drop(columns="time"), table["time"]
    bridge = SchrodingerBridge(random_state=0).fit(X, t).fit(few)
    assert not hasattr(bridge, "feature_names_in_")
    assert_same_answers(bridge, SchrodingerBridge(random_state=0).fit(few))


def test_a_fit_that_fails_leaves_the_one_before(snapshots, tmp_path):
    bridge = SchrodingerBridge(max_samples=20, random_state=0).fit(snapshots)
    plan, paths = bridge.coupling(0), bridge.sample(5).values
    bridge.set_params(max_samples=5, reference=Brownian(dim=3), random_state=1)
    with pytest.raises(InputError, match="dimension 3"):
        bridge.fit(snapshots)
    assert np.array_equal(bridge.coupling(0).toarray(), plan.toarray())
    assert np.array_equal(bridge.sample(5).values, paths)


def test_names_of_coordinates_come_back(table):
    bridge = SchrodingerBridge(random_state=0).fit(table.rename(columns={"x0": "prey"}))
    assert bridge.sample(2).features == ("prey", "x1")
    assert bridge.forecast([4.0], 2).to_frame().columns.tolist() == ["path", "time", "prey", "x1"]


@pytest.mark.parametrize("kind", ["datetime", "time zone", "timedelta", "period"])
def test_dates_and_durations(snapshots, kind):
    X, t = snapshots.stacked()
    plain = SchrodingerBridge(random_state=0).fit(X, t)
    durations = pd.to_timedelta(t, unit="D")
    labels = {
        "datetime": pd.Timestamp("2024-03-01") + durations,
        "time zone": pd.Timestamp("2024-03-01", tz="Europe/Berlin") + durations,
        "timedelta": durations,
        "period": (pd.Timestamp("2024-03-01") + durations).to_period("h"),
    }[kind]
    dated = SchrodingerBridge(random_state=0).fit(X, labels)
    assert_same_answers(dated, plain, atol=1e-9)
    unique = pd.Index(labels).unique().sort_values()
    if kind == "period":
        unique = unique.to_timestamp()
    paths = dated.sample(3)
    assert list(paths.labels) == list(unique)
    late = unique[-1] + pd.Timedelta("12h")
    assert list(dated.forecast([late], 2).labels) == [late]
    middle = unique[0] + pd.Timedelta("6h")
    np.testing.assert_allclose(
        dated.velocity(X0, middle), plain.velocity(X0, 0.25), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        dated.predict(X0, unique[0], [middle]), plain.predict(X0, 0.0, [0.25]), atol=1e-9
    )
    assert dated.score(X, labels) == pytest.approx(plain.score(X, t), abs=1e-9)


def test_whole_days_stay_whole(snapshots):
    X, t = snapshots.stacked()
    bridge = SchrodingerBridge(random_state=0).fit(X, (2 * t).astype(int))
    assert bridge.sample(2).labels.dtype.kind == "i"
    assert bridge.sample(2).to_frame()["time"].dtype.kind == "i"


# --- what comes out -----------------------------------------------------------------------------


def test_paths_pass_through_the_snapshots(fixed, snapshots):
    paths = fixed.sample(300)
    assert isinstance(paths, Trajectories)
    assert paths.ts.tolist() == TIMES
    for k, points in enumerate(snapshots.points):
        # every path stands on an individual at every snapshot, each as often as it should
        distances = np.abs(paths.values[:, k, None] - points).max(axis=2)
        assert (distances.min(axis=1) == 0).all()
        counts = np.bincount(distances.argmin(axis=1), minlength=30)
        assert counts.sum() == 300
        # the first snapshot is stratified exactly; later ones up to one draw per row in 30 rows
        assert np.abs(counts - 10).max() <= (0 if k == 0 else 10)


def test_paths_between_any_times(fixed):
    ts = [0.0, 0.0, 0.3, 1.0, 1.2, 1.2, 2.9, 3.0]
    paths = fixed.sample(20, ts)
    assert paths.values.shape == (20, 8, 2)
    assert np.array_equal(paths.values[:, 0], paths.values[:, 1])
    assert np.array_equal(paths.at(1.0), fixed.sample(20, ts).at(1.0))
    assert fixed.sample(3, [0.4]).values.shape == (3, 1, 2)
    assert fixed.sample(3, 0.4).values.shape == (3, 1, 2)
    assert len(fixed.sample(ts=[0.5])) == fixed.n_particles == 1000


def test_times_in_any_order(fixed):
    """Means and paths follow the order asked."""
    ts = [2.5, 0.4, 1.0, 0.4]
    found, ascending = fixed.predict(X0, 0.2, ts), fixed.predict(X0, 0.2, sorted(ts))
    np.testing.assert_array_equal(found, ascending[:, [3, 0, 2, 1]])
    np.testing.assert_array_equal(fixed.predict(X0, 0.2, 0.4)[:, 0], ascending[:, 0])
    paths, sorted_paths = fixed.sample(5, ts), fixed.sample(5, sorted(ts))
    assert paths.ts.tolist() == ts
    np.testing.assert_array_equal(paths.values, sorted_paths.values[:, [3, 0, 2, 1]])
    later = fixed.forecast([4.0, 3.5], 4)
    assert later.ts.tolist() == [4.0, 3.5]
    np.testing.assert_array_equal(later.values[:, ::-1], fixed.forecast([3.5, 4.0], 4).values)


def test_conditional_means_are_those_of_the_samples(fixed, snapshots):
    """E[x_t | x_0 = atom] by `predict` and by many paths; the paths are stratified, so that the
    z-values are rather too small than too large. 30 x 4 x 2 of them, false alarms 1e-5 in all."""
    ts = [0.0, 0.4, 1.0, 1.3, 3.0]
    n = 30_000
    paths = fixed.sample(n, ts).values
    expected = fixed.predict(snapshots.points[0], 0.0, ts)
    np.testing.assert_allclose(expected[:, 0], snapshots.points[0], atol=1e-12)
    bound = stats.norm.isf(1e-5 / 240 / 2)
    for atom, mean in zip(snapshots.points[0], expected, strict=True):
        chosen = paths[(paths[:, 0] == atom).all(axis=1)][:, 1:]
        assert len(chosen) == n // 30
        error = (chosen.mean(axis=0) - mean[1:]) / (
            chosen.std(axis=0) / np.sqrt(len(chosen)) + 1e-9
        )
        assert np.abs(error).max() < bound


def test_conditional_means_agree_whatever_the_way_there(fixed):
    """Asking for many times or one, in one segment or over several."""
    ts = [0.2, 0.9, 1.0, 1.4, 1.5, 2.5, 3.0]
    together = fixed.predict(X0, 0.2, ts)
    assert together.shape == (2, 7, 2)
    for k, t in enumerate(ts):
        np.testing.assert_allclose(fixed.predict(X0, 0.2, [t])[:, 0], together[:, k], atol=1e-10)
    np.testing.assert_allclose(together[:, 0], X0, atol=1e-12)
    np.testing.assert_allclose(fixed.predict(X0, 0.2)[:, 0], together[:, -1], atol=1e-10)


def test_conditional_means_are_continuous(fixed):
    ts = [1.0 - 1e-6, 1.0, 1.0 + 1e-6, 1.5 - 1e-6, 1.5, 1.5 + 1e-6]
    path = fixed.predict(X0, 0.2, ts)
    assert np.abs(np.diff(path[:, :3], axis=1)).max() < 1e-4
    assert np.abs(np.diff(path[:, 3:], axis=1)).max() < 1e-4


def test_the_mean_of_conditional_means_is_the_mean(fixed, snapshots):
    ts = [0.5, 1.0, 2.0, 3.0]
    found = fixed.predict(snapshots.points[0], 0.0, ts).mean(axis=0)
    for k, t in enumerate(ts[1::2]):
        cloud = snapshots.points[1 + 2 * k]
        np.testing.assert_allclose(found[1 + 2 * k], cloud.mean(axis=0), atol=1e-6, err_msg=str(t))


def test_beyond_the_last_snapshot_the_means_are_those_of_the_reference(fixed, snapshots):
    last = snapshots.points[-1][:4]
    law = [
        moments(A, 0.7, x, np.zeros((2, 2)), 0.5)[0] for x in last + np.linalg.solve(A, [0.5, 0])
    ]
    expected = np.array(law) - np.linalg.solve(A, [0.5, 0])
    np.testing.assert_allclose(fixed.predict(last, 3.0, [3.7])[:, 0], expected, atol=1e-10)
    ahead = fixed.predict(X0, 0.5, [2.0, 3.0, 3.7])
    arrived = fixed.predict(X0, 0.5, [3.0])[:, 0]
    shift = -np.linalg.solve(A, [0.5, 0])
    flow = np.column_stack([moments(A, 0.7, e, np.eye(2), 0.5)[0] for e in np.eye(2)])
    onward = shift + (arrived - shift) @ flow.T
    np.testing.assert_allclose(ahead[:, 2], onward, atol=1e-9)


def test_a_forecast_has_the_moments_of_the_reference(fixed, snapshots):
    """From the atoms of the last snapshot; z-tests at 1e-6, conservative for stratified starts."""
    n, horizon = 20_000, 0.8
    paths = fixed.forecast([3.0, 3.4, 3.0 + horizon], n)
    assert {tuple(x) for x in paths.at(3.0)} == {tuple(x) for x in snapshots.points[-1]}
    shift = -np.linalg.solve(A, [0.5, 0.0])
    atoms = snapshots.points[-1] - shift
    mean, cov = moments(A, horizon, atoms.mean(axis=0), np.cov(atoms.T, bias=True), 0.5)
    sample = paths.at(3.0 + horizon) - shift
    white = np.linalg.solve(np.linalg.cholesky(cov), (sample - mean).T).T
    bound = stats.norm.isf(5e-7)
    assert np.abs(white.mean(axis=0)).max() * np.sqrt(n) < bound
    second = white.T @ white / n - np.eye(2)
    assert np.abs(second).max() * np.sqrt(n / 2) < bound


def test_a_forecast_in_any_order_of_times_twice(fixed):
    paths = fixed.forecast([3.0, 3.0, 3.5, 3.5, 4.0], 6)
    assert np.array_equal(paths.values[:, 2], paths.values[:, 3])
    assert np.array_equal(paths.values[:, 0], paths.values[:, 1])


def test_the_velocity_at_the_snapshots(fixed):
    """At a snapshot the drift of the segment that starts there; at the last one the reference's."""
    at = fixed.velocity(X0, 1.0)
    after = fixed.velocity(X0, 1.0 + 1e-7)
    np.testing.assert_allclose(at, after, atol=1e-4)
    assert np.isfinite(fixed.velocity(X0, 0.0)).all()
    expected = X0 @ A.T + [0.5, 0.0]
    np.testing.assert_allclose(fixed.velocity(X0, 3.0), expected, atol=1e-12)
    np.testing.assert_allclose(fixed.velocity(X0, 7.0), expected, atol=1e-12)


def test_the_velocity_is_the_slope_of_the_conditional_mean(fixed):
    for t in (0.2, 1.2, 2.0):
        step = 1e-5
        ahead = fixed.predict(X0, t, [t + step])[:, 0]
        np.testing.assert_allclose(fixed.velocity(X0, t), (ahead - X0) / step, atol=1e-3)


def test_a_velocity_far_away_is_finite(fixed):
    assert np.isfinite(fixed.velocity(np.array([[1e3, -1e3], [0.0, 0.0]]), 0.5)).all()


def test_backends_agree(snapshots):
    """On affine drifts the linear-noise equations are exact."""
    reference = AffineDrift(2, A, [0.5, 0.0], volatility=[0.5, 0.3])
    exact, auto, linear = (
        SchrodingerBridge(reference, backend=backend, random_state=0).fit(snapshots)
        for backend in ("exact", "auto", "linear_noise")
    )
    assert_same_answers(exact, auto)
    for k in range(3):
        np.testing.assert_allclose(linear.coupling(k), exact.coupling(k), atol=1e-6)
    for t in (0.0, 0.3, 1.2, 2.8):
        np.testing.assert_allclose(linear.velocity(X0, t), exact.velocity(X0, t), atol=1e-6)
    ts = [0.2, 1.0, 2.0]
    np.testing.assert_allclose(linear.predict(X0, 0.1, ts), exact.predict(X0, 0.1, ts), atol=1e-6)
    found = linear.objective_history_[-1]
    assert found == pytest.approx(exact.objective_history_[-1], abs=1e-6)


def test_backends_agree_when_refined(few):
    options = {"tol": 1e-6, "n_refinements": 60, "random_state": 0}
    exact, linear = (
        SchrodingerBridge(AffineDrift(2, volatility=0.5), backend=backend, **options).fit(few)
        for backend in ("exact", "linear_noise")
    )
    np.testing.assert_allclose(linear.parameters_["matrix"], exact.parameters_["matrix"], atol=2e-3)


def test_scores_are_negative_distances(fitted, snapshots):
    """Coordinates count in standard deviations of the training data."""
    held_out = snapshots.select([1.0, 1.5])
    deviation = np.concatenate(snapshots.points).std(axis=0)
    drawn = [fitted.marginal(t) / deviation for t in held_out.times]
    points = [p / deviation for p in held_out.points]
    for name, distance in {
        "w1": lambda x, y: wasserstein(x, y, p=1),
        "w2": lambda x, y: wasserstein(x, y, p=2),
        "mmd": mmd,
        "energy": energy_distance,
    }.items():
        expected = -np.mean([distance(d, p) for d, p in zip(drawn, points, strict=True)])
        assert fitted.score(held_out, scoring=name) == pytest.approx(expected, rel=1e-9)
    assert fitted.score(held_out) == fitted.score(held_out, scoring="w1")
    X, t = held_out.stacked()
    assert fitted.score(X, t) == fitted.score(held_out)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_score_does_not_depend_on_the_units(fitted, snapshots):
    units = np.array([1e3, 1e-2])
    X, t = snapshots.stacked()
    options = {"n_refinements": 3, "random_state": 0}
    scaled = SchrodingerBridge(AffineDrift(2), volatility=fitted.volatility_ * units, **options)
    own = SchrodingerBridge(AffineDrift(2), volatility=fitted.volatility_, **options)
    held_out = snapshots.select([1.0])
    expected = own.fit(X, t).score(*held_out.stacked())
    inside, times = held_out.stacked()
    assert scaled.fit(X * units, t).score(inside * units, times) == pytest.approx(
        expected, rel=1e-2
    )


def test_a_score_takes_weights(fitted, snapshots):
    X, t = snapshots.select([1.0]).stacked()
    weight = np.zeros(30)
    weight[:5] = 1.0
    expected = fitted.score(X[:5], t[:5])
    assert fitted.score(X, t, sample_weight=weight) == pytest.approx(expected, rel=1e-9)


def test_times_outside_the_range_are_scored_by_the_reference(fitted, snapshots):
    after = Snapshots([3.5], [X0])
    with pytest.warns(ExtrapolationWarning, match=r"3.5 lies after the last snapshot \(3\)"):
        assert fitted.score(after) < 0
    with pytest.warns(ExtrapolationWarning, match=r"-1 lies before the first snapshot \(0\)"):
        drawn = fitted.marginal(-1.0, 30)
    assert {tuple(x) for x in drawn} == {tuple(x) for x in snapshots.points[0]}


# --- randomness ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_seed_repeats_everything(few):
    one, same, other = (
        SchrodingerBridge(AffineDrift(2), n_refinements=2, random_state=seed).fit(few)
        for seed in (0, 0, 1)
    )
    assert_same_answers(one, same)
    assert not np.array_equal(one.sample(5).values, other.sample(5).values)


def test_a_call_repeats_itself_and_its_seed_can_be_overridden(fixed):
    assert np.array_equal(fixed.sample(5).values, fixed.sample(5).values)
    assert np.array_equal(fixed.marginal(0.5, 5), fixed.marginal(0.5, 5))
    assert not np.array_equal(fixed.marginal(0.5, 5), fixed.marginal(0.6, 5))
    first, again, other = (fixed.sample(5, random_state=s).values for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    generator = np.random.default_rng(0)
    assert not np.array_equal(
        *(fixed.forecast([4.0], 5, random_state=generator).values for _ in range(2))
    )


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_without_a_seed_the_one_used_is_recorded(few):
    bridge = SchrodingerBridge(AffineDrift(2), n_refinements=2).fit(few)
    again = SchrodingerBridge(
        AffineDrift(2), n_refinements=2, random_state=bridge.history_[0]["seed"]
    )
    assert_same_answers(again.fit(few), bridge)


@pytest.mark.parametrize(
    "make",
    [np.random.default_rng, np.random.RandomState, lambda s: torch.Generator().manual_seed(s)],
    ids=["numpy", "RandomState", "torch"],
)
def test_every_kind_of_seed(snapshots, make):
    one, same = (SchrodingerBridge(random_state=make(3)).fit(snapshots) for _ in range(2))
    assert_same_answers(one, same)


def test_threads_do_not_matter(few):
    one, two = (
        SchrodingerBridge(AffineDrift(2, A, [0, 0]), n_jobs=n, random_state=0).fit(few)
        for n in (1, 2)
    )
    assert_same_answers(one, two, atol=1e-9)


# --- scikit-learn -------------------------------------------------------------------------------


def test_copies(fitted):
    fresh = clone(fitted)
    assert not hasattr(fresh, "bridge_")
    assert {k: v for k, v in fresh.get_params().items() if k != "reference"} == {
        k: v for k, v in fitted.get_params().items() if k != "reference"
    }
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert_same_answers(other, fitted)


@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
def test_leave_one_time_out(snapshots):
    X, t = snapshots.stacked()
    reference = AffineDrift(2, A, [0.5, 0.0]).learn("offset")
    result = cross_validate(
        SchrodingerBridge(reference, n_particles=100, random_state=0),
        X,
        t,
        groups=t,
        cv=LeaveOneGroupOut(),
        error_score="raise",
        return_estimator=True,
    )
    assert len(result["test_score"]) == 4
    assert (result["test_score"] < 0).all()
    by_hand = SchrodingerBridge(reference, n_particles=100, random_state=0)
    by_hand.fit(snapshots.drop(1.0))
    assert by_hand.score(snapshots.select(1.0)) == result["test_score"][1]


@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
def test_a_search_over_settings(snapshots):
    X, t = snapshots.stacked()
    search = GridSearchCV(
        SchrodingerBridge(n_particles=100, random_state=0),
        {"volatility": [0.05, 3.0], "reference": [None, OrnsteinUhlenbeck([1.0, 1.0], 0.0)]},
        cv=LeaveOneGroupOut(),
        error_score="raise",
    ).fit(X, t, groups=t)
    assert search.best_params_["volatility"] == 0.05
    assert search.best_estimator_.sample(3).values.shape == (3, 4, 2)


def test_settings_are_kept_as_given():
    volatility = [0.1, 0.2]
    bridge = SchrodingerBridge(None, volatility=volatility)
    assert bridge.volatility is volatility
    assert bridge.set_params(n_refinements=3).n_refinements == 3
    assert "SchrodingerBridge" in repr(bridge)
    with pytest.raises(TypeError):
        SchrodingerBridge(AffineDrift(2), 0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda b: b.sample(),
        lambda b: b.marginal(0.0),
        lambda b: b.forecast([1.0]),
        lambda b: b.predict(X0),
        lambda b: b.velocity(X0, 0.0),
        lambda b: b.coupling(0),
        lambda b: b.score(X0, [0, 1]),
        lambda b: b.save("nowhere"),
        lambda b: b.parameters_,
        lambda b: b.volatility_,
        lambda b: b.objective_history_,
    ],
)
def test_nothing_is_known_before_the_fit(ask):
    with pytest.raises((NotFittedError, AttributeError)):
        ask(SchrodingerBridge())


def test_input_is_left_alone(snapshots, table):
    X, t = (a.copy() for a in snapshots.stacked())
    weight, frame = np.ones(len(t)), table.copy()
    kept = X.copy(), t.copy(), weight.copy()
    SchrodingerBridge(AffineDrift(2), random_state=0).fit(X, t, sample_weight=weight)
    SchrodingerBridge(random_state=0).fit(frame, sample_weight=weight)
    for array, before in zip((X, t, weight), kept, strict=True):
        assert np.array_equal(array, before)
    pd.testing.assert_frame_equal(frame, table)


def test_results_handed_out_can_be_changed_without_harm(fixed):
    plan, before = fixed.coupling(0), fixed.coupling(0).copy()
    plan[:] = 0
    assert np.array_equal(fixed.coupling(0), before)
    fixed.sample(3).values[:] = 0
    assert fixed.sample(3).values.any()


def test_a_bar_of_progress(few, capsys):
    SchrodingerBridge(verbose=1, random_state=0).fit(few)
    assert capsys.readouterr().out == ""
    SchrodingerBridge(verbose=0, random_state=0).fit(few)
    assert capsys.readouterr() == ("", "")


# --- a reference of another make ----------------------------------------------------------------


class Spiral(torch.nn.Module):
    """A torchsde model: the rotating drift with a learnable matrix, diagonal noise."""

    sde_type, noise_type = "ito", "diagonal"

    def __init__(self, matrix):
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.tensor(matrix, dtype=torch.float64))

    def f(self, t, y):
        return y @ self.matrix.T

    def g(self, t, y):
        return torch.full_like(y, 0.5)


def test_any_ito_sde_is_a_reference(few):
    theirs = SchrodingerBridge(Spiral(A), n_refinements=0, random_state=0).fit(few)
    ours = SchrodingerBridge(
        AffineDrift(2, A, [0.0, 0.0], volatility=0.5), backend="linear_noise", random_state=0
    ).fit(few)
    for k in range(2):
        np.testing.assert_allclose(theirs.coupling(k), ours.coupling(k), atol=1e-6)
    np.testing.assert_allclose(theirs.velocity(X0, 0.5), ours.velocity(X0, 0.5), atol=1e-5)
    assert theirs.parameters_ == {}
    assert theirs.forecast([4.0], 3).values.shape == (3, 1, 2)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_any_ito_sde_is_refined(few):
    model = Spiral(0.7 * A)
    bridge = SchrodingerBridge(model, n_refinements=2, random_state=0).fit(few)
    found = bridge.reference_.matrix.detach().numpy()
    ours = SchrodingerBridge(
        AffineDrift(2, 0.7 * A, [0.0, 0.0], volatility=0.5, ridge=0.0).learn("matrix"),
        n_refinements=2,
        random_state=0,
    ).fit(few)
    np.testing.assert_allclose(found, ours.parameters_["matrix"], atol=0.03)
    np.testing.assert_array_equal(model.matrix.detach(), 0.7 * A)


# --- thinning -----------------------------------------------------------------------------------


def test_large_snapshots_are_thinned_into_sparse_couplings(snapshots, caplog):
    X, t = snapshots.stacked()
    with caplog.at_level("WARNING", logger="trajinfer"):
        bridge = SchrodingerBridge(max_samples=20, random_state=0).fit(X, t)
    assert any("max_samples" in message for message in caplog.messages)
    plan = bridge.coupling(1)
    assert scipy.sparse.issparse(plan)
    assert plan.shape == (30, 30)
    # everybody has partners, also those who stood aside while atoms were coupled
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 30)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 30)
    assert len(bridge.snapshots_.points[0]) == 30


def test_thinning_keeps_those_with_weight(snapshots):
    X, t = snapshots.stacked()
    weight = np.zeros(len(t))
    weight[::3] = np.arange(40.0) + 1
    bridge = SchrodingerBridge(max_samples=10, random_state=0).fit(X, t, sample_weight=weight)
    rows = np.asarray(bridge.coupling(0).sum(axis=1)).ravel()
    np.testing.assert_allclose(rows, weight[:30] / weight[:30].sum(), atol=1e-7)


def test_small_snapshots_are_not_thinned(snapshots):
    assert isinstance(
        SchrodingerBridge(max_samples=30, random_state=0).fit(snapshots).coupling(0), np.ndarray
    )


def test_memory_is_bounded_by_itself():
    from trajinfer.bridges.thinning import thin

    large = Snapshots([0, 1], [np.zeros((7000, 1)), np.zeros((6000, 1))])
    thinned, kept = thin(large, None, 0)
    assert [len(p) for p in thinned.points] == [len(k) for k in kept] == [5792, 5792]
    assert len(set(kept[0].tolist())) == 5792


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reference": AffineDrift(2)},
        {"reference": AffineDrift(2, volatility=0.5), "backend": "linear_noise"},
        {"reference": AffineDrift(2), "volatility": "learn", "n_refinements": 1},
        {"volatility": [0.4, 0.6], "max_samples": 20, "n_particles": 17},
        {"volatility": np.array([0.4, 0.6]), "tol": 1e-2, "n_jobs": 1, "device": "cpu"},
    ],
    ids=["default", "affine", "linear noise", "volatility learned", "thinned", "all settings"],
)
@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_save_and_load(snapshots, tmp_path, options):
    bridge = SchrodingerBridge(**options, random_state=3).fit(snapshots)
    again = trajinfer.load(bridge.save(tmp_path / "model"))
    assert_same_answers(again, bridge)
    assert again.parameters_.keys() == bridge.parameters_.keys()
    for name, value in bridge.parameters_.items():
        np.testing.assert_array_equal(again.parameters_[name], value)
    assert again.converged_ == bridge.converged_
    assert len(again.sample()) == len(bridge.sample())
    settings, kept = bridge.get_params(deep=False), again.get_params(deep=False)
    for name in settings.keys() - {"reference"}:
        assert np.all(kept[name] == settings[name]), name
    assert type(kept["reference"]) is type(settings["reference"])


def test_a_loaded_bridge_can_be_fitted_and_saved_again(fitted, snapshots, tmp_path):
    again = trajinfer.load(fitted.save(tmp_path / "model"))
    twice = trajinfer.load(again.save(tmp_path / "twice"))
    assert_same_answers(twice, fitted)
    assert_same_answers(clone(again).fit(snapshots), fitted)


def test_dates_weights_and_names_are_saved(snapshots, tmp_path):
    X, t = snapshots.stacked()
    dates = pd.Timestamp("2024-03-01", tz="Europe/Berlin") + pd.to_timedelta(t, unit="D")
    frame = pd.DataFrame(X, columns=["prey", "predator"])
    bridge = SchrodingerBridge(random_state=0).fit(frame, dates, sample_weight=np.arange(120) + 1)
    again = trajinfer.load(bridge.save(tmp_path / "model"))
    assert_same_answers(again, bridge)
    pd.testing.assert_frame_equal(again.sample(2).to_frame(), bridge.sample(2).to_frame())
    assert again.feature_names_in_.tolist() == ["prey", "predator"]
    for k in range(4):
        np.testing.assert_allclose(
            again.snapshots_.probabilities(k), bridge.snapshots_.probabilities(k), rtol=1e-14
        )


def test_names_of_columns_and_a_numpy_seed_are_saved(table, tmp_path):
    days = table.rename(columns={"time": "day"}).astype({"day": "Float64"})
    bridge = SchrodingerBridge(random_state=np.int64(3)).fit(days, time="day")
    again = trajinfer.load(bridge.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.snapshots_.to_frame(), bridge.snapshots_.to_frame())
    assert again.random_state == 3


def test_the_warning_is_about_the_couplings_that_are_kept(snapshots, monkeypatch):
    """The last record may be of couplings that were improved afterwards."""
    run_once = AlternatingFit.run

    def with_a_bad_record(*arguments):
        result = run_once(*arguments)
        result.history[-1]["marginal_error"] = 0.1
        return result

    monkeypatch.setattr(AlternatingFit, "run", with_a_bad_record)
    assert SchrodingerBridge(random_state=0).fit(snapshots).converged_


def test_what_cannot_be_saved_says_so(few, tmp_path):
    law = SchrodingerBridge(volatility=lambda y: 0.1 + 0 * y, random_state=0).fit(few)
    with pytest.raises(InputError, match="callable volatility cannot be saved"):
        law.save(tmp_path / "model")
    foreign = SchrodingerBridge(Spiral(A), n_refinements=0, random_state=0).fit(few)
    with pytest.raises(InputError, match="Spiral is not a process of trajinfer"):
        foreign.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_half_a_file_is_refused(fitted, tmp_path):
    path = fitted.save(tmp_path / "model")
    whole = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged or incomplete"):
        trajinfer.load(path)
    with pytest.raises(InputError, match=r"holds no config\.json"):
        trajinfer.load(tmp_path / "elsewhere")


# --- what is refused ----------------------------------------------------------------------------


def rows(n=6):
    return np.arange(2.0 * n).reshape(n, 2), np.repeat([0, 1], n // 2)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((5, 2)), np.zeros(5), "at least two snapshots are needed, got 1"),
        (np.zeros((0, 2)), np.zeros(0), "sample|empty|row"),
        (np.zeros((4, 2)), [0, 0, 1], "4.*3|inconsistent"),
        (np.zeros((4, 2)), [0, 0, 1, np.nan], "NaN"),
        (np.zeros((4, 2)), [0, 0, 1, np.inf], "inf"),
        (np.array([[0.0], [np.nan], [1.0]]), [0, 0, 1], "NaN"),
        (np.array([[0.0], [np.inf], [1.0]]), [0, 0, 1], "inf"),
        (np.array([[0.0], [1j], [1.0]]), [0, 0, 1], "[Cc]omplex"),
        (np.array([["a"], ["b"], ["c"]]), [0, 0, 1], "real numbers|string"),
        (np.zeros(4), [0, 0, 1, 1], "2 axes|[Rr]eshape"),
        (np.zeros((4, 0)), [0, 0, 1, 1], "0 feature"),
        (scipy.sparse.eye(4).tocsr(), [0, 0, 1, 1], "sparse"),
        (np.zeros((4, 2)), None, "requires y"),
        (np.zeros((4, 2)), ["a", "a", "b", "b"], "times must be numbers, datetimes or durations"),
        (pd.DataFrame({"x": [1.0, 2.0]}), None, "no column 'time'"),
        ("snapshots.csv", None, "requires y|DataFrame|table"),
    ],
)
def test_bad_data(X, y, message):
    bridge = SchrodingerBridge()
    with pytest.raises(InputError, match=message):
        bridge.fit(X, y)
    assert not hasattr(bridge, "bridge_")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 1.0], r"shape \(6,\)|weights"),
        ([-1.0, 1, 1, 1, 1, 1], "non-negative"),
        ([0.0, 0, 0, 1, 1, 1], "at least two snapshots are needed, got 1|positive sum"),
        ([0.0, 0, 0, 0, 0, 0], "positive sum"),
        ([np.nan, 1, 1, 1, 1, 1], "NaN"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(InputError, match=message):
        SchrodingerBridge().fit(*rows(), sample_weight=weight)


def one_rate(t, x):
    return 0.0


def unknown_rates(t, x):
    return np.full(len(x), np.nan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"volatility": 0.0}, "volatility must be positive and finite, got 0.0; None sets"),
        ({"volatility": -1.0}, "volatility must be positive and finite"),
        ({"volatility": [1.0, 0.0]}, "volatility must be positive and finite"),
        ({"volatility": np.nan}, "volatility must be positive and finite"),
        ({"volatility": [1.0, 1.0, 1.0]}, r"volatility must be a number or have shape \(2,\)"),
        (
            {"volatility": "lern"},
            "volatility must be numbers, a callable, 'learn' or 'likelihood', got 'lern'",
        ),
        ({"backend": "exakt"}, r"unknown backend 'exakt'; did you mean 'exact'\?"),
        ({"backend": "exact", "reference": LotkaVolterra()}, "needs an affine drift"),
        ({"reference": Brownian(dim=3)}, "dimension 3, the snapshots have 2"),
        ({"reference": "lotka_volterra"}, "reference must be an SDE"),
        ({"reference": AffineDrift}, "reference must be an SDE"),
        ({"reference": Spiral(A), "volatility": 0.1}, "has its own diffusion g"),
        ({"n_refinements": -1}, "n_refinements must be a non-negative integer, got -1"),
        ({"n_refinements": 2.5}, "n_refinements must be a non-negative integer, got 2.5"),
        ({"n_refinements": "many"}, "n_refinements must be a non-negative integer"),
        ({"n_particles": 0}, "n_particles must be a positive integer, got 0"),
        ({"max_samples": 0}, "max_samples must be a positive integer"),
        ({"max_samples": 1.5}, "max_samples must be a positive integer"),
        ({"tol": 0.0}, "tol must be positive"),
        ({"tol": np.nan}, "tol must be positive"),
        ({"tol": "small"}, "tol must be positive"),
        ({"random_state": "seed"}, "random_state must be None, an int"),
        ({"device": "tpu"}, "device must be"),
        ({"growth": "unbalanced"}, "growth must be None, 'counts'"),
        ({"growth": "count"}, "did you mean 'counts'"),
        ({"growth": one_rate}, "one finite rate for every row"),
        ({"growth": unknown_rates}, "values not finite"),
        ({"growth": "counts", "backend": "matching"}, "knows no growth"),
        ({"n_jobs": 0}, "n_jobs must be None, -1 or a positive integer"),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),  # the same in every process
)
def test_bad_options(options, message):
    bridge = SchrodingerBridge(**options)
    with pytest.raises(InputError, match=message):
        bridge.fit(*rows())
    assert not hasattr(bridge, "bridge_")


def test_containers_bring_their_own_times(snapshots):
    with pytest.raises(InputError, match="leave out y, sample_weight"):
        SchrodingerBridge().fit(snapshots, np.zeros(120))
    with pytest.raises(InputError, match="leave out y, sample_weight"):
        SchrodingerBridge().fit(snapshots, sample_weight=np.ones(120))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda b: b.sample(5, [0.0, 4.0]),
            r"time 4 lies outside the snapshots \(0 to 3\); use fo",
        ),
        (lambda b: b.sample(5, [-1.0]), "time -1 lies outside the snapshots"),
        (lambda b: b.sample(5, []), "ts is empty; give at least one time"),
        (lambda b: b.predict(X0, 0.0, []), "ts is empty; give at least one time"),
        (lambda b: b.forecast([]), "ts is empty; give at least one time"),
        (lambda b: b.sample(5, np.zeros((2, 2))), "ts must be one time, a row"),
        (lambda b: b.sample(5, [np.nan]), "ts must be finite"),
        (lambda b: b.sample(0), "n must be a positive integer, got 0"),
        (lambda b: b.sample(2.5), "n must be a positive integer, got 2.5"),
        (lambda b: b.sample("many"), "n must be a positive integer, got 'many'"),
        (lambda b: b.sample(5, random_state="a"), "random_state must be"),
        (lambda b: b.sample(5, [pd.Timestamp("2024-01-01")]), "times|number"),
        (lambda b: b.marginal([0.1, 0.2]), "one time|single"),
        (lambda b: b.marginal(np.nan), "finite"),
        (lambda b: b.marginal(0.5, -1), "n must be a positive integer"),
        (
            lambda b: b.forecast([2.0]),
            r"a forecast starts at the last snapshot \(3\), got 2; use s",
        ),
        (lambda b: b.predict(X0, 4.0, [5.0]), "time 4 lies outside the snapshots"),
        (lambda b: b.predict(X0, -1.0), "time -1 lies outside the snapshots"),
        (lambda b: b.predict(X0, 1.0, [0.5]), "must not lie before t0 = 1, got 0.5"),
        (lambda b: b.predict(np.zeros((2, 3)), 0.0), "3 features, but SchrodingerBridge is expect"),
        (lambda b: b.predict(np.full((2, 2), np.nan), 0.0), "X must be finite, found NaN"),
        (lambda b: b.predict([1.0, 2.0], 0.0), "2 axes|[Rr]eshape"),
        (lambda b: b.velocity(np.zeros((2, 3)), 0.5), "3 features"),
        (lambda b: b.velocity(X0, -0.5), "before the first snapshot; nothing is known there"),
        (lambda b: b.velocity(X0, np.inf), "finite"),
        (lambda b: b.coupling(3), "k must be one of the 3 segments, got 3"),
        (lambda b: b.coupling(-4), "k must be one of the 3 segments, got -4"),
        (lambda b: b.coupling(0.5), "k must be"),
        (lambda b: b.score(X0, [0.0, 1.0], scoring="w3"), r"unknown scoring 'w3'; did you mean 'w"),
        (lambda b: b.score(np.zeros((2, 3)), [0.0, 1.0]), "3 features, but SchrodingerBridge"),
        (lambda b: b.score(X0), "requires y"),
    ],
)
def test_bad_questions(fixed, ask, message):
    with pytest.raises(InputError, match=message):
        ask(fixed)


def test_segments_count_from_the_end_too(fixed):
    assert np.array_equal(fixed.coupling(-1), fixed.coupling(2))


def test_a_file_in_the_way_of_a_save(fixed, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        fixed.save(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"
