"""The Jacobian of a field at many points, against closed forms and finite differences."""

import pytest
import torch
from torch import nn

from trajinfer.processes.jacobian import jacobian

POINTS = torch.linspace(-1.5, 2.0, 12, dtype=torch.float64).reshape(4, 3)


def coupled(y):
    a, b, c = y.unbind(1)
    return torch.stack([a * b, b**3 - c, torch.sin(a) * c], dim=1)


def of_coupled(y):
    a, b, c = y.unbind(1)
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    rows = [[b, a, zero], [zero, 3 * b**2, -one], [torch.cos(a) * c, zero, torch.sin(a)]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def test_it_is_the_matrix_of_partial_derivatives():
    torch.testing.assert_close(jacobian(coupled, POINTS), of_coupled(POINTS), rtol=1e-12, atol=0)


def test_it_is_differentiable_in_points_and_parameters():
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    y = POINTS.clone().requires_grad_()
    total = jacobian(lambda x: rate * coupled(x), y).square().sum()
    of_rate, of_points = torch.autograd.grad(total, (rate, y))
    expected = (rate.detach() * of_coupled(y)).square().sum()
    assert of_rate.item() == pytest.approx(2 * expected.item() / 0.7, rel=1e-12)
    torch.testing.assert_close(of_points, torch.autograd.grad(expected, y)[0])


@pytest.mark.parametrize("field", [torch.ones_like, lambda y: y.detach() * 2])
def test_fields_that_do_not_move_have_none(field):
    assert torch.equal(jacobian(field, POINTS), torch.zeros(4, 3, 3, dtype=torch.float64))


def test_without_gradients_nothing_is_recorded():
    with torch.random.fork_rng():
        layer = nn.Linear(3, 3).double()
    with torch.no_grad():
        slope = jacobian(layer, POINTS)
    assert not slope.requires_grad
    torch.testing.assert_close(slope, layer.weight.detach().expand(4, 3, 3))
