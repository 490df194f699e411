"""Vortex, double well, neurons, opinions and networks: closed-form moments and identities."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, solve_ivp

from trajinfer._core.errors import InputError
from trajinfer.processes import (
    DoubleWell,
    FitzHughNagumo,
    GradientField,
    LambOseen,
    NeuralDrift,
    OpinionDynamics,
    simulate,
)
from trajinfer.processes.base import Process
from trajinfer.sde import solve

NOW = torch.zeros((), dtype=torch.float64)


def at(*rows):
    return torch.tensor(rows, dtype=torch.float64)


# --- Lamb-Oseen vortex ----------------------------------------------------------------------------


@pytest.mark.parametrize("r", [1e-12, 1e-4, 0.3, 0.7, 0.72, 1.0, 3.0, 30.0])
def test_speed_of_the_vortex(r):
    """Radius 2, strength 1.5: the speed at distance 2 r is 1.5 (1 - exp(-r^2)) / r."""
    process = LambOseen(1.5, [1.0, -1.0], 2.0)
    angle = 0.8
    offset = 2 * r * np.array([math.cos(angle), math.sin(angle)])
    found = process.f(NOW, at([1.0 + offset[0], -1.0 + offset[1]]))[0].numpy()
    speed = -1.5 * math.expm1(-r * r) / r
    near = max(1e-16 / r, 1e-13)  # the offset from the centre is known to rounding only
    np.testing.assert_allclose(
        found, [-speed * math.sin(angle), speed * math.cos(angle)], rtol=10 * near
    )


def test_the_vortex_is_at_rest_in_its_centre_and_smooth_there():
    process = LambOseen().learn()
    process.coefficients.assign("strength", 2.0)
    y = at([0.0, 0.0]).requires_grad_()
    drift = process.f(NOW, y)
    assert torch.equal(drift.detach(), torch.zeros(1, 2).double())
    drift.sum().backward()
    assert y.grad.isfinite().all()
    jacobian = process.jacobian(NOW, y.detach(), process.values())[0]
    torch.testing.assert_close(jacobian.detach(), at([0.0, -2.0], [2.0, 0.0]), rtol=1e-12, atol=0)


def test_a_vortex_spreads_as_noise_alone():
    """The drift is perpendicular to the offset, so E|X - x0|^2 = |x|^2 + 2 sigma^2 t; z at 4.5."""
    process = LambOseen(2.0, [0.5, 0.0], 0.6, volatility=0.3)
    paths = simulate(process, [1.0, 0.5], [0.0, 1.0], n=4000, random_state=1, step=0.02)
    square = ((paths.values[:, -1] - [0.5, 0.0]) ** 2).sum(1)
    expected = 0.5 + 2 * 0.3**2
    assert abs(square.mean() - expected) < 4.5 * square.std() / math.sqrt(4000)


# --- double well ----------------------------------------------------------------------------------


def test_stationary_law_of_the_double_well():
    """Second and fourth moment against quadrature of the stationary density; z at 4.5."""
    a, b, sigma = 1.0, 0.8, 0.9
    process = DoubleWell(a, b, volatility=sigma, dim=2)

    def moment(k):
        return quad(lambda x: x**k * math.exp((a * x**2 - b * x**4 / 2) / sigma**2), -8, 8)[0]

    start = at(*[[1.0, -1.0]]).repeat(2000, 1).numpy()
    paths = simulate(process, start, [0.0, 12.0], n=2000, random_state=2, step=0.02)
    x = paths.values[:, -1].ravel()
    for k in (2, 4):
        expected, error = moment(k) / moment(0), (x**k).std() / math.sqrt(len(x))
        assert abs((x**k).mean() - expected) < 4.5 * error
    assert abs(x.mean()) < 4.5 * x.std() / math.sqrt(len(x))


def test_the_wells_are_at_rest():
    process = DoubleWell(2.0, 0.5)
    assert process.f(NOW, at([2.0], [-2.0], [0.0])).abs().max() < 1e-15
    assert process.jacobian(NOW, at([2.0]), process.values()).item() == pytest.approx(-4.0)


# --- FitzHugh-Nagumo ------------------------------------------------------------------------------


def test_one_neuron_without_noise_follows_the_equations():
    given = {"coupling": 0.6, "reversal": 1.2, "steepness": 0.4, "threshold": 1.0, "peak": 0.9}
    process = FitzHughNagumo(2, volatility=1e-9, **given)

    def rate(t, x):
        v, w, y = x.reshape(2, 3).T
        s = 0.9 / (1 + np.exp(-0.4 * (v - 1.0)))
        dv = v - v**3 / 3 - w + 0.5 - 0.6 * (v - 1.2) * y.mean()
        return np.stack([dv, 0.08 * (v + 0.7 - 0.8 * w), s * (1 - y) - y], axis=1).ravel()

    start = np.array([0.3, 0.5, 0.3, -1.0, 0.2, 0.6])
    truth = solve_ivp(rate, (0, 1), start, rtol=1e-10, atol=1e-12).y[:, -1]
    with torch.no_grad():
        ends = [
            solve(
                process, at(start.tolist()), [0.0, 1.0], step=h, method="euler", random_state=0
            ).ys[0, -1]
            for h in (0.002, 0.001)
        ]
    np.testing.assert_allclose((2 * ends[1] - ends[0]).numpy(), truth, rtol=1e-5, atol=1e-6)


def test_mean_of_the_channels():
    """With lambda = 0, S = T/2 and E y relaxes to S / (1 + S) whatever the noise; z at 4.5."""
    process = FitzHughNagumo(4, steepness=0.0, peak=1.0, volatility=1.0)
    start = at([0.0, 0.5, 0.2] * 4)
    with torch.no_grad():
        ends = solve(
            process, start.repeat(1000, 1), [0.0, 1.0], step=0.01, method="euler", random_state=3
        ).ys[:, -1]
    share = ends.reshape(-1, 3)[:, 2]
    limit, rate = 1 / 3, 1.5
    # Euler's mean is the recursion of the mean
    expected = limit + (0.2 - limit) * (1 - rate * 0.01) ** 100
    assert abs(share.mean() - expected) < 4.5 * share.std() / math.sqrt(4000)
    assert share.std() > 0.02


def test_voltage_noise_has_two_independent_parts():
    process = FitzHughNagumo(
        1, external_noise=0.3, coupling_noise=0.5, reversal=1.0, volatility=1.0
    )
    g = process.g(NOW, at([-1.0, 0.0, 0.4]))[0].detach()
    assert g[0].item() == pytest.approx(math.hypot(0.3, 0.5 * -2.0 * 0.4))
    assert g[1] == 0
    outside = process.g(NOW, at([0.0, 0.0, 1.2], [0.0, 0.0, -0.1]))[:, 2]
    assert (outside == 0).all()


def test_noise_that_mixes_is_simulated_by_a_fitting_solver():
    paths = simulate(
        FitzHughNagumo(1, volatility=1.0),
        [0.0, 0.5, 0.3],
        [0, 0.1],
        n=3,
        random_state=0,
        step=0.05,
    )
    assert np.isfinite(paths.values).all()


# --- opinions -------------------------------------------------------------------------------------


def test_the_mean_opinion_is_a_brownian_motion():
    """The pulls cancel: the mean has variance sigma^2 t / N; chi-square, alpha 1e-5."""
    process = OpinionDynamics(5, volatility=0.4)
    start = at([-1.0, -0.5, 0.0, 0.4, 1.2]).repeat(2000, 1).numpy()
    paths = simulate(process, start, [0.0, 0.5], n=2000, random_state=4, step=0.01)
    mean = paths.values[:, -1].mean(1)
    variance = 0.16 * 0.5 / 5
    assert abs(mean.mean() - 0.02) < 4.5 * math.sqrt(variance / 2000)
    assert abs(mean.var() / variance - 1) < 4.5 * math.sqrt(2 / 2000)
    assert paths.values[:, -1].std(1).mean() < start.std(1).mean() / 2


def test_two_agents_by_hand():
    process = OpinionDynamics(2, strength=6.0, reach=0.2)
    d = 0.7
    pull = 6 * math.exp(-0.01 / (1 - (d - 0.2) ** 2)) * d / 2
    np.testing.assert_allclose(process.f(NOW, at([0.0, d]))[0], [pull, -pull], rtol=1e-13)
    assert not process.f(NOW, at([0.0, 1.3])).any()


def test_the_grid_gives_the_drift_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    y = 4 * torch.rand(2, 400, generator=generator, dtype=torch.float64) - 2
    exact = OpinionDynamics(400, 6.0, 0.2).f(NOW, y)
    on_grid = OpinionDynamics(400, 6.0, 0.2, n_grid=1024).f(NOW, y)
    assert (on_grid - exact).abs().max() < 2e-2
    assert (on_grid - exact).square().mean().sqrt() < 1e-3
    together = at([0.5] * 400)
    assert not OpinionDynamics(400, 6.0, 0.2, n_grid=16).f(NOW, together).any()


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [NeuralDrift, GradientField])
def test_the_jacobian_is_that_of_forward_mode_with_its_gradients(make):
    process = make(3, (6,), random_state=2).double()
    y, t = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3), torch.zeros(())
    p = process.values()
    rows, columns = process.jacobian(t, y, p), Process.jacobian(process, t, y, p)
    torch.testing.assert_close(rows, columns, rtol=1e-10, atol=1e-13)
    weights = [w for name, w in p.items() if name.startswith("network")]
    # a last bias moves no Jacobian
    options = {"allow_unused": True, "materialize_grads": True}
    by_rows, by_columns = (
        torch.autograd.grad(found.square().sum(), weights, **options) for found in (rows, columns)
    )
    torch.testing.assert_close(by_rows, by_columns, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [NeuralDrift, GradientField])
def test_the_seed_decides_the_weights(make):
    y = at([0.3, -0.5])
    one, same, other = (make(2, (8,), random_state=seed).f(NOW, y) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_gradient_field_is_the_gradient_of_its_potential():
    process = GradientField(3, (8, 8), random_state=1)
    process.adapt_to(np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0]), 0.7)
    y = at([0.3, -0.5, 1.0], [1.0, 2.0, 0.0]).requires_grad_()
    (gradient,) = torch.autograd.grad(process.potential(y).sum(), y)
    torch.testing.assert_close(process.f(NOW, y), gradient, rtol=1e-12, atol=1e-14)
    jacobian = process.jacobian(NOW, y, process.values())
    torch.testing.assert_close(jacobian, jacobian.mT, rtol=1e-12, atol=1e-13)
    assert jacobian.abs().max() > 1e-3


def test_weights_are_parameters_that_can_be_held_fixed():
    process = NeuralDrift(2, (8,), random_state=0)
    frozen = {name: value.detach().clone() for name, value in process.values().items()}
    y = at([0.3, -0.5])
    before = process.drift(NOW, y, frozen)
    with torch.no_grad():
        for weight in process.network.parameters():
            weight.add_(1.0)
    assert torch.equal(process.drift(NOW, y, frozen), before)
    assert not torch.equal(process.f(NOW, y), before)


def test_a_network_learns_a_drift():
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(200, 2, generator=generator, dtype=torch.float64)
    truth = torch.stack([y[:, 1], torch.sin(y[:, 0])], dim=1)
    process = NeuralDrift(2, (16,), random_state=0)
    optimiser = torch.optim.LBFGS(process.parameters(), max_iter=120, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        miss = (process.f(NOW, y) - truth).square().mean()
        miss.backward()
        return miss

    optimiser.step(closure)
    assert closure().item() < 2e-3


@pytest.mark.parametrize("make", [NeuralDrift, GradientField])
def test_networks_without_hidden_layers_have_another_name(make):
    with pytest.raises(InputError, match="AffineDrift"):
        make(2, ())


@pytest.mark.parametrize(
    "make",
    [
        lambda: OpinionDynamics(0),
        lambda: OpinionDynamics(3, n_grid=1),
        lambda: FitzHughNagumo(1.5),
        lambda: DoubleWell(-1.0),
        lambda: LambOseen(radius=0.0),
        lambda: NeuralDrift(2, activation="relu"),
    ],
)
def test_processes_that_cannot_be(make):
    with pytest.raises(InputError):
        make()
