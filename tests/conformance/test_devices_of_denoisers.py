"""Samplers, moves and densities work on the device of the rows that they are given."""

from functools import partial

import numpy as np
import pytest
import torch

from tests.conformance.on_devices import on_devices
from tests.conformance.second_device import StrayTensor, second_device
from trajinfer import scores

LEVELS = (2.0, 0.1)
TIMES = [0.0, 0.5]
COVARIANCE = [[1.0, 0.2], [0.2, 0.5]]


class Shrinking(torch.nn.Module):
    """The denoiser of independent normals, with its numbers where the module is."""

    def __init__(self):
        super().__init__()
        self.variance = torch.nn.Parameter(torch.tensor([0.5, 1.5], dtype=torch.float64))

    def denoise(self, y, rho):
        level = torch.as_tensor(rho, dtype=y.dtype, device=y.device)
        return y * self.variance / (self.variance + level**2)


class OfThisMachine(Shrinking):
    """The fault that the tests must find: a tensor without a device."""

    def denoise(self, y, rho):
        return super().denoise(y, rho) + torch.zeros(2)


LAWS = {
    "gaussian": partial(scores.WienerDenoiser, [0.0, 1.0], COVARIANCE),
    "mixture": partial(
        scores.GaussianMixture, [0.4, 0.6], [[0.0, 0.0], [1.0, 1.0]], [np.eye(2), COVARIANCE]
    ),
}


def near(gaps):
    """A smooth kernel."""
    return torch.exp(-0.5 * gaps**2)


def drawn(denoiser, y, **settings):
    """Draws from rows."""
    settings = {"levels": LEVELS, "n_evaluations": 4, "random_state": 0, **settings}
    return scores.sample(denoiser, start=y, **settings)


def moved(denoiser, y, **settings):
    """Langevin moves of rows."""
    return scores.langevin(denoiser, y, 0.5, n_steps=2, random_state=0, **settings)


def density(denoiser, y, **settings):
    """Log-densities of rows."""
    return scores.log_likelihood(denoiser, y, levels=LEVELS, n_evaluations=4, **settings)


def residual(denoiser, y, **settings):
    """What is left of the equation of the score."""
    return scores.score_fpe_residual(denoiser, y, [0.5], random_state=0, **settings)


def there_and_back(denoiser, y):
    """Draws that are inverted."""
    _, state = drawn(denoiser, y, method="bdia", return_state=True)
    return scores.invert(denoiser, state)


DENOISERS = {"network": Shrinking, **LAWS}
ASKED = {
    "multistep": drawn,
    "churned": partial(drawn, churn=1.0),
    "heun": partial(drawn, method="heun"),
    "singlestep": partial(drawn, method="singlestep"),
    "inverted": there_and_back,
    "langevin": moved,
    "damped": partial(moved, curvature="damped"),
    "chained noise": partial(moved, noise=scores.OUNoise(1.0).on(TIMES)),
    "smooth noise": partial(moved, noise=scores.GPNoise(near).on(TIMES)),
    "traced": density,
    "probed": partial(density, trace="hutchinson"),
    "residual": residual,
    "penalty": partial(residual, differentiable=True),
}


def answer(denoiser, question, device):
    """The answer about three rows on a device."""
    rows = torch.tensor([[0.3, -0.2], [1.0, 0.5], [2.0, -1.0]], dtype=torch.float64, device=device)
    if isinstance(denoiser, torch.nn.Module):
        denoiser.to(device)
    found = question(denoiser, rows)
    assert found.device == rows.device
    return found.detach().cpu()


@on_devices
@pytest.mark.parametrize("question", ASKED)
@pytest.mark.parametrize(
    "name", ["network", *(pytest.param(law, marks=pytest.mark.slow) for law in LAWS)]
)
def test_rows_are_answered_where_they_are(name, question, elsewhere):
    with elsewhere() as device:
        there = answer(DENOISERS[name](), ASKED[question], device)
    assert torch.isfinite(there).all()
    if elsewhere is second_device:  # which computes, and draws, as the CPU does
        here = answer(DENOISERS[name](), ASKED[question], "cpu")
        torch.testing.assert_close(there, here, rtol=0, atol=0)


@pytest.mark.parametrize("question", ["multistep", "damped", "traced", "residual"])
def test_a_tensor_without_a_device_is_found(question):
    with second_device() as device, pytest.raises(StrayTensor, match="meets tensors"):
        answer(OfThisMachine(), ASKED[question], device)
