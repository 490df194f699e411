"""Stability of the latent dynamics: what their equations promise, seen in numbers."""

import math

import numpy as np
import pytest
import torch

from trajinfer import NeuralSDEClassifier, datasets
from trajinfer._core.errors import MissingExtra
from trajinfer.paths import hermite_path
from trajinfer.sde import solve
from trajinfer.series import GeometricSDE, LangevinSDE, LinearNoiseSDE, make_dynamics

STABLE = ("langevin", "linear_noise", "geometric")


def set_linear(sde, *, rate, volatility, offset=0.0):
    """Make the drift offset - rate z and the volatility constant, in double precision."""
    sde.double()
    with torch.no_grad():
        for parameter in sde.network.parameters():
            parameter.zero_()
        sde.network.trunk[-1].bias.fill_(offset)
        damping, sigma = sde.damping, sde.volatility
        share = (rate - damping.slowest) / (damping.fastest - damping.slowest)
        damping.level.fill_(math.log(share / (1 - share)))
        for parameter in sigma.parameters():
            parameter.zero_()
        share = (volatility - sigma.floor) / (sigma.ceiling - sigma.floor)
        sigma.out.bias.fill_(math.log(share / (1 - share)))
    return sde


def steps(h, end=1.0):
    return np.linspace(0.0, end, round(end / h) + 1)


def test_langevin_paths_under_one_noise_approach_each_other_at_the_rate_of_the_damping():
    sde = set_linear(LangevinSDE(2, 0, random_state=0), rate=2.0, volatility=0.5, offset=0.7)
    starts = torch.tensor([[1.0, -1.0], [3.0, 0.5]], dtype=torch.float64)
    noise = 0.03 * torch.randn(1, 1000, 2, dtype=torch.float64, generator=generator(1))
    with torch.no_grad():
        ys = solve(sde, starts, steps(1e-3), method="euler", noise=noise.expand(2, -1, -1)).ys
    distance = (ys[0] - ys[1]).norm(dim=1)
    ratio = float(distance[-1] / distance[0])
    assert ratio == pytest.approx((1 - 2.0 * 1e-3) ** 1000, rel=1e-6)
    assert ratio == pytest.approx(math.exp(-2.0), abs=1e-3)


def test_langevin_variance_is_that_of_the_ornstein_uhlenbeck_process():
    rate, volatility, n = 2.0, 0.5, 5000
    sde = set_linear(LangevinSDE(1, 0, random_state=0), rate=rate, volatility=volatility)
    with torch.no_grad():
        start = torch.zeros(n, 1, dtype=torch.float64)
        y = solve(sde, start, steps(0.005), method="euler", random_state=2, save="final").ys
    expected = volatility**2 * (1 - math.exp(-2 * rate)) / (2 * rate)
    # Euler steps of length h change the variance by a factor 1 + rate h / 2 at most
    tolerance = 3 * expected * math.sqrt(2 / n) + expected * rate * 0.005
    assert float(y.var()) == pytest.approx(expected, abs=tolerance)


def test_second_moment_of_linear_noise():
    rate, volatility, n, h = 1.0, 0.7, 20_000, 0.02
    sde = set_linear(LinearNoiseSDE(1, 0, random_state=0), rate=rate, volatility=volatility)
    with torch.no_grad():
        start = torch.full((n, 1), 1.5, dtype=torch.float64)
        y = solve(sde, start, steps(h), method="euler", random_state=3, save="final").ys
    squares = y.square()
    euler = 1.5**2 * ((1 - rate * h) ** 2 + volatility**2 * h) ** 50
    error = float(squares.std()) / math.sqrt(n)
    assert float(squares.mean()) == pytest.approx(euler, abs=3 * error)
    exact = 1.5**2 * math.exp((volatility**2 - 2 * rate) * 1.0)
    assert euler == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("h", [1.0, 0.25, 0.01])
def test_geometric_steps_in_the_logarithm_are_exact_for_constant_coefficients(h):
    growth, sigma = 0.5, 0.9
    sde = GeometricSDE(3, 0, random_state=0, fastest_growth=4.0)
    sde.double()
    with torch.no_grad():
        set_linear(sde, rate=1.0, volatility=sigma)
        sde.network.trunk[-1].bias.fill_(4.0 * math.atanh(growth / 4.0))
        sde.damping.level.fill_(-math.inf)
        sde.damping.slowest = 0.0
        shape = (50, round(1 / h), 3)
        w = math.sqrt(h) * torch.randn(shape, dtype=torch.float64, generator=generator(4))
        start = torch.zeros(50, 3, dtype=torch.float64)
        u = solve(sde, start, steps(h), method="euler", noise=w).ys[:, -1]
    closed = torch.exp((growth - sigma**2 / 2) + sigma * w.sum(1))
    torch.testing.assert_close(u.exp(), closed, rtol=1e-10, atol=0)
    assert float(u.exp().min()) > 0


def test_euler_steps_of_a_geometric_state_itself_cross_zero():
    h, sigma = 0.1, 1.5
    z = torch.ones(20_000, dtype=torch.float64)
    crossed = torch.zeros_like(z, dtype=torch.bool)
    noise = math.sqrt(h) * torch.randn(10, 20_000, dtype=torch.float64, generator=generator(5))
    for w in noise:
        z = z * (1 + 0.5 * h + sigma * w)
        crossed |= z <= 0
    assert float(crossed.double().mean()) == pytest.approx(0.126, abs=0.01)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def driven(name, seed=0, dtype=torch.float64, n=4, dim=5, **settings):
    """Dynamics with a random control path, and a start."""
    times = torch.linspace(0, 1, 51, dtype=torch.float64).expand(n, -1)
    values = torch.randn(n, 51, 3, generator=generator(seed), dtype=dtype)
    sde = make_dynamics(name, dim, 3, random_state=seed, **settings).to(dtype)
    start = torch.randn(n, dim, generator=generator(seed + 1), dtype=dtype)
    return sde, hermite_path(times, values), times, start


@pytest.mark.parametrize(
    ("name", "parameterization"),
    [(name, "pure") for name in (*STABLE, "free", "ode", "cde", "latent_sde")]
    + [(name, "clipped") for name in STABLE],
)
def test_drives_of_all_steps_at_once_change_nothing(name, parameterization):
    sde, path, times, start = driven(name, parameterization=parameterization)
    seed = None if sde.noise_type == "none" else 7
    slow, fast = (
        solve(sde, start, times, method="euler", context=context, random_state=seed).ys
        for context in (path, sde.prepare(path, times))
    )
    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=1e-12)
    fast.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in sde.parameters())


@pytest.mark.parametrize("name", STABLE)
def test_without_noise_the_dynamics_are_the_ode(name):
    quiet, path, times, start = driven(name, stochastic=False)
    noisy, *_ = driven(name)
    none = torch.zeros(4, 50, 5, dtype=torch.float64)
    with torch.no_grad():
        ode = solve(quiet, start, times, method="euler", context=path).ys
        if name == "geometric":  # the correction of the logarithm belongs to the noise
            noisy.volatility.floor, noisy.volatility.ceiling = 0.0, 0.0
        sde = solve(noisy, start, times, method="euler", context=path, noise=none).ys
    assert torch.equal(ode, sde)


@pytest.mark.parametrize("name", STABLE)
def test_without_control_the_data_path_changes_nothing(name):
    sde = make_dynamics(name, 5, 0, random_state=0).double()
    _, path, times, start = driven(name)
    with torch.no_grad():
        with_path, without = (
            solve(sde, start, times, method="euler", context=sde.prepare(p, times), random_state=1)
            for p in (path, None)
        )
    assert torch.equal(with_path.ys, without.ys)


@pytest.mark.parametrize("name", STABLE)
def test_random_initialisations_stay_finite_and_small(name):
    times = torch.linspace(0, 1, 51, dtype=torch.float64).expand(2, -1)
    values = 3 * torch.randn(2, 51, 3, generator=generator(0))
    path = hermite_path(times, values)
    start = 3 * torch.randn(2, 8, generator=generator(1))
    largest = 0.0
    with torch.no_grad():
        for seed in range(15):
            sde = make_dynamics(name, 8, 3, random_state=seed)
            context = sde.prepare(path, times)
            ys = solve(sde, start, times, method="euler", context=context, random_state=seed).ys
            largest = max(largest, float(ys.abs().max()))
    assert largest < 1e4


@pytest.mark.slow
@pytest.mark.parametrize("name", STABLE)
def test_a_thousand_random_initialisations_stay_finite_and_small(name):
    times = torch.linspace(0, 1, 51, dtype=torch.float64).expand(1, -1)
    path = hermite_path(times, 3 * torch.randn(1, 51, 3, generator=generator(0)))
    start = 3 * torch.randn(1, 8, generator=generator(1))
    with torch.no_grad():
        for seed in range(1000):
            sde = make_dynamics(name, 8, 3, random_state=seed)
            context = sde.prepare(path, times)
            ys = solve(sde, start, times, method="euler", context=context, random_state=seed).ys
            assert float(ys.abs().max()) < 1e4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "order"), [("langevin", 1.0), ("linear_noise", 0.5)])
def test_strong_order_of_euler_steps(name, order):
    sde = set_linear(
        {"langevin": LangevinSDE, "linear_noise": LinearNoiseSDE}[name](1, 0, random_state=0),
        rate=1.5,
        volatility=0.9,
        offset=0.5,
    )
    n, finest = 1000, 2**11
    w = math.sqrt(1 / finest) * torch.randn(
        n, finest, 1, dtype=torch.float64, generator=generator(9)
    )
    start = torch.ones(n, 1, dtype=torch.float64)

    def end(n_steps):
        noise = w.reshape(n, n_steps, -1).sum(2)[:, :, None]
        grid = np.linspace(0, 1, n_steps + 1)
        return solve(sde, start, grid, method="euler", noise=noise, save="final").ys[:, 0]

    with torch.no_grad():
        exact = end(finest)
        errors = [float((end(2**k) - exact).square().mean().sqrt()) for k in range(4, 9)]
    slope = -np.polyfit(range(4, 9), np.log2(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.15)


def test_the_potential_is_what_the_drift_descends():
    sde = LangevinSDE(3, 2, potential=True, random_state=0).double()
    z = torch.randn(4, 3, dtype=torch.float64, generator=generator(2), requires_grad=True)
    x = torch.randn(4, 2, dtype=torch.float64, generator=generator(3))
    drive = sde.drive(torch.zeros(4, 1, dtype=torch.float64), x)
    (slope,) = torch.autograd.grad(sde.potential(z, drive).sum(), z)
    torch.testing.assert_close(sde.drift(z, drive), -slope, rtol=1e-10, atol=1e-12)


def moved_logits(dynamics, data, rates):
    """Wasserstein-1 distances of logits under hidden inputs from those without, same noise."""
    model = NeuralSDEClassifier(
        dynamics, max_epochs=150, lr=1e-2, validation=0.0, random_state=0
    ).fit(data.train)

    def logits(series):
        logs = np.log(model.predict_proba(series).clip(1e-12))
        return np.sort(logs - logs.mean(axis=1, keepdims=True), axis=0)

    whole = logits(data.test)
    return [np.abs(logits(data.test.drop_observations(r, 7)) - whole).mean() for r in rates]


@pytest.mark.slow
def test_hidden_inputs_move_stable_logits_no_further_than_those_of_a_free_sde():
    """A series of movements with 30, 50 and 70 % of its observations hidden."""
    try:
        data = datasets.load_labelled_series("basic_motions")
    except MissingExtra as error:
        pytest.skip(str(error))
    rates = (0.3, 0.5, 0.7)
    free = moved_logits("free", data, rates)
    for name in STABLE:
        assert np.all(np.less_equal(moved_logits(name, data, rates), free))
