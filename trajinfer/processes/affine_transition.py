"""The exact transition law of an affine SDE with constant noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.matrix_exponential import REACH, short_exponential


def affine_transition(
    matrix: Tensor, offset: Tensor, rate: Tensor, duration: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Transition of $dX = (A X + c)\,dt + g\,dW$: $X_T \mid x \sim N(E x + o, T R)$.

    A matrix exponential over a short time h is doubled until the duration is reached,
    $E_{2h} = E_h E_h$, $o_{2h} = E_h o_h + o_h$, $R_{2h} = \tfrac12 (E_h R_h E_h^T + R_h)$,
    which keeps R positive definite however strongly the drift contracts. A duration of zero is
    allowed.

    Args:
        matrix: A, (D, D).
        offset: c, (D,).
        rate: g g^T, (D, D).
        duration: (S,), non-negative.

    Returns:
        E (S, D, D), o (S, D) and the covariance per unit of time R (S, D, D).

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> flow, shift, rate = affine_transition(-one, one[0], one, one[0])
        >>> bool(torch.isclose(rate[0, 0, 0], (1 - torch.exp(-2 * one[0, 0])) / 2))
        True
    """
    return AffineTransition.of(matrix, offset, rate).over(duration, float(duration.max()))


@dataclass(frozen=True)
class AffineTransition:
    """The transition of an affine SDE, over durations that are asked for later.

    Attributes:
        matrix: A, (D, D).
        offset: c, (D,).
        rate: g g^T, (D, D).
        norm: of A; the one number that is read off the device.
    """

    matrix: Tensor
    offset: Tensor
    rate: Tensor
    norm: float

    @classmethod
    def of(cls, matrix: Tensor, offset: Tensor, rate: Tensor) -> Self:
        """The transition of this SDE."""
        norm = float(torch.linalg.matrix_norm(matrix.detach(), ord=2))
        return cls(matrix, offset, rate, norm)

    def over(self, duration: Tensor, longest: float) -> tuple[Tensor, Tensor, Tensor]:
        """Flow, shift and covariance per unit of time, as of `affine_transition`.

        Args:
            duration: (S,), non-negative.
            longest: the largest of them, as the host knows it.
        """
        dim, size = len(self.offset), self.norm * longest
        n_doublings = max(0, math.ceil(math.log2(size / REACH))) if size > 0 else 0
        h = (duration / 2**n_doublings).reshape(-1, 1, 1)
        # Offset and rate enter linearly: in units of their own they take no digits from the flow.
        unit_offset, unit_rate = (_size(h.max() * part) for part in (self.offset, self.rate))
        block = h * _block(self.matrix, self.offset / unit_offset, self.rate / unit_rate)
        exponential = short_exponential(
            block, torch.eye(block.shape[1], dtype=block.dtype, device=block.device)
        )
        flow = exponential[:, :dim, :dim]
        shift = unit_offset * exponential[:, :dim, 2 * dim :]
        covariance = unit_rate * exponential[:, :dim, dim : 2 * dim] @ flow.mT
        spread = torch.where(h > 0, covariance / torch.where(h > 0, h, 1.0), self.rate)
        spread = (spread + spread.mT) / 2
        for _ in range(n_doublings):
            shift = flow @ shift + shift
            spread = (flow @ spread @ flow.mT + spread) / 2
            flow = flow @ flow
        return flow, shift.squeeze(2), spread

    def steps(self, lengths: Array) -> tuple[Tensor, Tensor, Tensor]:
        r"""Flow, shift and a factor L of the covariance, $L L^T = T R$, of steps.

        Where rounding left a covariance without a factor, it is NaN, which the solve then finds.

        Args:
            lengths: (S,), on the host.
        """
        h = torch.as_tensor(lengths, dtype=self.matrix.dtype, device=self.matrix.device)
        flow, shift, spread = self.over(h, float(lengths.max(initial=0.0)))
        factor, failed = torch.linalg.cholesky_ex(spread)
        factor = torch.where(failed.reshape(-1, 1, 1) == 0, factor, torch.nan)
        return flow, shift, h.sqrt().reshape(-1, 1, 1) * factor


def _size(part: Tensor) -> Tensor:
    """Largest entry; 1 where all are zero."""
    largest = part.detach().abs().amax()
    return torch.where(largest > 0, largest, 1.0)


def _block(matrix: Tensor, offset: Tensor, rate: Tensor) -> Tensor:
    """Van Loan's block matrix, whose exponential holds flow, covariance and shift at once."""
    dim = len(offset)
    top = torch.cat([matrix, rate, offset.unsqueeze(1)], dim=1)
    middle = torch.cat([torch.zeros_like(matrix), -matrix.mT, matrix.new_zeros(dim, 1)], dim=1)
    return torch.cat([top, middle, matrix.new_zeros(1, 2 * dim + 1)])
