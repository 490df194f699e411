"""All gradients against backpropagation and against finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.sde.problems import P1Stratonovich, slope
from trajinfer import sde
from trajinfer._core.errors import BrownianMismatch, IncompatibleSolver, UntrackedContext


class Net(nn.Module):
    sde_type = "stratonovich"

    def __init__(self, noise_type="diagonal", dtype=torch.float64, dim=4, context_dim=0):
        super().__init__()
        self.noise_type = noise_type
        self.commutes = None
        width = dim if noise_type == "diagonal" else dim * 2
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.drift = nn.Sequential(
                nn.Linear(dim + context_dim, 16, dtype=dtype),
                nn.Tanh(),
                nn.Linear(16, dim, dtype=dtype),
            )
            self.diffusion = nn.Sequential(
                nn.Linear(dim + 1, 16, dtype=dtype), nn.Tanh(), nn.Linear(16, width, dtype=dtype)
            )

    def f(self, t, y, context=None):
        return self.drift(y if context is None else torch.cat([y, context], 1))

    def g(self, t, y, context=None):
        x = torch.cat([y, t.expand(len(y), 1)], 1)
        g = 0.5 * self.diffusion(x)
        return g if self.noise_type == "diagonal" else g.reshape(len(y), y.shape[1], -1)


def gradients(model, gradient, *, ts=(0, 0.3, 1.0), step=1 / 16, dtype=torch.float64, **options):
    y0 = torch.linspace(-1, 1, 12, dtype=dtype).reshape(3, 4).requires_grad_()
    options = {"method": "reversible_heun", "random_state": 0} | options
    ys = sde.solve(model, y0, np.asarray(ts), step=step, gradient=gradient, **options).ys
    weights = torch.linspace(0.5, 1.5, ys[:, 1:].numel(), dtype=dtype).reshape(ys[:, 1:].shape)
    loss = (ys[:, 1:] * weights).square().sum()
    return ys.detach(), torch.autograd.grad(loss, [y0, *model.parameters()])


def relative(one, two):
    gap = sum((a - b).abs().sum() for a, b in zip(one, two))
    return float(gap / sum(a.abs().sum() for a in one))


@pytest.mark.parametrize("noise_type", ["diagonal", "general"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("gradient", ["checkpoint", sde.Checkpoint(5), "reversible"])
def test_equal_to_backprop(noise_type, dtype, bound, gradient):
    model = Net(noise_type, dtype)
    ys, expected = gradients(model, "backprop", dtype=dtype)
    same, found = gradients(model, gradient, dtype=dtype)
    torch.testing.assert_close(same, ys)
    assert relative(expected, found) < bound


def test_reversible_with_times_per_series_adaptive_steps_and_long_stretches():
    model = Net()
    own = np.array([[0, 0.3, 1.0], [0, 0.5, 0.5], [0.2, 0.3, 2.0]])
    for options in (
        {"ts": own},
        {"ts": (0, 1.0), "step": 1 / 100},
        {"ts": (0.0, 0.01, 0.02, 1.0)},
        {"ts": (0, 0.2), "step": sde.Adaptive(0.1, 0.1, reject="halve", unsafe_adaptive=True)},
    ):
        _, expected = gradients(model, "backprop", **options)
        _, found = gradients(model, "reversible", **options)
        assert relative(expected, found) < 1e-10


def test_reversible_evaluates_once_per_step():
    """And the backward pass does not count as forward work."""
    calls = 0

    class Counted(Net):
        def f(self, t, y, context=None):
            nonlocal calls
            calls += 1
            return super().f(t, y, context)

    model = Counted()
    y0 = torch.ones(3, 4).double().requires_grad_()
    solution = sde.solve(
        model,
        y0,
        [0, 1.0],
        step=1 / 50,
        method="reversible_heun",
        gradient="reversible",
        random_state=0,
    )
    assert calls == solution.stats.nfe_f == 51
    solution.ys.sum().backward()
    assert calls == 102
    assert solution.stats.nfe_f == 51


def test_gradients_reach_the_context():
    """A tensor, and an object with a tensor inside, both made by an encoder outside."""

    class Holder:
        def __init__(self, x):
            self.x, self.name = x, "path"

    class Held(Net):
        def f(self, t, y, context=None):
            return super().f(t, y, context.x)

    with torch.random.fork_rng():
        encoder = nn.Linear(2, 2).double()
    raw = torch.ones(3, 2).double()
    y0 = torch.ones(3, 4).double()
    for model, wrap in ((Net(context_dim=2), lambda x: x), (Held(context_dim=2), Holder)):
        found = []
        for gradient in ("backprop", "reversible", "adjoint"):
            ys = sde.solve(
                model,
                y0,
                [0, 1.0],
                step=1 / 64,
                method="reversible_heun",
                gradient=gradient,
                context=wrap(encoder(raw)),
                random_state=0,
            ).ys
            found.append(torch.autograd.grad(ys.square().sum(), encoder.parameters()))
        assert relative(found[0], found[1]) < 1e-10
        assert relative(found[0], found[2]) < 2e-2


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_objects_of_a_context_may_refer_to_each_other(gradient):
    class Node:
        def __init__(self, level):
            self.level, self.links = level, [self]

    class Linked(Net):
        def f(self, t, y, context=None):
            return super().f(t, y) + context.links[0].links[0].level

    level = torch.full((3, 1), 0.3, dtype=torch.float64, requires_grad=True)
    y0, model, found = torch.ones(3, 4).double(), Linked(), []
    for each in ("backprop", gradient):
        args = {"method": "reversible_heun", "random_state": 0, "context": Node(level)}
        ys = sde.solve(model, y0, [0, 1.0], step=1 / 256, gradient=each, **args).ys
        found.append(torch.autograd.grad(ys.square().sum(), level))
    assert relative(*found) < (1e-10 if gradient == "reversible" else 2e-2)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_an_undeclared_tensor_is_a_named_error(gradient):
    class Closed(Net):
        hidden = torch.ones(4, dtype=torch.float64, requires_grad=True)

        def f(self, t, y, context=None):
            return super().f(t, y) * self.hidden

    with pytest.raises(UntrackedContext, match=r"shape \(4,\)"):
        gradients(Closed(), gradient)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_a_tensor_that_is_used_late_is_found_too(gradient):
    class Late(Net):
        hidden = torch.ones(4, dtype=torch.float64, requires_grad=True)

        def f(self, t, y, context=None):
            drift = super().f(t, y)
            return drift * self.hidden if float(t) > 0.5 else drift

    with pytest.raises(UntrackedContext, match=r"shape \(4,\)"):
        gradients(Late(), gradient)


class Learnable(P1Stratonovich):
    def __init__(self, calculus="stratonovich"):
        super().__init__()
        self.sde_type = calculus
        self.a = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(0.8, dtype=torch.float64))

    def f(self, t, y, context=None):
        shift = self.b**2 * y if self.sde_type == "ito" else 0.0
        return -(self.a + shift) * (1 - y * y)

    def g(self, t, y, context=None):
        return self.b * (1 - y * y)


@pytest.mark.parametrize(("calculus", "convert"), [("stratonovich", False), ("ito", True)])
def test_adjoint_converges_to_backprop(calculus, convert):
    """On P1, relative error of the gradients, slope at least 0.9."""
    gaps = []
    for level in (5, 7):
        found = []
        for gradient in ("backprop", "adjoint"):
            model = Learnable(calculus)
            y0 = model.start(100).requires_grad_()
            ys = sde.solve(
                model,
                y0,
                np.linspace(0, 1, 2**level + 1)[[0, -1]],
                step=2.0**-level,
                method="heun",
                gradient=gradient,
                convert=convert,
                random_state=3,
            ).ys
            found.append(torch.autograd.grad(ys[:, -1].square().mean(), [y0, model.a, model.b]))
        gaps.append(relative(*found))
    assert slope(gaps) / 2 > 0.9  # two halvings
    assert gaps[-1] < 2e-2


def test_adjoint_of_matrix_noise_and_of_an_ode():
    model = Net("general")
    _, expected = gradients(model, "backprop", method="heun", step=1 / 256)
    _, found = gradients(model, "adjoint", method="heun", step=1 / 256)
    assert relative(expected, found) < 5e-2

    class Ode(Net):
        noise_type = "none"

        def __init__(self):
            super().__init__()
            self.noise_type, self.diffusion = "none", None

    results = [gradients(Ode(), g, method="tsit5", step=1 / 64)[1] for g in ("backprop", "adjoint")]
    assert relative(*results) < 1e-4


def test_gradients_against_finite_differences():
    model = Net()
    y0 = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4).requires_grad_()
    for method, gradient in (
        ("heun", "backprop"),
        ("spark", "checkpoint"),
        ("reversible_heun", "reversible"),
    ):
        assert torch.autograd.gradcheck(
            lambda y, m=method, g=gradient: sde.solve(
                model, y, [0, 0.5], step=0.125, method=m, gradient=g, random_state=0
            ).ys[:, -1],
            y0,
        )


def test_second_derivatives_by_backprop_and_a_named_refusal():
    model, y0 = Net(), torch.ones(2, 4).double().requires_grad_()
    ys = sde.solve(model, y0, [0, 0.5], step=0.25, method="heun", random_state=0).ys
    (first,) = torch.autograd.grad(ys.square().sum(), y0, create_graph=True)
    assert torch.autograd.grad(first.sum(), y0)[0].isfinite().all()
    ys = sde.solve(
        model,
        y0,
        [0, 0.5],
        step=0.25,
        method="reversible_heun",
        gradient="reversible",
        random_state=0,
    ).ys
    with pytest.raises(IncompatibleSolver, match="second derivatives"):
        torch.autograd.grad(ys.square().sum(), y0, create_graph=True)


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("reversible_heun", {"gradient": "reversible", "method": "heun"}),
        ("log-ratio", {"gradient": "reversible", "log_ratio": "kl"}),
    ],
)
def test_refusals(match, options):
    class WithReference(Net):
        def h(self, t, y):
            return -y

    options = {"method": "reversible_heun", "random_state": 0} | options
    with pytest.raises(IncompatibleSolver, match=match):
        sde.solve(WithReference(), torch.ones(2, 4).double(), [0, 1.0], **options)


def test_adjoint_of_an_ito_sde_asks_for_conversion():
    with pytest.raises(IncompatibleSolver, match="convert=True"):
        sde.solve(
            Learnable("ito"), Learnable.start(2), [0, 1.0], method="euler", gradient="adjoint"
        )


def test_noise_that_cannot_be_repeated():
    stack = sde.BrownianStack((3, 4), random_state=0, dtype=torch.float64)
    with pytest.raises(BrownianMismatch, match="asks for the noise again"):
        gradients(Net(), "checkpoint", noise=stack, random_state=None)


@torch.no_grad()
def test_conversion_gives_the_same_process():
    """P1 in Ito form solved by Stratonovich Heun, against the closed form."""
    tree = sde.BrownianTree(0, 1, (200, 1), random_state=0, dtype=torch.float64)
    truth = Learnable.exact(tree.increments(0, 1))
    ys = sde.solve(
        Learnable("ito"),
        Learnable.start(200),
        [0, 1.0],
        step=1 / 256,
        method="heun",
        noise=tree,
        convert=True,
    ).ys
    assert (ys[:, -1] - truth).square().mean().sqrt() < 3e-3
    ys = sde.solve(
        Learnable(),
        Learnable.start(200),
        [0, 1.0],
        step=1 / 128,
        method="sriw1",
        noise=tree,
        convert=True,
    ).ys
    assert (ys[:, -1] - truth).square().mean().sqrt() < 5e-4
