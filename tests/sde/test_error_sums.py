"""Sums that estimate errors, their squares in units of the tolerance, and the derivatives."""

import pytest
import torch

from trajinfer import sde
from trajinfer._core.errors import InputError
from trajinfer.sde import ErrorSum, SolverRegularization
from trajinfer.sde.scaled_errors import mean_squares
from trajinfer.sde.solvers.error_sum import error_value, error_values

B, D, M = 3, 2, 4


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("own_steps", [False, True])
def test_values_are_the_sums_they_stand_for(matrix, own_steps):
    sizes = draw(2, B, 1).abs() if own_steps else [0.3, 0.7]
    f, rest, v = draw(2, 3, B, D), draw(2, B, D, seed=1), draw(2, 2, B, M if matrix else D, seed=2)
    g = draw(2, 2, B, D, M, seed=3) if matrix else draw(2, 2, B, D, seed=3)
    weights = (0.5, -2.0, 1.5)
    sums = [ErrorSum(sizes[k], weights, list(f[k]), list(g[k]), v[k], rest[k]) for k in range(2)]
    subscripts = "sbdm,sbm->bd" if matrix else "sbd,sbd->bd"
    expected = torch.stack(
        [
            sizes[k] * torch.einsum("s,sbd->bd", f.new_tensor(weights), f[k])
            + torch.einsum(subscripts, g[k], v[k])
            + rest[k]
            for k in range(2)
        ]
    )
    torch.testing.assert_close(error_values(sums), expected, rtol=1e-13, atol=1e-14)
    singly = torch.stack([error_value(e) for e in sums])
    torch.testing.assert_close(singly, expected, rtol=1e-13, atol=1e-14)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(InputError, match="sum of nothing"):
        error_value(ErrorSum(0.1))


@pytest.mark.parametrize("shared", [False, True])
def test_mean_squares_and_two_derivatives(shared):
    """Against the formula, and finite differences of values and of gradients."""
    e, y = draw(4, B, D).requires_grad_(), draw(5, B, D, seed=1).requires_grad_()
    scale = 0.1 + 0.2 * torch.maximum(y[:-1].abs(), y[1:].abs())
    expected = (e / scale).square().mean((1, 2) if shared else 2)

    def found(e, y):
        return mean_squares(e, y, rtol=0.2, atol=0.1, shared=shared)

    torch.testing.assert_close(found(e, y), expected, rtol=1e-13, atol=0)
    assert torch.autograd.gradcheck(found, (e, y))
    with torch.random.fork_rng():
        assert torch.autograd.gradgradcheck(found, (e, y))


class Relaxing(sde.SDE):
    dim = noise_dim = 2
    commutes = True

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def f(self, t, y, context=None):
        return -self.rate * torch.sin(y)

    def g(self, t, y, context=None):
        return 0.3 * self.rate * y


def test_a_penalty_has_second_derivatives():
    """As a gradient penalty of a critic on the paths of a regularised generator needs them."""
    rate = torch.tensor([0.7, 1.3], dtype=torch.float64, requires_grad=True)

    def penalty(rate):
        options = {"method": "sriw1", "step": 0.25, "random_state": 0}
        reg = SolverRegularization(rtol=0.1, atol=0.1)
        return sde.solve(
            Relaxing(rate), draw(B, D), [0, 1.0], regularization=reg, **options
        ).penalty

    with torch.random.fork_rng():
        assert torch.autograd.gradgradcheck(penalty, (rate,))


class HeunPair(sde.Solver):
    """A solver of one's own that gives its error estimate as a plain tensor."""

    name = "heun_pair"
    noise = ("none",)
    estimates = ("embedded",)

    def strong_order(self, problem):
        return 2.0

    def error_order(self):
        return 2.0

    def step(self, problem, t, h, y, noise, carry):
        first = problem.f(t, y)
        second = problem.f(t + h, y + h * first)
        error = None if self.estimate is None else ErrorSum(rest=0.5 * h * (second - first))
        return sde.Step(y + 0.5 * h * (first + second), error=error)


class Decay(sde.SDE):
    dim, noise_dim, noise_type = 2, 0, "none"

    def f(self, t, y, context=None):
        return -y

    def g(self, t, y, context=None):
        raise AssertionError


def test_a_solver_of_ones_own_controls_steps_and_is_penalised():
    control = sde.Adaptive(1e-4, 1e-5)
    reg = SolverRegularization()
    own, ours = (
        sde.solve(Decay(), draw(B, D), [0, 1.0], step=control, method=method, regularization=reg)
        for method in (HeunPair(), "heun_ode")
    )
    assert own.stats.n_steps == ours.stats.n_steps
    torch.testing.assert_close(own.ys, ours.ys, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(own.penalty, ours.penalty, rtol=1e-9, atol=0)
    torch.testing.assert_close(own.errors, ours.errors, rtol=1e-7, atol=1e-14)
