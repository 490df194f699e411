"""The variational posterior on the one-observation bridge, beside its known limits."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer.fractional import symmetric_nodes
from trajinfer.fractional.normalization import kernel_variance
from trajinfer.long_memory.fractional_chain import make_steps
from trajinfer.long_memory.fractional_grid import merged_grid
from trajinfer.long_memory.fractional_linear import LinearInference, LinearParameters
from trajinfer.long_memory.fractional_variational import FractionalModel, Settings


def tensor(value):
    return torch.tensor([value], dtype=torch.float64)


def pinned_bridge(hurst, sigma=0.1, end=2.0, horizon=6.0, n_steps=200):
    """Model and grid: X(0) = 0, one observation 0 at the end, kernel normalisation."""
    inference = LinearInference(torch.as_tensor(symmetric_nodes(5)), 1, horizon)
    size = float(kernel_variance(torch.tensor(hurst, dtype=torch.float64), 1)) ** 0.5
    at = LinearParameters(
        tensor(hurst), tensor(1e-9), tensor(0.0), tensor(size), tensor(sigma), tensor(0.0)
    )
    settings = Settings("linear", "gaussian", None, 64, 1, 1, 1e-3, 0, 0)
    model = FractionalModel(inference, settings, at, None, at.noise, hurst_fixed=True)
    with torch.no_grad():
        model.log_own.fill_(-30.0)
    times, values = np.array([[0.0, end]]), np.array([[[np.nan], [0.0]]])
    return inference, model, merged_grid(times, values, None, end / n_steps)


@pytest.mark.parametrize("hurst", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_loss_is_at_its_limit_on_200_steps(hurst, shared_data):
    """A control that is held over steps cannot get there: 2.71 at H = 0.7, far off at 0.1."""
    path = shared_data / "fractional" / "bridge_oracles.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows = pd.read_csv(path)
    (row,) = rows[(rows["hurst"] == hurst) & (rows["theta"] == 0)].itertuples()
    inference, model, grid = pinned_bridge(hurst)
    steps, n = make_steps(grid, inference.nodes), 1000
    with torch.no_grad():
        guide = model.guide(steps, grid.values, tensor(0.1))
        paths, divergence = model.rollout(steps, guide, n, torch.Generator().manual_seed(0))
        normaliser = -math.log(0.1 * math.sqrt(2 * math.pi))
        loss = (divergence - model.log_likelihood(paths, grid.values) + normaliser)[:, 0]
    error = float(loss.std()) / math.sqrt(n)
    assert abs(float(loss.mean()) - row.min_loss) < 4 * error + 1e-4
    middle = (grid.times[0] - 1.0).abs().argmin()
    variance = float(paths[:, 0, middle, 0].var())
    assert variance == pytest.approx(row.post_var_T2, rel=4 * math.sqrt(2 / n))
