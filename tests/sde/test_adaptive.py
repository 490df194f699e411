"""Step control: laws under rejection, tolerance, traps, and the refusal of wrong limits."""

import math

import numpy as np
import pytest
import torch

from tests.sde.problems import P1, P2, P3, P1Stratonovich, rms
from trajinfer import sde
from trajinfer._core.errors import (
    BrownianMismatch,
    IncompatibleSolver,
    InputError,
    MaxStepsExceeded,
    NonFiniteState,
    StepSizeUnderflow,
    TimeGridError,
)
from trajinfer.sde.adaptive import Adaptive, History, after_accept, after_reject, error_ratios


class Geometric(sde.SDE):
    """dX = 0.5 X dt + 0.8 X dW in either calculus."""

    dim = noise_dim = 1
    commutes = True

    def __init__(self, calculus="ito"):
        super().__init__()
        self.sde_type = calculus

    def f(self, t, y, context=None):
        return (0.5 if self.sde_type == "ito" else 0.5 - 0.32) * y

    def g(self, t, y, context=None):
        return 0.8 * y


@pytest.mark.parametrize(
    ("method", "calculus", "control", "n"),
    [
        ("sriw1", "ito", Adaptive(1e-3, 1e-4, norm="rms"), 60_000),
        ("spark", "stratonovich", Adaptive(1e-3, 1e-4, norm="rms", reject="halve"), 40_000),
        ("milstein", "ito", Adaptive(1e-2, 1e-3, norm="rms"), 20_000),
    ],
)
def test_mean_and_variance_of_geometric_brownian_motion(method, calculus, control, n):
    """The law under step control, to three standard errors; rejected noise has its test below."""
    y0 = torch.ones(n, 1, dtype=torch.float64)
    solution = sde.solve(
        Geometric(calculus), y0, [0, 1.0], step=control, method=method, random_state=4
    )
    end = solution.ys[:, -1, 0]
    mean, second = math.exp(0.5), math.exp(2 * 0.5 + 0.64)
    var = second - mean**2
    fourth = ((end - end.mean()) ** 4).mean()
    assert abs(end.mean() - mean) < 3 * math.sqrt(var / n)
    assert abs(end.var() - var) < 3 * math.sqrt((fourth - var**2) / n)


def test_rejections_happen_and_keep_the_path():
    """One path per solve, so that its own noise makes its own rejections; z test of W(1)."""
    ends, rejected = [], 0
    for seed in range(150):
        solution = sde.solve(
            Geometric(),
            torch.ones(1, 1, dtype=torch.float64),
            [0, 1.0],
            step=Adaptive(0.05, 0.01, first_step=0.5),
            method="sriw1",
            random_state=seed,
        )
        rejected += solution.stats.n_rejected
        ends.append((math.log(float(solution.ys[0, -1, 0])) - (0.5 - 0.32)) / 0.8)
    assert rejected > 50
    assert abs(np.mean(ends)) < 4.5 / math.sqrt(150)
    assert abs(np.var(ends) - 1) < 4.5 * math.sqrt(2 / 150)


@pytest.mark.parametrize(("method", "problem"), [("sriw1", P1()), ("spark", P1Stratonovich())])
def test_error_falls_with_the_tolerance(method, problem):
    """Same Brownian path at all tolerances, from a tree."""
    n, errors, steps = 100, [], []
    tree = sde.BrownianTree(0, 1, (n, 1), random_state=1, tol=1e-4, dtype=torch.float64)
    truth = problem.exact(tree.increments(0, 1))
    for rtol in (1e-1, 1e-2, 1e-3):
        control = Adaptive(rtol, rtol / 10, norm="rms")
        solution = sde.solve(
            problem, problem.start(n), [0, 1.0], step=control, method=method, noise=tree
        )
        errors.append(rms(solution.ys[:, -1] - truth))
        steps.append(solution.stats.n_steps)
    assert errors[0] > errors[1] > errors[2]
    assert steps[0] < steps[1] < steps[2]


def test_ode_to_tolerance():
    class Pendulum:
        def f(self, t, y):
            return torch.stack([y[:, 1], -torch.sin(y[:, 0])], 1)

    y0 = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    ts = np.linspace(0, 10, 7)
    truth = sde.solve(Pendulum(), y0, ts, step=1e-2, method="tsit5").ys
    for method, rtol in (("tsit5", 1e-7), ("bosh3", 1e-5), ("heun_ode", 1e-3)):
        solution = sde.solve(Pendulum(), y0, ts, step=Adaptive(rtol, rtol), method=method)
        assert (solution.ys - truth).abs().max() < 100 * rtol
    tight = sde.solve(Pendulum(), y0, ts, step=Adaptive(1e-8, 1e-8))
    assert tight.stats.method == "tsit5"
    assert tight.stats.n_steps < 120


def test_outputs_land_on_steps_and_a_short_last_step_does_not_shrink_the_next():
    class Still:
        def f(self, t, y):
            return torch.zeros_like(y)

    ts = [0, 1.0, 1.0 + 1e-7, 3.0]
    solution = sde.solve(
        Still(), torch.ones(1, 1).double(), ts, step=Adaptive(first_step=0.5, grow=1.5), save="all"
    )
    assert set(ts) <= set(solution.ts.tolist())
    assert solution.stats.n_steps < 10


def test_doubling_gives_any_solver_an_estimate():
    control = Adaptive(1e-2, 1e-3, error="doubling", norm="rms")
    n = 100
    for method, problem in (("milstein", P1()), ("sea", P2()), ("slowrk", P1Stratonovich())):
        tree = sde.BrownianTree(0, 1, (n, 1), random_state=2, tol=1e-3, dtype=torch.float64)
        solution = sde.solve(
            problem, problem.start(n), [0, 1.0], step=control, method=method, noise=tree
        )
        fine = sde.solve(
            problem, problem.start(n), [0, 1.0], step=1 / 128, method=method, noise=tree
        )
        assert rms(solution.ys - fine.ys) < 0.03
        assert solution.stats.nfe_f >= 3 * solution.stats.n_steps


@pytest.mark.parametrize("wish", [{"gradient": "checkpoint"}, {"save": "all"}], ids=str)
def test_doubled_steps_are_not_replayed_as_whole_ones(wish):
    control = Adaptive(1e-2, 1e-3, error="doubling")
    with pytest.raises(IncompatibleSolver, match="goes with gradient='backprop' and save='ts'"):
        sde.solve(P1(), P1().start(3), [0, 1.0], step=control, method="milstein", **wish)


def test_times_per_series():
    """Brownian scaling of shared relative steps: law of each series at its own times."""
    n = 40_000
    ts = np.tile([[0.0, 0.4, 1.0], [0.0, 2.0, 2.0]], (n // 2, 1))
    solution = sde.solve(
        Geometric(),
        torch.ones(n, 1, dtype=torch.float64),
        ts,
        step=Adaptive(1e-2, 1e-3, norm="rms"),
        random_state=3,
    )
    logs = solution.ys.log()[..., 0]
    for rows, k, t in (
        (slice(0, None, 2), 1, 0.4),
        (slice(0, None, 2), 2, 1.0),
        (slice(1, None, 2), 1, 2.0),
    ):
        assert abs(logs[rows, k].mean() - 0.18 * t) < 5 * 0.8 * math.sqrt(t / (n / 2)) + 2e-3
        assert logs[rows, k].var() == pytest.approx(0.64 * t, rel=5 * math.sqrt(4 / n) + 2e-3)
    assert torch.equal(logs[1::2, 1], logs[1::2, 2])


def test_gradients_go_through_the_accepted_steps_and_other_gradients_agree():
    class Learnable(Geometric):
        def __init__(self):
            super().__init__("stratonovich")
            self.rate = torch.nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

        def f(self, t, y, context=None):
            return self.rate * y

    found = []
    for gradient in ("backprop", "checkpoint"):
        model = Learnable()
        ys = sde.solve(
            model,
            torch.ones(10, 1, dtype=torch.float64),
            [0, 0.5, 1.0],
            step=Adaptive(1e-2, 1e-3),
            method="spark",
            gradient=gradient,
            random_state=5,
        ).ys
        found.append((ys, torch.autograd.grad(ys.sum(), model.rate)[0]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-10, atol=1e-10)
    # d/d rate of exp(rate t + ...) is t times the state
    ys = found[0][0]
    assert found[0][1] == pytest.approx(float((ys[:, 1] * 0.5 + ys[:, 2]).sum().detach()), rel=0.02)


def test_log_ratio_and_save_all():
    class TwoDrifts(Geometric):
        def h(self, t, y):
            return 0.2 * y

    solution = sde.solve(
        TwoDrifts(),
        torch.ones(50, 1, dtype=torch.float64),
        [0, 0.5, 1.0],
        step=Adaptive(1e-2, 1e-3),
        method="sriw1",
        log_ratio="kl",
        random_state=0,
    )
    expected = torch.full((50, 2), 0.5 * (0.3 / 0.8) ** 2 * 0.5, dtype=torch.float64)
    torch.testing.assert_close(solution.log_ratio, expected)


# --- the controller ----------------------------------------------------------------------------


def test_factors():
    control = Adaptive(kP=0.1, kI=0.3)
    factor, history = after_accept(control, 0.5, History(), order=1.5, ode=False)
    assert factor == pytest.approx(0.9 * 0.5 ** (-0.4 / 1.5))
    assert history == History(0.5, 1.0)
    assert after_accept(control, 1e-30, History(), order=1.5, ode=False)[0] == 5.0
    assert after_accept(control, 1e-30, History(), order=1.5, ode=True)[0] == 10.0
    factor, _ = after_accept(control, 1e-3, History(rejected=True), order=1.5, ode=False)
    assert factor == 1.0  # no growth right after a rejection


def test_a_ratio_that_is_not_finite_never_enters_the_memory():
    before = History(0.3, 0.4)
    for r in (math.nan, math.inf):
        assert after_reject(Adaptive(), r, before, order=1.5) == (0.25, History(rejected=True))
    factor, history = after_reject(Adaptive(), 50.0, before, order=1.0)
    assert (factor, history) == (0.2, History(0.3, 0.4, True))
    assert after_reject(Adaptive(reject="halve"), 50.0, before, order=1.0)[0] == 0.5


def test_an_infinite_state_is_not_accepted_as_a_small_error():
    """Its scale is infinite and e / scale would be 0."""
    ratio = error_ratios(
        Adaptive(), torch.ones(2, 1), torch.ones(2, 1), torch.tensor([[math.inf], [1.0]])
    )
    assert ratio.isnan().tolist() == [True, False]


# --- traps -------------------------------------------------------------------------------------


class Cliff:
    """y' = -y, NaN above y = 0.5 for states that long steps reach."""

    def f(self, t, y):
        return torch.where(y < -0.2, torch.nan, -y)


def test_a_non_finite_trial_is_a_rejection():
    solution = sde.solve(
        Cliff(), torch.ones(1, 1).double(), [0, 2.0], step=Adaptive(1e-6, 1e-6, first_step=2.0)
    )
    assert solution.stats.n_rejected > 0
    assert solution.ys[0, -1, 0] == pytest.approx(math.exp(-2), rel=1e-5)


class Wall(sde.SDE):
    """A drift that jumps to NaN at a time: no step gets past it."""

    dim = noise_dim = 1
    commutes = True

    def __init__(self, rows=slice(None)):
        super().__init__()
        self.rows = rows

    def f(self, t, y, context=None):
        out = -y
        if float(t) > 0.5:
            out = out.clone()
            out[self.rows] = torch.nan
        return out

    def g(self, t, y, context=None):
        return 0.1 * y


def test_a_wall_of_nan_is_reported_and_ends():
    with pytest.raises(NonFiniteState) as caught:
        sde.solve(
            Wall(),
            torch.ones(2, 1).double(),
            [0, 1.0],
            step=Adaptive(),
            method="sriw1",
            random_state=0,
        )
    assert caught.value.t == pytest.approx(0.5, abs=1e-6)


def test_mask_gives_up_only_the_paths_that_fail():
    solution = sde.solve(
        Wall(slice(1, 2)),
        torch.ones(3, 1).double(),
        [0, 1.0],
        step=Adaptive(min_step=1e-4),
        method="sriw1",
        random_state=0,
        on_error="mask",
    )
    assert solution.mask.tolist() == [True, False, True]
    assert solution.ys[0].isfinite().all()


class Singular:
    """y' = 1 / (1 - t)^2: no tolerance can be met near t = 1."""

    def f(self, t, y):
        return torch.ones_like(y) / (1 - t).abs().clamp_min(1e-300) ** 2


def test_underflow_is_raised_not_accepted():
    with pytest.raises((StepSizeUnderflow, NonFiniteState)):
        sde.solve(Singular(), torch.ones(1, 1).double(), [0, 2.0], step=Adaptive(1e-8, 1e-8))
    with pytest.raises(StepSizeUnderflow, match="times the error") as caught:
        sde.solve(
            Singular(),
            torch.ones(1, 1).double(),
            [0, 2.0],
            step=Adaptive(1e-8, 1e-8, min_step=1e-3),
        )
    assert caught.value.h == pytest.approx(1e-3)


@pytest.mark.parametrize("control", ["batch", "sample"])
def test_a_coordinate_that_stays_at_zero_needs_no_absolute_tolerance(control):
    class Decay(sde.SDE):
        dim = noise_dim = 1
        commutes = True

        def f(self, t, y, context=None):
            return -y

        def g(self, t, y, context=None):
            return 0.1 * y

    y0, step = torch.tensor([[0.0], [1.0]]), Adaptive(1e-4, 0.0, control=control)
    for noise_type, method in (("none", "tsit5"), ("diagonal", "sriw1")):
        model = Decay()
        model.noise_type = noise_type
        ys = sde.solve(model, y0, [0, 1.0], step=step, method=method, random_state=0).ys
        assert ys[0].abs().max() == 0
        assert 0.2 < ys[1, -1, 0] < 0.6


@pytest.mark.parametrize("control", ["batch", "sample"])
def test_a_start_at_zero_without_absolute_tolerance_is_an_underflow(control):
    class Rise:
        def f(self, t, y):
            return torch.cos(40 * t) + 0 * y

    step = Adaptive(1e-12, 0.0, min_step=1e-2, control=control)
    with pytest.raises(StepSizeUnderflow, match="times the error"):
        sde.solve(Rise(), torch.zeros(2, 1), [0, 1.0], step=step)


def test_the_minimum_does_not_apply_to_a_step_cut_by_an_output_time():
    class Decay:
        def f(self, t, y):
            return -y

    solution = sde.solve(
        Decay(),
        torch.ones(1, 1).double(),
        [0, 0.1, 0.1001, 1.0],
        step=Adaptive(1e-3, 1e-3, min_step=0.05),
    )
    assert solution.ys[0, -1, 0] == pytest.approx(math.exp(-1), rel=1e-3)


def test_float32_times_at_the_minimum_do_not_loop():
    """t + h - t differs from h by far: the loop carries h itself."""
    with pytest.raises((StepSizeUnderflow, MaxStepsExceeded, NonFiniteState)):
        sde.solve(
            Singular(), torch.ones(1, 1), [1e6, 1e6 + 1], step=Adaptive(0.0, 1e-30), max_steps=300
        )


def test_max_steps_counts_rejections():
    with pytest.raises(MaxStepsExceeded, match="rejected"):
        sde.solve(
            Geometric(),
            torch.ones(3, 1),
            [0, 1.0],
            step=Adaptive(1e-6, 1e-6),
            max_steps=20,
            random_state=0,
        )


# --- refusals ----------------------------------------------------------------------------------


class Rotating(sde.SDE):
    """General noise that does not commute (Stratonovich)."""

    dim, noise_dim, noise_type, sde_type = 2, 2, "general", "stratonovich"

    def f(self, t, y, context=None):
        return -y

    def g(self, t, y, context=None):
        one, x = torch.ones_like(y[:, 0]), y[:, 0]
        zero = torch.zeros_like(one)
        return torch.stack([torch.stack([one, zero], 1), torch.stack([zero, x], 1)], 1)


def test_noise_that_does_not_commute():
    y0, common = torch.ones(2, 2), {"ts": [0, 0.2], "random_state": 0}
    for method in ("heun", "spark", "general_shark"):
        with pytest.raises(IncompatibleSolver, match="reject='halve'"):
            sde.solve(Rotating(), y0, step=Adaptive(), method=method, **common)
    for method in ("heun", "spark"):
        sde.solve(Rotating(), y0, step=Adaptive(reject="halve"), method=method, **common)
    with pytest.raises(IncompatibleSolver, match="wrong limit"):
        sde.solve(Rotating(), y0, step=Adaptive(reject="halve"), method="general_shark", **common)
    sde.solve(Rotating(), y0, step=Adaptive(unsafe_adaptive=True), method="general_shark", **common)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (IncompatibleSolver, "wrong limit", {"method": "euler"}),
        (
            IncompatibleSolver,
            "no natural",
            {"method": "milstein", "step": Adaptive(error="natural")},
        ),
        (BrownianMismatch, "BrownianTable knows", {"noise": torch.ones(3, 1, 1)}),
    ],
)
def test_refused(error, match, call):
    args = {"step": Adaptive(), "method": "sriw1"} | call
    with pytest.raises(error, match=match):
        sde.solve(Geometric(), torch.ones(3, 1), [0, 1.0], **args)


@pytest.mark.parametrize("ts", [[0, 2.0], [-1.0, 1.0], [0, 0.5, 1.1]])
@pytest.mark.parametrize("control", ["batch", "sample"])
def test_a_tree_shorter_than_the_solve_is_refused(control, ts):
    tree = sde.BrownianTree(0, 1, (3, 1), random_state=1)
    args = {"step": Adaptive(control=control), "method": "sriw1", "noise": tree}
    with pytest.raises(TimeGridError, match=r"outside the range \[0, 1\]"):
        sde.solve(Geometric(), torch.ones(3, 1), ts, **args)


@pytest.mark.parametrize(
    "bad",
    [
        {"rtol": -1.0},
        {"rtol": 0.0, "atol": 0.0},
        {"safety": 0.0},
        {"shrink": 1.0},
        {"grow": 1.0},
        {"norm": "mean"},
        {"rtol": "tight"},
        {"atol": math.inf},
        {"kP": math.nan},
        {"kI": math.inf},
        {"error": "embeded"},
        {"first_step": 0.0},
        {"min_step": math.nan},
    ],
)
def test_settings_that_make_no_sense(bad):
    with pytest.raises(InputError):
        Adaptive(**bad)


def test_defaults_of_adaptive_solves():
    control = {"ts": [0, 0.1], "step": Adaptive(), "random_state": 0}
    y0 = torch.ones(2, 1)
    assert sde.solve(Geometric(), y0, **control).stats.method == "sriw1"
    assert sde.solve(P3(), y0, **control).stats.method == "spark"
    assert sde.solve(P2(), y0, **control).stats.method == "shark"
