"""Reference bridges between two points against the algebra of Gaussians: means, draws, drifts."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.bridges.gaussian import ROTATION
from trajinfer.processes import AffineDrift, LotkaVolterra, affine_transition
from trajinfer.references.bridge_law import bridge_law
from trajinfer.references.dynamics import dynamics_of
from trajinfer.references.transitions import Transitions

SIGMA = [0.3, 0.7]
PROCESS = AffineDrift(2, ROTATION, [1.0, -0.5], volatility=SIGMA)
START, END = [1.0, 2.0], [0.5, -1.0]
FRACTIONS = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
DURATION = 1.5


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def joint(process, x, times):
    """Mean (T, D) and covariance (T, D, T, D) of an affine process that starts at x."""
    p = process.values()
    times = tensor(times)
    flow, shift, rate = affine_transition(
        *process.affine(p), torch.diag(p["volatility"] ** 2), times
    )
    means = (flow @ tensor(x) + shift).numpy()
    spread = (rate * times.reshape(-1, 1, 1)).numpy()
    n, dim = means.shape
    covariance = np.zeros((n, dim, n, dim))
    for a in range(n):
        for b in range(a, n):
            onward = affine_transition(
                *process.affine(p),
                torch.diag(p["volatility"] ** 2),
                (times[b] - times[a]).reshape(1),
            )[0][0].numpy()
            covariance[a, :, b] = spread[a] @ onward.T
            covariance[b, :, a] = covariance[a, :, b].T
    return means, covariance


def conditional():
    """Moments of the path at the fractions, given its end, by conditioning the joint Gaussian."""
    times = [*(FRACTIONS * DURATION).tolist(), DURATION]
    means, covariance = joint(PROCESS, START, times)
    inner = covariance[:3, :, :3].reshape(6, 6)
    cross, end = covariance[:3, :, 3].reshape(6, 2), covariance[3, :, 3]
    gain = cross @ np.linalg.inv(end)
    mean = means[:3].ravel() + gain @ (END - means[3])
    return mean, inner - gain @ cross.T


def law_of(n=1):
    x = tensor(START).expand(1, n, 2)
    return bridge_law(
        Transitions(dynamics_of(PROCESS), 8), tensor([0.0]), x, tensor([DURATION]), FRACTIONS
    )


def test_expected_positions():
    found = law_of().expected(tensor([[END]]))[:, 0, 0]
    np.testing.assert_allclose(found.flatten(), conditional()[0], atol=1e-10)


def test_draws_have_the_conditional_moments():
    """z-tests of 6 means and 21 second moments, 1e-6 each."""
    n = 20_000
    draws = law_of(n).draw(tensor(END).expand(1, n, 2), torch.Generator().manual_seed(0))
    sample = draws[:, 0].transpose(0, 1).reshape(n, 6).numpy()
    mean, covariance = conditional()
    white = np.linalg.solve(np.linalg.cholesky(covariance), (sample - mean).T).T
    z = stats.norm.isf(5e-7)
    assert np.abs(white.mean(axis=0)).max() * np.sqrt(n) < z
    second = white.T @ white / n - np.eye(6)
    assert (np.abs(second) * np.sqrt(n / (1 + np.eye(6)))).max() < z
    assert stats.kstest(white[:, 2], "norm").pvalue > 1e-6


def test_draws_repeat_under_a_seed():
    end = tensor(END).expand(1, 5, 2)
    first, again, other = (
        law_of(5).draw(end, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_conditional_drift():
    """b(x) + Sigma grad log q(t, x; T, y), the gradient by automatic differentiation."""
    law, dynamics = law_of(), dynamics_of(PROCESS)
    positions = tensor([[1.0, 1.0], [0.3, -0.2], [0.6, -0.8]]).reshape(3, 1, 1, 2)
    found = law.conditional_drift(positions, tensor([[END]])).detach()
    for node, fraction in enumerate(FRACTIONS):
        x = positions[node, 0].clone().requires_grad_()
        left = ((1 - fraction) * DURATION).reshape(1)
        rest = Transitions(dynamics, 8)(tensor([0.0]), x[None], left)
        density = torch.distributions.MultivariateNormal(rest.mean[0, 0], rest.covariance[0, 0])
        slope = torch.autograd.grad(density.log_prob(tensor(END)), x)[0]
        expected = PROCESS.f(tensor(0.0), x) + slope * tensor(SIGMA) ** 2
        torch.testing.assert_close(found[node, 0], expected.detach(), rtol=1e-8, atol=1e-8)


def test_backward_drift():
    """-b(x) + Sigma grad log q(0, start; t, x), the gradient by automatic differentiation."""
    law, dynamics = law_of(), dynamics_of(PROCESS)
    positions = tensor([[1.0, 1.0], [0.3, -0.2], [0.6, -0.8]]).reshape(3, 1, 1, 2)
    found = law.backward_drift(positions).detach()
    for node, fraction in enumerate(FRACTIONS):
        x = positions[node, 0].clone().requires_grad_()
        past = Transitions(dynamics, 8)(
            tensor([0.0]), tensor([[START]]), (fraction * DURATION).reshape(1)
        )
        density = torch.distributions.MultivariateNormal(past.mean[0, 0], past.covariance[0, 0])
        slope = torch.autograd.grad(density.log_prob(x[0]), x)[0]
        expected = slope * tensor(SIGMA) ** 2 - PROCESS.f(tensor(0.0), x)
        torch.testing.assert_close(found[node, 0], expected.detach(), rtol=1e-8, atol=1e-8)


def test_bridges_of_a_nonlinear_reference_end_where_they_should():
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.1, 0.2])
    x = tensor([[[5.0, 4.0], [4.0, 3.0]]])
    near = tensor([0.999])
    with torch.no_grad():
        law = bridge_law(
            Transitions(dynamics_of(process), 16), tensor([0.0]), x, tensor([1.0]), near
        )
        end = law.means[-1] + tensor([[[0.1, -0.1], [0.0, 0.2]]])
        draws = law.draw(end, torch.Generator().manual_seed(0))[0]
    # the last thousandth of the time moves a path by .2 sqrt(.001) = .006
    assert (draws - end).abs().max() < 6 * 0.0064 + 0.01


def test_the_law_of_a_nonlinear_reference_is_that_of_its_linear_noise():
    """Flows and noises chained over the nodes give the transition over the whole segment."""
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.1, 0.2])
    x, duration = tensor([[[5.0, 4.0], [4.0, 3.0]]]), tensor([1.5])
    with torch.no_grad():
        law = bridge_law(
            Transitions(dynamics_of(process), 64), tensor([0.0]), x, duration, FRACTIONS
        )
        whole = Transitions(dynamics_of(process), 64)(tensor([0.0]), x, duration, with_flow=True)
    covariance, flow = torch.zeros(1, 1, 2, 2).double(), torch.eye(2).double()
    for step, noise in zip(law.flows, law.noises, strict=True):
        covariance, flow = step @ covariance @ step.mT + noise, step @ flow
    torch.testing.assert_close(law.means[-1], whole.mean, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(covariance, whole.covariance, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(flow, whole.flow, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("n_nodes", [0, 1])
def test_few_nodes(n_nodes):
    fractions = FRACTIONS[:n_nodes]
    x = tensor([[START]])
    law = bridge_law(
        Transitions(dynamics_of(PROCESS), 8), tensor([0.0]), x, tensor([DURATION]), fractions
    )
    assert len(law.means) == n_nodes + 1
    whole = Transitions(dynamics_of(PROCESS), 8)(tensor([0.0]), x, tensor([DURATION]))
    torch.testing.assert_close(law.means[-1], whole.mean)


def test_what_is_still_to_come_at_every_node():
    """Flow and covariance from each node to the end, added up forwards; flows do not commute."""
    process = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=[0.1, 0.2])
    x = tensor([[[5.0, 4.0], [4.0, 3.0]]])
    with torch.no_grad():
        law = bridge_law(
            Transitions(dynamics_of(process), 32), tensor([0.0]), x, tensor([1.5]), FRACTIONS
        )
    covariance = torch.zeros(1, 2, 2, 2).double()
    so_far = []
    for step, noise in zip(law.flows, law.noises, strict=True):
        covariance = step @ covariance @ step.mT + noise
        so_far.append(covariance)
    for node in range(3):
        flow, left = torch.eye(2).double(), torch.zeros(1, 2, 2, 2).double()
        for step, noise in zip(law.flows[node + 1 :], law.noises[node + 1 :], strict=True):
            flow, left = step @ flow, step @ left @ step.mT + noise
        torch.testing.assert_close(law.to_end[node], flow)
        torch.testing.assert_close(law.remaining[node], left, rtol=1e-9, atol=1e-12)
        gain = so_far[node] @ flow.mT @ torch.linalg.inv(so_far[-1])
        torch.testing.assert_close(law.gains[node], gain, rtol=1e-6, atol=1e-8)
