"""Mixture potentials between populations whose mass changes; see test_growth for a closed form."""

import numpy as np
import pytest

from trajinfer import SchrodingerBridge, Snapshots, load

RATE = np.log(3) / 2


def on_the_left(x):
    return x[:, 0] < 1.5


def triples(t, x):
    """Those on the left triple within 2 units of time."""
    return np.where(on_the_left(x), RATE, 0.0)


@pytest.fixture(scope="module")
def data():
    """One group triples where it stands, the other moves on and keeps its size."""
    rng = np.random.default_rng(3)
    early = np.concatenate([rng.normal(0, 0.2, (75, 4)), rng.normal([3, 0, 0, 0], 0.2, (75, 4))])
    late = np.concatenate([rng.normal(0, 0.2, (225, 4)), rng.normal([3, 1, 0, 0], 0.2, (75, 4))])
    return Snapshots([0.0, 2.0], [early, late])


@pytest.fixture(scope="module", params=[triples, "learn"], ids=["given", "learned"])
def bridge(request, data):
    return SchrodingerBridge(backend="mixture", growth=request.param, random_state=0).fit(data)


def test_the_group_that_grows_gets_its_mass_and_nobody_moves_over(bridge):
    ts = np.array([0.0, 0.5, 1.5, 2.0])
    grown = np.exp(RATE * ts)
    # a learned rate is the true one up to a tenth
    np.testing.assert_allclose(bridge.mass(ts), (grown + 1) / 2, rtol=0.02)
    for t, share in zip(ts, grown / (grown + 1), strict=True):
        drawn = bridge.marginal(t, 4000)
        assert on_the_left(drawn).mean() == pytest.approx(share, abs=0.02)
    paths = bridge.sample(2000, ts)
    left = on_the_left(paths.values[:, 0])
    assert (on_the_left(paths.values[:, -1]) == left).mean() > 0.995
    assert paths.branches[left, -1].mean() == pytest.approx(3.0, rel=0.05)
    assert paths.branches[~left, -1].mean() == pytest.approx(1.0, rel=0.1)


def test_paths_that_start_between_snapshots_start_among_those_alive(bridge):
    late = bridge.sample(4000, [1.0, 2.0])
    alive = np.exp(RATE) / (1 + np.exp(RATE))
    assert on_the_left(late.values[:, 0]).mean() == pytest.approx(alive, abs=0.02)
    np.testing.assert_array_equal(late.branches[:, 0], 1.0)
    ratio = bridge.mass(2.0) / bridge.mass(1.0)
    assert late.branches[:, 1].mean() == pytest.approx(float(ratio[0]), rel=0.02)


def test_cells_are_pushed_with_their_growth(bridge, data):
    left = on_the_left(data.points[0]) / 150
    pushed = bridge.push(left, 0.0, 2.0)
    assert pushed.sum() == pytest.approx(1.5, rel=0.01)
    later = on_the_left(data.points[1])
    assert pushed[later].sum() > 0.995 * pushed.sum()
    fates = bridge.fates({"left": later}, t0=0.0, t1=2.0)
    assert (fates["left"] > 0.5).to_numpy() == pytest.approx(on_the_left(data.points[0]))


def test_counts_alone_change_no_potential(tmp_path):
    rng = np.random.default_rng(0)
    data = Snapshots([0.0, 2.0], [rng.normal(size=(n, 4)) for n in (100, 200)])
    grown = SchrodingerBridge(backend="mixture", growth="counts", random_state=0).fit(data)
    plain = SchrodingerBridge(backend="mixture", random_state=0).fit(data)
    x = data.points[0][:5]
    np.testing.assert_allclose(grown.velocity(x, 0.7), plain.velocity(x, 0.7), atol=1e-9)
    np.testing.assert_allclose(grown.mass([0.0, 1.0, 2.0]), [1.0, 2**0.5, 2.0])
    again = load(grown.save(tmp_path / "bridge"))
    np.testing.assert_array_equal(again.mass([0.3, 2.0]), grown.mass([0.3, 2.0]))
    np.testing.assert_array_equal(
        again.sample(5, random_state=1).branches, grown.sample(5, random_state=1).branches
    )


def test_many_growing_points_are_coupled_by_mixtures():
    rng = np.random.default_rng(0)
    many = Snapshots([0, 1], [rng.normal(size=(n, 4)) for n in (1500, 3000)])
    bridge = SchrodingerBridge(growth="counts", random_state=0).fit(many)
    assert bridge.backend_ == "mixture"
    np.testing.assert_allclose(bridge.mass([0.0, 1.0]), [1.0, 2.0])
