"""The variational posterior on the one-observation bridge, beside its known limits."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer.fractional import symmetric_nodes
from trajinfer.fractional.normalization import kernel_variance
from trajinfer.long_memory.chain import make_steps
from trajinfer.long_memory.grid import merged_grid
from trajinfer.long_memory.linear import LinearParameters, NoiseBasis
from trajinfer.long_memory.network import GuidedProcess


def tensor(value):
    return torch.tensor([value], dtype=torch.float64)


def pinned_bridge(hurst, sigma=0.1, end=2.0, horizon=6.0, n_steps=200):
    """Model and grid: X(0) = 0, one observation 0 at the end, kernel normalisation."""
    basis = NoiseBasis(torch.as_tensor(symmetric_nodes(5)), 1, horizon)
    size = float(kernel_variance(torch.tensor(hurst, dtype=torch.float64), 1)) ** 0.5
    at = LinearParameters(
        tensor(hurst), tensor(1e-9), tensor(0.0), tensor(size), tensor(sigma), tensor(0.0)
    )
    model = GuidedProcess(basis, at, at.noise, hidden=(64, 64), hurst_fixed=True)
    with torch.no_grad():
        model.log_own.fill_(-30.0)
    times, values = np.array([[0.0, end]]), np.array([[[np.nan], [0.0]]])
    return basis, model, merged_grid(times, values, None, end / n_steps)


@pytest.mark.parametrize("hurst", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_loss_is_at_its_limit_on_200_steps(hurst, shared_data):
    """A control that is held over steps cannot get there: 2.71 at H = 0.7, far off at 0.1."""
    path = shared_data / "fractional" / "bridge_oracles.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    rows = pd.read_csv(path)
    (row,) = rows[(rows["hurst"] == hurst) & (rows["theta"] == 0)].itertuples()
    basis, model, grid = pinned_bridge(hurst)
    steps, n = make_steps(grid, basis.nodes), 1000
    with torch.no_grad():
        guide = model.proposal(steps, grid.values, tensor(0.1))
        paths, divergence = model.rollout(steps, guide, n, torch.Generator().manual_seed(0))
        normaliser = -math.log(0.1 * math.sqrt(2 * math.pi))
        loss = (divergence - model.log_likelihood(paths, grid.values) + normaliser)[:, 0]
    error = float(loss.std()) / math.sqrt(n)
    assert abs(float(loss.mean()) - row.min_loss) < 4 * error + 1e-4
    middle = (grid.times[0] - 1.0).abs().argmin()
    variance = float(paths[:, 0, middle, 0].var())
    assert variance == pytest.approx(row.post_var_T2, rel=4 * math.sqrt(2 / n))
