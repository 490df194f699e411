"""Control paths: continuous curves through the observations of a batch of series."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from trajinfer._core.errors import InputError

_ROUNDING = 1e-6


class Path(ABC):
    """B curves of C channels, each defined between its own first and last time.

    Attributes:
        t0: (B,) first times.
        t1: (B,) last times.
        causal: whether the curve at a knot, and everything before it, depends on nothing that was
            observed later than that knot.
    """

    t0: Tensor
    t1: Tensor
    causal: bool

    @abstractmethod
    def evaluate(self, t: Tensor) -> Tensor:
        """Values at t: (B, C) for a 0-d t, (B, Q, C) for t (Q,) or (B, Q).

        Raises:
            InputError: if a time lies outside [t0, t1] of its series.
        """

    @abstractmethod
    def derivative(self, t: Tensor) -> Tensor:
        """Slopes at t, from the right at knots; shapes and errors as for `evaluate`."""

    def held(self) -> Path:
        """The same curves, holding their first and last values outside [t0, t1]."""
        return HeldPath(self)

    def queries(self, t: Tensor) -> Tensor:
        """Times t as (B, Q), clamped to [t0, t1] against rounding.

        Raises:
            InputError: if a time lies outside.
        """
        asked = self.aligned(t)
        start, end = self.t0[:, None], self.t1[:, None]
        slack = _ROUNDING * (end - start) + torch.finfo(asked.dtype).eps * end.abs()
        outside = (asked < start - slack) | (asked > end + slack) | asked.isnan()
        if bool(outside.any()):
            row, column = (int(i) for i in outside.nonzero()[0])
            raise InputError(
                f"time {float(asked[row, column]):g} lies outside "
                f"[{float(self.t0[row]):g}, {float(self.t1[row]):g}], where series {row} has its "
                "observations; use path.held() to hold the end values"
            )
        return asked.clamp(start, end)

    def aligned(self, t: Tensor) -> Tensor:
        """Times t as (B, Q) in the dtype of the knots.

        Raises:
            InputError: if t is neither 0-d, nor (Q,), nor (B, Q).
        """
        n = len(self.t0)
        if t.ndim > 2 or (t.ndim == 2 and len(t) != n):
            raise InputError(f"times must be (Q,) or (B, Q) with B = {n}, got {tuple(t.shape)}")
        return t.to(self.t0).expand(n, t.shape[-1] if t.ndim else 1)


class HeldPath(Path):
    """A path that stands still before its first and after its last time; see `Path.held`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.causal = path.causal
        self.t0, self.t1 = torch.full_like(path.t0, -torch.inf), torch.full_like(path.t1, torch.inf)

    def evaluate(self, t: Tensor) -> Tensor:
        """Values at t, those of the nearest end outside the observations."""
        return _as_asked(self.path.evaluate(self._inside(t)), t)

    def derivative(self, t: Tensor) -> Tensor:
        """Slopes at t, zero outside the observations."""
        asked = self.aligned(t)
        moving = (asked >= self.path.t0[:, None]) & (asked < self.path.t1[:, None])
        slope = self.path.derivative(self._inside(t))
        return _as_asked(torch.where(moving[:, :, None], slope, 0.0), t)

    def _inside(self, t: Tensor) -> Tensor:
        return self.aligned(t).clamp(self.path.t0[:, None], self.path.t1[:, None])


class PiecewisePolynomial(Path):
    r"""A polynomial on every interval between knots.

    On $[t_i, t_{i+1}]$ the curve is $\sum_p c_{ip} (t - t_i)^p$. Intervals of length zero are
    padding and never read.

    Args:
        knots: (B, K) non-decreasing.
        coefficients: (B, K - 1, P, C), powers ascending.
        causal: see `Path`.
    """

    def __init__(self, knots: Tensor, coefficients: Tensor, *, causal: bool) -> None:
        if knots.ndim != 2 or coefficients.shape[:2] != (len(knots), knots.shape[1] - 1):
            raise InputError(
                f"knots {tuple(knots.shape)} and coefficients {tuple(coefficients.shape)} must be "
                "(B, K) and (B, K - 1, P, C)"
            )
        self.knots, self.coefficients, self.causal = knots.contiguous(), coefficients, causal
        self.t0, self.t1 = knots[:, 0], knots[:, -1]
        self._last = (knots < self.t1[:, None]).sum(dim=1, keepdim=True).sub(1).clamp(min=0)

    def evaluate(self, t: Tensor) -> Tensor:
        """Values at t, see `Path.evaluate`."""
        pieces, offset = self._pieces(t)
        value = pieces[:, :, -1]
        for power in range(pieces.shape[2] - 2, -1, -1):
            value = value * offset + pieces[:, :, power]
        return _as_asked(value, t)

    def derivative(self, t: Tensor) -> Tensor:
        """Slopes at t, see `Path.derivative`."""
        pieces, offset = self._pieces(t)
        top = pieces.shape[2] - 1
        slope = top * pieces[:, :, top]
        for power in range(top - 1, 0, -1):
            slope = slope * offset + power * pieces[:, :, power]
        return _as_asked(slope, t)

    def _pieces(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (B, Q, P, C) of the interval of each query, and the time since its start."""
        asked = self.queries(t)
        found = torch.searchsorted(self.knots, asked.contiguous(), right=True) - 1
        index = torch.minimum(found.clamp(min=0), self._last)
        offset = (asked - self.knots.gather(1, index)).to(self.coefficients)
        rows = torch.arange(len(index), device=index.device)[:, None]
        return self.coefficients[rows, index], offset[:, :, None]


def _as_asked(values: Tensor, t: Tensor) -> Tensor:
    """Values (B, Q, C) without the axis of queries where a single time was asked for."""
    return values if t.ndim else values[:, 0]
