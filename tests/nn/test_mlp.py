"""The perceptron: shapes, seeds, activations, refusals."""

import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer.nn import MLP, LipSwish


def test_the_seed_decides_the_weights():
    one, same, other = (MLP(2, 3, (4,), random_state=seed) for seed in (0, 0, 1))
    x = torch.ones(5, 2)
    assert torch.equal(one(x), same(x))
    assert not torch.equal(one(x), other(x))


def test_it_is_what_is_written():
    net = MLP(2, 1, (3,), activation="lipswish", last_bias=False, dtype=torch.float64)
    first, _, last = net.layers
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hidden = x @ first.weight.T + first.bias
    expected = (0.909 * hidden * torch.sigmoid(hidden)) @ last.weight.T
    torch.testing.assert_close(net(x), expected, rtol=1e-14, atol=1e-15)


def test_lipswish_has_a_slope_of_at_most_one():
    x = torch.linspace(-20, 20, 100_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(LipSwish()(x).sum(), x)
    assert 0.99 < slope.abs().max() <= 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"activation": "relu"}, "activation"),
        ({"hidden": (0,)}, "width"),
        ({"dim_in": 1.5}, "width"),
    ],
)
def test_bad_networks(arguments, words):
    with pytest.raises(InputError, match=words):
        MLP(**{"dim_in": 2, "dim_out": 2, **arguments})
