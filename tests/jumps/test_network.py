"""The recognition network: exact symmetries, accuracy, intervals; and its training data."""

import json

import numpy as np
import pytest
import torch

from tests.jumps.jump_data import RATES, load
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess
from trajinfer.recognition.network import features_of
from trajinfer.recognition.prior import (
    aggregate_statistics,
    draw_batch,
    draw_driven,
    draw_laws,
    draw_rates,
    observe,
    skeleton_batch,
)
from trajinfer.recognition.statistics import PathStatistics, binned_em, statistics_of
from trajinfer.recognition.training import (
    ExampleStream,
    example_of,
    fresh_network,
    loss_of,
    root_mean_square,
    train_network,
)


@pytest.fixture
def rates():
    return RATES.copy()


OFF = ~np.eye(6, dtype=bool)


def sets(n, n_paths, seed=0):
    data = load("dfr_V1")
    states = data["states"].astype(int)
    rows = [np.random.default_rng(seed + k).permutation(10_000)[:n_paths] for k in range(n)]
    build = JumpSeries.from_arrays
    return data["rates"], [build(data["times"], states[r], categories=range(6)) for r in rows]


@pytest.mark.parametrize("noise", [0.0, 0.05, None])
def test_symmetries_hold_to_rounding(rates, noise):
    data = jumps.simulate(rates, [1, 0, 0], 20, np.linspace(0, 6, 25), random_state=0)
    order = np.array([2, 0, 1])
    moved = JumpSeries.from_arrays(data.times, order[data.states])
    slow = JumpSeries.from_arrays(data.times * 60, data.states)
    network = jumps.pretrained()
    one, two, three = (network.estimate(d, label_noise=noise) for d in (data, moved, slow))
    assert np.allclose(two.rates[0][np.ix_(order, order)], one.rates[0], rtol=1e-9)
    assert np.allclose(two.initial[0][order], one.initial[0], rtol=1e-9)
    assert np.allclose(three.rates[0] * 60, one.rates[0], rtol=1e-9)
    assert np.allclose(three.upper[0] * 60, one.upper[0], rtol=1e-9)


def test_many_data_sets_at_once_are_the_same_as_one_by_one():
    _, data = sets(5, 20)
    together = jumps.pretrained().estimate(data)
    alone = [jumps.pretrained().estimate(d).rates[0] for d in data]
    assert np.allclose(together.rates, alone, rtol=1e-10)


def test_more_states_than_it_was_trained_on():
    rates = draw_rates(1, 15, np.random.default_rng(0), wide=False)[0]
    rates = rates - np.diag(rates.sum(axis=1))
    data = jumps.simulate(rates, np.full(15, 1 / 15), 100, np.linspace(0, 10, 60), random_state=0)
    found = jumps.pretrained().estimate(data, 15).rates[0]
    assert np.sqrt(np.mean((found - rates)[~np.eye(15, dtype=bool)] ** 2)) < 0.15


@pytest.mark.parametrize(("n_paths", "bar"), [(30, 0.26), (100, 0.16), (300, 0.095)])
def test_ratchet(n_paths, bar):
    """Mean over 60, 20, 20 draws against the published network's .330, .212, .162."""
    truth, data = sets(60 if n_paths == 30 else 20, n_paths)
    found = jumps.pretrained().estimate(data)
    assert root_mean_square(found.rates, np.repeat(truth[None], len(data), 0)).mean() < bar


@pytest.mark.slow
@pytest.mark.parametrize(("n_paths", "bar"), [(1, 0.66), (1000, 0.045), (5000, 0.025)])
def test_ratchet_at_both_ends(n_paths, bar):
    truth, data = sets(2000 if n_paths == 1 else 20, n_paths)
    found = jumps.pretrained().estimate(data)
    assert root_mean_square(found.rates, np.repeat(truth[None], len(data), 0)).mean() < bar


def published(n_paths, error, n=100, seed=7):
    """Irregular observations of matrices of the published prior, never used in training."""
    data, generator = load("prior_rates_N6_irregular_train"), np.random.default_rng(seed)
    rates = data["rates"][:n] * OFF
    states = skeleton_batch(rates, data["pi0"][:n], n_paths, generator)
    grid = generator.random(states.shape) < generator.uniform(0.13, 0.65, size=(n, 1, 1))
    return rates, observe(states, grid, np.full(n, error), generator, 6)


@pytest.mark.parametrize(
    ("n_paths", "error", "bar"),
    [
        (300, 0.0, 0.046),
        pytest.param(30, 0.0, 0.126, marks=pytest.mark.slow),
        (300, 0.01, 0.070),
        (300, 0.1, 0.082),
        (30, 0.1, 0.16),
    ],
)
def test_published_prior(n_paths, error, bar):
    """Mean over 100 processes, 200 where paths are few and the spread is large."""
    rates, statistics = published(n_paths, error, n=200 if n_paths < 100 else 100)
    found = jumps.pretrained().recognise(statistics, None if error else 0.0)
    assert root_mean_square(found.rates, rates).mean() < bar
    inside = (found.lower[..., 0] <= rates) & (rates <= found.upper[..., 0])
    assert 0.87 < inside[:, OFF].mean() < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dfr_V0", "dfr_V1", "dfr_V3"])
def test_auto_is_no_worse_than_the_better_of_both(name):
    data = load(name)
    truth, states = data["rates"], data["states"].astype(int)
    for n_paths in (100, 300, 1000):
        error = {"mle": [], "amortized": [], "auto": []}
        for k in range(12):
            rows = np.random.default_rng(k).permutation(10_000)[:n_paths]
            series = JumpSeries.from_arrays(data["times"], states[rows])
            for method, values in error.items():
                found = MarkovJumpProcess(6, method=method).fit(series).rates_
                values.append(np.sqrt(np.mean((found - truth)[OFF] ** 2)))
        best = min(np.mean(error["mle"]), np.mean(error["amortized"]))
        assert np.mean(error["auto"]) < 1.03 * best


def test_statistics_by_hand():
    series = JumpSeries.from_arrays([[0.0, 1.0, 3.0, 4.0]], [[0, 1, 0, 0]])
    found = statistics_of([series], 2)
    assert found.tau[0] == pytest.approx(4 / 3)
    assert found.counts.sum(axis=(0, 1)).tolist() == [[1, 1], [1, 0]]
    assert found.returns[0].tolist() == [[0, 1], [0, 0]]
    assert found.triples[0] == 2
    assert found.first[0].tolist() == [1, 0]
    assert (found.dwell[0] * found.tau[0]).tolist() == [2.5, 1.5]


def test_driven_processes_have_links_both_ways_and_half_are_in_balance():
    """Kolmogorov's criterion on a triangle: the rates around it multiply to the same both ways."""
    rates = draw_driven(2000, 3, np.random.default_rng(0))
    assert ((rates > 0) == (rates.transpose(0, 2, 1) > 0)).all()
    per_link = rates.sum((1, 2)) / (rates > 0).sum((1, 2))
    assert np.allclose(per_link, 0.3145)
    ring = rates[(rates[:, OFF[:3, :3]] > 0).all(1)]
    forth, back = ring[:, 0, 1] * ring[:, 1, 2] * ring[:, 2, 0], ring[:, 0, 2] * ring[:, 2, 1]
    balanced = np.isclose(forth, back * ring[:, 1, 0], rtol=1e-9).mean()
    assert abs(balanced - 0.5) < 4.5 * 0.5 / np.sqrt(len(ring))


def test_aggregated_simulation_has_the_law_of_single_paths():
    """Means of all counts over 300 repeats, 6 standard errors."""
    generator = np.random.default_rng(0)
    rates = np.repeat(draw_rates(1, 3, generator, wide=False), 300, axis=0)
    laws = np.repeat(draw_laws(rates[:1], generator), 300, axis=0)
    found = aggregate_statistics(rates, laws, 40, generator)
    states = skeleton_batch(rates, laws, 40, generator)
    grid = np.zeros((300, 40, 100), dtype=bool)
    grid[:, :, ::2] = True
    other = observe(states, grid, np.zeros(300), generator, 3)

    def shares(s: PathStatistics):
        occupied = s.dwell / s.dwell.sum(axis=1, keepdims=True)
        return np.concatenate([s.first / 40, occupied], axis=1)

    a, b = shares(found), shares(other)
    error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / 300)
    assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 6 * error).all()


def test_binned_em_knows_of_label_noise():
    rates, statistics = published(300, 0.1, n=20)
    blind = binned_em(statistics, np.zeros(20)).rates.numpy() / statistics.tau[:, None, None]
    aware = binned_em(statistics, np.full(20, np.nan))
    found = aware.rates.numpy() / statistics.tau[:, None, None]
    assert root_mean_square(found, rates).mean() < 0.3 * root_mean_square(blind, rates).mean()
    assert abs(float(aware.error.mean()) - 0.1) < 0.03


def test_training_lowers_the_loss_and_repeats():
    def trained(n_steps):
        network = fresh_network(5, width=16, n_rounds=1)
        train_network(network, n_steps, 5)
        return network

    for a, b in zip(trained(2).parameters(), trained(2).parameters()):
        assert torch.equal(a, b)
    example = example_of(draw_batch(np.random.default_rng(99)))
    networks = (fresh_network(5, width=16, n_rounds=1), trained(15))
    with torch.no_grad():
        before, after = (float(loss_of(n(example[0]), example[1])) for n in networks)
    assert after < before


def test_examples_are_a_function_of_the_step():
    """A stream entered in the middle gives what a stream from the start gives there."""
    stream = ExampleStream(3)
    for step in range(6):
        expected = stream.at(step)
    found = ExampleStream(3).at(5)
    assert torch.equal(found[0].edges, expected[0].edges)
    assert torch.equal(found[1]["rates"], expected[1]["rates"])
    assert not torch.equal(stream.at(6)[1]["rates"], stream.at(4)[1]["rates"])


def test_recipe_ships_with_the_weights():
    from importlib.resources import files

    folder = files("trajinfer.recognition") / "weights"
    recipe = json.loads((folder / "recognition.json").read_text())["recipe"]
    assert {"steps", "seed", "cpu_seconds"} <= set(recipe)
    assert len((folder / "recognition.safetensors").read_bytes()) < 2_000_000


def test_bad_input_is_named():
    data = JumpSeries.from_arrays([0.0, 1.0], [[0, 1]])
    with pytest.raises(InputError, match="at least one"):
        jumps.pretrained().estimate([])
    with pytest.raises(InputError, match="below 2"):
        jumps.pretrained().estimate(data, 1)
    assert features_of(statistics_of([data], 2), np.zeros(1)).edges.shape[-1] == 25
