"""H by the likelihood of the Markov approximation: any times, linear cost, observation noise."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.fractional.evidence import whitened
from trajinfer.fractional.exact_likelihood import profile_estimate
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.weights import weights
from trajinfer.fractional.whittle import HIGHEST, LOWEST

_N_NODES = 20
_SLOWEST = 1e-5
_FASTEST_PER_GAP = 2e3
_SMALLEST_NOISE = 1e-6
_INDICES = 17
_RATIOS = np.concatenate([[0.0], np.geomspace(0.02, 2.0, 9)])


def state_space_mle(
    path: Array, times: Array, level: float, *, observation_noise: bool = False
) -> tuple[float, tuple[float, float]]:
    """H by restricted maximum likelihood over nodes, and its profile-likelihood interval.

    The likelihood is evaluated for a grid of indices (and of ratios of the noise to the typical
    increment) in one pass of the filter, and interpolated.

    Args:
        path: (n,) values of a fractional Brownian motion of any start, drift and scale.
        times: (n,).
        level: probability of the interval.
        observation_noise: profile out noise on the observations, which small H resembles.
    """
    grid = np.linspace(LOWEST, HIGHEST, _INDICES)
    ratios = _RATIOS if observation_noise else _RATIOS[:1]
    found = restricted_log_likelihoods(path, times, grid, ratios)
    best = CubicSpline(grid, found.max(axis=1))
    return profile_estimate(lambda h: -float(best(h)), level)


def restricted_log_likelihoods(path: Array, times: Array, grid: Array, ratios: Array) -> Array:
    """Log-likelihoods (H, R) for indices and ratios of noise; start, drift and scale profiled out.

    Args:
        path: (n,).
        times: (n,).
        grid: (H,) indices.
        ratios: (R,) standard deviation of the noise over that of a typical increment.
    """
    span = float(times[-1] - times[0])
    unit = (times - times[0]) / span
    typical = float(np.median(np.diff(unit)))
    indices, noise = (torch.as_tensor(a.ravel()) for a in np.meshgrid(grid, ratios, indexing="ij"))
    model = _model(indices, noise * typical**indices, float(np.diff(unit).min()))
    # the level is a regressor, so that the first value may be taken off
    columns = np.stack([path - path[0], np.ones_like(path), unit], axis=-1)
    observed = torch.ones(1, len(path), dtype=torch.bool)
    white = whitened(
        model, torch.as_tensor(unit), torch.as_tensor(columns)[None], observed, n_steps=len(path)
    )
    values = [
        _restricted(gram, float(log_det), len(path))
        for gram, log_det in zip(white.gram[:, 0].numpy(), white.log_det[:, 0])
    ]
    return np.reshape(values, (len(grid), len(ratios)))


def _model(hurst: Tensor, noise: Tensor, smallest_gap: float) -> LinearFractionalModel:
    """Fractional Brownian motion from a pinned start; its level is a regressor."""
    fastest = _FASTEST_PER_GAP / smallest_gap
    nodes = np.concatenate([[0.0], np.geomspace(_SLOWEST, fastest, _N_NODES)])
    omega = weights(hurst, nodes, 1.0, normalization="unit")
    # the first observation has no variance but that of the noise: its level is a regressor
    floor = noise.clamp_min(_SMALLEST_NOISE)
    return LinearFractionalModel(
        torch.as_tensor(nodes),
        omega[:, None],
        torch.zeros_like(hurst)[:, None],
        floor[:, None],
        torch.zeros_like(hurst)[:, None],
    )


def _restricted(products: Array, log_det: float, n_values: int) -> float:
    """The restricted log-likelihood of the first column with the others as regressors.

    Args:
        products: (M, M) of whitened columns.
        log_det: of the covariance.
        n_values: number of observations.
    """
    gram, mixed = products[1:, 1:], products[1:, 0]
    square = products[0, 0] - mixed @ np.linalg.solve(gram, mixed)
    n = n_values - len(gram)
    log_gram = np.linalg.slogdet(gram)[1]
    return float(-0.5 * (n * np.log(square / n) + log_det + log_gram))
