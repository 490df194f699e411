"""Volatility learned from few points, freed of what finite clouds add."""

import numpy as np
import pytest

import trajinfer
from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.bridges.finite_clouds import CORRECTED, extrapolated
from trajinfer.processes import AffineDrift, Brownian
from trajinfer.references import reference

TRUE = np.array([0.4, 0.8])


def diffusing(n, seed):
    """Independent individuals of a Brownian motion, at three times."""
    rng = np.random.default_rng(seed)
    spread = [np.sqrt(0.3**2 + t * TRUE**2) for t in (0.0, 1.0, 2.0)]
    return Snapshots([0, 1, 2], [rng.normal(0, s, (n, 2)) for s in spread])


def fitted(data, volatility="learn", **words):
    reference = words.pop("reference", Brownian(dim=2))
    return SchrodingerBridge(reference, volatility=volatility, random_state=0, **words).fit(data)


def test_an_excess_that_is_squared_with_half_the_points_is_taken_away():
    def learned(n):
        return TRUE * np.exp(10.0 / n)

    np.testing.assert_allclose(extrapolated(learned(50), [learned(25)] * 2), TRUE)
    np.testing.assert_allclose(extrapolated(TRUE, [TRUE]), TRUE)


@pytest.mark.parametrize("n_sets", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_learned_volatility_is_nearer_to_the_truth_than_that_of_the_likelihood(n_sets):
    """On average over sets, in the logarithm: what few points add is an excess, always upwards."""
    learned, likely = [], []
    for seed in range(n_sets):
        data = diffusing(24, seed)
        bridge = fitted(data)
        learned.append(bridge.volatility_)
        likely.append(bridge.history_[-1]["volatility_learned"])
        if seed == 0:
            np.testing.assert_array_equal(fitted(data, "likelihood").volatility_, likely[0])
    excess, left = (np.log(np.array(v) / TRUE).mean() for v in (likely, learned))
    assert excess > 0.04
    assert abs(left) < 0.75 * excess


@pytest.fixture(scope="module")
def corrected():
    return fitted(diffusing(24, 5), reference=AffineDrift(2, np.zeros((2, 2))))


def test_the_drift_is_refined_under_the_corrected_volatility(corrected):
    rounds = [r for r in corrected.history_ if r["kind"] == CORRECTED]
    assert [r["round"] for r in corrected.history_] == list(range(len(corrected.history_)))
    falls = np.diff([r["objective"] for r in rounds])
    assert (falls <= 1e-6 * (1 + abs(rounds[0]["objective"]))).all()
    falls = np.diff(corrected.objective_history_)
    assert (falls <= 1e-6 * (1 + abs(corrected.objective_history_[0]))).all()
    assert corrected.converged_


def test_the_volatility_stays_one_of_the_learned_numbers(corrected, tmp_path):
    drawn = corrected.draw_references(20, random_state=0)
    assert np.std([sde.volatility for sde in drawn], axis=0).min() > 0
    again = trajinfer.load(corrected.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.volatility_, corrected.volatility_)
    np.testing.assert_array_equal(again.marginal(0.5, 5), corrected.marginal(0.5, 5))


def test_growth_and_weights_are_halved_too():
    data = diffusing(30, 6)
    weights = [np.linspace(1, 2, 30)] * 3
    grown = Snapshots(data.times, data.points, weights, sizes=[1.0, 2.0, 4.0])
    bridge = fitted(grown, growth="counts")
    assert any(record["kind"] == CORRECTED for record in bridge.history_)


def test_few_points_keep_what_was_learned_and_say_so(caplog):
    with caplog.at_level("WARNING", logger="trajinfer"):
        bridge = fitted(diffusing(15, 7))
    assert any("stays as learned" in message for message in caplog.messages)
    np.testing.assert_array_equal(
        bridge.volatility_, fitted(diffusing(15, 7), "likelihood").volatility_
    )


def test_moments_of_many_points_are_taken_in_blocks_of_columns(monkeypatch):
    rng = np.random.default_rng(0)
    clouds = [rng.normal(3, 2, (n, 5)) for n in (40, 60)]
    weights = [rng.uniform(size=len(points)) for points in clouds]
    snapshots = Snapshots([0, 1], clouds, weights)
    whole = reference.snapshot_moments(snapshots)
    monkeypatch.setattr(reference, "_AT_ONCE", 200)
    mean, deviation = reference.snapshot_moments(snapshots)
    np.testing.assert_allclose(mean, whole[0], rtol=1e-13)
    np.testing.assert_allclose(deviation, whole[1], rtol=1e-13)
    mass = np.concatenate([own / own.sum() for own in weights]) / 2
    np.testing.assert_allclose(mean, mass @ np.concatenate(clouds), rtol=1e-12)
