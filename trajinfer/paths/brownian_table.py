"""Noise given by the user, one row per step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import BrownianMismatch, TimeGridError
from trajinfer.paths.brownian import BrownianPath, Increments, Need, Times


class BrownianTable(BrownianPath):
    """Brownian increments from a table, for tests, fixed noise and comparison between libraries.

    Args:
        W: increments, (B, n_steps, M).
        H: their space-time areas, (B, n_steps, M), for solvers that use them.
        Z: standard normal numbers, (B, n_steps, D), for exact steps that use them.
        times: ends of the steps, (n_steps + 1,), if the table belongs to one grid; with them
            `increments` can be asked by time, and a solve on another grid is refused.

    Raises:
        InputError: if the shapes differ.
        BrownianMismatch: if dtype or device do.
    """

    repeatable = True

    def __init__(
        self,
        W: Tensor,
        H: Tensor | None = None,
        Z: Tensor | None = None,
        *,
        times: Times | None = None,
    ) -> None:
        sizes = check_shape(W, "B N M")
        if H is not None:
            check_shape(H, "B N M", **sizes)
        if Z is not None:
            check_shape(Z, "B N D", B=sizes["B"], N=sizes["N"])
        for name, part in (("H", H), ("Z", Z)):
            if part is not None and (part.dtype, part.device) != (W.dtype, W.device):
                raise BrownianMismatch(
                    f"W is {W.dtype} on {W.device}, {name} {part.dtype} on {part.device}; "
                    f"convert one of them, for instance {name}.to(W)"
                )
        self.W, self.H, self.Z = W, H, Z
        self.n_steps = sizes["N"]
        self.times = None if times is None else np.asarray(times, dtype=np.float64)
        self.shape = (sizes["B"], sizes["M"])
        self.dtype, self.device = W.dtype, W.device

    def increments(
        self, t0: float, t1: float, need_H: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """W (B, M) of the step [t0, t1], or (W, H)."""
        if self.times is None:
            raise TimeGridError("this BrownianTable has no times; give them as `times=`")
        first = int(np.searchsorted(self.times, t0))
        ends = self.times[first : first + 2]
        if not np.array_equal(ends, (t0, t1)):
            raise TimeGridError(f"[{t0:g}, {t1:g}] is not a step of this BrownianTable")
        if need_H:
            return self.W[:, first], self._area()[:, first]
        return self.W[:, first]

    def steps(self, first: int, times: Times, need: Need, dim: int) -> Increments:
        """The rows first, first + 1, ... of the table; zero-length steps get zeros."""
        last = first + times.shape[-1] - 1
        if last > self.n_steps:
            raise BrownianMismatch(
                f"the noise has {self.n_steps} steps, the solve needs at least {last}"
            )
        if self.times is not None and not np.array_equal(times, self.times[first : last + 1]):
            raise TimeGridError("the steps of this solve are not those of the BrownianTable")
        live = torch.as_tensor(np.diff(times, axis=-1) > 0, device=self.device)
        live = live.T[:, :, None] if times.ndim == 2 else live[:, None, None]

        def rows(table: Tensor) -> Tensor:
            part = table[:, first:last].transpose(0, 1)
            return torch.where(live, part, torch.zeros_like(part))

        w = rows(self.W) if "W" in need else None
        h = rows(self._area()) if "H" in need else None
        z = rows(self._normal(dim)) if "Z" in need else None
        return Increments(w, h, z)

    def spawn(self, seed: int) -> BrownianTable:
        """Refused: a table has no seed."""
        raise BrownianMismatch("a BrownianTable holds given numbers and cannot draw new ones")

    def _area(self) -> Tensor:
        if self.H is None:
            raise BrownianMismatch(
                "this solver needs the space-time Levy area: give noise=(W, H), "
                "or pass random_state= and let it be drawn"
            )
        return self.H

    def _normal(self, dim: int) -> Tensor:
        if self.Z is None or self.Z.shape[2] != dim:
            raise BrownianMismatch(
                f"the exact step needs normal numbers Z (B, n_steps, {dim}) beside (W, H): use "
                "BrownianTable(W, H, Z), or pass random_state= and let them be drawn"
            )
        return self.Z
