"""Linear-noise transitions against exact ones, an ODE solver, and small-noise simulation."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp

from trajinfer._core.errors import IncompatibleSolver
from trajinfer.processes import (
    AffineDrift,
    GeometricBrownian,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    Repressilator,
    affine_transition,
    simulate,
)
from trajinfer.references.dynamics import dynamics_of, frozen_dynamics_of
from trajinfer.references.transitions import Transitions

ROTATION = [[-0.5, 2.0], [-2.0, -0.5]]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def law_of(process, x, duration, n_steps=32, *, linearise=False):
    """Transition of one segment that starts at time 0, without gradients."""
    dynamics = dynamics_of(process)
    if linearise:
        dynamics = dynamics.linearised()
    with torch.no_grad():
        return Transitions(dynamics, n_steps)(
            tensor([0.0]), tensor(x)[None], tensor([duration]), with_flow=True
        )


@pytest.mark.parametrize(
    "process",
    [
        AffineDrift(2, ROTATION, [1.0, -1.0], volatility=[0.3, 0.7]),
        OrnsteinUhlenbeck([3.0, 0.1], [1.0, 2.0], volatility=0.5),
    ],
    ids=["rotation", "two speeds"],
)
def test_linear_noise_is_exact_for_affine_drifts(process):
    x = [[1.0, 2.0], [-3.0, 0.5]]
    exact, linear = law_of(process, x, 1.0), law_of(process, x, 1.0, 64, linearise=True)
    torch.testing.assert_close(linear.mean, exact.mean, rtol=0, atol=1e-7)
    torch.testing.assert_close(
        linear.covariance, exact.covariance.expand(1, 2, 2, 2), rtol=0, atol=1e-7
    )
    torch.testing.assert_close(linear.flow, exact.flow.expand(1, 2, 2, 2), rtol=0, atol=1e-7)


def test_the_error_falls_with_the_fourth_power_of_the_step():
    process = AffineDrift(2, ROTATION, [1.0, -1.0], volatility=[0.3, 0.7])
    exact = law_of(process, [[1.0, 2.0]], 1.0)
    errors = []
    for n_steps in (8, 16, 32):
        found = law_of(process, [[1.0, 2.0]], 1.0, n_steps, linearise=True)
        errors.append((found.covariance - exact.covariance).abs().max().item())
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, 4, atol=0.3)


@pytest.mark.parametrize(
    ("process", "x"),
    [
        (LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.1, 0.2]), [5.0, 4.0]),
        pytest.param(
            Repressilator(10, 3, 1, 1, volatility=0.3),
            [1.0, 1.5, 2.0],
            marks=pytest.mark.slow,  # a third process through the same equations
        ),
        (GeometricBrownian([0.3, -0.5], volatility=[0.2, 0.4]), [2.0, 1.0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_linear_noise_equations_against_scipy(process, x):
    """m' = b(m), P' = J P + P J^T + g g^T, F' = J F, by an independent solver."""
    dim = len(x)

    def slope(_, z):
        mean = torch.as_tensor(z[:dim])[None]
        P, F = z[dim : dim + dim**2].reshape(dim, dim), z[dim + dim**2 :].reshape(dim, dim)
        with torch.no_grad():
            J = torch.func.jacrev(lambda y: process.f(tensor(0.0), y[None])[0])(mean[0]).numpy()
            b, g = process.f(tensor(0.0), mean)[0].numpy(), process.g(tensor(0.0), mean)[0].numpy()
        rate = np.diag(g**2) if g.ndim == 1 else g @ g.T
        return np.concatenate([b, (J @ P + P @ J.T + rate).ravel(), (J @ F).ravel()])

    start = np.concatenate([x, np.zeros(dim**2), np.eye(dim).ravel()])
    end = solve_ivp(slope, (0, 1.5), start, rtol=1e-9, atol=1e-12).y[:, -1]
    law = law_of(process, [x], 1.5, 128)
    np.testing.assert_allclose(law.mean[0, 0], end[:dim], rtol=1e-6)
    found = law.covariance[0, 0].flatten()
    np.testing.assert_allclose(found, end[dim : dim + dim**2], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(law.flow[0, 0].flatten(), end[dim + dim**2 :], rtol=1e-5, atol=1e-7)


def test_linear_noise_meets_small_noise_simulation():
    """At a noise of .003 the law is Gaussian; chi-square test of the whitened sample, 1e-5."""
    process, n = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.003, 0.006]), 4000
    law = law_of(process, [[5.0, 4.0]], 1.5, 128)
    sample = simulate(process, [5.0, 4.0], [0, 1.5], n, 0, step=0.005).values[:, 1]
    factor = np.linalg.cholesky(law.covariance[0, 0])
    white = np.linalg.solve(factor, (sample - sample.mean(axis=0)).T)
    low, high = stats.chi2(2 * (n - 1)).ppf([5e-6, 1 - 5e-6])
    assert low < (white**2).sum() < high
    error = np.linalg.solve(factor, sample.mean(axis=0) - law.mean[0, 0].numpy())
    assert (error**2).sum() * n < stats.chi2(2).ppf(1 - 1e-5) + 1  # 1: the bias of order noise^2


def test_segments_have_their_own_starts_and_durations():
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.1)
    x = tensor([[[5.0, 4.0], [1.0, 2.0]], [[3.0, 3.0], [6.0, 1.0]]])
    together = Transitions(dynamics_of(process), 16)(tensor([0.0, 1.0]), x, tensor([1.0, 0.5]))
    for k, duration in enumerate((1.0, 0.5)):
        alone = law_of(process, x[k].tolist(), duration, 16)
        torch.testing.assert_close(together.mean[k], alone.mean[0], rtol=1e-13, atol=0)
        torch.testing.assert_close(together.covariance[k], alone.covariance[0], rtol=1e-13, atol=0)


class Clock(torch.nn.Module):
    """dX = 2 t dt + (1 + t) dW: from t0 over h the mean grows by h^2 + 2 t0 h."""

    sde_type, noise_type = "ito", "diagonal"

    def f(self, t, y):
        return (2 * t).expand_as(y)

    def g(self, t, y):
        return (1 + t).expand_as(y)


def test_a_drift_may_depend_on_time():
    law = Transitions(dynamics_of(Clock()), 8)(
        tensor([0.0, 1.0]), torch.zeros(2, 3, 1).double(), tensor([1.0, 2.0])
    )
    assert law.mean.squeeze(2).tolist() == [[pytest.approx(1.0)] * 3, [pytest.approx(8.0)] * 3]
    variances = [(2**3 - 1) / 3, (4**3 - 2**3) / 3]
    np.testing.assert_allclose(law.covariance[:, 0, 0, 0], variances, rtol=1e-12)


class Driven(torch.nn.Module):
    """A network that is no `Process`, driven by time."""

    sde_type, noise_type = "ito", "diagonal"

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        sizes = ((3, 7), (7,), (7, 3))
        self.weights = torch.nn.ParameterList(
            torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes
        )

    def f(self, t, y):
        first, bias, last = self.weights
        return torch.tanh(y @ first + bias + t) @ last

    def g(self, t, y):
        return torch.ones_like(y)


def test_the_jacobian_of_any_sde_is_that_of_forward_mode_with_its_gradients():
    model, t = Driven(), torch.tensor(0.4, dtype=torch.float64)
    y = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    found = dynamics_of(model).jacobian(t, y)
    columns = [
        torch.func.jvp(lambda x: model.f(t, x), (y,), (unit.expand_as(y),))[1]
        for unit in torch.eye(3, dtype=torch.float64)
    ]
    expected = torch.stack(columns, dim=-1)
    assert (expected - expected.mT).abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    by_rows, by_columns = (
        torch.autograd.grad(jacobian.square().sum(), list(model.weights))
        for jacobian in (found, expected)
    )
    torch.testing.assert_close(by_rows, by_columns, rtol=1e-10, atol=1e-13)


class Rotated(torch.nn.Module):
    """Brownian motion driven by a full matrix."""

    sde_type, noise_type = "ito", "general"
    matrix = torch.tensor([[1.0, 2.0], [0.0, 0.5]], dtype=torch.float64)

    def f(self, t, y):
        return torch.zeros_like(y)

    def g(self, t, y):
        return self.matrix.expand(len(y), 2, 2)


def test_noise_may_be_a_full_matrix():
    law = Transitions(dynamics_of(Rotated()), 4)(
        tensor([0.0]), torch.zeros(1, 1, 2).double(), tensor([2.0])
    )
    torch.testing.assert_close(law.covariance[0, 0], 2 * Rotated.matrix @ Rotated.matrix.T)


def test_a_stratonovich_reference_is_refused():
    sde = Clock()
    sde.sde_type = "stratonovich"
    with pytest.raises(IncompatibleSolver, match=r"must be an Ito SDE; add the correction"):
        dynamics_of(sde)


def test_frozen_dynamics_do_not_follow_their_process():
    process = OrnsteinUhlenbeck(1.0, 0.0, volatility=1.0)
    frozen, live = frozen_dynamics_of(process), dynamics_of(process)
    process.coefficients.assign("mean", [5.0])
    process.set_volatility(3.0)
    y = tensor([[1.0]])
    assert frozen.drift(tensor(0.0), y).item() == -1.0
    assert frozen.covariance_rate(tensor(0.0), y).item() == 1.0
    assert frozen.affine[2].item() == 1.0
    assert not frozen.drift(tensor(0.0), y).requires_grad
    assert live is not frozen


def test_without_drift_only_the_noise_is_left():
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.1)
    rest = dynamics_of(process).without_drift()
    law = Transitions(rest, 4)(tensor([0.0]), tensor([[[5.0, 4.0]]]), tensor([2.0]))
    assert law.mean[0, 0].tolist() == [5.0, 4.0]
    torch.testing.assert_close(law.covariance[0, 0], 0.02 * torch.eye(2).double())


def test_gradients_reach_the_parameters():
    process = LotkaVolterra(volatility=0.1)
    law = Transitions(dynamics_of(process), 8)(tensor([0.0]), tensor([[[5.0, 4.0]]]), tensor([1.0]))
    (law.mean.sum() + law.covariance.sum()).backward()
    assert all(p.grad is not None and p.grad != 0 for p in process.parameters())


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e6, 1e12])
def test_the_flow_does_not_depend_on_the_unit_of_the_state(unit):
    matrix = torch.tensor([[-0.3, 0.8], [-0.8, -0.3]], dtype=torch.float64)
    offset, rate = matrix.new_tensor([0.2, 0.1]), torch.eye(2, dtype=torch.float64)
    duration = matrix.new_tensor([0.0, 1.0, 7.0])
    plain = affine_transition(matrix, offset, rate, duration)
    other = affine_transition(matrix, unit * offset, unit**2 * rate, duration)
    for found, known, power in zip(other, plain, (0, 1, 2), strict=True):
        torch.testing.assert_close(found / unit**power, known, rtol=1e-12, atol=1e-13)
