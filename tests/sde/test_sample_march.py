"""Steps controlled path by path: each path as if it were alone, laws, gradients, refusals."""

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.sde.problems import P1
from trajinfer import sde
from trajinfer._core.errors import (
    BrownianMismatch,
    IncompatibleSolver,
    InputError,
    MaxStepsExceeded,
    NonFiniteState,
    StepSizeUnderflow,
)
from trajinfer.paths import BrownianStack, BrownianTree
from trajinfer.processes import GeometricBrownian
from trajinfer.sde import Adaptive, SolverRegularization

TIMES = [0.0, 0.4, 1.0]


class Turning(sde.SDE):
    """Rotations at a speed that the third coordinate holds: some paths are harder than others."""

    dim, noise_dim, noise_type = 3, 0, "none"

    def __init__(self):
        super().__init__()
        self.pull = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

    def f(self, t, y, context=None):
        speed = y[:, 2:]
        turned = torch.cat([-speed * y[:, 1:2], speed * y[:, :1]], dim=1)
        return torch.cat([turned - self.pull * y[:, :2] ** 3, 0 * speed], dim=1)

    def g(self, t, y, context=None):
        raise AssertionError("an ODE has no diffusion")


class Bursting(sde.SDE):
    """dX = -X dt + c X dW, Stratonovich, c the parameter."""

    dim = noise_dim = 2
    sde_type, commutes = "stratonovich", True

    def __init__(self):
        super().__init__()
        self.c = nn.Parameter(torch.tensor([0.5, 1.5], dtype=torch.float64))

    def f(self, t, y, context=None):
        return -y

    def h(self, t, y, context=None):
        return -0.5 * y

    def g(self, t, y, context=None):
        return self.c * y


SPEEDS = torch.tensor([[1.0, 0.0, 0.5], [1.0, 0.5, 30.0], [0.2, 1.0, 5.0]], dtype=torch.float64)
EACH = Adaptive(1e-5, 1e-6, control="sample")
LOOSE = Adaptive(1e-3, 1e-4, control="sample")
HALVING = Adaptive(1e-2, 1e-3, reject="halve", control="sample")


def start(n=4):
    return torch.linspace(0.5, 2.0, 2 * n, dtype=torch.float64).reshape(n, 2)


# --- every path as if alone -----------------------------------------------------------------------


@pytest.mark.parametrize(("method", "control"), [("tsit5", EACH), ("bosh3", LOOSE)])
def test_a_path_does_not_depend_on_the_batch_it_sits_in(method, control):
    model = Turning()
    whole = sde.solve(model, SPEEDS, TIMES, step=control, method=method, save="all")
    for b in range(3):
        alone = sde.solve(model, SPEEDS[b : b + 1], TIMES, step=control, method=method, save="all")
        kept = np.flatnonzero(np.diff(whole.ts[b].numpy(), prepend=-1.0))
        assert len(kept) == alone.stats.n_steps + 1
        np.testing.assert_allclose(whole.ts[b, kept], alone.ts[0], rtol=1e-12)
        torch.testing.assert_close(whole.ys[b, kept], alone.ys[0], rtol=1e-10, atol=1e-12)


def test_an_easy_path_takes_fewer_steps_than_a_hard_one():
    found = sde.solve(Turning(), SPEEDS, TIMES, step=EACH, save="all")
    steps = (found.ts.diff(dim=1) > 0).sum(1)
    assert steps[0] < steps[2] < steps[1]
    fine = sde.solve(Turning(), SPEEDS, TIMES, step=4e-3)
    torch.testing.assert_close(found.ys[:, -1], fine.ys[:, -1], rtol=2e-4, atol=2e-4)


def test_every_step_holds_the_tolerance():
    model = Turning()
    found = sde.solve(model, SPEEDS, TIMES, step=EACH, save="all")
    before, after = found.ys[:, :-1], found.ys[:, 1:]
    scale = 1e-6 + 1e-5 * torch.maximum(before.abs(), after.abs())
    ratios = (found.errors.transpose(0, 1) / scale).square().mean(2).sqrt()
    assert found.stats.n_rejected > 0
    assert ratios.max().item() <= 1.0
    assert ratios.amax(1).min().item() > 0.05


def test_times_of_every_series_are_hit():
    times = torch.tensor([[0.0, 0.3, 0.9], [0.5, 2.0, 2.0], [-1.0, 0.0, 0.1]], dtype=torch.float64)
    found = sde.solve(Turning(), SPEEDS, times, step=EACH)
    assert torch.equal(found.ts, times)
    for b in range(3):
        distinct = torch.unique(times[b])
        alone = sde.solve(Turning(), SPEEDS[b : b + 1], distinct, step=EACH)
        ends = alone.ys[0][torch.searchsorted(distinct, times[b])]
        torch.testing.assert_close(found.ys[b], ends, rtol=1e-10, atol=1e-12)


def test_each_path_is_penalised_as_if_it_were_alone():
    model, reg = Turning(), SolverRegularization("error+stiffness")
    whole = sde.solve(model, SPEEDS, TIMES, step=EACH, regularization=reg)
    alone = [
        sde.solve(model, SPEEDS[b : b + 1], TIMES, step=EACH, regularization=reg).penalty
        for b in range(3)
    ]
    torch.testing.assert_close(whole.penalty, torch.stack(alone).mean(), rtol=1e-10, atol=0)


# --- noise ----------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_noise_is_one_path_whatever_the_tolerance():
    """Errors against a fine solution on the same tree fall with the tolerance."""
    y0 = torch.full((40, 1), 0.3, dtype=torch.float64)
    tree = BrownianTree(0.0, 1.0, (40, 1), random_state=3, dtype=torch.float64)
    fine = sde.solve(P1(), y0, [0, 1.0], step=1 / 256, method="sriw1", noise=tree).ys[:, -1]
    errors = []
    for rtol in (1e-1, 1e-2, 1e-3):
        control = Adaptive(rtol, rtol / 10, control="sample")
        found = sde.solve(P1(), y0, [0, 1.0], step=control, method="sriw1", noise=tree)
        errors.append((found.ys[:, -1] - fine).square().mean().sqrt().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    # local errors of a tolerance of 1e-3 each add up
    assert errors[2] < 5e-3


def test_rejections_do_not_bias_the_law():
    """Mean and variance of geometric Brownian motion at 1; bounds are 4.5 standard errors."""
    n, mu, sigma = 8000, 0.3, 0.5
    process = GeometricBrownian([mu], volatility=sigma)
    control = Adaptive(1e-2, 1e-3, control="sample")
    y0 = torch.ones(n, 1, dtype=torch.float64)
    with torch.no_grad():
        found = sde.solve(process, y0, [0, 1.0], step=control, method="sriw1", random_state=5)
    end = found.ys[:, -1, 0]
    assert found.stats.n_rejected > 0
    mean, second = math.exp(mu), math.exp(2 * mu + sigma**2)
    variance = second - mean**2
    assert abs(end.mean().item() - mean) < 4.5 * math.sqrt(variance / n) + 2e-3
    fourth = ((end - end.mean()) ** 4).mean().item()
    error = math.sqrt((fourth - variance**2) / n)
    assert abs(end.var().item() - variance) < 4.5 * error + 4e-3


def test_the_same_seed_gives_the_same_paths_and_is_recorded():
    a, b = (
        sde.solve(Bursting(), start(), TIMES, step=HALVING, method="spark", random_state=7)
        for _ in range(2)
    )
    assert torch.equal(a.ys, b.ys)
    again = sde.solve(Bursting(), start(), TIMES, step=HALVING, random_state=a.stats.seed)
    assert torch.equal(a.ys, again.ys)


# --- gradients ------------------------------------------------------------------------------------


def test_states_are_the_same_with_and_without_a_graph():
    options = {"step": HALVING, "method": "spark", "random_state": 1}
    graph = sde.solve(Bursting(), start(), TIMES, **options)
    assert graph.ys.requires_grad
    with torch.no_grad():
        plain = sde.solve(Bursting(), start(), TIMES, **options)
    torch.testing.assert_close(graph.ys.detach(), plain.ys, rtol=1e-12, atol=1e-14)
    assert plain.stats.nfe_f < graph.stats.nfe_f


def test_the_gradient_is_the_derivative_at_the_steps_found():
    """Against finite differences of a fixed-step solve on the very same steps and noise."""
    model, y0 = Bursting(), start()
    tree = BrownianTree(0.0, 1.0, (4, 2), random_state=2, dtype=torch.float64)
    options = {"method": "spark", "noise": tree}
    found = sde.solve(model, y0, TIMES, step=HALVING, save="all", **options)
    found.ys[:, -1].square().sum().backward()
    values = []
    for sign in (1, -1):
        other = Bursting()
        with torch.no_grad():
            other.c += sign * torch.tensor([1e-6, 0.0], dtype=torch.float64)
            values.append(sde.solve(other, y0, found.ts, **options).ys[:, -1].square().sum())
    slope = (values[0] - values[1]).item() / 2e-6
    assert model.c.grad[0].item() == pytest.approx(slope, rel=1e-6)


@functools.cache
def gradient_of(way):
    """Gradient of the parameter over about 40 steps and a dozen rejections."""
    control = Adaptive(6e-2, 1.2e-2, reject="halve", control="sample", unsafe_adaptive=True)
    options = {"step": control, "method": "reversible_heun", "random_state": 4}
    model = Bursting()
    found = sde.solve(model, start(), TIMES, gradient=way, **options)
    assert found.stats.n_steps > 30
    assert found.stats.n_rejected > 5
    found.ys.square().sum().backward()
    return model.c.grad


@pytest.mark.parametrize("way", ["checkpoint", "reversible"])
def test_other_gradients_agree_with_backpropagation(way):
    torch.testing.assert_close(gradient_of(way), gradient_of("backprop"), rtol=1e-9, atol=1e-12)


def test_log_ratios_and_local_penalties_go_with_it():
    reg = SolverRegularization(mode="local")
    options = {"method": "spark", "random_state": 4, "log_ratio": "kl"}
    found = sde.solve(Bursting(), start(), TIMES, step=HALVING, regularization=reg, **options)
    assert found.log_ratio.shape == (4, 2)
    # u = -0.5 / c per coordinate
    rate = 0.5 * (0.25 / 0.5**2 + 0.25 / 1.5**2)
    expected = torch.tensor([0.4, 0.6], dtype=torch.float64).expand(4, 2) * rate
    torch.testing.assert_close(found.log_ratio.detach(), expected, rtol=1e-6, atol=0)
    assert found.penalty.item() > 0
    final = sde.solve(Bursting(), start(), TIMES, step=HALVING, save="final", **options)
    assert final.ts.tolist() == [1.0]
    torch.testing.assert_close(final.ys[:, 0], found.ys[:, -1], rtol=1e-12, atol=1e-14)


# --- failures -------------------------------------------------------------------------------------


class Exploding(sde.SDE):
    """u' = u^2, infinite at 1 / u(0)."""

    dim, noise_dim, noise_type = 1, 0, "none"

    def f(self, t, y, context=None):
        return y * y

    def g(self, t, y, context=None):
        raise AssertionError


MIXED = torch.tensor([[0.5], [2.0], [-1.0]], dtype=torch.float64)


def test_a_path_that_fails_is_named():
    with pytest.raises((StepSizeUnderflow, NonFiniteState)) as caught:
        sde.solve(Exploding(), MIXED, [0, 1.0], step=EACH)
    assert caught.value.t == pytest.approx(0.5, abs=1e-3)
    assert "1" in str(caught.value)


def test_masked_paths_leave_the_others_alone():
    found = sde.solve(Exploding(), MIXED, [0, 1.0], step=EACH, on_error="mask")
    assert found.mask.tolist() == [True, False, True]
    assert found.ys[1].isnan().all()
    expected = MIXED[[0, 2]] / (1 - MIXED[[0, 2]])
    torch.testing.assert_close(found.ys[[0, 2], -1], expected, rtol=1e-4, atol=1e-4)


def test_too_many_steps_are_refused():
    with pytest.raises(MaxStepsExceeded, match="sample 1"):
        sde.solve(Turning(), SPEEDS, TIMES, step=EACH, max_steps=20)


def test_series_that_go_nowhere_stay_where_they_are():
    y0 = start()
    ts = np.full((len(y0), 3), 0.5)
    solution = sde.solve(Bursting(), y0, ts, step=HALVING, method="spark", random_state=0)
    assert torch.equal(solution.ys, y0[:, None].expand(-1, 3, -1))


def test_what_does_not_go_with_it():
    y0 = start()
    with pytest.raises(InputError, match="'batch' or 'sample'"):
        Adaptive(control="path")
    stack = BrownianStack((4, 2), random_state=0, dtype=torch.float64)
    with pytest.raises(BrownianMismatch, match="BrownianTree"):
        sde.solve(Bursting(), y0, TIMES, step=HALVING, method="spark", noise=stack)
    loose = Adaptive(control="sample", unsafe_adaptive=True)
    with pytest.raises(IncompatibleSolver, match="error estimate"):
        sde.solve(Bursting(), y0, TIMES, step=loose, method="milstein")
    with pytest.raises(InputError, match="per_sample_seed"):
        sde.solve(Bursting(), y0, TIMES, step=HALVING, method="spark", per_sample_seed=True)
