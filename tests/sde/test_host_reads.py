"""A solve reads no number off the device per step, so that the device never waits for the host."""

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.conformance import sdes
from tests.sde.problems import Decay
from trajinfer import sde as tsde
from trajinfer._core.errors import NonFiniteState
from trajinfer.diffusion import DiffusionSDE
from trajinfer.processes import (
    AffineDrift,
    FractionalBrownian,
    GeometricBrownian,
    OrnsteinUhlenbeck,
)

_READS = {
    *(Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__bool__, Tensor.__float__),
    *(Tensor.__int__, Tensor.__index__, Tensor.nonzero, torch.nonzero, torch.equal, Tensor.equal),
}
_HOST = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten._linalg_check_errors.default,
}


class _OfPython(TorchFunctionMode):
    """Counts calls of the methods that turn tensors into numbers."""

    n = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.n += func in _READS
        return func(*args, **kwargs or {})


class _OfTorch(TorchDispatchMode):
    """Counts the operations that do so, whoever asks for them."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += func in _HOST
        return func(*args, **kwargs or {})


class _Reading(Decay):
    """The fault that the count must find."""

    def f(self, t, y, context=None):
        return -float(self.rate.detach()) * y


def _reads(sde, n_steps, per_series=False, y0=None, **settings):
    ts = torch.linspace(0, 1, n_steps + 1, dtype=torch.float64)
    ts = (ts * torch.tensor([[1.0], [0.5], [0.1]])).numpy() if per_series else ts.numpy()
    y0 = torch.ones(3, 2) if y0 is None else y0
    with _OfPython() as python, _OfTorch() as operations:
        solution = tsde.solve(sde, y0, ts, random_state=0, **settings)
        loss = solution.ys.sum() + (0.0 if solution.penalty is None else solution.penalty)
        if loss.requires_grad:
            loss.backward()
    return python.n + operations.n


def _problem(method):
    row = next(row for row in tsde.methods() if row["name"] == method)
    if "diagonal" in row["noise"] and "ito" in row["type"]:
        return Decay("diagonal", "ito")
    if "diagonal" in row["noise"]:
        return Decay("diagonal", "stratonovich")
    if "additive" in row["noise"]:
        return Decay("additive", "ito" if "ito" in row["type"] else "stratonovich")
    return Decay("none", "ito")


_METHODS = [row["name"] for row in tsde.methods() if row["name"] not in ("exact", "exp_euler")]


@pytest.mark.parametrize("method", _METHODS)
def test_no_number_is_read_per_step(method):
    sde = _problem(method)
    few, many = (_reads(sde, n, method=method) for n in (2, 12))
    assert many == few


def _linear_decay():
    """A linear part that is known, beside a denoiser that is learned."""
    weight = torch.ones(2, requires_grad=True)
    return DiffusionSDE(lambda y, rho: y * weight, dim=2, churn=1.0)


def _geometric():
    """Growth at two rates, of which the exact step is a product."""
    return GeometricBrownian([0.1, -0.2], volatility=0.3).learn("mu")


@pytest.mark.parametrize(("make", "method"), [(_linear_decay, "exp_euler"), (_geometric, "exact")])
def test_no_number_is_read_per_step_where_a_part_is_known(make, method):
    few, many = (_reads(make(), n, method=method) for n in (2, 12))
    assert many == few


def _family(case):
    """A process with all of its own parameters free."""
    process = case.make(volatility=[0.1] * len(case.center))
    return process.learn(*(name for name in process.coefficients if name != "volatility"))


@pytest.mark.parametrize("per_series", [False, True], ids=["shared", "own"])
@pytest.mark.parametrize("case", sdes.CASES, ids=lambda case: case.name)
def test_no_process_reads_a_number_per_step(case, per_series):
    process, y0 = _family(case), sdes.states(case, 3)
    method = "exact" if process.has_exact_step else "euler"
    settings = {"y0": y0, "method": method, "per_series": per_series}
    few, many = (_reads(process, n, **settings) for n in (1, 5))
    assert many == few


def test_exact_steps_read_one_number_in_many_chunks():
    process = AffineDrift(2, volatility=0.3)
    few, many = (_reads(process, n, method="exact") for n in (2, 300))
    assert many == few


def test_fractional_motion_reads_no_number_per_step():
    motion = FractionalBrownian(0.7, OrnsteinUhlenbeck(1.0, 0.0, volatility=0.5), n_ou=4)
    y0 = motion.start(torch.zeros(3, 1, dtype=torch.float64), 0)
    few, many = (_reads(motion, n, y0=y0, method="exact") for n in (2, 12))
    assert many == few


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "reversible", "adjoint"])
def test_no_number_is_read_per_step_with_any_gradient(gradient):
    sde = Decay("diagonal", "stratonovich")
    settings = {"method": "reversible_heun", "gradient": gradient}
    few, many = (_reads(sde, n, **settings) for n in (2, 140))
    assert many == few


@pytest.mark.parametrize(
    "settings",
    [{"per_series": True}, {"regularization": tsde.SolverRegularization()}, {"save": "final"}],
)
def test_no_number_is_read_per_step_with_times_per_series_and_penalties(settings):
    sde = Decay("additive", "ito")
    few, many = (_reads(sde, n, method="heun", **settings) for n in (2, 140))
    assert many == few


def test_a_number_that_is_read_is_counted():
    sde = _Reading("diagonal", "ito")
    few, many = (_reads(sde, n, method="euler") for n in (2, 12))
    assert many - few >= 10


def test_a_state_that_became_infinite_is_named_though_it_is_asked_for_late():
    """Steps 1 to 200 are finite, and so is the first chunk; one more 0.5 ends in infinity."""

    class Growing(Decay):
        def f(self, t, y, context=None):
            return torch.where(t >= 1.0, torch.inf, 0.0) * y

    with pytest.raises(NonFiniteState) as caught:
        tsde.solve(Growing("none", "ito"), torch.ones(3, 2), [0.0, 2.0], step=0.005, method="euler")
    assert caught.value.step == 200
    assert caught.value.which == "drift"
