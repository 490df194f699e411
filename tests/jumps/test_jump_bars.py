"""Accuracy on the published benchmark, averaged over draws of paths; slow."""

import numpy as np
import pytest

from tests.jumps.jump_data import load
from trajinfer import jumps
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

pytestmark = pytest.mark.slow
OFF = ~np.eye(6, dtype=bool)


def ratchet(theta):
    barrier, switch, diffusion = theta
    position = np.arange(3)
    rates = np.zeros((6, 6))
    rates[:3, :3] = np.exp(-barrier / 2 * (position - position[:, None]))
    rates[3:, 3:] = diffusion
    rates[position, position + 3] = rates[position + 3, position] = switch
    return rates


def draws(name, n_paths, n_draws, thin=1):
    data = load(name)
    times, states = data["times"], data["states"].astype(int)
    for k in range(n_draws):
        rows = np.random.default_rng(k).permutation(len(states))[:n_paths]
        own = times[rows] if times.ndim == 2 else times
        yield (
            data["rates"],
            JumpSeries.from_arrays(own[..., ::thin], states[rows, ::thin], categories=range(6)),
        )


def error(model, truth):
    return np.sqrt(np.mean((model.rates_ - truth)[OFF] ** 2))


@pytest.mark.parametrize(
    ("name", "n_paths", "n_draws", "thin", "bar"),
    [
        ("dfr_V1", 30, 40, 1, 0.30),
        ("dfr_V1", 100, 20, 1, 0.165),
        ("dfr_V1", 300, 20, 1, 0.098),
        ("dfr_V1", 1000, 40, 1, 0.045),
        ("dfr_V1", 5000, 12, 1, 0.019),
        ("dfr_V1", 10_000, 1, 1, 0.0125),
        ("dfr_V1", 300, 12, 5, 0.17),
        ("dfr_V1", 300, 12, 10, 0.17),
        ("dfr_V0", 300, 12, 1, 0.08),
        ("dfr_V3", 300, 12, 1, 0.60),
        ("dfr_irregular_V1_flip00", 300, 20, 1, 0.11),
    ],
)
def test_maximum_likelihood(name, n_paths, n_draws, thin, bar):
    found = [
        error(MarkovJumpProcess(6, method="mle").fit(series), truth)
        for truth, series in draws(name, n_paths, n_draws, thin)
    ]
    assert np.mean(found) <= bar


def test_three_parameters():
    found = [
        error(MarkovJumpProcess(6, model=ratchet).fit(series), truth)
        for truth, series in draws("dfr_V1", 300, 12)
    ]
    assert np.mean(found) <= 0.055
    _, series = next(draws("dfr_V1", 5000, 1))
    theta = MarkovJumpProcess(6, model=ratchet, theta0=[0.5, 0.5, 0.5]).fit(series).theta_
    assert np.abs(theta - 1).max() < 0.03


@pytest.mark.parametrize(("name", "noise", "bar"), [("01", 0.01, 0.105), ("10", 0.1, 0.135)])
def test_label_noise(name, noise, bar):
    """The rate error over 8 draws, and the mean estimate of the noise."""
    found, estimates = [], []
    for truth, series in draws(f"dfr_irregular_V1_flip{name}", 300, 8):
        model = MarkovJumpProcess(6, method="mle", label_noise="learn").fit(series)
        found.append(error(model, truth))
        estimates.append(model.label_noise_)
    assert np.mean(found) <= bar
    assert abs(np.mean(estimates) / noise - 1) < (0.2 if noise < 0.05 else 0.06)


def test_coverage_of_intervals():
    """90 % intervals of links with 10 expected jumps, 50 data sets: 86 to 94 %."""
    data, inside = load("dfr_V1"), []
    truth = data["rates"]
    for k in range(50):
        series = jumps.simulate(truth, data["pi0"], 300, data["times"], random_state=k)
        model = MarkovJumpProcess(6, method="mle").fit(series)
        found = model.uncertainty_.intervals(0.9, limits=False)
        links = OFF & (truth > 0) & (model.expected_jumps_ >= 10)
        inside.append(((found.lower <= truth) & (truth <= found.upper))[links])
    assert 0.86 < np.concatenate(inside).mean() < 0.94
