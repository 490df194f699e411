"""Objects without parameters under every gradient, and log-ratios under singular diffusions."""

import pytest
import torch
import torchsde

from trajinfer import sde


class Decay:
    """No module and no parameters."""

    sde_type, noise_type = "stratonovich", "diagonal"

    def f(self, t, y):
        return -y

    def g(self, t, y):
        return 0.3 * torch.ones_like(y)


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "adjoint"])
def test_an_sde_without_parameters_has_a_gradient_in_its_start(gradient):
    y0 = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    options = {"step": 0.01, "method": "heun", "random_state": 0}
    sde.solve(Decay(), y0, [0.0, 1.0], gradient=gradient, **options).ys[:, -1].sum().backward()
    expected = torch.full_like(y0, (1 - 0.01 + 0.01**2 / 2) ** 100)
    torch.testing.assert_close(y0.grad, expected, rtol=1e-4, atol=0)


class Driven(torch.nn.Module):
    """Two drifts that differ within the range of a diffusion of some rank."""

    sde_type, noise_type = "ito", "general"

    def __init__(self, rank):
        super().__init__()
        rows = [[0.5, 0.0, 0.0], [0.25, 0.3 * (rank == 3), 0.0], [0.0, 0.5, 0.5]]
        self.diffusion = torch.tensor(rows, dtype=torch.float64)

    def f(self, t, y):
        return self.h(t, y) + torch.tanh(y) @ self.diffusion.T

    def h(self, t, y):
        return -y

    def g(self, t, y):
        return self.diffusion.expand(len(y), 3, 3)


@pytest.mark.parametrize("rank", [3, 2])
def test_the_log_ratio_is_that_of_torchsde_also_where_the_diffusion_is_singular(rank):
    n, ts = 40, torch.linspace(0, 1, 5, dtype=torch.float64)
    y0 = torch.tensor([[1.0, 0.5, -0.3]], dtype=torch.float64).repeat(4, 1)
    path = torchsde.BrownianInterval(0, 1, size=(4, 3), dtype=torch.float64, entropy=3)
    noise = torch.stack([path(i / n, (i + 1) / n) for i in range(n)], dim=1)
    model = Driven(rank)
    assert torch.linalg.matrix_rank(model.diffusion) == rank
    _, theirs = torchsde.sdeint(model, y0, ts, bm=path, dt=1 / n, method="euler", logqp=True)
    ours = sde.solve(model, y0, ts, step=1 / n, method="euler", noise=noise, log_ratio="kl")
    torch.testing.assert_close(ours.log_ratio, theirs.T, rtol=1e-5, atol=1e-7)
    assert float(ours.log_ratio.min()) > 0.01
