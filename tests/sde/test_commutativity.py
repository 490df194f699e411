"""The commutativity probe: no false alarm, no miss, and what it remembers."""

import pytest
import torch
from torch import nn

from trajinfer.sde.commutativity import noise_commutes
from trajinfer.sde.problem import Problem


class Diagonal(nn.Module):
    """g_i(y_i) by small networks of one input each, and one pair (i, j) that may mix."""

    sde_type, noise_type = "ito", "diagonal"

    def __init__(self, dim, seed, pair=None, strength=1e-3, dtype=torch.float64):
        super().__init__()
        gen = torch.Generator().manual_seed(seed)
        self.a, self.b, self.c = (
            torch.randn(dim, 8, generator=gen, dtype=torch.float64).to(dtype) for _ in range(3)
        )
        self.pair, self.strength = pair, strength

    def f(self, t, y):
        return -y

    def g(self, t, y):
        g = (torch.tanh(y[..., None] * self.a + self.b) * self.c).sum(-1)
        if self.pair is not None:
            i, j = self.pair
            g = (
                g
                + self.strength
                * torch.sin(y[:, j : j + 1])
                * torch.eye(y.shape[1], dtype=y.dtype)[i]
            )
        return g


def verdict(model, dim, dtype=torch.float64):
    y = torch.zeros(3, dim, dtype=dtype)
    return noise_commutes(Problem(model), torch.zeros((), dtype=dtype), y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [2, 5, 16])
def test_no_false_alarm_and_no_miss(dim, dtype):
    gen = torch.Generator().manual_seed(dim)
    strength = 1e-2 if dtype == torch.float32 else 1e-5
    for seed in range(20):
        i, j = torch.randperm(dim, generator=gen)[:2].tolist()
        assert verdict(Diagonal(dim, seed, dtype=dtype), dim, dtype)
        assert not verdict(Diagonal(dim, seed, (i, j), strength, dtype), dim, dtype)


def test_every_single_pair_is_found():
    for i in range(5):
        for j in range(5):
            if i != j:
                assert not verdict(Diagonal(5, 0, (i, j)), 5)


def test_the_verdict_is_remembered_but_not_one_from_zeros():
    class Net(Diagonal):
        calls = 0

        def g(self, t, y):
            Net.calls += 1
            return super().g(t, y)

    model = Net(4, 0)
    assert verdict(model, 4)
    calls = Net.calls
    assert verdict(model, 4)
    assert Net.calls == calls

    zero = Net(4, 0)
    kept, zero.c = zero.c, torch.zeros_like(zero.c)
    assert verdict(zero, 4)
    zero.c, zero.pair = kept, (0, 1)
    assert not verdict(zero, 4)


class Matrix:
    sde_type, noise_type = "stratonovich", "general"

    def __init__(self, commuting):
        self.commuting = commuting

    def f(self, t, y):
        return -y

    def g(self, t, y):
        x, one = y[:, :1], torch.ones_like(y[:, :1])
        second = torch.cat([0 * one, 2 * one if self.commuting else x], 1)
        return torch.stack([torch.cat([one, 0 * one], 1), second], 2)


def test_matrix_noise():
    assert verdict(Matrix(True), 2)
    assert not verdict(Matrix(False), 2)


def test_declared_and_known_cases():
    class Declared(Diagonal):
        commutes = False

    assert not verdict(Declared(2, 0), 2)
    for kind in ("scalar", "additive", "none"):
        model = Diagonal(2, 0, (0, 1))
        model.noise_type = kind
        assert verdict(model, 2)
