"""Compiled chunks give the plain result; `fullgraph=True` makes more than one graph an error."""

import pytest
import torch
from torch import nn

from trajinfer import sde
from trajinfer._core.errors import IncompatibleSolver


class Net(sde.SDE):
    dim = noise_dim = 3

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.drift, self.diffusion = nn.Linear(3, 3), nn.Linear(3, 3)

    def f(self, t, y, context=None):
        return torch.tanh(self.drift(y)) + t

    def g(self, t, y, context=None):
        return 0.1 * self.diffusion(y)

    def h(self, t, y):
        return -y


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["euler", "sriw1"])
def test_compiled_equals_plain(method):
    """20 steps: two compiled chunks of eight and four plain steps."""
    model, y0, found = Net(), torch.linspace(-1, 1, 12).reshape(4, 3), []
    for compiled in (None, "chunk"):
        solution = sde.solve(
            model,
            y0,
            [0, 0.25, 1.0],
            step=0.05,
            method=method,
            random_state=0,
            compile=compiled,
            allow_order_loss=True,
        )
        grads = torch.autograd.grad(solution.ys.square().sum(), list(model.parameters()))
        found.append((solution.ys.detach(), *grads))
        assert solution.stats.nfe_f == 20 * (2 if method == "sriw1" else 1)
    for plain, other in zip(*found):
        torch.testing.assert_close(plain, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"step": sde.Adaptive()}, {"gradient": "checkpoint"}, {"log_ratio": "kl"}],
)
def test_what_cannot_be_compiled_is_refused(options):
    options = {"method": "milstein", "step": 0.1, "allow_order_loss": True} | options
    if isinstance(options["step"], sde.Adaptive):
        options["step"] = sde.Adaptive(unsafe_adaptive=True)
    with pytest.raises(IncompatibleSolver, match="compile='chunk'"):
        sde.solve(Net(), torch.ones(2, 3), [0, 1.0], compile="chunk", random_state=0, **options)
