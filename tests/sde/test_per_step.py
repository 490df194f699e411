"""A context per step is the same as a context that is a function of time."""

import numpy as np
import pytest
import torch

from trajinfer._core.errors import IncompatibleSolver, InputError, NonFiniteState
from trajinfer.sde import SDE, Adaptive, PerStep, SolverRegularization, solve

TIMES = np.linspace(0.0, 1.0, 41)


class Driven(SDE):
    """Relaxation towards a context, which is a function of time or its value."""

    dim = noise_dim = 2
    commutes = True

    def f(self, t, y, context=None):
        target = context(t) if callable(context) else context
        return target - y

    def g(self, t, y, context=None):
        target = context(t) if callable(context) else context
        return 0.1 * target * y


def wave(scale):
    return lambda t: 2.0 + torch.sin(scale * t)


def start():
    return torch.ones(3, 2, dtype=torch.float64)


@pytest.mark.parametrize("method", ["euler", "milstein", "tamed_euler"])
@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_equals_a_context_of_time(method, gradient):
    results = []
    for per_step in (False, True):
        scale = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
        context = wave(scale)
        if per_step:
            context = PerStep([context(torch.as_tensor(t)) for t in TIMES[:-1]])
        solution = solve(
            Driven(),
            start(),
            TIMES,
            method=method,
            context=context,
            random_state=1,
            gradient=gradient,
        )
        solution.ys.square().sum().backward()
        results.append((solution.ys.detach(), scale.grad))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-12, atol=0)


def test_a_failure_is_reported_at_its_step():
    values = [torch.ones(1, dtype=torch.float64) for _ in TIMES[:-1]]
    values[7] = torch.full((1,), torch.nan, dtype=torch.float64)
    with pytest.raises(NonFiniteState, match="drift") as caught:
        solve(Driven(), start(), TIMES, method="euler", context=PerStep(values), random_state=0)
    assert caught.value.step == 7


def test_solves_that_look_elsewhere_are_refused():
    context = PerStep([torch.ones(1, dtype=torch.float64)] * 40)
    with pytest.raises(IncompatibleSolver, match="left ends"):
        solve(Driven(), start(), TIMES, method="sriw1", context=context)
    with pytest.raises(InputError, match="holds 40 steps, this solve has 20"):
        solve(Driven(), start(), TIMES[::2], method="euler", context=context)
    for settings in (
        {"step": Adaptive()},
        {"gradient": "adjoint"},
        {"regularization": SolverRegularization()},
    ):
        with pytest.raises(IncompatibleSolver):
            solve(Driven(), start(), TIMES, method="euler", context=context, **settings)
