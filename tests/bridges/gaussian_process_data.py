"""Snapshots of a known affine process: exact Gaussians on grids, and sampled ones."""

from __future__ import annotations

import numpy as np
import torch

from tests.bridges.gaussian import GaussianBridge, grid
from trajinfer.data import Snapshots
from trajinfer.processes import AffineDrift, make_snapshots, simulate


def moments(A, t, mu, S, sigma):
    """Mean and covariance at time t of dX = A X dt + sigma dW that starts at N(mu, S)."""
    law = GaussianBridge.of(A, 0.0, sigma, mu, S, mu, S)
    flow = law.flow(t)
    return flow @ law.mu0, flow @ law.S0 @ flow.T + law.spread(t)


def grids(A, ts, mu, S, sigma, step=0.5, reach=4.0, noise=0.0):
    """Snapshots whose weighted points are the Gaussian marginals, measured with noise."""
    laws = [moments(A, t, mu, S, sigma) for t in ts]
    parts = [grid(mean, cov + noise**2 * np.eye(len(mean)), step, reach) for mean, cov in laws]
    points, weights = zip(*parts, strict=True)
    return Snapshots(ts, points, weights)


def samples(A, ts, mu, S, sigma, n, seed):
    """n individuals per time, each seen once."""
    process = AffineDrift(len(A), A, np.zeros(len(A)), volatility=sigma)
    factor = torch.as_tensor(np.linalg.cholesky(np.atleast_2d(S)))
    center = torch.as_tensor(np.asarray(mu, dtype=float))

    def start(generator):
        normal = torch.randn(n * len(ts), len(center), generator=generator, dtype=torch.float64)
        return center + normal @ factor.T

    paths = simulate(process, start, ts, n * len(ts), seed)
    return make_snapshots(paths, n=n, random_state=seed)
