"""Noise of unit variance: white, or a process on a series' own times."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checks import require_positive
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.normals import standard_normals

_JITTER = 1e-6


class NoiseLaw(ABC):
    r"""A Gaussian law N(0, N) of rows (..., D), by its factor $N = LL^\top$."""

    @abstractmethod
    def colour(self, z: Tensor) -> Tensor:
        """L z, of the shape of z."""

    @abstractmethod
    def whiten(self, x: Tensor) -> Tensor:
        """The inverse of `colour`."""

    @abstractmethod
    def log_det(self) -> Tensor | float:
        """Log det L, a number or one per row."""

    def rows(self, n: int, dim: int, generator: torch.Generator, like: Tensor) -> Tensor:
        """N rows of noise, (n, dim)."""
        return self.colour(standard_normals((n, dim), generator, like))


class NoiseProcess(ABC):
    """A kind of noise; `on(ts, mask)` is its law at the times of a series."""

    @abstractmethod
    def on(self, ts: Any, mask: Any = None) -> NoiseLaw:
        """The law at times ts, (T,) or (B, T); entries outside the mask get independent noise."""

    def draw(
        self, ts: Any, *, n: int | None = None, mask: Any = None, random_state: RandomState = None
    ) -> Tensor:
        """Noise at times ts: (n, T), or (B, T) where every series has its own times."""
        times = _times(ts)
        rows = times.shape[0] if times.ndim == 2 else 1 if n is None else n
        generator = torch_generator(seed_from(random_state))
        return self.on(times, mask).rows(rows, times.shape[-1], generator, times)

    def whiten(self, x: Tensor, ts: Any, mask: Any = None) -> Tensor:
        """Independent standard normals from noise x (..., T) at times ts."""
        return self.on(ts, mask).whiten(x)


@packable
@dataclass(frozen=True)
class White(NoiseLaw, NoiseProcess):
    """Independent noise in every entry: N = I."""

    def on(self, ts: Any, mask: Any = None) -> White:
        """Itself."""
        return self

    def colour(self, z: Tensor) -> Tensor:
        """Z."""
        return z

    def whiten(self, x: Tensor, ts: Any = None, mask: Any = None) -> Tensor:
        """X."""
        return x

    def log_det(self) -> float:
        """0."""
        return 0.0


@packable
@dataclass(frozen=True)
class OUNoise(NoiseProcess):
    """Correlation exp(-|t - s|/scale): O(T) recursions, the matrix is never built.

    Equal times have correlation 1; the second of them gets a variance of 1e-6 of its own.

    Args:
        scale: length of correlation, in the unit of the times.
    """

    scale: float

    def __post_init__(self) -> None:
        require_positive(self.scale, "the OU scale (White() is the limit 0)")

    def on(self, ts: Any, mask: Any = None) -> MarkovNoise:
        """The law at ascending times.

        Raises:
            InputError: for times that fall.

        Warns:
            UserWarning: for times that repeat, which have one noise up to its jitter.
        """
        times = _times(ts)
        entries = _mask(mask, times)
        if bool((torch.diff(times, dim=-1) < 0).any()):
            raise InputError("times of OU noise must be ascending; sort the series first")
        memory = torch.zeros_like(times)
        last = torch.full_like(times[..., 0], -torch.inf)
        for k in range(times.shape[-1]):
            memory[..., k] = torch.exp(-(times[..., k] - last) / self.scale)
            last = torch.where(entries[..., k], times[..., k], last)
        n_equal = int(((memory == 1) & entries).sum())
        if n_equal:
            warnings.warn(
                f"{n_equal} times repeat the one before: OU noise is the same there, up to a "
                f"variance of {_JITTER:g} of its own; use White() for independent noise",
                UserWarning,
                stacklevel=2,
            )
        return MarkovNoise(torch.where(entries, memory, 0.0), entries)


@packable
@dataclass(frozen=True, eq=False)
class MarkovNoise(NoiseLaw):
    """A Markov chain of unit variance along the last axis.

    Args:
        memory: correlation of an entry with the last one in the mask, (T,) or (B, T).
        mask: entries that belong to the chain; the others are independent.
    """

    memory: Tensor
    mask: Tensor
    _own: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        own = (1 - self.memory.square()).clamp(min=_JITTER).sqrt()
        object.__setattr__(self, "_own", own)

    def colour(self, z: Tensor) -> Tensor:
        """The recursion x_k = memory x_last + own z_k."""
        memory, own, chained = self._there(z)
        entries, last = [], torch.zeros_like(z[..., 0])
        for k in range(z.shape[-1]):
            entry = memory[..., k] * last + own[..., k] * z[..., k]
            last = torch.where(chained[..., k], entry, last)
            entries.append(entry)
        return torch.stack(entries, -1)

    def whiten(self, x: Tensor) -> Tensor:
        """The recursion, solved for z."""
        memory, own, chained = self._there(x)
        entries, last = [], torch.zeros_like(x[..., 0])
        for k in range(x.shape[-1]):
            entries.append((x[..., k] - memory[..., k] * last) / own[..., k])
            last = torch.where(chained[..., k], x[..., k], last)
        return torch.stack(entries, -1)

    def _there(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Memory, own part and mask, the former in the dtype of a tensor, all on its device."""
        return self.memory.to(like), self._own.to(like), self.mask.to(like.device)

    def log_det(self) -> Tensor:
        """Sum of the logs of what every entry adds."""
        return self._own.log().sum(-1)


@dataclass(frozen=True)
class GPNoise(NoiseProcess):
    """Noise with any stationary kernel, by Cholesky factors: O(T^3).

    Args:
        kernel: |t - s| (tensor) -> correlation, 1 at 0.
    """

    kernel: Callable[[Tensor], Tensor]

    def on(self, ts: Any, mask: Any = None) -> FactoredNoise:
        """The law at times in any order.

        Raises:
            InputError: if the kernel is not positive definite at these times.
        """
        times = _times(ts)
        entries = _mask(mask, times)
        gaps = (times[..., :, None] - times[..., None, :]).abs()
        both = entries[..., :, None] & entries[..., None, :]
        eye = torch.eye(times.shape[-1], dtype=times.dtype, device=times.device)
        matrix = torch.where(both, self.kernel(gaps), 0.0)
        matrix = torch.where(eye.bool(), 1.0, matrix) + _JITTER * eye
        return FactoredNoise.of(matrix)


@packable
@dataclass(frozen=True, eq=False)
class FactoredNoise(NoiseLaw):
    """N(0, L L^T) by a lower triangular factor.

    Args:
        factor: L, (D, D) or (B, D, D).
    """

    factor: Tensor

    @classmethod
    def of(cls, covariance: Tensor) -> FactoredNoise:
        """From a covariance.

        Raises:
            InputError: if it is not positive definite.
        """
        factor, fault = torch.linalg.cholesky_ex(covariance)
        if bool(fault.any()):
            least = float(torch.linalg.eigvalsh(covariance).min())
            raise InputError(
                f"the covariance of the noise is not positive definite (smallest eigenvalue "
                f"{least:.3g}); take another kernel or add to its diagonal"
            )
        return cls(factor)

    def colour(self, z: Tensor) -> Tensor:
        """L z."""
        return (self.factor.to(z) @ z[..., None])[..., 0]

    def whiten(self, x: Tensor) -> Tensor:
        """L^-1 x."""
        factor = self.factor.to(x)
        rows = x.reshape(-1, x.shape[-1]) if factor.ndim == 2 else x
        if factor.ndim == 2:
            solved = torch.linalg.solve_triangular(factor, rows.T, upper=False).T
            result: Tensor = solved.reshape(x.shape)
            return result
        columns: Tensor = torch.linalg.solve_triangular(factor, x[..., None], upper=False)
        return columns[..., 0]

    def log_det(self) -> Tensor:
        """Sum of the logs of the diagonal."""
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _times(ts: Any) -> Tensor:
    times = torch.as_tensor(ts, dtype=torch.float64)
    if times.ndim not in (1, 2) or not times.shape[-1]:
        raise InputError(f"ts must be (T,) or (B, T), got shape {tuple(times.shape)}")
    if not bool(torch.isfinite(times).all()):
        raise InputError("times of noise must be finite; give padded entries any time and mask=")
    return times


def _mask(mask: Any, times: Tensor) -> Tensor:
    if mask is None:
        return torch.ones_like(times, dtype=torch.bool)
    entries = torch.as_tensor(mask, dtype=torch.bool)
    if entries.shape != times.shape:
        raise InputError(
            f"mask must have the shape of ts, {tuple(times.shape)}, got {tuple(entries.shape)}"
        )
    return entries
