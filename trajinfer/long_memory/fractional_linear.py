r"""Exact inference for linear SDEs with fractional noise, channel by channel.

$$dX = \theta (m - X)\,dt + \sigma\,d\hat B_H, \qquad o_i = X(t_i) + s\,\varepsilon_i,$$

with X stationary, or $X(t_0) \sim N(m, s_0^2)$ apart from the past of the noise where that explains
several series better: tracks that start at one place are not stationary, and taken for such they
give a wrong index. The level m and the scale $\sigma$ are profiled out of a restricted likelihood;
the Hurst index, $\theta$, $s/\sigma$ and $s_0/\sigma$ are searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import OptimizeResult, minimize
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.fractional.kalman import log_evidence, posterior_draws, prior_draws, run_filter
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.normalization import FbmType
from trajinfer.fractional.weights import weights
from trajinfer.long_memory.fractional_grid import FractionalGrid

LOWEST_HURST, HIGHEST_HURST = 0.02, 0.98
_THETA = (1e-3, 1e3)
_NOISE = (1e-4, 3.0)
_START = (1e-3, 1e2)
_BOUNDS = [(-4.5, 4.5), *(tuple(np.log(range_)) for range_ in (_THETA, _NOISE, _START))]
_SLOPE_STEP = 1e-4
_FIRST, _LAST = {"maxiter": 10, "ftol": 1e-6}, {"maxiter": 40, "ftol": 1e-9}
_CURVATURE_STEP = 0.05
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class LinearParameters:
    """The parameters of C channels, all (C,), in the units of the grid.

    Attributes:
        hurst: H.
        theta: rate of return.
        mean: long-run mean m.
        volatility: of unit-variance fractional noise.
        noise: standard deviation of the observations.
        start_sd: of X around m at the first time; NaN for the stationary law.
    """

    hurst: Tensor
    theta: Tensor
    mean: Tensor
    volatility: Tensor
    noise: Tensor
    start_sd: Tensor

    def model(self, nodes: Tensor, fbm_type: FbmType, horizon: float) -> LinearFractionalModel:
        """The state space, parameters (C, 1): channels before series."""
        omega = weights(self.hurst, nodes, horizon, fbm_type, normalization="unit")
        scaled = (self.volatility[:, None] * omega)[:, None, :]
        return LinearFractionalModel(
            nodes,
            scaled,
            self.theta[:, None],
            self.noise[:, None],
            self.start_sd[:, None],
            fbm_type,
        )

    def arrays(self) -> dict[str, Array]:
        """By name, as arrays."""
        return {name: getattr(self, name).detach().numpy().copy() for name in self.__annotations__}


@dataclass(frozen=True)
class LinearFit:
    """What the exact likelihood found.

    Attributes:
        parameters: the maximum.
        interval: (C, 2) 95 % intervals of H; 0 or 1 where the data do not bound it.
        log_evidence: of all observations.
        converged: whether the search of every channel ended at a maximum.
    """

    parameters: LinearParameters
    interval: Array
    log_evidence: float
    converged: bool


@dataclass(frozen=True)
class LinearInference:
    """Exact inference on one kind of model.

    Attributes:
        nodes: (J,) rates.
        fbm_type: 1 or 2.
        horizon: T of the weights.
    """

    nodes: Tensor
    fbm_type: FbmType
    horizon: float

    def fit(self, grid: FractionalGrid, hurst: Array | None) -> LinearFit:
        """Maximise the restricted likelihood of every channel.

        Args:
            grid: the observations.
            hurst: (C,) fixed indices, or None to learn them.
        """
        n_channels = grid.values.shape[2]
        fits = [
            self._fit_channel(grid, c, None if hurst is None else float(hurst[c]))
            for c in range(n_channels)
        ]
        joined = [torch.cat([getattr(p, k) for p, *_ in fits]) for k in fits[0][0].__annotations__]
        parameters = LinearParameters(*joined)
        interval = np.array([ends for _, ends, _ in fits])
        evidence = float(self.log_evidence(grid, parameters).sum())
        return LinearFit(parameters, interval, evidence, all(ok for *_, ok in fits))

    def _fit_channel(
        self, grid: FractionalGrid, channel: int, hurst: float | None
    ) -> tuple[LinearParameters, tuple[float, float], bool]:
        times, values, observed = _arranged(grid)
        one, seen = values[channel], observed[channel]

        def likelihoods(points: Array) -> Array:
            """Restricted log-likelihoods of (P, 3 or 4) points in one pass of the filter."""
            with torch.no_grad():
                return self._profiled(_natural(points, hurst), times, one, seen)[0].numpy()

        n_valleys = 3 if hurst is None else 1
        found = _highest(likelihoods, _starts(3), n_valleys)
        if len(one) > 1:
            free = _highest(likelihoods, _starts(4), n_valleys)
            # one parameter more for as many starts as there are series
            if found.fun - free.fun > 0.5 * np.log(len(one)):
                found = free
        natural = _natural(found.x[None], hurst)
        with torch.no_grad():
            _, mean, size = self._profiled(natural, times, one, seen)
        index, theta, ratio, start = natural
        parameters = LinearParameters(index, theta, mean, size, ratio * size, start * size)
        ends = (hurst, hurst) if hurst is not None else _hurst_interval(likelihoods, found.x)
        return parameters, ends, bool(found.success)

    def _profiled(
        self, natural: tuple[Tensor, ...], times: Tensor, values: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Restricted log-likelihoods (P,), and the best means and volatilities."""
        hurst, theta, ratio, start = natural
        one = torch.ones_like(hurst)
        at = LinearParameters(hurst, theta, 0 * one, one, ratio, start)
        model = at.model(self.nodes, self.fbm_type, self.horizon)
        columns = torch.stack([torch.nan_to_num(values), torch.ones_like(values)], dim=-1)
        found = run_filter(model, times, columns, seen, states=False)
        white = found.innovations / found.variances.sqrt()[..., None]
        data, level = white.unbind(-1)
        size = level.square().sum((1, 2))
        mean = (data * level).sum((1, 2)) / size
        n = seen.expand_as(values).sum() - 1
        variance = (data - mean[:, None, None] * level).square().sum((1, 2)) / n
        log_det = found.variances.log().sum((1, 2))
        return -0.5 * (n * variance.log() + log_det + size.log()), mean, variance.sqrt()

    def log_evidence(self, grid: FractionalGrid, parameters: LinearParameters) -> Tensor:
        """Log-density of the observations of every channel and series, (C, B)."""
        times, values, observed = _arranged(grid)
        model = parameters.model(self.nodes, self.fbm_type, self.horizon)
        centred = torch.nan_to_num(values) - parameters.mean[:, None, None]
        found = run_filter(model, times, centred[..., None], observed, states=False)
        return log_evidence(found, observed)[..., 0]

    def draws(
        self, grid: FractionalGrid, parameters: LinearParameters, n: int, seed: int
    ) -> Tensor:
        """N draws of X at the queries given the observations, (B, n, Q, C)."""
        times, values, observed = _arranged(grid)
        model = parameters.model(self.nodes, self.fbm_type, self.horizon)
        mean = parameters.mean[:, None, None]
        centred = torch.nan_to_num(values) - mean
        drawn = posterior_draws(model, times, centred, observed, n, seed) + mean[..., None]
        return _at_queries(drawn.permute(1, 3, 2, 0), grid.queries)

    def prior(self, times: Tensor, parameters: LinearParameters, n: int, seed: int) -> Tensor:
        """N draws of X at times (T,) without observations, (n, T, C)."""
        model = parameters.model(self.nodes, self.fbm_type, self.horizon)
        generator = torch.Generator().manual_seed(seed)
        drawn = prior_draws(model, times, n, generator)[:, 0, :, 0, :]
        return (drawn + parameters.mean[:, None, None]).permute(2, 1, 0)


def _arranged(grid: FractionalGrid) -> tuple[Tensor, Tensor, Tensor]:
    """Times (N,) or (B, N), values (C, B, N) and mask (C, B or 1, N)."""
    times = grid.times[0] if grid.shared else grid.times
    seen = grid.observed.permute(2, 0, 1)
    if (seen == seen[:, :1]).all():
        seen = seen[:, :1]
    return times, grid.values.permute(2, 0, 1), seen


def _at_queries(paths: Tensor, queries: Tensor) -> Tensor:
    """Paths (B, n, N, C) at the places (B, Q), (B, n, Q, C)."""
    index = queries[:, None, :, None].expand(-1, paths.shape[1], -1, paths.shape[3])
    return torch.gather(paths, 2, index)


def _starts(dim: int) -> Array:
    """A coarse grid of the first coordinates of the search, (5, P, dim): indices first."""
    axes = [
        _logit(np.array([0.15, 0.3, 0.5, 0.7, 0.88])),
        np.log([0.1, 1.0, 5.0, 30.0]),
        np.log([1e-3, 0.03, 0.2]),
        np.log([0.01, 0.2]),
    ]
    mesh = np.stack(np.meshgrid(*axes[:dim], indexing="ij"), axis=-1)
    return mesh.reshape(len(mesh), -1, dim)


def _highest(
    likelihoods: Callable[[Array], Array], starts: Array, n_valleys: int
) -> OptimizeResult:
    """The maximum, searched from the best starts of several indices.

    Noise and roughness resemble each other, so that there are several valleys; the most promising
    are followed a little way, the best of them to its end.
    """
    dim = starts.shape[-1]
    moves = np.concatenate([np.zeros((1, dim)), np.eye(dim), -np.eye(dim)]) * _SLOPE_STEP

    def search(p: Array) -> tuple[float, Array]:
        found = likelihoods(p + moves)
        return -float(found[0]), -(found[1 : dim + 1] - found[dim + 1 :]) / (2 * _SLOPE_STEP)

    def descend(first: Array, options: dict[str, Any]) -> OptimizeResult:
        bounds = _BOUNDS[:dim]
        return minimize(search, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)

    heights = np.stack([likelihoods(part) for part in starts])
    tops = starts[np.arange(len(starts)), heights.argmax(1)]
    firsts = tops[np.argsort(-heights.max(1))[:n_valleys]]
    tried = [descend(first, _FIRST) for first in firsts]
    return descend(min(tried, key=lambda result: float(result.fun)).x, _LAST)


def _logit(hurst: Array) -> Array:
    share = (hurst - LOWEST_HURST) / (HIGHEST_HURST - LOWEST_HURST)
    return np.asarray(np.log(share / (1 - share)))


def _natural(points: Array, hurst: float | None) -> tuple[Tensor, ...]:
    """H, theta, the ratios of the noise and of the start, (P,) each, from coordinates (P, 3 or 4).

    Without a fourth coordinate the start is stationary.
    """
    p = torch.as_tensor(points)
    index = LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) * torch.sigmoid(p[:, 0])
    if hurst is not None:
        index = torch.full_like(index, hurst)
    start = p[:, 3].exp() if p.shape[1] == 4 else torch.full_like(index, torch.nan)
    return index, p[:, 1].exp(), p[:, 2].exp(), start


def _hurst_interval(likelihoods: Callable[[Array], Array], at: Array) -> tuple[float, float]:
    """A 95 % interval by the profile of a quadratic fit of the joint likelihood, mapped to H."""
    h, dim = _CURVATURE_STEP, len(at)
    unit = np.eye(dim)
    moves = [
        h * (unit[i] * a + unit[j] * b)
        for i in range(dim)
        for j in range(dim)
        for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    f = likelihoods(at + np.array(moves)).reshape(dim, dim, 4)
    curvature = -(f[..., 0] - f[..., 1] - f[..., 2] + f[..., 3]) / (4 * h * h)
    # what the data leave open about theta and the noise is bounded by the range of the search
    ranges = np.array([(high - low) / 2 for low, high in _BOUNDS[:dim]])
    information = curvature + np.diag(1 / ranges**2)
    values, vectors = np.linalg.eigh(information)
    variance = float((vectors[0] ** 2 / np.maximum(values, 1 / ranges.max() ** 2)).sum())
    ends = at[0] + np.array([-1.0, 1.0]) * _NORMAL * np.sqrt(variance)
    low, high = LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) / (1 + np.exp(-ends))
    margin = 1.5 * LOWEST_HURST
    return 0.0 if low < margin else float(low), 1.0 if high > 1 - margin else float(high)
