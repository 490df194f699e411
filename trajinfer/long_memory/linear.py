r"""Exact inference for linear SDEs with fractional noise, channel by channel.

$$dX = \theta (m - X)\,dt + \sigma\,d\hat B_H, \qquad o_i = X(t_i) + s\,\varepsilon_i,$$

with X stationary, or $X(t_0) \sim N(m, s_0^2)$ apart from the past of the noise where that explains
several series better: tracks that start at one place are not stationary, and taken for such they
give a wrong index. The level m and the scale $\sigma$ are profiled out of a restricted likelihood;
the Hurst index, $\theta$, $s/\sigma$ and $s_0/\sigma$ are searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.minimise import Minimum, minimise
from trajinfer._core.packing import packable
from trajinfer.fractional.evidence import log_evidence, whitened
from trajinfer.fractional.linear_model import LinearFractionalModel
from trajinfer.fractional.normalization import FbmType
from trajinfer.fractional.weights import weights
from trajinfer.long_memory.grid import ObservationGrid

LOWEST_HURST, HIGHEST_HURST = 0.02, 0.98
_THETA = (1e-3, 1e3)
_NOISE = (1e-4, 3.0)
_START = (1e-3, 1e2)
_BOUNDS = [(-4.5, 4.5), *(tuple(np.log(range_)) for range_ in (_THETA, _NOISE, _START))]
_SLOPE_STEP = 1e-4
# a few hundred observations of a series tell where a search had best begin
_STRETCH = 400
_FIRST, _LAST = {"maxiter": 10, "ftol": 1e-5}, {"maxiter": 40, "ftol": 1e-9}
_CURVATURE_STEP = 0.05
_NORMAL = 1.959963984540054


@packable
@dataclass(frozen=True)
class NoiseBasis:
    """The Ornstein-Uhlenbeck processes that fractional noise is made of.

    Attributes:
        nodes: (J,) rates.
        fbm_type: 1 or 2.
        horizon: longest duration at which the noise is to be right.
    """

    nodes: Tensor
    fbm_type: FbmType
    horizon: float = 1.0

    def weights(self, hurst: Tensor) -> Tensor:
        """Weights (C, J) of unit-variance noise with indices (C,)."""
        omega: Tensor = weights(
            hurst, self.nodes, self.horizon, self.fbm_type, normalization="unit"
        )
        return omega


@packable
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

    def model(self, basis: NoiseBasis) -> LinearFractionalModel:
        """The state space, parameters (C, 1): channels before series."""
        scaled = (self.volatility[:, None] * basis.weights(self.hurst))[:, None, :]
        return LinearFractionalModel(
            basis.nodes,
            scaled,
            self.theta[:, None],
            self.noise[:, None],
            self.start_sd[:, None],
            basis.fbm_type,
        )

    def arrays(self) -> dict[str, Array]:
        """By name, as arrays."""
        return {name: getattr(self, name).detach().numpy().copy() for name in self.__annotations__}


@dataclass(frozen=True)
class LinearFit:
    """The maximum of the exact likelihood.

    Attributes:
        parameters: where it stands.
        interval: (C, 2) 95 % intervals of H; 0 or 1 where the data do not bound it.
        log_evidence: of all observations.
        converged: whether the search of every channel ended at a maximum.
        n_iter: steps of the longest search.
    """

    parameters: LinearParameters
    interval: Array
    log_evidence: float
    converged: bool
    n_iter: int


def fit_linear(
    grids: Sequence[ObservationGrid], basis: NoiseBasis, hurst: Array | None
) -> LinearFit:
    """Maximise the restricted likelihood of every channel.

    Args:
        grids: the observations, series of similar length in a grid.
        basis: of the noise.
        hurst: (C,) fixed indices, or None to learn them.
    """
    parts = [arranged(grid) for grid in grids]
    fits = [
        _Channel(
            basis, tuple(_Group(times, values[c], seen[c]) for times, values, seen in parts)
        ).fit(None if hurst is None else float(hurst[c]))
        for c in range(grids[0].values.shape[-1])
    ]
    parameters = LinearParameters(
        *(torch.cat([getattr(f.parameters, k) for f in fits]) for k in _FIELDS)
    )
    return LinearFit(
        parameters,
        np.concatenate([f.interval for f in fits]),
        sum(float(evidence_of(grid, basis, parameters).sum()) for grid in grids),
        all(f.converged for f in fits),
        max(f.n_iter for f in fits),
    )


def evidence_of(grid: ObservationGrid, basis: NoiseBasis, parameters: LinearParameters) -> Tensor:
    """Log-density of the observations of every channel and series, (C, B)."""
    times, values, observed = arranged(grid)
    centred = torch.nan_to_num(values) - parameters.mean[:, None, None]
    return log_evidence(parameters.model(basis), times, centred, observed)


_FIELDS = tuple(LinearParameters.__annotations__)


class _Group(NamedTuple):
    """Observations (B, N) of one channel in series of similar length."""

    times: Tensor
    values: Tensor
    observed: Tensor

    def first_stretch(self) -> _Group:
        """The columns that hold the first few hundred observations of every series."""
        seen = self.observed.sum(0).cumsum(0)
        n = 1 + int((seen < _STRETCH * len(self.observed)).sum())
        if n >= self.values.shape[-1]:
            return self
        return _Group(self.times[..., :n], self.values[:, :n], self.observed[:, :n])

    def figures(self, model: LinearFractionalModel) -> tuple[Tensor, Tensor, int]:
        """Products (P, 2, 2) of whitened values and ones, log-determinants (P,) and the count."""
        columns = torch.nan_to_num(self.values)
        columns = torch.stack([columns, torch.ones_like(columns)], dim=-1)
        white = whitened(model, self.times, columns, self.observed)
        repeats = len(self.values) // white.log_det.shape[-1]
        n = int(self.observed.expand_as(self.values).sum())
        return white.gram.sum(1), repeats * white.log_det.sum(1), n


@dataclass(frozen=True)
class _Channel:
    """Observations of one channel."""

    basis: NoiseBasis
    groups: tuple[_Group, ...]

    def fit(self, hurst: float | None) -> LinearFit:
        """The maximum for this channel; its evidence is left out."""

        def likelihoods(points: Array) -> Array:
            """Restricted log-likelihoods of (P, 3 or 4) points in one pass of the filter."""
            with torch.no_grad():
                return self._profiled(_natural(points, hurst))[0].numpy()

        def at_first(points: Array) -> Array:
            """The same of the first stretch."""
            with torch.no_grad():
                return stretch._profiled(_natural(points, hurst))[0].numpy()

        stretch = _Channel(self.basis, tuple(group.first_stretch() for group in self.groups))
        n_valleys = 3 if hurst is None else 1
        best = _highest(likelihoods, at_first, _starts(3), n_valleys)
        n_series = sum(len(group.values) for group in self.groups)
        if n_series > 1:
            free = _highest(likelihoods, at_first, _starts(4), n_valleys)
            # one parameter more for as many starts as there are series
            if best.value - free.value > 0.5 * np.log(n_series):
                best = free
        natural = _natural(best.x[None], hurst)
        with torch.no_grad():
            _, mean, size = self._profiled(natural)
        index, theta, ratio, start = natural
        parameters = LinearParameters(index, theta, mean, size, ratio * size, start * size)
        ends = (hurst, hurst) if hurst is not None else _hurst_interval(likelihoods, best.x)
        return LinearFit(parameters, np.array([ends]), np.nan, best.converged, best.n_iter)

    def _profiled(self, natural: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Restricted log-likelihoods (P,), and the best means and volatilities."""
        hurst, theta, ratio, start = natural
        one = torch.ones_like(hurst)
        model = LinearParameters(hurst, theta, 0 * one, one, ratio, start).model(self.basis)
        found = [group.figures(model) for group in self.groups]
        gram = torch.stack([one[0] for one in found]).sum(0)
        log_det = torch.stack([one[1] for one in found]).sum(0)
        n = sum(one[2] for one in found) - 1
        size = gram[:, 1, 1]
        mean = gram[:, 0, 1] / size
        variance = (gram[:, 0, 0] - mean * gram[:, 0, 1]) / n
        return -0.5 * (n * variance.log() + log_det + size.log()), mean, variance.sqrt()


def arranged(grid: ObservationGrid) -> tuple[Tensor, Tensor, Tensor]:
    """Times (N,) or (B, N), values (C, B, N) and mask (C, B or 1, N)."""
    times = grid.times[0] if grid.shared else grid.times
    observed = grid.observed.permute(2, 0, 1)
    if (observed == observed[:, :1]).all():
        observed = observed[:, :1]
    return times, grid.values.permute(2, 0, 1), observed


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
    likelihoods: Callable[[Array], Array],
    at_first: Callable[[Array], Array],
    starts: Array,
    n_valleys: int,
) -> Minimum:
    """The maximum, searched from the best starts of several indices.

    Noise and roughness resemble each other, so that there are several valleys; the most promising
    are followed a little way, by slopes to one side and the likelihood of a first stretch. The
    best of them by the whole likelihood is followed to its end.
    """
    dim = starts.shape[-1]
    bounds = _BOUNDS[:dim]

    def one_sided(p: Array) -> tuple[float, Array]:
        f = at_first(p + _SLOPE_STEP * np.eye(dim + 1, dim, -1))
        return -float(f[0]), -(f[1:] - f[0]) / _SLOPE_STEP

    def two_sided(p: Array) -> tuple[float, Array]:
        f = likelihoods(p + _SLOPE_STEP * np.concatenate([np.eye(dim), -np.eye(dim)]))
        return -float(f.mean()), -(f[:dim] - f[dim:]) / (2 * _SLOPE_STEP)

    heights = np.stack([at_first(part) for part in starts])
    tops = starts[np.arange(len(starts)), heights.argmax(1)]
    firsts = tops[np.argsort(-heights.max(1))[:n_valleys]]

    def search(
        slopes: Callable[[Array], tuple[float, Array]],
        start: Array,
        scale: Array | None,
        end: dict[str, float],
    ) -> Minimum:
        return minimise(slopes, start, stretch=scale, bounds=bounds, options=end)

    tried = [once("search", search, one_sided, first, None, _FIRST) for first in firsts]
    begins = np.stack([*(minimum.x for minimum in tried), *tops])
    best = begins[likelihoods(begins).argmax()]
    curved = np.maximum(np.diag(_information(likelihoods, best)), 1 / _ranges(dim) ** 2)
    return once("search", search, two_sided, best, 1 / np.sqrt(curved), _LAST)


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
    information = _information(likelihoods, at)
    values, vectors = np.linalg.eigh(information)
    widest = _ranges(len(at)).max()
    variance = float((vectors[0] ** 2 / np.maximum(values, 1 / widest**2)).sum())
    ends = at[0] + np.array([-1.0, 1.0]) * _NORMAL * np.sqrt(variance)
    low, high = LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) / (1 + np.exp(-ends))
    margin = 1.5 * LOWEST_HURST
    return 0.0 if low < margin else float(low), 1.0 if high > 1 - margin else float(high)


def _information(likelihoods: Callable[[Array], Array], at: Array) -> Array:
    """Curvature of minus the likelihood by differences, and what bounds a search without data.

    What the data leave open about theta and the noise is bounded by the range of the search.
    """
    h, dim = _CURVATURE_STEP, len(at)
    unit = np.eye(dim)
    pairs = np.array([(i, j) for i in range(dim) for j in range(i, dim)]).T
    moves = [
        h * (a * unit[pairs[0]] + b * unit[pairs[1]])
        for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]
    distinct, index = np.unique(np.concatenate(moves), axis=0, return_inverse=True)
    f = likelihoods(at + distinct)[np.ravel(index)].reshape(4, -1)
    curvature = np.empty((dim, dim))
    curvature[tuple(pairs)] = curvature[tuple(pairs[::-1])] = -(f[0] - f[1] - f[2] + f[3])
    return np.asarray(curvature / (4 * h * h) + np.diag(1 / _ranges(dim) ** 2))


def _ranges(dim: int) -> Array:
    """(dim,) half the range of every coordinate of the search."""
    return np.array([(high - low) / 2 for low, high in _BOUNDS[:dim]])
