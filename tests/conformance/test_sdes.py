"""What every exported process must do, whatever its equations."""

import copy
import inspect
import itertools
import json
import pickle

import numpy as np
import pytest
import torch
import torchsde

from tests.conformance.sdes import CASES, VOLATILITIES, shaken, states
from trajinfer import processes, sde
from trajinfer._core.packing import pack, unpack
from trajinfer.processes import Process

NOW = torch.zeros((), dtype=torch.float64)
EXPORTED = [
    name
    for name in processes.__all__
    if inspect.isclass(getattr(processes, name))
    and issubclass(getattr(processes, name), Process)
    and not inspect.isabstract(getattr(processes, name))
]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
every_volatility = pytest.mark.parametrize("volatility", VOLATILITIES)


def make(case, volatility="per dimension"):
    return case.make(volatility=VOLATILITIES[volatility](len(case.center)))


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_process_has_a_case(name):
    assert name in {case.name for case in CASES}, f"add a row for {name} to conformance/sdes.py"


@every_case
@every_volatility
@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(case, volatility, n, dtype):
    process, y = make(case, volatility), states(case, n, dtype)
    dim = len(case.center)
    assert (process.dim, process.noise_dim) == (dim, dim)
    assert process.f(NOW, y).shape == (n, dim)
    assert process.f(NOW, y).dtype == dtype
    diagonal = process.noise_type == "diagonal"
    assert process.g(NOW, y).shape == ((n, dim) if diagonal else (n, dim, dim))
    assert process.g(NOW, y).dtype == dtype
    assert process.g_prod(NOW, y, torch.ones_like(y)).shape == (n, dim)


@every_case
@every_volatility
def test_the_product_with_noise_is_g_times_v(case, volatility):
    process, y = make(case, volatility), states(case, 5)
    v = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape)
    expected = sde.SDE.g_prod(process, NOW, y, v)
    torch.testing.assert_close(process.g_prod(NOW, y, v), expected, rtol=1e-14, atol=0)


@every_case
@every_volatility
def test_noise_is_called_additive_where_it_does_not_depend_on_the_state(case, volatility):
    process = make(case, volatility)
    near, far = process.g(NOW, states(case, 1)), process.g(NOW, 2 * states(case, 1))
    assert (process.noise_type == "additive") == torch.equal(near, far)


@every_case
@every_volatility
def test_rows_do_not_see_each_other(case, volatility):
    process, y = make(case, volatility), states(case, 5)
    for field in (process.f, process.g):
        rows = torch.cat([field(NOW, row) for row in y.split(1)])
        torch.testing.assert_close(field(NOW, y), rows, rtol=1e-14, atol=0)


@every_case
def test_times_may_differ_between_rows(case):
    process, y = make(case), states(case, 5)
    t = torch.arange(5, dtype=torch.float64).unsqueeze(1)
    assert torch.equal(process.f(t, y), process.f(NOW, y))
    assert torch.equal(process.g(t, y), process.g(NOW, y))


@every_case
@every_volatility
def test_calls_change_nothing(case, volatility):
    process, y = make(case, volatility), states(case, 5)
    before, given = copy.deepcopy(process.state_dict()), y.clone()
    process.f(NOW, y), process.g(NOW, y), process.jacobian(NOW, y, process.values())
    assert torch.equal(y, given)
    for name, value in process.state_dict().items():
        assert torch.equal(value, before[name])


@every_case
def test_gradients_reach_every_learnable_parameter(case):
    process = shaken(make(case).learn("volatility"))
    y = states(case, 5)
    (process.f(NOW, y).square().sum() + process.g(NOW, y).square().sum()).backward()
    for name, parameter in process.named_parameters():
        assert parameter.grad is not None, name
        size = parameter.grad.abs()
        if name == "coefficients.volatility":
            size = np.delete(size.numpy(), case.noiseless)
        assert size.min() > 0, name


@every_case
def test_the_jacobian_is_the_derivative_of_the_drift(case):
    process, y = shaken(make(case)), states(case, 5)
    found = process.jacobian(NOW, y, process.values())
    assert found.shape == (5, len(case.center), len(case.center))
    rows = [torch.func.jacrev(lambda x: process.f(NOW, x.unsqueeze(0))[0])(row) for row in y]
    torch.testing.assert_close(found, torch.stack(rows), rtol=1e-12, atol=1e-12)
    default = Process.jacobian(process, NOW, y, process.values())
    torch.testing.assert_close(found, default, rtol=1e-12, atol=1e-12)


@every_case
@every_volatility
def test_the_affine_form_is_the_drift(case, volatility):
    process, y = shaken(make(case, volatility)), states(case, 5)
    affine = process.affine(process.values())
    curvature = torch.func.jacrev(
        lambda x: process.jacobian(NOW, x.unsqueeze(0), process.values())
    )(y[0])
    is_affine = process.noise_type == "additive" and not curvature.abs().max() > 1e-12
    assert (affine is not None) == is_affine
    if affine is not None:
        matrix, offset = affine
        torch.testing.assert_close(y @ matrix.T + offset, process.f(NOW, y), rtol=1e-12, atol=1e-12)


@every_case
@every_volatility
def test_torchsde_solves_it_the_same(case, volatility):
    process, y0 = shaken(make(case, volatility)), states(case, 3)
    ts = torch.linspace(0, 0.5, 9, dtype=torch.float64)
    noise = torchsde.BrownianInterval(0.0, 0.5, size=y0.shape, dtype=y0.dtype, entropy=3)
    theirs = torchsde.sdeint(process, y0, ts, bm=noise, dt=1 / 16, method="euler")
    increments = torch.stack([noise(a, b) for a, b in itertools.pairwise(ts)], dim=1)
    ours = sde.solve(process, y0, ts, method="euler", noise=increments)
    torch.testing.assert_close(ours.ys, theirs.transpose(0, 1), rtol=1e-12, atol=1e-12)


@every_case
@every_volatility
def test_copies_are_independent(case, volatility):
    process = make(case, volatility)
    y = states(case, 3)
    before = process.f(NOW, y).detach()
    for other in (process.copy(), copy.deepcopy(process)):
        assert torch.equal(other.f(NOW, y), before)
        shaken(other)
        assert torch.equal(process.f(NOW, y), before)


@every_case
def test_pickle_round_trip(case):
    process, y = shaken(make(case)), states(case, 3)
    again = pickle.loads(pickle.dumps(process))
    assert torch.equal(again.f(NOW, y), process.f(NOW, y))
    assert torch.equal(again.g(NOW, y), process.g(NOW, y))


@every_case
@pytest.mark.parametrize("volatility", ["known", "open", "learned"])
def test_it_is_rebuilt_from_plain_data(case, volatility):
    process = make(case) if volatility != "open" else case.make()
    if volatility == "learned":
        process.learn("volatility")
    dim = len(case.center)
    process.adapt_to(np.array(case.center), np.full(dim, 0.7), 2.0)
    tensors = {}
    packed = pack(shaken(process), tensors, "process")
    again = unpack(json.loads(json.dumps(packed)), tensors)
    assert type(again) is type(process)
    assert again.learnable == process.learnable
    assert again.coefficients.neutral == process.coefficients.neutral
    y = states(case, 3)
    assert torch.equal(again.f(NOW, y), process.f(NOW, y))
    if volatility == "open":
        assert again.volatility is None
    else:
        assert torch.equal(again.g(NOW, y), process.g(NOW, y))
    ours, theirs = process.shrinkage(process.values()), again.shrinkage(again.values())
    assert (ours is None) == (theirs is None)
    assert ours is None or torch.equal(ours, theirs)


@pytest.mark.parametrize("case", [c for c in CASES if c.neutral], ids=lambda c: c.name)
def test_a_fit_of_neutral_starts_does_not_depend_on_units(case):
    """State in units of 1/c, time in units of 1/s: b'(c y) = c/s b(y), at the same distance from
    the start in natural units."""
    c, s = 30.0, 0.2
    center, dim = np.array(case.center), len(case.center)
    plain, scaled = case.make(), case.make()
    plain.adapt_to(center, np.full(dim, 0.5), 2.0)
    scaled.adapt_to(c * center, np.full(dim, c * 0.5), s * 2.0)
    for process in (plain, scaled):
        with torch.no_grad():
            for k, (name, parameter) in enumerate(process.coefficients.named_parameters()):
                step = torch.linspace(0.1, 0.2 + 0.1 * k, parameter.numel(), dtype=torch.float64)
                parameter.add_(step.reshape(parameter.shape) * process.coefficients.units[name])
    y = states(case, 5)
    torch.testing.assert_close(
        scaled.f(NOW, c * y), c / s * plain.f(NOW, y), rtol=1e-11, atol=1e-11
    )
    ours, theirs = plain.shrinkage(plain.values()), scaled.shrinkage(scaled.values())
    if ours is not None:
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=0)
