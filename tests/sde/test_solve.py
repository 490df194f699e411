"""`solve` on fixed steps: times, noise, determinism, failures, and torchsde as a second opinion."""

import math

import numpy as np
import pytest
import torch
import torchsde

from tests.sde.problems import P1, P2, P1Stratonovich, brownian
from trajinfer import sde
from trajinfer._core.errors import (
    BrownianMismatch,
    IncompatibleSolver,
    InputError,
    MaxStepsExceeded,
    NonFiniteState,
    SingularDiffusion,
    TimeGridError,
)


class Brownian(sde.SDE):
    """Brownian motion, g given as a matrix."""

    noise_type = "additive"

    def __init__(self, dim=1):
        super().__init__()
        self.dim = self.noise_dim = dim

    def f(self, t, y, context=None):
        return torch.zeros_like(y)

    def g(self, t, y, context=None):
        return torch.eye(self.dim, dtype=y.dtype).expand(len(y), -1, -1)


class Net(torch.nn.Module):
    """A plain torchsde model: a network drift, a diagonal diffusion of the coordinate alone."""

    sde_type = "ito"
    noise_type = "diagonal"

    def __init__(self, dim=3, noise_type="diagonal", sde_type="ito"):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.drift = torch.nn.Linear(dim, dim, dtype=torch.float64)
            self.mix = torch.nn.Parameter(torch.randn(dim, 2, dtype=torch.float64))
        self.noise_type, self.sde_type = noise_type, sde_type

    def f(self, t, y):
        return torch.tanh(self.drift(y)) + t

    def g(self, t, y):
        if self.noise_type == "diagonal":
            return 0.3 + 0.2 * torch.sin(y)
        return self.mix.expand(len(y), -1, -1) * (
            1 if self.noise_type == "additive" else y[..., None]
        )


class TableForTorchsde(torchsde.BrownianPath):
    """Hands torchsde the increments of a table."""

    def __init__(self, w, dt):
        super().__init__(t0=0.0, w0=torch.zeros_like(w[:, 0]))
        self.w, self.dt = w, dt

    def __call__(self, ta, tb=None, return_U=False, return_A=False):
        first = round(float(ta) / self.dt)
        return self.w[:, first]


# --- times and outputs -------------------------------------------------------------------------


def test_variance_between_steps_is_t():
    """0.7 is not on a grid of 0.3; linear interpolation would give 0.62."""
    y0 = torch.zeros(200_000, 1, dtype=torch.float64)
    ys = sde.solve(Brownian(), y0, [0.0, 0.5, 0.7, 0.9], step=0.3, random_state=0).ys[..., 0]
    for k, t in enumerate((0.5, 0.7, 0.9), start=1):
        assert ys[:, k].var() == pytest.approx(t, rel=0.02)  # sd of the estimate 0.3 %


def test_outputs_do_not_depend_on_further_output_times():
    w, h = brownian(5, 8)
    fine = sde.solve(P2(), P2.start(5), np.linspace(0, 1, 9), method="sra1", noise=(w, h))
    table = sde.BrownianTable(w, h, times=np.linspace(0, 1, 9))
    coarse = sde.solve(P2(), P2.start(5), [0, 0.5, 1.0], step=0.125, method="sra1", noise=table)
    torch.testing.assert_close(coarse.ys, fine.ys[:, ::4])
    assert coarse.ts.tolist() == [0.0, 0.5, 1.0]


def test_no_sliver_step():
    solution = sde.solve(P1(), P1.start(2).float(), [0.0, 1.0], step=0.01, random_state=0)
    assert solution.stats.n_steps == 100


def test_save():
    args = {"step": 0.25, "random_state": 1, "method": "euler"}
    every = sde.solve(P1(), P1.start(3), [0, 1.0], save="all", **args)
    final = sde.solve(P1(), P1.start(3), [0, 1.0], save="final", **args)
    assert every.ts.tolist() == [0, 0.25, 0.5, 0.75, 1.0]
    torch.testing.assert_close(every.ys[:, -1:], final.ys)


@pytest.mark.parametrize("method", ["euler", "milstein", "sra1"])
def test_times_per_series_equal_separate_solves(method):
    problem = P2() if method == "sra1" else P1()
    ts = np.array([[0, 0.2, 0.9, 1.5], [0.1, 0.5, 0.6, 0.6], [0, 1.0, 1.0, 1.0]])
    w, h = brownian(3, 12)
    together = sde.solve(problem, problem.start(3), ts, method=method, noise=(w[:, :3], h[:, :3]))
    for b in range(3):
        own = ts[b, : np.argmax(ts[b]) + 1]
        n = len(own) - 1
        alone = sde.solve(
            problem,
            problem.start(1),
            own,
            method=method,
            noise=(w[b : b + 1, :n], h[b : b + 1, :n]),
        )
        torch.testing.assert_close(together.ys[b, : n + 1], alone.ys[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(together.ys[b, n:], alone.ys[0, -1:].expand(4 - n, 1))


def test_padding_is_a_no_op_for_values_and_gradients():
    weight = torch.tensor([0.4, 0.4], dtype=torch.float64, requires_grad=True)

    class Root(sde.SDE):
        """Its diffusion has an infinite slope at 0: any touch by a padded step shows."""

        dim = noise_dim = 2
        commutes = True

        def f(self, t, y, context=None):
            return weight * y

        def g(self, t, y, context=None):
            return 0.1 * y

    y0 = torch.ones(2, 2, dtype=torch.float64)
    w = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    short, long = [[0, 0.5, 0.5], [0, 0.3, 0.3]], [[0, 0.5, 0.5, 0.5, 0.5], [0, 0.3, 0.3, 0.3, 0.3]]
    grads, ends = [], []
    for ts in (short, long):
        n = len(ts[0]) - 1
        ys = sde.solve(Root(), y0, ts, method="milstein", noise=w[:, :n]).ys
        ends.append(ys[:, -1].detach())
        grads.append(torch.autograd.grad(ys[:, -1].sum(), weight)[0])
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(grads[0], grads[1])


def test_a_sample_does_not_depend_on_its_batch():
    """The same increments and times, beside a series that needs five times as many steps."""
    w = 0.1 * torch.ones(2, 10, 1, dtype=torch.float64)
    together = sde.solve(P1(), P1.start(2), [[0, 0.2], [0, 1.0]], step=0.1, noise=w, method="euler")
    alone = sde.solve(P1(), P1.start(1), [0, 0.2], step=0.1, noise=w[:1, :2], method="euler")
    torch.testing.assert_close(together.ys[0], alone.ys[0], rtol=0, atol=1e-12)


# --- noise and determinism ---------------------------------------------------------------------


def test_same_seed_same_result_and_global_state_is_left_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    runs = [
        sde.solve(P1(), P1.start(4), [0, 1.0], step=0.1, random_state=seed).ys for seed in (7, 7, 8)
    ]
    sde.solve(P1(), P1.start(4), [0, 1.0], step=0.1)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_the_recorded_seed_repeats_a_solve_without_one():
    first = sde.solve(P1(), P1.start(4), [0, 1.0], step=0.1)
    again = sde.solve(P1(), P1.start(4), [0, 1.0], step=0.1, random_state=first.stats.seed)
    assert torch.equal(first.ys, again.ys)


def test_dtype_follows_y0_and_the_host_is_asked_once():
    class Asked(torch.utils._python_dispatch.TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._local_scalar_dense.default:
                Asked.count += 1
            return func(*args, **(kwargs or {}))

    with Asked():
        ys = sde.solve(P1(), P1.start(4).float(), [0, 1.0], step=1 / 320, random_state=0).ys
    assert ys.dtype == torch.float32
    assert Asked.count == 1


def test_vmap_over_a_solve():
    """Fixed grids have no control flow that depends on data, once failures are only masked."""
    w, _ = brownian(3, 5)

    def end(w, y0):
        return sde.solve(
            P1(), y0, np.linspace(0, 1, 6), method="euler", noise=w, on_error="mask"
        ).ys[:, -1]

    mapped = torch.func.vmap(end)(w[:, None], P1.start(3)[:, None])
    torch.testing.assert_close(mapped[:, 0], end(w, P1.start(3)))


# --- torchsde as a second opinion --------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "theirs", "noise_type", "sde_type"),
    [
        ("euler", "euler", "diagonal", "ito"),
        ("euler", "euler", "general", "ito"),
        ("euler", "euler", "additive", "ito"),
        ("milstein", "milstein", "diagonal", "ito"),
        ("milstein", "milstein", "diagonal", "stratonovich"),
    ],
)
def test_torchsde_models_are_solved_unchanged(method, theirs, noise_type, sde_type):
    model, y0, dt = Net(noise_type=noise_type, sde_type=sde_type), torch.ones(4, 3).double(), 1 / 8
    w = brownian(4, 8, 3 if noise_type == "diagonal" else 2)[0]
    ours = sde.solve(model, y0, [0, 0.5, 1.0], step=dt, method=method, noise=w).ys
    path = TableForTorchsde(w, dt)
    ts = torch.tensor([0, 0.5, 1.0], dtype=torch.float64)
    other = torchsde.sdeint(model, y0, ts, bm=path, dt=dt, method=theirs).transpose(0, 1)
    torch.testing.assert_close(ours, other, rtol=1e-12, atol=1e-12)


def test_our_models_are_solved_by_torchsde():
    class Driven(sde.SDE):
        dim = noise_dim = 2

        def f(self, t, y, context=None):
            return context - y

        def g(self, t, y, context=None):
            return torch.full_like(y, 0.2)

    context, y0 = torch.full((4, 2), 3.0).double(), torch.zeros(4, 2).double()
    w = brownian(4, 8, 2)[0]
    ours = sde.solve(Driven(), y0, [0, 1.0], step=1 / 8, method="euler", context=context, noise=w)
    other = torchsde.sdeint(
        Driven().bind(context),
        y0,
        torch.tensor([0, 1.0], dtype=torch.float64),
        bm=TableForTorchsde(w, 1 / 8),
        dt=1 / 8,
        method="euler",
    )
    torch.testing.assert_close(ours.ys, other.transpose(0, 1))
    bound = sde.solve(Driven().bind(context), y0, [0, 1.0], step=1 / 8, method="euler", noise=w)
    assert torch.equal(bound.ys, ours.ys)


def test_missing_members_are_derived():
    class Fused:
        noise_type, sde_type, noise_dim = "general", "ito", 2

        def __init__(self, model):
            self.model = model

        def f_and_g_prod(self, t, y, v):
            return self.model.f(t, y), torch.einsum("bdm,bm->bd", self.model.g(t, y), v)

    model, w = Net(noise_type="general"), brownian(4, 8, 2)[0]
    args = {"ts": [0, 1.0], "step": 1 / 8, "method": "euler", "noise": w}
    y0 = torch.ones(4, 3).double()
    expected = sde.solve(model, y0, **args).ys
    torch.testing.assert_close(sde.solve(Fused(model), y0, **args).ys, expected)
    g = sde.problem.Problem(Fused(model)).g(torch.tensor(0.0), y0)
    torch.testing.assert_close(g, model.g(0.0, y0))


# --- failures ----------------------------------------------------------------------------------


class Trap(sde.SDE):
    """Becomes NaN in one sample from a known time on."""

    dim = noise_dim = 1
    commutes = True

    def __init__(self, where="drift"):
        super().__init__()
        self.where = where

    def spoil(self, t, y, where):
        if where != self.where or float(t) < 0.66:
            return torch.zeros_like(y)
        return torch.where(torch.arange(len(y))[:, None] == 2, torch.nan, 0.0).to(y)

    def f(self, t, y, context=None):
        return -y + self.spoil(t, y, "drift")

    def g(self, t, y, context=None):
        return 0.1 * y + self.spoil(t, y, "diffusion")


@pytest.mark.parametrize("where", ["drift", "diffusion"])
def test_nan_is_reported_where_it_happens(where):
    with pytest.raises(NonFiniteState, match=r"sample\(s\) 2") as caught:
        sde.solve(
            Trap(where),
            torch.ones(5, 1).double(),
            [0, 1.0],
            step=0.01,
            method="euler",
            random_state=0,
        )
    error = caught.value
    assert (error.which, error.samples, error.step) == (where, (2,), 66)
    assert error.t == pytest.approx(0.66)
    assert error.h == pytest.approx(0.01)


def test_explosion_is_reported_as_the_state():
    class Explosive(P1):
        def f(self, t, y, context=None):
            return y**3

    with pytest.raises(NonFiniteState) as caught:
        sde.solve(Explosive(), torch.full((2, 1), 5.0), [0, 10.0], step=0.5, random_state=0)
    assert caught.value.which in ("state", "drift", "diffusion")
    assert caught.value.samples


def test_reversible_heun_says_that_it_is_the_one_to_explode():
    class Stiff(P1Stratonovich):
        def f(self, t, y, context=None):
            return -30 * y

    args = {"y0": torch.ones(2, 1), "ts": [0, 20.0], "step": 0.1, "random_state": 0}
    with pytest.raises(NonFiniteState, match=r"reversible_heun is unstable.*method='heun'"):
        sde.solve(Stiff(), method="reversible_heun", **args)


def test_mask_keeps_the_other_samples():
    y0 = torch.ones(5, 1).double()
    args = {"ts": [0, 1.0], "step": 0.01, "method": "euler", "random_state": 0}
    masked = sde.solve(Trap(), y0, on_error="mask", **args)
    assert masked.mask.tolist() == [True, True, False, True, True]
    healthy = sde.solve(Trap("nowhere"), y0, **args)
    assert torch.equal(masked.ys[masked.mask], healthy.ys[masked.mask])
    assert masked.ys[2].isnan().all()


def mixing():
    class Mixing(sde.SDE):
        dim = noise_dim = 2

        def f(self, t, y, context=None):
            return -y

        def g(self, t, y, context=None):
            return 0.6 + 0.5 * torch.sin(2 * y.flip(1))

    return Mixing()


@pytest.mark.parametrize(
    ("error", "match", "change"),
    [
        (InputError, r"\(B, D\)|axes|shape", {"y0": torch.ones(3)}),
        (InputError, "floating-point", {"y0": torch.ones(3, 1, dtype=torch.int64)}),
        (InputError, "floating-point", {"y0": np.ones((3, 1))}),
        (InputError, "positive", {"step": -0.1}),
        (InputError, "positive", {"step": math.nan}),
        (InputError, "did you mean 'euler'", {"method": "eulr"}),
        (InputError, "no solver is called 3", {"method": 3}),
        (InputError, "whole number", {"max_steps": None}),
        (InputError, "compile='step' is unknown", {"compile": "step"}),
        (InputError, "no numbers to control", {"y0": torch.ones(0, 1), "step": sde.Adaptive()}),
        (InputError, "not both", {"random_state": 0, "noise": torch.ones(3, 1, 1)}),
        (InputError, "did you mean 'mask'", {"on_error": "masks"}),
        (InputError, "reference drift", {"log_ratio": "kl"}),
        (InputError, "not an SDE", {"sde": object()}),
        (TimeGridError, "increase strictly", {"ts": [0, 1.0, 0.5]}),
        (TimeGridError, "increase strictly", {"ts": [0, 1.0, 1.0]}),
        (TimeGridError, "NaN", {"ts": [0, math.nan]}),
        (TimeGridError, "T >= 2", {"ts": [0.0]}),
        (TimeGridError, "2 series", {"ts": [[0, 1.0], [0, 1.0]]}),
        (TimeGridError, "decreases in series 1", {"ts": [[0, 1.0], [0, -1.0], [0, 1.0]]}),
        (TimeGridError, "must be numbers", {"ts": "now"}),
        (TimeGridError, "must be numbers.*pad short series", {"ts": [[0, 1], [0, 1, 2], [0, 1]]}),
        (TimeGridError, "must be numbers", {"ts": [0, 1j]}),
        (MaxStepsExceeded, "max_steps is 50", {"step": 0.01, "max_steps": 50}),
        # so many steps that their times would not fit into memory
        (MaxStepsExceeded, "1e[+]15 steps", {"step": 1e-15}),
        (MaxStepsExceeded, "1e[+]300 steps", {"step": 1e-300}),
        (MaxStepsExceeded, "inf steps", {"step": 1e-320}),
        (MaxStepsExceeded, "2e[+]15 steps", {"step": 1e-15, "ts": [[0, 1.0], [0, 2.0], [3, 3]]}),
        (BrownianMismatch, r"\(3, 2\)", {"noise": torch.ones(3, 1, 2)}),
        (BrownianMismatch, "float64", {"noise": torch.ones(3, 1, 1).double()}),
        (InputError, r"pair \(W, H\)", {"noise": (torch.ones(3, 1, 1),) * 3}),
        (InputError, r"pair \(W, H\)", {"noise": (1, 2)}),
        (BrownianMismatch, "has 1 steps", {"noise": torch.ones(3, 1, 1), "step": 0.1}),
        (
            BrownianMismatch,
            "space-time",
            {"sde": P2(), "method": "sra1", "noise": torch.ones(3, 1, 1)},
        ),
        (IncompatibleSolver, "additive noise", {"method": "sra1"}),
        (IncompatibleSolver, "exact_step", {"method": "exact"}),
        (
            IncompatibleSolver,
            "does not commute",
            {"sde": mixing(), "y0": torch.ones(3, 2), "method": "milstein"},
        ),
    ],
)
def test_bad_input(error, match, change):
    args = {"sde": P1(), "y0": torch.ones(3, 1), "ts": [0, 1.0], "method": "euler"} | change
    model, y0, ts = args.pop("sde"), args.pop("y0"), args.pop("ts")
    with pytest.raises(error, match=match):
        sde.solve(model, y0, ts, **args)


def test_wrong_shapes_of_drift_and_diffusion():
    class Flat(P1):
        def f(self, t, y, context=None):
            return y[:, 0]

    class Square(P1):
        def g(self, t, y, context=None):
            return y[..., None]

    for model, word in ((Flat(), "drift"), (Square(), "diffusion")):
        with pytest.raises(InputError, match=f"the {word} must have shape"):
            sde.solve(model, torch.ones(3, 1), [0, 1.0], random_state=0, method="euler")


class Shaped(sde.SDE):
    """Noise whose diffusion is whatever is given."""

    dim = 2

    def __init__(self, noise_type, sde_type, channels, diffusion):
        super().__init__()
        self.noise_type, self.sde_type, self.noise_dim = noise_type, sde_type, channels
        self.diffusion = diffusion

    def f(self, t, y, context=None):
        return -y

    def g(self, t, y, context=None):
        return self.diffusion


METHODS = ("euler", "tamed_euler", "milstein", "sriw1", "heun", "reversible_heun", "spark")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("noise_type", "channels", "shape"),
    [
        ("diagonal", 2, (3, 1)),
        ("diagonal", 2, (2,)),
        ("scalar", 1, (3, 2)),
        ("scalar", 1, (3, 2, 3)),
        ("general", 1, (3, 2, 3)),
        ("general", 3, (3, 2, 1)),
        ("general", 3, (3, 2, 2)),
        ("general", 2, (3, 2)),
    ],
)
def test_a_diffusion_of_another_shape_is_never_spread(method, noise_type, channels, shape):
    calculus = "ito" if METHODS.index(method) < 4 else "stratonovich"
    if noise_type == "general" and method in ("milstein", "sriw1"):
        return
    model = Shaped(noise_type, calculus, channels, torch.ones(shape))
    with pytest.raises(InputError, match="diffusion must have shape"):
        sde.solve(model, torch.ones(3, 2), [0, 1.0], random_state=0, method=method)


@pytest.mark.parametrize("method", ["euler", "sra1", "shark", "sea"])
def test_additive_noise_has_the_channels_it_declares(method):
    for channels, shape in ((1, (3, 2, 3)), (3, (3, 2, 1)), (3, (3, 2, 2))):
        model = Shaped("additive", "ito", channels, torch.ones(shape))
        with pytest.raises(InputError, match="diffusion must have shape"):
            sde.solve(model, torch.ones(3, 2), [0, 1.0], random_state=0, method=method)
    model = Shaped("additive", "ito", 0, torch.ones(3, 2, 0))
    with pytest.raises(InputError, match="noise_dim must be at least 1, got 0"):
        sde.solve(model, torch.ones(3, 2), [0, 1.0], random_state=0, method=method)


class Fused:
    """Products only, the drift and the product as given."""

    sde_type, noise_type, noise_dim = "ito", "general", 2

    def __init__(self, drift, product):
        self.pair = drift, product

    def f_and_g_prod(self, t, y, v):
        return self.pair


def test_fused_members_are_checked_too():
    right, args = torch.ones(3, 2), {"random_state": 0, "method": "euler"}
    for pair, word in (((right[:1], right), "drift"), ((right, right[:, :1]), "product g v")):
        with pytest.raises(InputError, match=f"the {word} must have shape"):
            sde.solve(Fused(*pair), right, [0, 1.0], **args)


@pytest.mark.parametrize("method", ["euler", "milstein", "sriw1", "tamed_euler"])
def test_the_state_keeps_its_dtype(method):
    class Wide(P1):
        def f(self, t, y, context=None):
            return super().f(t, y).to(self.drift)

        def g(self, t, y, context=None):
            return super().g(t, y).to(self.diffusion)

    y0, model = torch.full((3, 1), 0.3), Wide()
    for drift, diffusion in ((torch.float64, torch.float32), (torch.float32, torch.float64)):
        model.drift, model.diffusion = drift, diffusion
        word = "drift" if drift == torch.float64 else "diffusion"
        with pytest.raises(InputError, match=f"the {word} is torch.float64, the state torch.float"):
            sde.solve(model, y0, [0, 1.0], method=method, random_state=0)
    model.drift = model.diffusion = torch.bfloat16
    assert sde.solve(model, y0, [0, 0.1], method=method, random_state=0).ys.dtype == torch.float32


def test_order_loss_can_be_allowed():
    y0 = torch.ones(3, 2)
    ys = sde.solve(mixing(), y0, [0, 1.0], step=0.1, method="milstein", allow_order_loss=True).ys
    assert ys.isfinite().all()


# --- log-ratio ---------------------------------------------------------------------------------


class TwoDrifts(sde.SDE):
    """Ornstein-Uhlenbeck f = -2 y against h = -y + 0.5, both with sigma 0.7."""

    dim = noise_dim = 2
    commutes = True

    def f(self, t, y, context=None):
        return -2 * y

    def h(self, t, y):
        return -y + 0.5

    def g(self, t, y, context=None):
        return torch.full_like(y, 0.7)


def test_path_log_ratio_is_that_of_the_gaussian_chains():
    step, y0 = 0.1, torch.zeros(6, 2).double()
    solution = sde.solve(
        TwoDrifts(), y0, [0, 0.5, 1.0], step=step, method="euler", random_state=1, log_ratio="path"
    )
    ys = sde.solve(
        TwoDrifts(), y0, [0, 0.5, 1.0], step=step, method="euler", random_state=1, save="all"
    ).ys

    def log_density(mean):
        return torch.distributions.Normal(mean, 0.7 * step**0.5).log_prob(ys[:, 1:]).sum(2)

    left = ys[:, :-1]
    gap = log_density(left - 2 * step * left) - log_density(left + step * (0.5 - left))
    expected = torch.stack([gap[:, :5].sum(1), gap[:, 5:].sum(1)], 1)
    torch.testing.assert_close(solution.log_ratio, expected, rtol=1e-9, atol=1e-9)


def test_kl_between_two_ou_processes():
    """u = (-y - 0.5)/0.7; E y = 0 and E y^2 = s^2 (1 - e^{-4t})/4 from y0 = 0."""
    y0 = torch.zeros(5000, 2).double()
    solution = sde.solve(TwoDrifts(), y0, [0, 1.0], step=1 / 64, random_state=2, log_ratio="kl")
    second = 0.7**2 / 4 * (1 - (1 - math.exp(-4)) / 4)
    expected = 2 * 0.5 * (second + 0.25) / 0.7**2
    assert solution.log_ratio.mean() == pytest.approx(expected, rel=0.01)


def test_matrix_diffusions_and_controls_give_the_same_log_ratio():
    class Matrix(TwoDrifts):
        noise_type = "additive"

        def g(self, t, y, context=None):
            return 0.7 * torch.eye(2, dtype=y.dtype).expand(len(y), -1, -1)

    class Controlled(TwoDrifts):
        h = None

        def control(self, t, y):
            return (-y - 0.5) / 0.7

    y0, found = torch.zeros(3, 2).double(), []
    for model in (TwoDrifts(), Matrix(), Controlled()):
        solution = sde.solve(
            model, y0, [0, 1.0], step=0.1, method="euler", random_state=1, log_ratio="path"
        )
        found.append(solution.log_ratio)
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("small", [1.0, 1e-2, 1e-3, 1e-4])
def test_the_log_ratio_of_a_badly_scaled_matrix(small, dtype):
    scale = torch.tensor([1.0, small], dtype=dtype)

    class Scaled(TwoDrifts):
        """The control is (1, 1), so the rate of the divergence 1."""

        noise_type = "general"

        def f(self, t, y, context=None):
            return scale.expand_as(y)

        def h(self, t, y, context=None):
            return torch.zeros_like(y)

        def g(self, t, y, context=None):
            return torch.diag(scale).expand(len(y), 2, 2)

    args = {"method": "euler", "log_ratio": "kl", "random_state": 0}
    found = sde.solve(Scaled(), torch.zeros(3, 2, dtype=dtype), [0, 1.0], **args).log_ratio
    torch.testing.assert_close(found, torch.ones_like(found), rtol=2e-4, atol=0)


def test_an_ode_has_no_log_ratio():
    model = TwoDrifts()
    model.noise_type = "none"
    with pytest.raises(SingularDiffusion, match="without noise"):
        sde.solve(model, torch.zeros(3, 2), [0, 1.0], log_ratio="kl")


def test_log_ratio_outside_the_range_of_g():
    class Stuck(TwoDrifts):
        def g(self, t, y, context=None):
            return torch.tensor([0.7, 0.0], dtype=y.dtype).expand_as(y)

    with pytest.raises(SingularDiffusion, match="outside the range"):
        sde.solve(Stuck(), torch.zeros(3, 2), [0, 1.0], method="euler", step=0.1, log_ratio="kl")


# --- the exact method and gradients ------------------------------------------------------------


class Exact(sde.SDE):
    """Ornstein-Uhlenbeck in law from Z alone."""

    dim = noise_dim = 2
    commutes = True
    exact_noise = "Z"

    def f(self, t, y, context=None):
        return -2 * y

    def g(self, t, y, context=None):
        return torch.ones_like(y)

    def exact_step(self, t, h, y, W, H, Z):
        assert W is None
        assert H is None
        return y * torch.exp(-2 * h) + Z * ((1 - torch.exp(-4 * h)) / 4).sqrt()


@pytest.mark.parametrize("ts", [[0.0, 0.3, 5.0], [[0.0, 0.3, 5.0]] * 50_000], ids=["shared", "own"])
def test_exact_steps_have_the_law_at_any_length(ts):
    y0 = torch.full((50_000, 2), 3.0).double()
    solution = sde.solve(Exact(), y0, ts, random_state=3)
    assert solution.stats.method == "exact"
    assert solution.stats.n_steps == 2
    for k, t in ((1, 0.3), (2, 5.0)):
        mean, var = 3 * math.exp(-2 * t), (1 - math.exp(-4 * t)) / 4
        n = 100_000
        assert abs(solution.ys[:, k].mean() - mean) < 5 * math.sqrt(var / n)  # alpha 6e-7
        assert abs(solution.ys[:, k].var() - var) < 5 * var * math.sqrt(2 / n)


@pytest.mark.parametrize("every", [1, 3, 32])
def test_checkpointed_gradients_equal_backprop(every):
    model, y0 = Net(), torch.ones(4, 3).double().requires_grad_()
    inputs, found = [y0, *model.drift.parameters()], []
    for gradient in ("backprop", sde.Checkpoint(every)):
        ys = sde.solve(
            model, y0, [0, 0.5, 1.0], step=0.1, method="milstein", random_state=0, gradient=gradient
        ).ys
        found.append(torch.autograd.grad(ys.square().sum(), inputs))
    for one, two in zip(*found):
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


def test_reweighting_paths_of_the_reference():
    """E_h[exp(log dP_f/dP_h)] = 1 and E_h[exp(.) Y] = E_f[Y]; five standard errors."""
    y0, common = torch.ones(20_000, 2).double(), {"ts": [0, 0.5], "step": 0.02, "method": "euler"}
    under = sde.solve(
        TwoDrifts(), y0, log_ratio="path", measure="reference", random_state=1, **common
    )
    weight = under.log_ratio[:, 0].exp()
    assert abs(weight.mean() - 1) < 5 * weight.std() / len(y0) ** 0.5
    product = weight * under.ys[:, -1, 0]
    expected = (1 - 2 * 0.02) ** 25
    assert abs(product.mean() - expected) < 5 * product.std() / len(y0) ** 0.5
    with pytest.raises(InputError, match="reference drift"):
        sde.solve(P1(), P1.start(2), [0, 1.0], measure="reference")


def test_noise_of_a_path_does_not_depend_on_its_batch():
    args = {"ts": [0, 1.0], "step": 1 / 300, "method": "sra1", "random_state": 3}
    whole = sde.solve(P2(), P2.start(6), per_sample_seed=True, **args).ys
    part = sde.solve(P2(), P2.start(2), per_sample_seed=[4, 1], **args).ys
    torch.testing.assert_close(part, whole[[4, 1]], rtol=0, atol=0)
    end = sde.solve(
        Brownian(), torch.zeros(50_000, 1).double(), [0, 1.0], per_sample_seed=True, random_state=1
    ).ys[:, -1]
    assert end.var() == pytest.approx(1.0, rel=5 * (2 / 50_000) ** 0.5)
    with pytest.raises(InputError, match="3 numbers for 2 paths"):
        sde.solve(P2(), P2.start(2), per_sample_seed=[0, 1, 2], **args)
