"""Penalties on solver heuristics: hand computation, unbiasedness, gradients, refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.sde.problems import P1, P2, P1Stratonovich
from trajinfer import sde
from trajinfer._core.errors import IncompatibleSolver, InputError
from trajinfer.sde import Adaptive, Anneal, SolverRegularization
from trajinfer.sde.extra_step import _uniform_in_time, _uniform_over_steps
from trajinfer.sde.problem import Problem
from trajinfer.sde.solvers import SOLVERS
from trajinfer.sde.solvers.error_sum import error_values
from trajinfer.sde.solvers.runge_kutta import Tsit5
from trajinfer.sde.step_penalty import aggregate


class Rotation(sde.SDE):
    """An ODE u' = tanh(A u), or u' = A u."""

    dim, noise_dim, noise_type = 2, 0, "none"

    def __init__(self, linear=False):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.5, 2.0], [-3.0, -0.4]], dtype=torch.float64))
        self.linear = linear

    def f(self, t, y, context=None):
        moved = y @ self.matrix.T
        return moved if self.linear else torch.tanh(moved)

    def g(self, t, y, context=None):
        raise AssertionError("an ODE has no diffusion")


class Scalar(sde.SDE):
    """u' = lambda u."""

    dim, noise_dim, noise_type = 1, 0, "none"

    def f(self, t, y, context=None):
        return -3.7 * y

    def g(self, t, y, context=None):
        raise AssertionError


class Wiggle(sde.SDE):
    """Elementwise noise with parameters: dX = (a sin X - X) dt + b (1 + X^2)^(1/2) dW."""

    dim = noise_dim = 2
    commutes = True

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([0.5, 0.3], dtype=torch.float64))

    def f(self, t, y, context=None):
        return self.a * torch.sin(y) - y

    def g(self, t, y, context=None):
        return self.b * (1 + y * y).sqrt()


class Circle(sde.SDE):
    """A rotation at a speed of its own."""

    dim, noise_dim, noise_type = 2, 0, "none"

    def __init__(self, speed):
        super().__init__()
        self.log_speed = nn.Parameter(torch.tensor(math.log(speed), dtype=torch.float64))

    def f(self, t, y, context=None):
        return self.log_speed.exp() * torch.stack([y[:, 1], -y[:, 0]], dim=1)

    def g(self, t, y, context=None):
        raise AssertionError


class WiggleStratonovich(Wiggle):
    sde_type = "stratonovich"


Y0 = torch.tensor([[1.0, 0.3], [-0.4, 2.0], [0.8, -1.1]], dtype=torch.float64)
TS = np.linspace(0, 1, 6)


# --- hand computation -----------------------------------------------------------------------------


def test_error_and_stiffness_of_one_step_of_a_linear_ode():
    """Every stage of Tsit5 on u' = A u is a polynomial of A h, written out here by the tableau."""
    model, h = Rotation(linear=True), 0.3
    reg = SolverRegularization("error+stiffness", rtol=1e-2, atol=1e-3)
    found = sde.solve(model, Y0, [0.0, h], regularization=reg)
    tableau, a = SOLVERS["tsit5"].tableau, model.matrix.detach()
    k, u = [], []
    for row in tableau.A:
        u.append(Y0 + h * sum((w * k_j for w, k_j in zip(row, k)), torch.zeros_like(Y0)))
        k.append(u[-1] @ a.T)
    error = h * sum(w * k_i for w, k_i in zip(tableau.error, k))
    scale = 1e-3 + 1e-2 * torch.maximum(Y0.abs(), u[6].abs())
    e = (error / scale).square().mean().sqrt()
    s = (k[6] - k[5]).norm() / (u[6] - u[5]).norm()
    e = (e.square() + 1e-12).sqrt()
    torch.testing.assert_close(found.penalty_terms["error"], e * h, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.penalty_terms["stiffness"], s, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.penalty, e * h + 0.1 * s / 3.5068, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.stiffness, s[None].detach(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("method", ["tsit5", "bosh3", "heun_ode", "euler"])
def test_the_stiffness_of_a_scalar_ode_is_its_rate(method):
    y0 = torch.tensor([[1.0], [0.2]], dtype=torch.float64)
    reg = SolverRegularization("stiffness")
    found = sde.solve(Scalar(), y0, TS, method=method, step=0.1, regularization=reg)
    assert found.penalty.item() == pytest.approx(3.7, rel=1e-9)
    assert found.stats.extra_nfe == (0 if method == "tsit5" else 10)


@pytest.mark.parametrize("estimate", ["natural", "embedded"])
@pytest.mark.parametrize("method", ["sosri", "sriw1"])
def test_one_step_of_geometric_brownian_motion(estimate, method):
    """E1 and E2 of the published formulas, from given W and H."""

    class Geometric(sde.SDE):
        dim = noise_dim = 1
        commutes = True

        def f(self, t, y, context=None):
            return 0.5 * y

        def g(self, t, y, context=None):
            return 0.8 * y

    h, y = 0.2, torch.tensor([[1.3]], dtype=torch.float64)
    w, area = (torch.tensor([[[v]]], dtype=torch.float64) for v in (0.37, -0.11))
    reg = SolverRegularization(estimate=estimate, rtol=0.1, atol=0.05)
    found = sde.solve(Geometric(), y, [0, h], method=method, noise=(w, area), regularization=reg)
    tab, y0, w, area = SOLVERS[method].tableau, 1.3, 0.37, -0.11
    chi, i111 = w / 2 + area, (w**3 - 3 * h * w) / 6 / h
    f, g = [], []
    for i in range(4):
        inner = y0 + h * sum(a * f[j] for j, a in enumerate(tab.A1[i]))
        inner += math.sqrt(h) * sum(b * g[j] for j, b in enumerate(tab.B1[i]))
        outer = y0 + h * sum(a * f[j] for j, a in enumerate(tab.A0[i]))
        outer += chi * sum(b * g[j] for j, b in enumerate(tab.B0[i]))
        f.append(0.5 * outer)
        g.append(0.8 * inner)
    used = sorted(tab.drift_stages)
    noise = sum(g[i] * (tab.b3[i] * chi + tab.b4[i] * i111) for i in range(4))
    drift = tab.delta * sum(f[i] for i in used)
    if estimate == "embedded":
        drift = sum(tab.a[i] * f[i] for i in used) - f[0]
    y1 = float(found.ys[0, -1, 0])
    e = abs(h * drift + noise) / (0.05 + 0.1 * max(y0, abs(y1)))
    assert found.penalty.item() == pytest.approx(math.hypot(e, 1e-6) * h, rel=1e-10)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "steps"])
def test_reductions_leave_out_steps_of_no_length(reduce, power):
    error, stiffness = torch.tensor([[2.0, 7, 4], [3, 9, 1]]).double()
    lengths = np.array([[0.5], [0], [0.25]])
    settings = SolverRegularization("error+stiffness", reduce=reduce, power=power)
    values = {"error": error[:, None], "stiffness": stiffness[:, None]}
    terms = aggregate(settings, values, lengths)
    reductions = {"sum": sum, "mean": np.mean, "max": max, "steps": np.mean}
    errors = [2.0, 4.0] if reduce == "steps" else [1.0, 1.0]
    assert terms["error"].item() == pytest.approx(reductions[reduce](errors))
    assert terms["stiffness"].item() == pytest.approx(reductions[reduce]([3.0, 1.0]))


def test_squares_are_squares():
    one, two = (
        sde.solve(
            Rotation(), Y0, [0, 0.5], regularization=SolverRegularization("stiffness", power=power)
        ).penalty.detach()
        for power in (1, 2)
    )
    assert two.item() == pytest.approx(one.item() ** 2, rel=1e-10)


# --- free when off, and beside the solve when on --------------------------------------------------


@pytest.mark.parametrize("step", [0.1, Adaptive(1e-2, 1e-3)])
@pytest.mark.parametrize("mode", ["global", "local"])
@pytest.mark.parametrize("sampling", ["unbiased", "biased"])
def test_the_solve_itself_is_bitwise_the_same(step, mode, sampling):
    model, reg = Wiggle(), SolverRegularization(mode=mode, sampling=sampling, n_times=3)
    options = {"step": step, "method": "sriw1", "random_state": 3}
    plain = sde.solve(model, Y0, TS, **options)
    with_penalty = sde.solve(model, Y0, TS, regularization=reg, **options)
    assert torch.equal(plain.ys, with_penalty.ys)
    assert (plain.penalty, plain.penalty_terms, plain.stats.extra_nfe) == (0, {}, 0)
    assert plain.stats.nfe_f == with_penalty.stats.nfe_f
    assert plain.stats.nfe_g == with_penalty.stats.nfe_g
    assert with_penalty.penalty > 0
    assert (with_penalty.stats.extra_nfe > 0) == (mode == "local")
    again = sde.solve(model, Y0, TS, regularization=reg, **options)
    assert torch.equal(again.penalty, with_penalty.penalty)


@pytest.mark.parametrize("mode", ["global", "local"])
def test_evaluation_mode_switches_it_off(mode):
    model = Wiggle().eval()
    found = sde.solve(model, Y0, TS, method="sriw1", regularization=SolverRegularization(mode=mode))
    assert found.penalty.item() == 0
    assert found.stats.extra_nfe == 0


@pytest.mark.parametrize("save", ["ts", "all", "final"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_output_times_and_log_ratios_are_those_of_the_plain_solve(save, gradient):
    class WithReference(Wiggle):
        def h(self, t, y):
            return -y

    model, reg = WithReference(), SolverRegularization(mode="local", n_times=4)
    options = {"step": 0.05, "method": "sriw1", "random_state": 3, "save": save}
    options |= {"log_ratio": "kl", "gradient": gradient}
    plain = sde.solve(model, Y0, TS, **options)
    found = sde.solve(model, Y0, TS, regularization=reg, **options)
    assert torch.equal(plain.ys, found.ys)
    assert torch.equal(plain.ts, found.ts)
    torch.testing.assert_close(plain.log_ratio, found.log_ratio, rtol=1e-13, atol=0)


# --- the local estimate ---------------------------------------------------------------------------


@pytest.mark.parametrize("reduce", ["sum", "steps"])
def test_visits_of_the_steps_add_up_to_the_global_penalty(reduce):
    """Biased sampling visits every step alike: over all of them the mean is the sum exactly."""
    model = Rotation()
    control, reg = Adaptive(1e-3, 1e-4), SolverRegularization(reduce=reduce)
    whole = sde.solve(model, Y0, TS, step=control, regularization=reg)
    draws = []
    for seed in range(60):
        reg = SolverRegularization(mode="local", sampling="biased", reduce=reduce)
        found = sde.solve(
            model, Y0, TS, step=control, regularization=reg, random_state=seed, method="tsit5"
        )
        draws.append(found.penalty.item())
    error = np.std(draws) / math.sqrt(len(draws))
    assert abs(np.mean(draws) - whole.penalty.item()) < 4.5 * error
    assert error < 0.1 * whole.penalty.item()


def test_without_lengths_every_step_counts_alike():
    """By hand for steps of two lengths, and for one visit against the sum that has the lengths."""
    model, ts, tolerances = Rotation(), [0, 0.2, 1.0], {"rtol": 1e-2, "atol": 1e-3}
    reg = SolverRegularization(reduce="steps", **tolerances)
    found = sde.solve(model, Y0, ts, step=0.2, save="all", regularization=reg)
    assert found.stats.n_steps == 5
    ends = found.ys.abs()
    scale = 1e-3 + 1e-2 * torch.maximum(ends[:, :-1], ends[:, 1:])
    squares = (found.errors / scale.transpose(0, 1)).square().mean((1, 2))
    torch.testing.assert_close(found.penalty, (squares + 1e-12).sqrt().mean(), rtol=1e-9, atol=0)

    def visit(reduce):
        local = SolverRegularization(mode="local", h=0.02, reduce=reduce, **tolerances)
        return sde.solve(model, Y0, ts, step=0.2, regularization=local, random_state=0).penalty

    torch.testing.assert_close(visit("sum"), visit("steps") * 5 * 0.02, rtol=1e-9, atol=0)


def test_its_slope_is_that_of_the_number_of_steps():
    """A rotation n times as fast takes n times the steps; E is of order 5 in speed and length."""
    counts, control, reg = [], Adaptive(0.0, 1e-8), SolverRegularization(reduce="steps")
    for speed in (1.0, 1.1):
        model = Circle(speed)
        found = sde.solve(model, Y0, [0, 20.0], step=control, regularization=reg)
        (slope,) = torch.autograd.grad(found.penalty, model.log_speed)
        assert float(slope / found.penalty.detach()) == pytest.approx(5.0, abs=0.05)
        counts.append(found.stats.n_steps)
    assert math.log(counts[1] / counts[0]) / math.log(1.1) == pytest.approx(1.0, abs=0.05)


def test_noisy_visits_of_the_steps_estimate_the_global_sum():
    """With noise the extra step has an increment of its own, on the same path; z at 4.5."""
    model, y0 = P1(), P1.start(1000)
    options = {"step": 1 / 8, "method": "sriw1"}
    reg = SolverRegularization(power=2, rtol=0.1, atol=0.1)
    local = SolverRegularization(
        mode="local", sampling="biased", power=2, rtol=0.1, atol=0.1, n_times=40
    )
    whole = sde.solve(model, y0, [0, 1.0], regularization=reg, random_state=1, **options)
    model.train()
    draws = [
        sde.solve(
            model, y0, [0, 1.0], regularization=local, random_state=s, **options
        ).penalty.item()
        for s in range(1, 9)
    ]
    error = np.std(draws, ddof=1) / math.sqrt(len(draws))
    # the global sum itself has the noise of 1000 paths, about as large as that of one draw
    assert abs(np.mean(draws) - whole.penalty.item()) < 4.5 * math.hypot(error, np.std(draws))
    assert np.std(draws) < 0.1 * whole.penalty.item()


@pytest.mark.parametrize("own_times", [False, True])
@torch.no_grad()
def test_uniform_visits_estimate_the_integral_over_time(own_times):
    """T E[E(t1)] = int E(t) dt for a step of fixed length, by quadrature; z at 4.5."""
    model, h = Rotation(), 0.05
    reg = SolverRegularization(mode="local", h=h, n_times=200, rtol=0.0, atol=1e-6)
    ends = np.array([1.0, 2.0, 0.5]) if own_times else np.full(3, 1.0)
    ts = np.array([0, 0.2, 1.0]) * (ends[:, None] if own_times else 1.0)
    draws = np.array(
        [
            sde.solve(model, Y0, ts, step=0.25, regularization=reg, random_state=s).penalty.item()
            for s in range(4)
        ]
    )
    n = 50
    grid = (np.arange(n) + 0.5) / n
    values = np.zeros(n)
    for b in range(3):
        fine = np.concatenate([[0.0], grid * ends[b]])
        path = sde.solve(model, Y0[b : b + 1], fine).ys[0, 1:]
        length = torch.as_tensor(np.minimum(h, ends[b] - fine[1:]))[:, None]
        solver, now = Tsit5(estimate="embedded"), torch.zeros(())
        taken = solver.step(Problem(model), now, length, path, None, solver.start(model, now, path))
        square = (error_values([taken.error])[0] / 1e-6).square().mean(1).detach().numpy()
        values += ends[b] * np.sqrt(square) / 3 if own_times else square / 3
    expected = values.mean() if own_times else np.sqrt(values).mean()
    # one draw varies by less than its own size: 800 of them by 1 / sqrt(800) of that
    assert abs(draws.mean() - expected) < 4.5 * expected / math.sqrt(800)
    assert draws.std() < expected / math.sqrt(200)


def test_places_are_uniform_in_time_or_over_the_steps():
    rng = np.random.default_rng(0)
    times = np.array([0.0, 0.5, 0.6, 2.0])
    in_time = [_uniform_in_time(times, rng.random(2)) for _ in range(4000)]
    where = np.array([times[v.step] + v.share * np.diff(times)[v.step] for v in in_time])
    counts = np.bincount([v.step for v in in_time], minlength=3)
    shares = np.diff(times) / 2
    assert (np.abs(counts - 4000 * shares) < 4.5 * np.sqrt(4000 * shares * (1 - shares))).all()
    assert abs(where.mean() - 1.0) < 4.5 * 2 / math.sqrt(12 * 4000)
    over = [_uniform_over_steps(times, rng.random(2)) for _ in range(3000)]
    counts = np.bincount([v.step for v in over], minlength=3)
    assert (np.abs(counts - 1000) < 4.5 * math.sqrt(3000 * 2 / 9)).all()
    assert all(v.share == 0 for v in over)


def test_series_that_have_ended_are_not_judged():
    """A series that waits with steps of no length has weight 0 there, and more weight elsewhere."""
    times = np.array([[0.0, 0.5, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    last = _uniform_over_steps(times, np.array([0.9, 0.1, 0.2]))
    first = _uniform_over_steps(times, np.array([0.1, 0.1, 0.2]))
    assert last.weight.tolist() == [0.0, 1.0]
    assert first.weight.tolist() == [1.5, 1.0]
    assert _uniform_in_time(times, np.array([0.9, 0.1, 0.2])).weight.tolist() == [0.0, 1.0]


def test_each_series_is_penalised_as_if_it_were_alone():
    model, ts = Rotation(), np.array([[0, 0.5, 1.0], [0, 0.2, 2.0], [0, 0.3, 0.3]])
    reg = SolverRegularization("error+stiffness")
    together = sde.solve(model, Y0, ts, step=0.1, regularization=reg).penalty_terms
    alone = [
        sde.solve(model, Y0[b : b + 1], np.unique(ts[b]), step=0.1, regularization=reg)
        for b in range(3)
    ]
    for name, value in together.items():
        mean = torch.stack([one.penalty_terms[name] for one in alone]).mean()
        torch.testing.assert_close(value, mean, rtol=1e-10, atol=0)


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["error", "stiffness", "error+stiffness"])
@pytest.mark.parametrize("method", ["tsit5", "bosh3"])
def test_the_gradient_is_the_derivative_at_fixed_steps(kind, method):
    model = Rotation()
    reg = SolverRegularization(kind, reduce="sum")

    def penalty(y0):
        return sde.solve(model, y0, TS, method=method, regularization=reg).penalty

    y0 = Y0[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(penalty, (y0,), eps=1e-6, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("step", [0.1, Adaptive(1e-2, 1e-3)])
def test_checkpointed_penalties_have_the_gradient_of_backpropagation(step):
    found = []
    for gradient in ("backprop", sde.Checkpoint(3)):
        model = Wiggle()
        solution = sde.solve(
            model,
            Y0,
            TS,
            step=step,
            method="sriw1",
            random_state=2,
            gradient=gradient,
            regularization=SolverRegularization("error+stiffness"),
        )
        solution.penalty.backward()
        found.append((solution.penalty.detach(), model.a.grad, model.b.grad))
    for one, two in zip(*found):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_local_gradients_are_the_same_whatever_the_gradient_of_the_solve():
    found = []
    for gradient in ("backprop", "checkpoint", "reversible"):
        model = WiggleStratonovich()
        solution = sde.solve(
            model,
            Y0,
            TS,
            step=0.1,
            method="reversible_heun",
            random_state=2,
            gradient=gradient,
            regularization=SolverRegularization("error+stiffness", mode="local", n_times=2),
        )
        solution.penalty.backward()
        found.append((model.a.grad, model.b.grad))
        assert model.a.grad.abs().min() > 0
    for other in found[1:]:
        for one, two in zip(found[0], other):
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_local_penalties_go_with_the_adjoint():
    model = WiggleStratonovich()
    reg = SolverRegularization(mode="local")
    found = sde.solve(
        model, Y0, TS, step=0.1, method="heun", gradient="adjoint", regularization=reg
    )
    (found.ys.square().sum() + found.penalty).backward()
    assert model.a.grad.isfinite().all()


@pytest.mark.parametrize("state_grad", [False, True])
def test_the_place_is_a_constant_unless_asked(state_grad):
    y0 = Y0.clone().requires_grad_()
    reg = SolverRegularization(mode="local", state_grad=state_grad, n_times=3)
    penalty = sde.solve(
        Wiggle(), y0, TS, method="sriw1", step=0.1, random_state=1, regularization=reg
    ).penalty
    (gradient,) = torch.autograd.grad(penalty, y0, allow_unused=True)
    assert (gradient is not None) == state_grad
    assert gradient is None or gradient.abs().max() > 0


def test_training_on_the_penalty_saves_evaluations():
    torch_generator = torch.Generator().manual_seed(0)
    y0 = torch.randn(20, 2, generator=torch_generator, dtype=torch.float64)
    model, control = Rotation(), Adaptive(1e-5, 1e-6)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    before = sde.solve(model, y0, [0, 2.0], step=control).stats.nfe_f
    for _ in range(30):
        optimiser.zero_grad()
        reg = SolverRegularization()
        sde.solve(model, y0, [0, 2.0], step=control, regularization=reg).penalty.backward()
        optimiser.step()
    assert sde.solve(model, y0, [0, 2.0], step=control).stats.nfe_f < 0.7 * before


# --- settings -------------------------------------------------------------------------------------


def test_weights_are_constant_or_fall_exponentially():
    assert [SolverRegularization(weight=2.0).weight(k) for k in (0, 10)] == [2.0, 2.0]
    falling = SolverRegularization(weight=Anneal.exponential(100.0, 1.0, 20))
    expected = [100 * math.exp(-k * math.log(100) / 20) for k in (0, 5, 20)]
    assert [falling.weight(k) for k in (0, 5, 20)] == pytest.approx(expected, rel=1e-12)
    assert falling.weight(1000) == pytest.approx(1.0)


def test_settings_are_compared_by_value():
    assert SolverRegularization() == SolverRegularization(weight=1.0)
    assert SolverRegularization() != SolverRegularization("stiffness")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "eror"}, "did you mean 'error'"),
        ({"mode": "locale"}, "did you mean 'local'"),
        ({"power": 3}, "power"),
        ({"mode": "local", "reduce": "max"}, "reduce='sum'"),
        ({"n_times": 0}, "n_times"),
        ({"h": -1.0}, "h must be"),
        ({"h": "long"}, "h must be"),
        ({"weight": -1.0}, "weight"),
        ({"rtol": -1.0}, "rtol"),
        ({"rtol": 0.0, "atol": 0.0}, "both"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(InputError, match=words):
        SolverRegularization(**settings)


@pytest.mark.parametrize("numbers", [(0.0, 1.0, 5), (1.0, math.inf, 5), (1.0, 1.0, 0)])
def test_annealing_that_makes_no_sense(numbers):
    with pytest.raises(InputError):
        Anneal.exponential(*numbers)


@pytest.mark.parametrize(
    ("model", "options", "settings", "words"),
    [
        (P1Stratonovich(), {"gradient": "adjoint", "method": "heun"}, {}, "mode='local'"),
        (P1Stratonovich(), {"gradient": "reversible"}, {}, "mode='local'"),
        (P1(), {"method": "euler"}, {}, "estimate='doubling'"),
        (P1(), {"method": "sriw1", "step": Adaptive()}, {"estimate": "natural"}, "natural"),
        (P1(), {"method": "euler"}, {"mode": "local"}, "estimate='doubling'"),
        (P2(), {"method": "sea"}, {"estimate": "natural"}, "embedded"),
    ],
)
def test_combinations_that_cannot_be_had(model, options, settings, words):
    with pytest.raises(IncompatibleSolver, match=words):
        sde.solve(
            model,
            model.start(2),
            TS,
            regularization=SolverRegularization(**settings),
            **options,
        )


@pytest.mark.parametrize(
    ("options", "regularization"),
    [
        ({"on_error": "mask"}, SolverRegularization()),
        ({}, "error"),
        ({}, SolverRegularization(mode="local", h="auto")),
    ],
)
def test_arguments_that_cannot_be_used(options, regularization):
    with pytest.raises(InputError):
        sde.solve(P1(), P1.start(2), TS, regularization=regularization, method="sriw1", **options)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (P1(), {"method": "euler"}),
        (P1(), {"method": "milstein", "step": 0.1}),
        (P2(), {"method": "sea"}),
        (Scalar(), {"method": "euler"}),
    ],
)
def test_doubling_serves_solvers_without_an_estimate(model, options):
    y0 = torch.full((3, 1), 0.3, dtype=torch.float64)
    reg = SolverRegularization(mode="local", estimate="doubling")
    found = sde.solve(model, y0, TS, regularization=reg, **options)
    assert found.penalty > 0
    assert found.stats.extra_nfe > 0


@pytest.mark.parametrize("model", [P1(), Scalar()])
def test_the_extra_step_may_have_the_length_of_a_first_step(model):
    y0 = torch.full((3, 1), 0.3, dtype=torch.float64)
    reg = SolverRegularization(mode="local", h="auto")
    method = "sriw1" if isinstance(model, P1) else "tsit5"
    found = sde.solve(model, y0, TS, step=Adaptive(), method=method, regularization=reg)
    assert found.penalty > 0


def test_the_scale_is_never_below_rounding():
    """At tolerances below the precision of float32 the penalty does not count rounding noise."""
    y0 = Y0.float()
    model = Rotation().float()
    reg = SolverRegularization(rtol=1e-12, atol=1e-30)
    fine = sde.solve(model, y0, [0, 1.0], step=0.01, regularization=reg).penalty
    assert fine.item() < 2.0
