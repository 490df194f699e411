"""Parts of the state with schedules of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.diffusion.paths import GaussianPath


@dataclass(frozen=True)
class BlockPath:
    """One path per block: the noise level is a vector, the denoiser sees all blocks.

    Args:
        paths: path by name of the block.
        columns: columns by name of the block; every column belongs to one.

    Raises:
        InputError: if names differ or columns are missing or repeated.

    Example:
        >>> from trajinfer.scores import VarianceExploding
        >>> blocks = BlockPath(
        ...     {"level": VarianceExploding(20, 0.02), "volume": VarianceExploding(10, 0.1)},
        ...     {"level": [0, 1], "volume": [2]},
        ... )
        >>> blocks.grid(4).shape
        (5, 3)
    """

    paths: Mapping[str, GaussianPath]
    columns: Mapping[str, Sequence[int]]

    def __post_init__(self) -> None:
        if set(self.paths) != set(self.columns):
            raise InputError(
                f"paths are for blocks {sorted(self.paths)}, columns for {sorted(self.columns)}"
            )
        listed = sorted(c for columns in self.columns.values() for c in columns)
        if listed != list(range(len(listed))):
            raise InputError(f"every column must be in one block, got {listed}")

    @property
    def dim(self) -> int:
        """Number of columns."""
        return sum(len(columns) for columns in self.columns.values())

    def rho(self, level: float) -> Array:
        """Noise level of every column, (D,)."""
        rhos = np.empty(self.dim)
        for name, path in self.paths.items():
            rhos[list(self.columns[name])] = path.rho(level)
        return rhos

    def grid(self, n_steps: int, levels: Array | None = None) -> Array:
        """Noise levels (n_steps + 1, D) for `sample(..., grid=)`.

        Args:
            n_steps: number of steps.
            levels: u of every node, rising, (n_steps + 1,); evenly spaced by default.
        """
        at = np.linspace(0, 1, n_steps + 1) if levels is None else levels
        return np.stack([self.rho(float(u)) for u in at])


def symmetric_noise(n: int, dim: int, generator: torch.Generator) -> Tensor:
    """N symmetric matrices (n, dim, dim) of noise: variance 1, also off the diagonal."""
    z = torch.randn(n, dim, dim, generator=generator, dtype=torch.float64)
    upper = z.triu()
    return upper + z.triu(1).mT
