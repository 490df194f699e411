"""Exponential Euler and the Ornstein-Uhlenbeck noise that follows a Brownian path."""

import math

import numpy as np
import pytest
import torch

from tests.sde.problems import brownian, coarsened, rms, slope
from trajinfer import sde
from trajinfer._core.errors import IncompatibleSolver
from trajinfer.sde.solvers.exponential import ou_noise


class Stiff(sde.SDE):
    """dX = (-theta X + sin X) dt + 0.5 dW with theta up to 30."""

    commutes = True

    def __init__(self, noise_type="diagonal", dense=False, nonlinear=1.0):
        super().__init__()
        self.dim = self.noise_dim = 2
        self.noise_type, self.nonlinear = noise_type, nonlinear
        rates = torch.tensor([-0.5, -30.0], dtype=torch.float64)
        self.drift_linear = sde.LinearDrift(torch.diag(rates) if dense else rates)
        self.rates = rates

    def f(self, t, y, context=None):
        return self.rates * y + self.nonlinear * torch.sin(y)

    def g(self, t, y, context=None):
        g = torch.full_like(y, 0.5)
        return g if self.noise_type == "diagonal" else torch.diag_embed(g)


@pytest.mark.parametrize("x", [1e-9, 0.01, 0.049, 0.051, 0.29, 0.31, 1.0, 5.0, 40.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_variance_of_ou_noise(x, dtype):
    """Var J / h = along^2 + across^2/12 + spread^2 must be (1 - e^(-2x))/(2x)."""
    along, across, spread = (v.double() for v in ou_noise(torch.tensor([x], dtype=dtype)))
    x = float(torch.tensor(x, dtype=dtype))
    expected = -math.expm1(-2 * x) / (2 * x)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-13
    assert along**2 + across**2 / 12 + spread**2 == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("x", [0.03, 1.0, 5.0])
def test_ou_noise_follows_its_brownian_path(x):
    """Against the integral along finely simulated paths; the rest must be spread times normal."""
    n, fine = 10_000, 256
    w, h = brownian(n, fine, seed=2)
    integral = (w[..., 0] * torch.exp(-x * (1 - (torch.arange(fine) + 0.5) / fine))).sum(1)
    w1, h1 = coarsened(w, h, 1)
    along, across, spread = ou_noise(torch.tensor([x], dtype=torch.float64))
    rest = integral - along * w1[:, 0, 0] - across * h1[:, 0, 0]
    assert rest.std() == pytest.approx(float(spread), rel=5 / math.sqrt(2 * n), abs=1.5e-3)
    assert abs(rest @ w1[:, 0, 0]) < 5 * rest.std() * math.sqrt(n)
    assert abs(rest @ h1[:, 0, 0]) < 5 * rest.std() * math.sqrt(n / 12)


def test_exact_for_a_linear_drift():
    y0 = torch.ones(100_000, 2, dtype=torch.float64)
    ys = sde.solve(Stiff(nonlinear=0.0), y0, [0, 1.0], method="exp_euler", random_state=0).ys[:, -1]
    for k, theta in enumerate((0.5, 30.0)):
        var = 0.25 * -math.expm1(-2 * theta) / (2 * theta)
        assert abs(ys[:, k].mean() - math.exp(-theta)) < 5 * math.sqrt(var / 1e5)
        assert ys[:, k].var() == pytest.approx(var, rel=5 * math.sqrt(2 / 1e5))


@pytest.mark.parametrize(("noise_type", "dense"), [("additive", True), ("additive", False)])
def test_order_one_and_stable_where_euler_is_not(noise_type, dense):
    model = Stiff(noise_type, dense)
    w, h = brownian(200, 2**9, 2, seed=3)
    y0 = torch.ones(200, 2, dtype=torch.float64)
    truth = sde.solve(model, y0, np.linspace(0, 1, 2**9 + 1), method="sra1", noise=(w, h)).ys[:, -1]
    errors = []
    for n in (8, 16, 32, 64, 128):
        table = coarsened(w, h, n)[0]
        ts = np.linspace(0, 1, n + 1)
        end = sde.solve(model, y0, ts, method="exp_euler", noise=table).ys[:, -1]
        errors.append(rms(end[:, 0] - truth[:, 0]))
        assert end.abs().max() < 5  # Euler grows by a factor 2.75 per step at n = 8
    assert slope(errors) == pytest.approx(1.0, abs=0.15)


def test_dense_equals_diagonal_without_noise_splitting():
    w = brownian(4, 8, 2)[0]
    y0, ts = torch.ones(4, 2).double(), np.linspace(0, 1, 9)
    found = [
        sde.solve(Stiff("additive", dense), y0, ts, method="exp_euler", noise=w).ys
        for dense in (True, False)
    ]
    torch.testing.assert_close(*found)
    own = np.tile(ts, (4, 1))
    own_times = sde.solve(Stiff("additive", True), y0, own, method="exp_euler", noise=w).ys
    torch.testing.assert_close(own_times, found[0])


def test_without_a_linear_part():
    model = Stiff()
    model.drift_linear = None
    with pytest.raises(IncompatibleSolver, match="drift_linear"):
        sde.solve(model, torch.ones(1, 2), [0, 1.0], method="exp_euler")
