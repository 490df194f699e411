"""Bridges between snapshots of some coordinates, against filters and smoothers written here."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from trajinfer import SchrodingerBridge, Snapshots, load
from trajinfer._core.errors import IdentifiabilityWarning
from trajinfer.nn import Parameter
from trajinfer.processes import AffineDrift, Brownian, OrnsteinUhlenbeck, RepressilatorWithProteins
from trajinfer.processes.base import Process
from trajinfer.references.transitions import Transitions

SWING = np.array([[0.0, 1.0], [-1.2, -0.4]])
NOISE = np.array([0.2, 0.5])
TIMES = np.array([0.0, 0.5, 1.2, 2.0])


class Spring(Process):
    """Position and speed: dx = v dt, dv = (-stiffness x - friction v) dt plus noise."""

    def __init__(self, stiffness=None, friction=None, gear=1.0, *, volatility=None):
        declared = {
            "stiffness": Parameter(stiffness, 0.5, positive=True),
            "friction": Parameter(friction, 0.5, positive=True),
            "gear": Parameter(gear, 1.0, positive=True),
        }
        super().__init__(2, volatility, declared)

    def drift(self, t, y, p):
        matrix, offset = self.affine(p)
        return y @ matrix.T + offset

    def affine(self, p):
        zero = torch.zeros((), dtype=torch.float64)
        rows = [zero, p["gear"], -p["stiffness"] / p["gear"], -p["friction"]]
        return torch.stack(rows).reshape(2, 2), torch.zeros(2, dtype=torch.float64)


def step(matrix, noise, duration):
    """Flow and covariance over a duration, by the exponential of a block matrix."""
    d = len(matrix)
    block = np.block([[-matrix, np.diag(noise**2)], [np.zeros((d, d)), matrix.T]]) * duration
    both = expm(block)
    flow = both[d:, d:].T
    return flow, flow @ both[:d, d:]


def simulated(n, seed, times=TIMES, matrix=SWING):
    """Fresh individuals at every time, starting near (2, 0.5)."""
    rng = np.random.default_rng(seed)
    clouds = []
    for t in times:
        x = rng.normal([2.0, 0.5], [0.3, 0.2], (n, 2))
        if t > 0:
            flow, spread = step(matrix, NOISE, t)
            x = x @ flow.T + rng.multivariate_normal([0, 0], spread, n)
        clouds.append(x)
    return clouds


def smoothed(seen, mean, variance, noise=NOISE):
    """Kalman smoother: mean and variance of the hidden second coordinate at every time.

    By the joint normal law of all states, conditioned on the first coordinates.
    """
    steps = [step(SWING, np.asarray(noise), h) for h in np.diff(TIMES)]
    size = 2 * len(TIMES)
    centre, cov = np.zeros(size), np.zeros((size, size))
    centre[:2], cov[:2, :2] = [seen[0], mean], np.diag([0.0, variance])
    for k, (flow, spread) in enumerate(steps, start=1):
        a, b = slice(2 * k - 2, 2 * k), slice(2 * k, 2 * k + 2)
        centre[b] = flow @ centre[a]
        cov[b, : 2 * k] = flow @ cov[a, : 2 * k]
        cov[: 2 * k, b] = cov[b, : 2 * k].T
        cov[b, b] = flow @ cov[a, a] @ flow.T + spread
    o, h = np.arange(2, size, 2), np.arange(1, size, 2)
    gain = cov[np.ix_(h, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
    left = cov[np.ix_(h, h)] - gain @ cov[np.ix_(o, h)]
    return centre[h] + gain @ (np.array(seen[1:]) - centre[o]), np.diag(left)


@pytest.fixture(scope="module")
def one_individual():
    """A bridge through one measured position per time: the reference, given these positions."""
    seen = [2.0, 2.3, 1.9, 0.4]
    data = Snapshots(TIMES, [np.array([[y]]) for y in seen], features=("position",))
    bridge = SchrodingerBridge(
        AffineDrift(2, SWING, [0.0, 0.0], volatility=NOISE),
        observed={"position": 0},
        n_refinements=0,
        random_state=0,
    )
    return seen, bridge.fit(data)


def test_hidden_coordinates_of_one_individual_are_those_of_a_kalman_smoother(one_individual):
    seen, bridge = one_individual
    first = bridge.bridge_.laws[0]
    mean, variance = smoothed(seen, first.mean.item(), first.covariance.item())
    n = 20_000
    speed = bridge.sample(n, random_state=1).values[:, :, 1]
    np.testing.assert_array_less(np.abs(speed.mean(0) - mean), 4.5 * np.sqrt(variance / n))
    np.testing.assert_array_less(np.abs(speed.var(0) / variance - 1), 4.5 * np.sqrt(2 / n))


def test_every_path_has_the_law_of_a_smoother_along_its_own_points():
    """Individuals who meet at a point came with different speeds, and go on with them."""
    clouds = [np.array([[y - 1.5], [y], [y + 1.5]]) for y in (2.0, 2.3, 1.9, 0.4)]
    reference = AffineDrift(2, SWING, [0.0, 0.0], volatility=[1.0, 0.5])
    bridge = SchrodingerBridge(reference, observed=[0], n_refinements=0, random_state=0)
    bridge.fit(Snapshots(TIMES, clouds))
    n = 4000
    paths = bridge.sample(n, random_state=1).values
    chains, chain_of = np.unique(paths[:, :, 0], axis=0, return_inverse=True)
    assert len(chains) > 20
    first, law = list(clouds[0][:, 0]), bridge.bridge_.laws[0]
    laws = [
        smoothed(seen, law.mean[k].item(), law.covariance[k].item(), [1.0, 0.5])
        for seen in chains
        for k in [first.index(seen[0])]
    ]
    mean, variance = (np.array(part)[chain_of] for part in zip(*laws))
    z = (paths[:, :, 1] - mean) / np.sqrt(variance)
    np.testing.assert_array_less(np.abs(z.mean(0)), 4.5 / np.sqrt(n))
    np.testing.assert_array_less(np.abs(z.var(0) - 1), 4.5 * np.sqrt(2 / n))


def test_segments_are_solved_once_for_all_answers(one_individual, monkeypatch):
    _, bridge = one_individual
    before = bridge.sample(50, random_state=0)
    solve, calls = Transitions.__call__, []

    def counted(*args, **settings):
        calls.append(1)
        return solve(*args, **settings)

    monkeypatch.setattr(Transitions, "__call__", counted)
    np.testing.assert_array_equal(bridge.sample(50, random_state=0).values, before.values)
    assert not calls
    bridge.marginal(0.7, 5)
    assert len(calls) == 2  # from the start to this time, and on to the end of the segment


def test_names_tell_what_was_inferred(one_individual):
    _, bridge = one_individual
    paths = bridge.sample(3, ts=[0.0, 0.7])
    assert list(paths.to_frame().columns)[-2:] == ["position", "hidden_1"]
    assert bridge.hidden_ == (1,)
    assert bridge.forecast([3.0], n=5).values.shape == (5, 1, 2)
    assert bridge.measurements(0.7, n=4).shape == (4, 1)


def test_a_saved_bridge_answers_alike(one_individual, tmp_path):
    _, bridge = one_individual
    bridge.save(tmp_path / "model")
    again = load(tmp_path / "model")
    ts = [0.3, 1.2, 1.7]
    assert np.array_equal(again.sample(7, ts).values, bridge.sample(7, ts).values)
    x = np.array([[1.0, 0.5]])
    assert np.array_equal(again.velocity(x, 0.9), bridge.velocity(x, 0.9))


def test_the_drift_of_the_path_law_is_that_of_a_tied_process(one_individual):
    seen, bridge = one_individual
    x, t = np.array([[2.1, 0.2]]), 0.8
    flow, spread = step(SWING, NOISE, TIMES[2] - t)
    miss = (seen[2] - (flow @ x[0])[0]) / spread[0, 0]
    expected = SWING @ x[0] + NOISE**2 * flow[0] * miss
    np.testing.assert_allclose(bridge.velocity(x, t)[0], expected, rtol=1e-6)


def test_futures_follow_the_tied_process(one_individual):
    seen, bridge = one_individual
    x, t = np.array([[2.1, 0.2]]), 1.2
    flow, spread = step(SWING, NOISE, TIMES[3] - t)
    ahead = flow @ x[0]
    expected = ahead[1] + spread[1, 0] / spread[0, 0] * (seen[3] - ahead[0])
    left = spread[1, 1] - spread[1, 0] ** 2 / spread[0, 0]
    found = bridge.predict(x, t, [2.0])[0, 0]
    assert found[0] == pytest.approx(seen[3])
    assert abs(found[1] - expected) < 4.5 * np.sqrt(left / 100)


@pytest.fixture(scope="module")
def many():
    """Positions of 100 individuals at six times, and a bridge that learned the spring."""
    times = np.linspace(0, 3, 6)
    clouds = simulated(100, 0, times)
    data = Snapshots(times, [x[:, :1] for x in clouds])
    bridge = SchrodingerBridge(Spring(volatility=NOISE), observed=[0], random_state=0)
    return clouds, bridge.fit(data)


def test_the_parameters_of_a_spring_are_found_from_positions_alone(many):
    _, bridge = many
    # four standard errors; over five such sets the values scatter by .11 and .044
    assert bridge.parameters_["stiffness"] == pytest.approx(1.2, abs=4 * 0.11)
    assert bridge.parameters_["friction"] == pytest.approx(0.4, abs=4 * 0.044)
    assert bridge.left_open_ == []
    assert bridge.converged_


@pytest.mark.slow
def test_parameters_of_springs_have_no_bias():
    times, found = np.linspace(0, 3, 6), []
    for seed in range(5):
        data = Snapshots(times, [x[:, :1] for x in simulated(100, seed, times)])
        bridge = SchrodingerBridge(Spring(volatility=NOISE), observed=[0], random_state=0).fit(data)
        found.append([bridge.parameters_[name] for name in ("stiffness", "friction")])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(np.mean(found, axis=0) - [1.2, 0.4]), 4.5 * error)


def test_speeds_that_nobody_measured_have_the_true_law(many):
    clouds, bridge = many
    for k, cloud in enumerate(clouds):
        speed = bridge.marginal(bridge.snapshots_.times[k], 4000)[:, 1]
        true = cloud[:, 1]
        assert abs(speed.mean() - true.mean()) < 0.25 * true.std() + 4 * true.std() / 100**0.5
        if k:
            assert 0.6 < speed.std() / true.std() < 1.4


def test_cells_have_fates_and_descendants(many):
    _, bridge = many
    plan = bridge.coupling(2)
    np.testing.assert_allclose(plan.sum(0), 1 / 100, atol=1e-6)
    np.testing.assert_allclose(plan.sum(1), 1 / 100, atol=1e-6)
    fates = bridge.fates({"below": lambda x: x[:, 0] < 0}, t0=0.6, t1=1.8)
    np.testing.assert_allclose(fates.sum(axis=1), 1.0)
    pushed = bridge.push(np.ones(100), 0.6, 1.8)
    np.testing.assert_allclose(pushed.sum(), 100)


def test_a_hidden_scale_is_said_to_be_open():
    times = np.linspace(0, 3, 4)
    data = Snapshots(times, [x[:, :1] for x in simulated(30, 1, times)])
    """A volatility that is given would tell the scale, by the noise of the speed."""
    spring = Spring(gear=None, volatility=NOISE)
    bridge = SchrodingerBridge(spring, volatility="likelihood", observed=[0], random_state=0)
    with pytest.warns(IdentifiabilityWarning, match="gear"):
        bridge.fit(data)
    assert "gear" in bridge.left_open_


@pytest.mark.parametrize(
    ("observed", "settings", "words"),
    [
        ([0, 1], {}, "snapshots have 1"),
        ([2], {}, "from 0 to 1"),
        (["x"], {}, "whole numbers"),
        ("x", {}, "places of the measured"),
        ({"y": 0}, {}, "name every column"),
        ([0], {"growth": "counts"}, "growth"),
        ([0], {"backend": "mixture"}, "backend"),
        ([0], {"volatility": "learn"}, "likelihood"),
    ],
)
def test_what_cannot_be_is_refused(observed, settings, words):
    data = Snapshots([0, 1], [np.zeros((3, 1)), np.ones((3, 1))], features=("position",))
    bridge = SchrodingerBridge(OrnsteinUhlenbeck(dim=2), observed=observed, **settings)
    with pytest.raises(ValueError, match=words):
        bridge.fit(data)


def test_all_coordinates_or_no_reference_are_refused():
    data = Snapshots([0, 1], [np.zeros((3, 1)), np.ones((3, 1))])
    with pytest.raises(ValueError, match="nothing is hidden"):
        SchrodingerBridge(Brownian(dim=1), observed=[0]).fit(data)
    with pytest.raises(ValueError, match="how many coordinates"):
        SchrodingerBridge(observed=[0]).fit(data)


def test_proteins_without_units_are_given_them_by_one_parameter():
    drift = {"leak": 0.1, "production": 5, "hill": 2, "decay": 1, "protein_decay": 0.7}
    small = RepressilatorWithProteins(k=1.0, translation=2.0, **drift)
    large = RepressilatorWithProteins(k=3.0, translation=6.0, **drift)
    x = torch.tensor([[1.0, 2.0, 3.0, 0.5, 1.5, 0.2]], dtype=torch.float64)
    y = torch.cat([x[:, :3], 3 * x[:, 3:]], dim=1)
    assert torch.allclose(small.f(x, x)[:, :3], large.f(y, y)[:, :3])
    assert torch.allclose(3 * small.f(x, x)[:, 3:], large.f(y, y)[:, 3:])
