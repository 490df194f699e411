"""Mass that changes on the way, against closed forms and sums over couplings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import InputError
from trajinfer.bridges.growth_search import _neutral, _Search, _Segment
from trajinfer.processes import AffineDrift, Brownian
from trajinfer.references.dynamics import Reference
from trajinfer.references.problem import Problem
from trajinfer.references.transitions import Transitions

SLOPE, START, SPREAD, NOISE, END = 0.8, 0.3, 0.6, 0.5, 1.0


def grown_mass(t):
    """E exp of the integral of SLOPE * X up to t, X Brownian from N(START, SPREAD^2)."""
    variance = SPREAD**2 * t**2 + NOISE**2 * t**3 / 3
    return np.exp(SLOPE * START * t + SLOPE**2 * variance / 2)


def grown_mean(t):
    """Mean of the population at t: the start's, and SLOPE times Cov(X_t, integral of X)."""
    return START + SLOPE * (SPREAD**2 * t + NOISE**2 * t**2 / 2)


@pytest.fixture(scope="module", params=["exact", "mixture"])
def linear(request):
    """Populations whose growth is linear in x, as quantiles of their laws."""
    levels = (np.arange(300) + 0.5) / 300
    clouds = [
        norm.ppf(levels, grown_mean(t), np.sqrt(SPREAD**2 + NOISE**2 * t))[:, None]
        for t in (0.0, END)
    ]
    data = Snapshots([0.0, END], clouds)
    reference = Brownian(dim=1, volatility=NOISE)
    return SchrodingerBridge(
        reference, backend=request.param, growth=lambda t, x: SLOPE * x[:, 0], random_state=0
    ).fit(data)


def test_mass_is_the_expected_number_of_descendants(linear):
    ts = np.array([END, 0.0, 0.25, 0.5, 0.75])
    # the trapezoid rule errs by 2 % over the whole; without growth at the end it would be 20 %
    np.testing.assert_allclose(linear.mass(ts), grown_mass(ts), rtol=0.02)
    assert linear.mass(0.0) == 1.0


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_the_population_in_between_has_its_mean_and_spread(linear, t):
    drawn = linear.marginal(t, 40_000)[:, 0]
    # growth by the ends alone leaves out that noise on the way there is growth as well
    left_out = SLOPE * NOISE**2 * t**2 * (END - t) / 2
    assert drawn.mean() == pytest.approx(grown_mean(t) - left_out, abs=0.006)
    assert drawn.std() == pytest.approx(np.sqrt(SPREAD**2 + NOISE**2 * t), rel=0.02)


def test_paths_weighted_by_their_branches_are_the_population(linear):
    ts = [0.0, 0.3, END, 0.6]
    paths = linear.sample(4000, ts)
    assert paths.weights.shape == paths.branches.shape == (4000, 4)
    np.testing.assert_array_equal(paths.branches[:, 0], 1.0)
    np.testing.assert_allclose(paths.branches.mean(0), linear.mass(ts), rtol=0.02)
    drawn = [linear.marginal(t, 4000).mean() for t in ts]
    np.testing.assert_allclose(paths.mean()[:, 0], drawn, atol=0.03)
    late = linear.sample(4000, [0.6, END])
    assert late.values[:, 0].mean() == pytest.approx(drawn[3], abs=0.03)
    ratio = linear.mass(END) / linear.mass(0.6)
    assert late.branches[:, 1].mean() == pytest.approx(float(ratio[0]), rel=0.02)


@pytest.fixture(scope="module")
def snapshots():
    rng = np.random.default_rng(0)
    return Snapshots([0.0, 1.0, 2.5], [rng.normal(k / 2, 1.0, (20 + 5 * k, 2)) for k in range(3)])


def rate(t, x):
    return 0.5 * np.tanh(x[:, 0]) + 0.1 * t


@pytest.fixture(scope="module")
def bridge(snapshots):
    return SchrodingerBridge(growth=rate, random_state=0).fit(snapshots)


def descendants(bridge, snapshots):
    """Expected descendants at the end of every individual at the start, by sums over pairs."""
    found = np.eye(len(snapshots.points[0]))
    for k in range(2):
        x, y = snapshots.points[k], snapshots.points[k + 1]
        t0, t1 = snapshots.times[k : k + 2]
        gain = (t1 - t0) / 2 * (rate(t0, x)[:, None] + rate(t1, y)[None])
        joint = bridge.coupling(k) * float(bridge.mass(t1)[0] / bridge.mass(t0)[0])
        # every individual at the start is there once: one descendant stands for exp(-gain) of it
        np.testing.assert_allclose((joint * np.exp(-gain)).sum(1) * len(x), 1.0, rtol=1e-5)
        np.testing.assert_allclose(bridge.coupling(k).sum(0), snapshots.probabilities(k + 1))
        found = found @ (joint * len(x))
    return found


def test_sets_of_cells_count_descendants(bridge, snapshots):
    table = descendants(bridge, snapshots)
    marked = np.zeros(20)
    marked[[2, 7]] = 0.5, 1.5
    np.testing.assert_allclose(bridge.push(marked, 0.0, 2.5), marked @ table, rtol=1e-5)
    total = bridge.push(snapshots.probabilities(0), 0.0, 2.5).sum()
    assert total == pytest.approx(float(bridge.mass(2.5)[0]), rel=1e-6)
    right = snapshots.points[2][:, 0] > 1.0
    shares = bridge.fates({"right": right}, t0=0.0, t1=2.5)
    np.testing.assert_allclose(shares["right"], table[:, right].sum(1) / table.sum(1), rtol=1e-5)
    later = np.zeros(30)
    later[4] = 2.0
    expected = 2.0 * table[:, 4] / table[:, 4].sum()
    np.testing.assert_allclose(bridge.pull(later, 0.0, 2.5), expected, rtol=1e-5)
    sets = {"low": lambda x: x[:, 1] < 0.0}
    low = snapshots.points[0][:, 1] < 0.0
    rows = bridge.transition_table(sets, {"right": right}, t0=0.0, t1=2.5)
    into = table[low][:, right].sum() / table[low].sum()
    assert rows.loc["low", "right"] == pytest.approx(into, rel=1e-5)


def test_counts_are_the_same_growth_everywhere(snapshots, tmp_path):
    bridge = SchrodingerBridge(growth="counts", random_state=0).fit(snapshots)
    np.testing.assert_allclose(bridge.mass([0.0, 0.5, 1.0, 2.5]), [1, 1.25**0.5, 1.25, 1.5])
    np.testing.assert_allclose(bridge.growth_[1], np.log(1.5 / 1.25) / 1.5)
    np.testing.assert_allclose(bridge.growth_rate(snapshots.points[2], 0.3), np.log(1.25))
    plain = SchrodingerBridge(random_state=0).fit(snapshots)
    np.testing.assert_allclose(bridge.coupling(1), plain.coupling(1), atol=1e-12)
    again = load(bridge.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.mass([0.3, 2.0]), bridge.mass([0.3, 2.0]))
    np.testing.assert_array_equal(
        again.sample(5, random_state=1).branches, bridge.sample(5, random_state=1).branches
    )
    with pytest.raises(InputError, match="after the last snapshot"):
        bridge.mass([2.6])


def test_weights_are_population_sizes_unless_they_were_normalised():
    points = [np.zeros((2, 1)), np.ones((2, 1)), np.ones((3, 1))]
    weights = [[1.0, 2.0], [3.0, 3.0], [0.5, 0.5, 0.5]]
    data = Snapshots([0, 1, 2], points, weights)
    np.testing.assert_array_equal(data.sizes, [3.0, 6.0, 1.5])
    np.testing.assert_array_equal(data.drop(1).sizes, [3.0, 1.5])
    shares = [np.full(len(x), 1 / len(x)) for x in points]
    np.testing.assert_array_equal(Snapshots([0, 1, 2], points, shares).sizes, [2, 2, 3])
    given = Snapshots([0, 1, 2], points, shares, sizes=[1.0, 4.0, 9.0])
    np.testing.assert_array_equal(given.select([0, 2]).sizes, [1.0, 9.0])
    with pytest.raises(InputError, match="3 positive numbers"):
        Snapshots([0, 1, 2], points, sizes=[1.0, 0.0, 2.0])


def test_growth_by_a_function_cannot_be_saved(bridge, tmp_path):
    with pytest.raises(InputError, match="growth holds a function"):
        bridge.save(tmp_path / "bridge")


@pytest.fixture(scope="module")
def two_groups():
    """One group of individuals triples where it stands, the other moves on and keeps its size."""
    rng = np.random.default_rng(3)
    early = np.concatenate([rng.normal(0, 0.2, (30, 2)), rng.normal([3, 0], 0.2, (30, 2))])
    late = np.concatenate([rng.normal(0, 0.2, (90, 2)), rng.normal([3, 1], 0.2, (30, 2))])
    data = Snapshots([0.0, 2.0], [early, late])
    return data, SchrodingerBridge(growth="learn", random_state=0).fit(data)


def test_learned_growth_finds_the_group_that_divides(two_groups):
    data, bridge = two_groups
    grows = data.points[0][:, 0] < 1.5
    expected = np.where(grows, np.log(3) / 2, 0.0)
    np.testing.assert_allclose(bridge.growth_[0], expected, atol=0.1)
    assert bridge.growth_[0][grows].mean() == pytest.approx(np.log(3) / 2, abs=0.03)
    later = data.points[1][:, 0] < 1.5
    joint = bridge.coupling(0)
    assert joint[~grows][:, later].sum() < 0.02
    # without growth a quarter of all must move over: the late shares are 3 : 1
    plain = SchrodingerBridge(random_state=0).fit(data).coupling(0)
    assert plain[~grows][:, later].sum() == pytest.approx(0.25, abs=1e-3)
    np.testing.assert_allclose(bridge.mass([0.0, 2.0]), [1.0, 2.0])
    # (1/2) (3^(1/2) + 1): half of them have grown to the root of 3
    assert bridge.mass([1.0])[0] == pytest.approx((np.sqrt(3) + 1) / 2, rel=0.02)


def test_learned_growth_is_saved(two_groups, tmp_path):
    _, bridge = two_groups
    again = load(bridge.save(tmp_path / "bridge"))
    grid = np.stack(np.meshgrid(np.linspace(-1, 4, 5), [0.0, 1.0]), -1).reshape(-1, 2)
    np.testing.assert_array_equal(again.growth_rate(grid, 1.0), bridge.growth_rate(grid, 1.0))
    np.testing.assert_array_equal(again.coupling(0), bridge.coupling(0))


def test_learned_growth_under_the_true_movement_has_the_right_slope():
    levels = (np.arange(80) + 0.5) / 80
    clouds = [
        norm.ppf(levels, grown_mean(t), np.sqrt(SPREAD**2 + NOISE**2 * t))[:, None]
        for t in (0.0, END)
    ]
    data = Snapshots([0.0, END], clouds, sizes=[1.0, grown_mass(END)])
    bridge = SchrodingerBridge(Brownian(dim=1, volatility=NOISE), growth="learn", random_state=0)
    bridge.fit(data)
    slope = np.polyfit(clouds[0][:, 0], bridge.growth_[0], 1)[0]
    assert slope == pytest.approx(SLOPE, rel=0.1)
    assert bridge.mass([END])[0] == pytest.approx(grown_mass(END))


def test_a_contrast_is_bounded_no_more_in_five_dimensions_than_in_one():
    rng = np.random.default_rng(0)
    levels = (np.arange(200) + 0.5) / 200
    clouds = []
    for t in (0.0, END):
        spread = np.sqrt(SPREAD**2 + NOISE**2 * t)
        others = spread * rng.standard_normal((200, 4))
        clouds.append(np.column_stack([norm.ppf(levels, grown_mean(t), spread), others]))
    data = Snapshots([0.0, END], clouds, sizes=[1.0, grown_mass(END)])
    bridge = SchrodingerBridge(Brownian(dim=5, volatility=NOISE), growth="learn", random_state=0)
    slope = np.polyfit(clouds[0][:, 0], bridge.fit(data).growth_[0], 1)[0]
    # .81 +- .03 over draws of the other coordinates; .49 if the bound were that of one dimension
    assert slope == pytest.approx(SLOPE, rel=0.15)


def test_the_slope_of_the_search_is_that_of_its_objective():
    rng = np.random.default_rng(0)
    problem = Problem.of(
        Snapshots([0.0, 1.0, 3.0], [rng.normal(k, 1, (8 + k, 2)) for k in range(3)])
    )
    reference = Reference(Brownian(dim=2, volatility=1.0), linear_noise=False)
    with torch.no_grad():
        rate = _neutral(problem)
        transitions = Transitions(reference.frozen_dynamics)
        segments = [_Segment.of(problem, k, transitions, rate) for k in range(2)]
        search = _Search(segments, np.array([0.3, -0.2]), 1.5, 0.1)
        gains = [search._gains(s, plan) for s, plan in zip(segments, search.plans)]
        at = 0.3 * rng.standard_normal(1 + len(rate.weights))
        _, slope = search._objective(gains, at)
        for i in (0, 1, 4):
            step = 1e-4 * np.eye(len(at))[i]
            high, low = (search._objective(gains, at + s)[0] for s in (step, -step))
            assert slope[i] == pytest.approx((high - low) / 2e-4, abs=1e-4)


def test_a_reference_is_refined_with_and_without_growth(two_groups):
    data, _ = two_groups
    reference = AffineDrift(2)
    bridge = SchrodingerBridge(reference, growth="learn", n_refinements=1, random_state=0)
    with pytest.warns(ConvergenceWarning):
        bridge.fit(data)
    grows = data.points[0][:, 0] < 1.5
    rates = bridge.growth_[0]
    assert rates[grows].mean() > rates[~grows].mean() + 0.2
