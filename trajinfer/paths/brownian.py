"""Protocol between a source of Brownian noise and a solver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch

Times = np.ndarray[Any, np.dtype[np.float64]]
Need = Literal["W", "WH", "WHZ", "Z", ""]


class Increments(NamedTuple):
    r"""Noise of K consecutive steps: what is not asked for is None.

    Attributes:
        W: $W(t_{k+1}) - W(t_k)$, (K, B, M).
        H: space-time Levy area $\frac1h\int (W(s) - W(t_k))\,ds - \frac12 W$, (K, B, M).
        Z: standard normal numbers independent of both, (K, B, D).
    """

    W: Tensor | None
    H: Tensor | None
    Z: Tensor | None


class BrownianPath(ABC):
    """A Brownian motion of B independent paths with M channels each.

    Attributes:
        shape: (B, M).
        repeatable: whether the same interval may be asked for again, in any order.
    """

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device
    repeatable: bool

    @abstractmethod
    def increments(
        self, t0: float, t1: float, need_H: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """W (B, M) over [t0, t1], or the pair (W, H) if `need_H`.

        Raises:
            TimeGridError: if this source does not know the interval.
            BrownianMismatch: if it has no space-time area.
        """

    @abstractmethod
    def steps(self, first: int, times: Times, need: Need, dim: int) -> Increments:
        """The noise of steps number first, first + 1, ... of a solve.

        Args:
            first: index of the first step within the solve.
            times: ends of these K steps, (K + 1,) or (B, K + 1), on the host.
            need: which of W, H and Z the solver uses.
            dim: D, the number of channels of Z.

        Raises:
            TimeGridError: if this source does not know these steps.
            BrownianMismatch: if it lacks what is needed.
        """

    @abstractmethod
    def spawn(self, seed: int) -> BrownianPath:
        """A source of the same kind and shape with noise of its own."""


def require_match(
    path: BrownianPath, shape: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> None:
    """Refuse noise that does not fit the state and the SDE.

    Raises:
        BrownianMismatch: naming the first of shape, dtype and device that differs.
    """
    if path.shape != shape:
        raise BrownianMismatch(
            f"the noise is for (B, M) = {path.shape}, but the state and the SDE need {shape}"
        )
    if path.dtype != dtype:
        raise BrownianMismatch(f"the noise is {path.dtype}, the state {dtype}; convert one of them")
    if path.device != device:
        raise BrownianMismatch(f"the noise is on {path.device}, the state on {device}; move one")


def step_lengths(times: Times, like: Tensor) -> Tensor:
    """Lengths of the steps between `times`, (K, 1, 1) or (K, B, 1), as a tensor like `like`."""
    lengths = np.diff(times, axis=-1)
    columns = lengths.T[:, :, None] if times.ndim == 2 else lengths[:, None, None]
    return torch.as_tensor(np.ascontiguousarray(columns), dtype=like.dtype, device=like.device)
