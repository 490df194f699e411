"""The linear Gaussian process with fractional noise, fitted and conditioned exactly."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import seeds_by_name, spawn, torch_generator
from trajinfer.fractional.kalman import posterior_draws, posterior_means, prior_draws
from trajinfer.long_memory.grid import ObservationGrid
from trajinfer.long_memory.linear import LinearParameters, NoiseBasis, arranged, fit_linear
from trajinfer.long_memory.process import FitReport

_LARGEST_PIECE = 2**23


@packable
@dataclass(frozen=True)
class ExactProcess:
    """A fitted linear process.

    Attributes:
        basis: of the noise.
        parameters: (C,), in the units of the grid.
    """

    basis: NoiseBasis
    parameters: LinearParameters
    largest_step: ClassVar[None] = None
    is_latent: ClassVar[bool] = False

    @classmethod
    def fit(
        cls, grids: Sequence[ObservationGrid], basis: NoiseBasis, hurst: Array | None
    ) -> tuple[ExactProcess, FitReport]:
        """Maximise the exact likelihood; nothing is drawn.

        Args:
            grids: standardised observations, series of similar length in a grid.
            basis: of the noise.
            hurst: (C,) fixed indices, or None to learn them.
        """
        linear = fit_linear(grids, basis, hurst)
        report = FitReport(
            linear.log_evidence, linear.interval, linear.converged, linear.n_iter, []
        )
        return cls(basis, linear.parameters), report

    def seeds(self, seed: int, ids: Sequence[Hashable]) -> list[int]:
        """By the name of each series."""
        return seeds_by_name(seed, ids)

    def draws(
        self, grid: ObservationGrid, n: int, seeds: Sequence[int], *, noisy: bool = True
    ) -> Tensor:
        """N draws of observations at the queries, (B, n, Q, C), by the seed of each series."""
        entries = grid.values[0].numel() * (len(self.basis.nodes) + 1) * n
        size = max(1, _LARGEST_PIECE // entries)
        pieces = torch.arange(len(seeds)).split(size)
        return torch.cat(
            [self._draws(grid.rows(rows), n, [seeds[i] for i in rows], noisy) for rows in pieces]
        )

    def _draws(self, grid: ObservationGrid, n: int, seeds: Sequence[int], noisy: bool) -> Tensor:
        _, length, n_channels = grid.values.shape
        shape = (length, n_channels, len(self.basis.nodes) + 2, n)
        own = [spawn(seed, 2) for seed in seeds]
        paths = [np.random.default_rng(seed).standard_normal(shape) for seed, _ in own]
        normals = torch.as_tensor(np.stack(paths)).permute(2, 0, 1, 3, 4)
        times, values, observed = arranged(grid)
        mean = self.parameters.mean[:, None, None]
        model = self.parameters.model(self.basis)
        drawn = posterior_draws(model, times, torch.nan_to_num(values) - mean, observed, normals)
        index = grid.queries[None, :, :, None].expand(n_channels, -1, -1, n)
        at_queries = torch.gather(drawn + mean[..., None], 2, index).permute(1, 3, 2, 0)
        if not noisy:
            return at_queries
        width = (grid.queries.shape[1], n_channels, n)
        errors = [np.random.default_rng(seed).standard_normal(width) for _, seed in own]
        error = torch.as_tensor(np.stack(errors)).permute(0, 3, 1, 2)
        return at_queries + self.parameters.noise * error

    def means(self, grid: ObservationGrid) -> Tensor:
        """Means of the observations at the queries given those of the grid, (B, Q, C)."""
        times, values, observed = arranged(grid)
        mean = self.parameters.mean[:, None, None]
        model = self.parameters.model(self.basis)
        smooth = posterior_means(model, times, torch.nan_to_num(values) - mean, observed) + mean
        index = grid.queries.expand(len(smooth), -1, -1)
        return torch.gather(smooth, 2, index).permute(1, 2, 0)

    def prior(self, times: Tensor, n: int, seed: int) -> Tensor:
        """N draws of X at times (T,) without observations, (n, T, C)."""
        model = self.parameters.model(self.basis)
        drawn = prior_draws(model, times, n, torch_generator(seed))[:, 0]
        return (drawn + self.parameters.mean[:, None, None]).permute(2, 1, 0)
