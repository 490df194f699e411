"""What is special to single solvers: torchsde as oracle, reuse, stages, estimates, defaults."""

import math

import numpy as np
import pytest
import torch
import torchsde

from tests.sde.problems import P1, P2, P1Stratonovich, brownian, coarsened, rms, slope
from trajinfer import sde
from trajinfer.sde.solvers import SOLVERS


class TableForTorchsde(torchsde.BrownianPath):
    """Hands torchsde increments W and their integrals U = h (W/2 + H) from a table."""

    def __init__(self, w, h, dt):
        super().__init__(t0=0.0, w0=torch.zeros_like(w[:, 0]))
        self.w, self.h, self.dt = w, h, dt

    levy_area_approximation = "space-time"

    def __call__(self, ta, tb=None, return_U=False, return_A=False):
        k = round(float(ta) / self.dt)
        w = self.w[:, k]
        return (w, self.dt * (w / 2 + self.h[:, k])) if return_U else w


class Model(torch.nn.Module):
    noise_type = "diagonal"

    def __init__(self, sde_type):
        super().__init__()
        self.sde_type = sde_type

    def f(self, t, y):
        return torch.sin(y.flip(1)) + torch.cos(t)

    def g(self, t, y):
        return 0.5 + 0.3 * torch.sin(2 * y + t)


@pytest.mark.parametrize(
    ("ours", "theirs", "sde_type"),
    [
        ("sriw2", "srk", "ito"),
        ("heun", "heun", "stratonovich"),
        ("reversible_heun", "reversible_heun", "stratonovich"),
        ("midpoint", "midpoint", "stratonovich"),
    ],
)
def test_equal_to_torchsde_on_the_same_noise(ours, theirs, sde_type):
    n, y0 = 16, torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
    w, h = brownian(4, n, 3)
    ts = torch.tensor([0, 0.5, 1.0], dtype=torch.float64)
    bm = TableForTorchsde(w, h, 1 / n)
    model = Model(sde_type)
    other = torchsde.sdeint(model, y0, ts, bm=bm, dt=1 / n, method=theirs).transpose(0, 1)
    found = sde.solve(
        model, y0, ts, step=1 / n, method=ours, noise=(w, h), allow_order_loss=True
    ).ys
    torch.testing.assert_close(found, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", sorted(SOLVERS))
def test_a_step_of_no_length_changes_nothing(name):
    """Values and gradients; per-series times pad with such steps."""
    solver = SOLVERS[name]
    if name in ("exact", "exp_euler"):
        pytest.skip("needs members of its own, tested there")
    base = {"additive": P2, "none": P1}.get(solver.noise[0], P1)

    class Padded(base):
        noise_type = solver.noise[0]
        sde_type = solver.calculus[0]

    y0 = torch.full((3, 1), 0.3, dtype=torch.float64, requires_grad=True)
    ts = np.array([[0, 0.0], [0, 0.0], [0, 0.5]])
    ys = sde.solve(Padded(), y0, ts, method=name, random_state=0).ys
    assert torch.equal(ys[:2, 1], y0[:2])
    assert not torch.equal(ys[2, 1], y0[2])
    assert torch.autograd.grad(ys[:2, 1].sum(), y0)[0][:2].tolist() == [[1.0], [1.0]]


def evaluations(method, noise_type="diagonal", n=10):
    model = P1Stratonovich() if SOLVERS[method].calculus[0] == "stratonovich" else P1()
    model = P2() if noise_type == "additive" else model
    if noise_type == "none":
        model.noise_type = "none"
    stats = sde.solve(
        model, model.start(1), np.linspace(0, 1, n + 1), method=method, random_state=0
    ).stats
    return stats.nfe_f / n, stats.nfe_g / n


@pytest.mark.parametrize(
    ("method", "noise_type", "f", "g"),
    [
        ("euler", "diagonal", 1, 1),
        ("milstein", "diagonal", 1, 1),
        ("milstein_df", "diagonal", 1, 2),
        ("heun", "diagonal", 2, 2),
        ("reversible_heun", "diagonal", 1.1, 1.1),
        ("midpoint", "diagonal", 2, 2),
        ("sra1", "additive", 2, 1.1),
        ("sosra", "additive", 3, 2.1),
        ("shark", "additive", 2, 1.1),
        ("sriw1", "diagonal", 2, 4),
        ("sriw2", "diagonal", 3, 4),
        ("sosri", "diagonal", 4, 4),
        ("spark", "diagonal", 3, 3),
        ("general_shark", "diagonal", 2, 3),
        ("slowrk", "diagonal", 2, 5),
        ("tsit5", "none", 6.1, 0),
        ("bosh3", "none", 3.1, 0),
    ],
)
def test_evaluations_per_step(method, noise_type, f, g):
    assert evaluations(method, noise_type) == pytest.approx((f, g))


class Oscillator:
    """u' = (u2, -sin u1): a pendulum."""

    def f(self, t, y):
        return torch.stack([y[:, 1], -torch.sin(y[:, 0])], 1)


@pytest.fixture(scope="module")
def pendulums():
    """Starts of six pendulums, and where they are at 8."""
    y0 = torch.linspace(-1.5, 1.5, 12, dtype=torch.float64).reshape(6, 2)
    return y0, sde.solve(Oscillator(), y0, [0, 8.0], step=1 / 256, method="tsit5").ys[:, -1]


@pytest.mark.parametrize(
    ("method", "order"), [("tsit5", 5), ("bosh3", 3), ("heun_ode", 2), ("euler", 1)]
)
def test_order_on_an_ode(method, order, pendulums):
    y0, truth = pendulums
    ends = [
        sde.solve(Oscillator(), y0, [0, 8.0], step=2.0**-k, method=method).ys[:, -1]
        for k in range(2, 6)
    ]
    assert slope([rms(end - truth) for end in ends]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    ("method", "estimate", "low", "high"),
    [
        ("sriw1", "natural", 0.9, 1.1),
        ("sriw1", "embedded", 1.45, 1.65),
        ("sosri", "embedded", 1.45, 1.65),
        ("sosri2", "embedded", 1.45, 1.65),
        ("spark", "embedded", 1.4, 1.8),
        ("heun", "embedded", 0.9, 1.1),
    ],
)
def test_slopes_of_the_error_estimates(method, estimate, low, high):
    """RMS of one step's estimate on P1 from X0, h = 2^-4..2^-9."""
    model = P1Stratonovich() if SOLVERS[method].calculus == ("stratonovich",) else P1()
    solver, found = type(SOLVERS[method])(estimate), []
    for k in range(4, 10):
        h = 2.0**-k
        w, area = brownian(4000, 1, horizon=h)
        solution = sde.solve(model, model.start(4000), [0, h], method=solver, noise=(w, area))
        found.append(rms(solution.errors[0]))
    assert low < slope(found) < high


def test_estimate_levels_of_sri():
    """The natural estimate is the drift: about 0.135 at h = 2^-5, the noise part 1e-3."""
    solver, h = type(SOLVERS["sosri"])("natural"), 2.0**-5
    w, area = brownian(4000, 1, horizon=h)
    solution = sde.solve(P1(), P1.start(4000), [0, h], method=solver, noise=(w, area))
    drift = 4 * h * abs(float(P1().f(0, P1.start(1))))
    assert rms(solution.errors[0]) == pytest.approx(drift, rel=0.1)


def test_defaults():
    class Exact(P1):
        def exact_step(self, t, h, y, W, H, Z):
            return y

    class Unknown(P1):
        commutes = None

    class Ode:
        def f(self, t, y):
            return -y

    expected = {
        "sriw1": P1(),
        "heun": P1Stratonovich(),
        "shark": P2(),
        "euler": Unknown(),
        "exact": Exact(),
        "tsit5": Ode(),
    }
    for name, model in expected.items():
        assert sde.solve(model, torch.ones(2, 1), [0, 0.1], random_state=0).stats.method == name


def test_table_of_methods():
    table = {row["name"]: row for row in sde.methods()}
    assert table["sriw1"]["noise"] == "diagonal, scalar"
    assert table["spark"]["type"] == "stratonovich"
    assert table["slowrk"]["order"] == "3/2"
    assert table["slowrk"]["commuting_noise"]


def test_mixing_noise_costs_the_order():
    """g1 depends on y2 and the reverse: Milstein and SRIW1 fall to 1/2 (docs: the order trap)."""

    class Mixing(sde.SDE):
        dim = noise_dim = 2

        def f(self, t, y, context=None):
            return -y

        def g(self, t, y, context=None):
            first = 0.6 + 0.5 * torch.sin(2 * y[:, 1])
            return torch.stack([first, 0.6 + 0.5 * torch.cos(2 * y[:, 0])], 1)

    n, fine = 500, 2**9
    w, h = brownian(n, fine, 2, seed=5)
    y0 = torch.zeros(n, 2).double()
    truth = sde.solve(Mixing(), y0, np.linspace(0, 1, fine + 1), method="euler", noise=w).ys[:, -1]
    for method in ("euler", "milstein", "sriw1"):
        errors = []
        for k in range(3, 7):
            table = coarsened(w, h, 2**k)
            ts = np.linspace(0, 1, 2**k + 1)
            ys = sde.solve(Mixing(), y0, ts, method=method, noise=table, allow_order_loss=True).ys
            errors.append(rms(ys[:, -1] - truth))
        assert slope(errors) == pytest.approx(0.55, abs=0.12), method
        assert math.isfinite(errors[0])
