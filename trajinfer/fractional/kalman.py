"""Exact inference in linear Gaussian state spaces: filter, smoother, posterior draws.

Times (..., T) may differ between series and be padded: steps of length zero without an observation
change nothing. The covariances depend on times and mask only, so that columns of values (..., T, M)
share them: draws, regressors and data go through one pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.moves import Moves

_CLIP = 1e-14


class Filtered(NamedTuple):
    """Results of one forward pass, for T times and M columns.

    Attributes:
        innovations: (..., T, M), 0 where nothing was observed.
        variances: (..., T) of the innovations, 1 where nothing was observed.
        gains: (..., T, S).
        predicted: (..., T, S, M) means before the observation.
        covariances: (..., T, S, S) before the observation.
        mean: (..., S, M) at the last time, after the observation.
        covariance: (..., S, S) at the last time.
        moves: into every time.
    """

    innovations: Tensor
    variances: Tensor
    gains: Tensor
    predicted: Tensor
    covariances: Tensor
    mean: Tensor
    covariance: Tensor
    moves: Moves


def run_filter(
    model: LinearFractionalModel, times: Tensor, values: Tensor, observed: Tensor
) -> Filtered:
    """The Kalman filter.

    Args:
        model: parameters (...).
        times: (..., T) non-decreasing.
        values: (..., T, M); what is not observed is ignored.
        observed: (..., T) bool, with axes of length 1 where series do not differ: covariances are
            computed once for all of them.
    """
    moves = model.moves_between(times)
    noise = model.noise.square()
    cov = model.initial()
    own = torch.broadcast_shapes(cov.shape[:-2], times.shape[:-1], observed.shape[:-1])
    shape = torch.broadcast_shapes(own, values.shape[:-2])
    size = cov.shape[-1]
    cov = cov.expand(*own, size, size)
    mean = values.new_zeros(*shape, size, values.shape[-1])
    steps: list[tuple[Tensor, ...]] = []
    for i in range(times.shape[-1]):
        if i > 0:
            move = moves.at(i)
            mean, cov = move.mean(mean), move.covariance(cov)
        there = observed[..., i]
        column = cov[..., :, 0]
        variance = torch.where(there, column[..., 0] + noise, 1.0)
        gain = torch.where(there[..., None], column / variance[..., None], 0.0)
        given = torch.where(there[..., None], values[..., i, :], 0.0)
        innovation = torch.where(there[..., None], given - mean[..., 0, :], 0.0)
        steps.append((innovation, variance.expand(shape), gain.expand(*shape, size), mean, cov))
        mean = mean + gain[..., None] * innovation[..., None, :]
        cov = cov - gain[..., None] * column[..., None, :]
    stacked = [torch.stack(part, dim=axis) for part, axis in zip(zip(*steps), _TIME_AXES)]
    return Filtered._make([*stacked, mean, cov, moves])


_TIME_AXES = (-2, -1, -2, -3, -3)


def smoothed(found: Filtered) -> Tensor:
    """Means of the whole state given all observations, (..., T, S, M), by backward recursion."""
    adjoint = torch.zeros_like(found.mean)
    means = []
    for i in range(found.variances.shape[-1] - 1, -1, -1):
        pull = (found.innovations[..., i, :] / found.variances[..., i, None]) - (
            found.gains[..., i, :, None] * adjoint
        ).sum(-2)
        adjoint = torch.cat([adjoint[..., :1, :] + pull[..., None, :], adjoint[..., 1:, :]], -2)
        means.append(found.predicted[..., i, :, :] + found.covariances[..., i, :, :] @ adjoint)
        adjoint = found.moves.at(i).back(adjoint)
    return torch.stack(means[::-1], dim=-3)


def prior_draws(
    model: LinearFractionalModel, times: Tensor, n: int, generator: torch.Generator
) -> Tensor:
    """N draws of X at times (..., T), (..., T, n)."""
    shape = torch.broadcast_shapes(model.theta.shape, times.shape[:-1])
    size = (*shape, len(model.nodes) + 1, n)
    normals = (
        torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(times.shape[-1])
    )
    return _driven(model, times, normals)


def _driven(model: LinearFractionalModel, times: Tensor, normals: Iterable[Tensor]) -> Tensor:
    """X (..., T, n) driven by standard normal numbers (..., S, n), T times."""
    moves = model.per_step().transition(torch.diff(times, dim=-1, prepend=times[..., :1]))
    start, roots = covariance_root(model.initial()), covariance_root(moves.spread)
    state, path = None, []
    for i, normal in enumerate(normals):
        noise = (start if state is None else roots[..., i, :, :]) @ normal
        state = noise if state is None else moves.flow[..., i, :, :] @ state + noise
        path.append(state[..., 0, :])
    return torch.stack(path, dim=-2)


def posterior_draws(
    model: LinearFractionalModel,
    times: Tensor,
    values: Tensor,
    observed: Tensor,
    normals: Tensor,
) -> Tensor:
    """Draws of X given the observations, at all times, observed or not: (..., T, n).

    A draw of the prior is corrected by the smoothed mean of what the data say beyond it.

    References:
        Durbin, Koopman, Biometrika 89 (2002).

    Args:
        model: parameters (...).
        times: (..., T), those of the observations and of the queries together.
        values: (..., T).
        observed: (..., T) bool.
        normals: (..., T, S + 1, n) independent standard normal numbers, one more than the state
            has, for the errors of the observations.
    """
    drawn = _driven(model, times, normals[..., :-1, :].unbind(-3))
    pretended = drawn + model.noise[..., None, None] * normals[..., -1, :]
    filtered = run_filter(model, times, values[..., None] - pretended, observed)
    return drawn + smoothed(filtered)[..., 0, :]


def posterior_means(
    model: LinearFractionalModel, times: Tensor, values: Tensor, observed: Tensor
) -> Tensor:
    """Means of X given the observations, at all times, (..., T)."""
    filtered = run_filter(model, times, values[..., None], observed)
    return smoothed(filtered)[..., 0, 0]


def covariance_root(covariance: Tensor) -> Tensor:
    """A square root L with L L' = covariance, for covariances that may be singular."""
    scale = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(1e-300).sqrt()
    unit = covariance / (scale[..., :, None] * scale[..., None, :])
    values, vectors = torch.linalg.eigh(unit)
    kept = torch.where(values > _CLIP * scale.shape[-1], values, 0.0)
    root: Tensor = scale[..., None] * vectors * kept.sqrt().unsqueeze(-2)
    return root
