r"""Exact inference for linear SDEs with fractional noise, channel by channel.

$$dX = \theta (m - X)\,dt + \sigma\,d\hat B_H, \qquad o_i = X(t_i) + s\,\varepsilon_i,$$

with a stationary X. The level m and the scale $\sigma$ are profiled out of a restricted likelihood;
the Hurst index, $\theta$ and $s/\sigma$ are searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.fractional.kalman import log_evidence, posterior_draws, prior_draws, run_filter
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.normalization import FbmType
from trajinfer.fractional.weights import weights
from trajinfer.models.fractional_grid import FractionalGrid

LOWEST_HURST, HIGHEST_HURST = 0.02, 0.98
_THETA = (1e-3, 1e3)
_NOISE = (1e-4, 3.0)
_BOUNDS = [(-4.5, 4.5), tuple(np.log(_THETA)), tuple(np.log(_NOISE))]
_SLOPE_STEP = 1e-4
_N_STARTS = 5
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
    """

    hurst: Tensor
    theta: Tensor
    mean: Tensor
    volatility: Tensor
    noise: Tensor

    def model(self, nodes: Tensor, fbm_type: FbmType, horizon: float) -> LinearFractionalModel:
        """The state space, parameters (C, 1): channels before series."""
        omega = weights(self.hurst, nodes, horizon, fbm_type, normalization="unit")
        scaled = (self.volatility[:, None] * omega)[:, None, :]
        return LinearFractionalModel(
            nodes, scaled, self.theta[:, None], self.noise[:, None], "stationary", fbm_type
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
            """Restricted log-likelihoods of (P, 3) points in one pass of the filter."""
            with torch.no_grad():
                return self._profiled(_natural(points, hurst), times, one, seen)[0].numpy()

        def search(p: Array) -> tuple[float, Array]:
            moves = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)]) * _SLOPE_STEP
            found = likelihoods(p + moves)
            return -float(found[0]), -(found[1:4] - found[4:]) / (2 * _SLOPE_STEP)

        starts = _starts()
        # noise and roughness resemble each other: several valleys, one start per index
        heights = likelihoods(starts).reshape(_N_STARTS, -1)
        tops = starts.reshape(_N_STARTS, -1, 3)[np.arange(_N_STARTS), heights.argmax(1)]
        firsts = tops[np.argsort(-heights.max(1))[: 3 if hurst is None else 1]]
        options = {"maxiter": 40, "ftol": 1e-9}
        tried = [
            minimize(search, first, jac=True, method="L-BFGS-B", bounds=_BOUNDS, options=options)
            for first in firsts
        ]
        found = min(tried, key=lambda result: float(result.fun))
        natural = _natural(found.x[None], hurst)
        with torch.no_grad():
            _, mean, size = self._profiled(natural, times, one, seen)
        index, theta, ratio = natural
        parameters = LinearParameters(index, theta, mean, size, ratio * size)
        ends = (hurst, hurst) if hurst is not None else _hurst_interval(likelihoods, found.x)
        return parameters, ends, bool(found.success)

    def _profiled(
        self, natural: tuple[Tensor, Tensor, Tensor], times: Tensor, values: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Restricted log-likelihoods (P,), and the best means and volatilities."""
        hurst, theta, ratio = natural
        one = torch.ones_like(hurst)
        at = LinearParameters(hurst, theta, 0 * one, one, ratio)
        model = at.model(self.nodes, self.fbm_type, self.horizon)
        columns = torch.stack([torch.nan_to_num(values), torch.ones_like(values)], dim=-1)
        found = run_filter(model, times, columns, seen, states=False)
        white = found.innovations / found.variances.sqrt()[..., None]
        data, level = white.unbind(-1)
        size = level.square().sum((1, 2))
        mean = (data * level).sum((1, 2)) / size
        n = seen.sum() - 1
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
    """Times (N,) or (B, N), values and mask (C, B, N)."""
    times = grid.times[0] if grid.shared else grid.times
    return times, grid.values.permute(2, 0, 1), grid.observed.permute(2, 0, 1)


def _at_queries(paths: Tensor, queries: Tensor) -> Tensor:
    """Paths (B, n, N, C) at the places (B, Q), (B, n, Q, C)."""
    index = queries[:, None, :, None].expand(-1, paths.shape[1], -1, paths.shape[3])
    return torch.gather(paths, 2, index)


def _starts() -> Array:
    """A coarse grid of the coordinates of the search, (P, 3)."""
    axes = (_logit(np.array([0.15, 0.3, 0.5, 0.7, 0.88])), np.log([0.1, 1.0, 5.0, 30.0]))
    mesh = np.meshgrid(*axes, np.log([1e-3, 0.03, 0.2]), indexing="ij")
    return np.stack([part.ravel() for part in mesh], axis=-1)


def _logit(hurst: Array) -> Array:
    share = (hurst - LOWEST_HURST) / (HIGHEST_HURST - LOWEST_HURST)
    return np.asarray(np.log(share / (1 - share)))


def _natural(points: Array, hurst: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """H, theta and the ratio of the noise, (P,) each, from the coordinates of the search."""
    p = torch.as_tensor(points)
    index = LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) * torch.sigmoid(p[:, 0])
    if hurst is not None:
        index = torch.full_like(index, hurst)
    return index, p[:, 1].exp(), p[:, 2].exp()


def _hurst_interval(likelihoods: Callable[[Array], Array], at: Array) -> tuple[float, float]:
    """A 95 % interval by the profile of a quadratic fit of the joint likelihood, mapped to H."""
    h = _CURVATURE_STEP
    moves = [
        h * (np.eye(3)[i] * a + np.eye(3)[j] * b)
        for i in range(3)
        for j in range(3)
        for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    f = likelihoods(at + np.array(moves)).reshape(3, 3, 4)
    curvature = -(f[..., 0] - f[..., 1] - f[..., 2] + f[..., 3]) / (4 * h * h)
    # what the data leave open about theta and the noise is bounded by the range of the search
    ranges = np.array([(high - low) / 2 for low, high in _BOUNDS])
    information = curvature + np.diag(1 / ranges**2)
    values, vectors = np.linalg.eigh(information)
    variance = float((vectors[0] ** 2 / np.maximum(values, 1 / ranges.max() ** 2)).sum())
    ends = at[0] + np.array([-1.0, 1.0]) * _NORMAL * np.sqrt(variance)
    low, high = LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) / (1 + np.exp(-ends))
    margin = 1.5 * LOWEST_HURST
    return 0.0 if low < margin else float(low), 1.0 if high > 1 - margin else float(high)
