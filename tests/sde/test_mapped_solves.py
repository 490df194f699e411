"""A solve under the transformations of torch: `torch.func.vmap`, `grad` and `torch.compile`."""

import numpy as np
import pytest
import torch

from tests.sde.problems import Decay
from trajinfer import sde as tsde
from trajinfer.diffusion import DiffusionSDE
from trajinfer.processes import AffineDrift

_TS = np.linspace(0, 1, 4)
_OF_THEIR_OWN = {
    "exact": AffineDrift(2, [[-0.5, 2.0], [-2.0, -0.5]], [1.0, 0.0], volatility=0.3),
    "exp_euler": DiffusionSDE(lambda y, rho: 0.5 * y, dim=2, churn=1.0),
}


def _problem(row):
    if row["name"] in _OF_THEIR_OWN:
        return _OF_THEIR_OWN[row["name"]]
    kind = next(kind for kind in ("diagonal", "additive", "none") if kind in row["noise"])
    return Decay(kind, "ito" if "ito" in row["type"] else "stratonovich")


def _end(row):
    """The last state of a solve as a function of its start and, where it may be given, its noise.

    Where it may not, every solve of one seed draws the same.
    """
    problem, own = _problem(row), row["name"] in _OF_THEIR_OWN

    def end(y0, w, area):
        given = {"random_state": 0} if own else {"noise": (w, area)}
        if problem.noise_type == "none":
            given = {}
        return tsde.solve(problem, y0, _TS, method=row["name"], **given).ys[:, -1]

    return end


def _starts_and_noise():
    """Three starts (3, 1, 2) with W and H (3, 1, 3, 2)."""
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(3, 7, 2, generator=generator)
    return parts[:, None, 0], 0.5 * parts[:, None, 1:4], 0.1 * parts[:, None, 4:]


@pytest.mark.parametrize("row", tsde.methods(), ids=lambda row: row["name"])
def test_mapped_solves_and_their_gradients_are_those_one_by_one(row):
    end, given = _end(row), _starts_and_noise()
    mapped = torch.func.vmap(end, randomness="same")(*given)
    slope = torch.func.grad(lambda *args: end(*args).square().sum())
    slopes = torch.func.vmap(slope, randomness="same")(*given)
    for k, (y0, w, area) in enumerate(zip(*given)):
        start = y0.clone().requires_grad_()
        alone = end(start, w, area)
        torch.testing.assert_close(mapped[k], alone, rtol=1e-5, atol=1e-6)
        (expected,) = torch.autograd.grad(alone.square().sum(), start)
        torch.testing.assert_close(slopes[k], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["euler", "exact"])
def test_a_compiled_function_may_solve(method):
    """In as many graphs as torch likes; `compile="chunk"` is what makes one of many steps."""
    end = _end({"name": method, "noise": "diagonal", "type": "ito"})
    y0, w, area = (part.flatten(0, 1).requires_grad_() for part in _starts_and_noise())
    found = []
    for solving in (end, torch.compile(end, backend="aot_eager")):
        last = solving(y0, w, area)
        found.append((last, *torch.autograd.grad(last.square().sum(), [y0])))
    for plain, compiled in zip(*found):
        torch.testing.assert_close(plain, compiled, rtol=1e-5, atol=1e-6)
