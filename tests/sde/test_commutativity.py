"""The commutativity probe: no false alarm, no miss, and what it remembers."""

import pytest
import torch
from torch import nn

from trajinfer import sde
from trajinfer._core.errors import IncompatibleSolver
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
    for seed in range(10):
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


def test_a_batch_of_no_paths_is_not_probed():
    y0 = torch.zeros(0, 2)
    assert noise_commutes(
        Problem(Diagonal(2, 0, (0, 1), dtype=torch.float32)), torch.tensor(0.0), y0
    )
    model = Diagonal(2, 0, dtype=torch.float32)
    assert sde.solve(model, y0, [0, 1.0], method="sriw1", random_state=0).ys.shape == (0, 2, 2)


class Additive(nn.Module):
    """Additive noise by declaration; `bend` makes it depend on the state."""

    sde_type, noise_type = "ito", "additive"

    def __init__(self, bend, size=1.0):
        super().__init__()
        self.bend, self.size, self.calls = bend, size, 0

    def f(self, t, y):
        return -y

    def g(self, t, y):
        self.calls += 1
        square = torch.eye(2, dtype=y.dtype) + torch.tensor([[0, 1.0], [-1.0, 0]], dtype=y.dtype)
        return self.size * (square * (1 + t) + self.bend * y[:, :1, None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", [None, "euler", "sra1", "sea", "milstein"])
def test_noise_that_is_additive_by_name_only_is_refused(method, dtype):
    y0, args = torch.zeros(3, 2, dtype=dtype), {"method": method, "random_state": 0}
    with pytest.raises(IncompatibleSolver, match="Additive has noise_type 'additive' but"):
        sde.solve(Additive(1e-2), y0, [0, 1.0], **args)
    solution = sde.solve(Additive(0.0), y0, [0, 1.0], **args)
    declared = Additive(0.0)
    declared.commutes = True
    assert torch.equal(solution.ys, sde.solve(declared, y0, [0, 1.0], **args).ys)


def test_additive_noise_is_compared_once_per_model():
    def calls(model):
        before = model.calls
        sde.solve(model, torch.zeros(3, 2), [0, 1.0], method="euler", random_state=0)
        return model.calls - before

    model, silent = Additive(0.0), Additive(0.0, size=0.0)
    first, second = calls(model), calls(model)
    assert first == second + 2
    assert calls(silent) == calls(silent)
    y0 = torch.full((3, 2), torch.nan)
    masked = sde.solve(Additive(1.0), y0, [0, 1.0], method="euler", on_error="mask")
    assert not masked.mask.any()


def test_additive_noise_under_vmap():
    w = torch.randn(4, 1, 5, 2, generator=torch.Generator().manual_seed(0))
    model, ts = Additive(0.0), torch.linspace(0, 1, 6)

    def end(w):
        y0 = torch.zeros(len(w), 2)
        return sde.solve(model, y0, ts, method="euler", noise=w, on_error="mask").ys[:, -1]

    torch.testing.assert_close(torch.func.vmap(end)(w)[:, 0], end(w[:, 0]))
