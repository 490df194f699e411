"""Maximum mean discrepancy of paths on one grid, with one kernel on levels and increments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import InputError
from trajinfer.metrics.features import gram_discrepancy
from trajinfer.metrics.paths import as_path_pair

SHARES = (0.05, 0.2, 1.0)
_MEDIAN_PATHS = 1024


@dataclass(frozen=True, eq=False)
class PathKernel:
    r"""Sum of Gaussian kernels on the vector [levels, increments] of a path.

    .. math:: k(x, y) = \sum_h \exp(-|u_x - u_y|^2 / h), \qquad
        u_x = \bigl[x_{t_0}, \dots, x_{t_T}, x_{t_1} - x_{t_0}, \dots\bigr] / \text{scale}

    One kernel on the joint vector sees how levels and increments go together; a sum of separate
    kernels does not.

    Args:
        scale: (F,) standard deviations of the F coordinates of u.
        bandwidths: the h, in squared scaled units.
    """

    scale: Tensor
    bandwidths: tuple[float, ...]

    @classmethod
    def of(cls, paths: Tensor, shares: Sequence[float] = SHARES) -> PathKernel:
        """The kernel that `paths` (n, T, D) set: their scales, shares of their median distance.

        Raises:
            InputError: for fewer than two paths, no share, or paths of which most coincide.
        """
        raw = _levels_and_increments(paths.detach())
        if len(raw) < 2 or not shares or not all(share > 0 for share in shares):
            raise InputError(
                f"a kernel needs two paths and positive shares, got {len(raw)} and {list(shares)}"
            )
        scale = raw.std(dim=0)
        # A coordinate that never changes says nothing; it would be divided by zero.
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        median = torch.pdist(raw[:_MEDIAN_PATHS] / scale).square().median().item()
        if not median > 0:
            raise InputError("more than half of the pairs of paths coincide; they set no bandwidth")
        return cls(scale, tuple(share * median for share in shares))

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """Kernel of every pair of paths, (n, m); differentiable."""
        u, v = (_levels_and_increments(paths) / self.scale.to(paths) for paths in (x, y))
        squared = u.square().sum(1)[:, None] + v.square().sum(1)[None] - 2 * u @ v.T
        squared = squared.clamp_min(0)
        return torch.stack([torch.exp(-squared / h) for h in self.bandwidths]).sum(0)

    def discrepancy(self, x: Tensor, y: Tensor) -> Tensor:
        """Unbiased squared maximum mean discrepancy of two samples of paths, 0-d."""
        return gram_discrepancy(self.gram(x, x), self.gram(y, y), self.gram(x, y))


def path_mmd(x: Any, y: Any, *, shares: Sequence[float] = SHARES) -> float:
    """Unbiased squared maximum mean discrepancy of paths on one grid; see `PathKernel`.

    Args:
        x: (n, T, D), or (n, T) for one channel; the sample to be judged.
        y: (m, T, D); the reference, which sets scales and bandwidths.
        shares: bandwidths as shares of the median squared distance within y.

    Returns:
        MMD squared; it may be slightly negative.

    Raises:
        InputError: for other shapes, values that are not finite, or too few paths.

    Example:
        >>> import numpy as np
        >>> walks = np.random.default_rng(0).normal(size=(400, 10)).cumsum(axis=1)
        >>> path_mmd(walks[:200] * 1.3, walks[200:]) > 0.01 > path_mmd(walks[:200], walks[200:])
        True
    """
    first, second = as_path_pair(x, y)
    reference = torch.from_numpy(second)
    kernel = PathKernel.of(reference, shares)
    return float(kernel.discrepancy(torch.from_numpy(first), reference))


def _levels_and_increments(paths: Tensor) -> Tensor:
    check_shape(paths, "n T D")
    return torch.cat([paths.flatten(1), paths.diff(dim=1).flatten(1)], dim=1)
