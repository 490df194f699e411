"""Noise that can be asked for at any times, in any order, again and again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch, InputError, TimeGridError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.paths.brownian import BrownianPath, Increments, Need, Times
from trajinfer.paths.counter import family, mix, normal_pair
from trajinfer.paths.levy_area import split

_ULPS = 4
_ROOT = 1 << 20
_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class _Descent:
    """The way to the leaves of times.

    Attributes:
        right: whether they lie in the right half, (Q, B or 1, 1) of every level.
        nodes: (2 + levels, Q, B or 1, 1) index of their node: of the root twice, for its increment
            and for its halving, down to the leaf.
        beyond: (Q, B or 1, 1) distance to the left end of the leaf.
    """

    right: list[Tensor]
    nodes: Tensor
    beyond: Tensor


class BrownianTree(BrownianPath):
    r"""A Brownian path on [t0, t1] whose value depends on the seed and the time alone.

    The interval is halved $\lceil \log_2((t_1 - t_0)/tol) \rceil$ times towards each time asked
    for. The normal numbers of a node are a hash of (seed, level, index of the node, channel), so a
    whole batch of times, also different ones per path, is found in one vectorised descent, and
    nothing is stored. Times closer than `tol` share a leaf, inside which the path is drawn from the
    law given the leaf's ends.

    Args:
        t0: start.
        t1: end.
        shape: (B, M).
        random_state: int, numpy or torch Generator, or None (fresh entropy, kept in `seed`).
        tol: length of a leaf; None is 2^-20 of the interval.
        dtype: of the increments; the descent itself is in float64.
        device: where they are made.

    References:
        Jelinčič, Foster and Kidger, arXiv 2405.06464.
    """

    repeatable = True

    def __init__(
        self,
        t0: float,
        t1: float,
        shape: tuple[int, int],
        *,
        random_state: RandomState = None,
        tol: float | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        if not (math.isfinite(t0) and math.isfinite(t1) and t0 < t1):
            raise InputError(f"t0 < t1 is needed, got [{t0}, {t1}]")
        self.t0, self.t1, self.shape = float(t0), float(t1), (int(shape[0]), int(shape[1]))
        self.seed = seed_from(random_state)
        self.dtype, self.device = dtype, torch.device(device)
        leaf = (t1 - t0) * 2.0**-20 if tol is None else tol
        if not leaf > 0:
            raise InputError(f"tol must be positive, got {tol}")
        self.depth = max(0, math.ceil(math.log2((t1 - t0) / leaf)))
        self.tol = leaf
        channels = torch.arange(self.shape[0] * self.shape[1], device=self.device)
        self._channels = channels.reshape(1, *self.shape)
        levels = [mix(self.seed, level) for level in (_ROOT, *range(self.depth + 1))]
        self._seeds = family(*levels).to(self.device).reshape(-1, 1, 1, 1)

    def evaluate(self, times: Any) -> tuple[Tensor, Tensor]:
        r"""$W(t) - W(t_0)$ and $\int_{t_0}^t (W(s) - W(t_0))\,ds$ at any times.

        Args:
            times: (Q,) for all paths, or (B, Q).

        Returns:
            Two float64 tensors (Q, B, M).

        Raises:
            TimeGridError: outside [t0, t1] by more than rounding.
        """
        clamped = self._clamp(np.asarray(times, dtype=np.float64))
        rows = clamped.T[:, :, None] if clamped.ndim == 2 else clamped[:, None, None]
        way = self._descent(np.ascontiguousarray(rows))
        normals = self._normals(way.nodes)
        z1, z2 = next(normals)
        length = self.t1 - self.t0
        w, area = z1 * math.sqrt(length), z2 * math.sqrt(length / 12)
        start = total = torch.zeros_like(w)
        for right, (z1, z2) in zip(way.right, normals):
            length /= 2
            w1, h1, w2, h2 = split(w, area, length, length, z1, z2)
            total = torch.where(right, total + length * (start + 0.5 * w1 + h1), total)
            start = torch.where(right, start + w1, start)
            w, area = torch.where(right, w2, w1), torch.where(right, h2, h1)
        z1, z2 = next(normals)
        inside = way.beyond.clamp(0.0, length)
        w1, h1, _, _ = split(w, area, inside, length - inside, z1, z2)
        return start + w1, total + inside * (start + 0.5 * w1 + h1)

    def _descent(self, t: Times) -> _Descent:
        """The way from the whole interval to the leaves of the times t, any shape."""
        left, half = np.full_like(t, self.t0), self.t1 - self.t0
        index = np.zeros(t.shape, dtype=np.int64)
        turns, nodes = [], [index, index]
        for _ in range(self.depth):
            half /= 2
            right = t >= left + half
            left = np.where(right, left + half, left)
            index = 2 * index + right
            turns.append(right)
            nodes.append(index)
        return _Descent(
            [torch.as_tensor(right, device=self.device) for right in turns],
            torch.as_tensor(np.stack(nodes), device=self.device),
            torch.as_tensor(t - left, device=self.device),
        )

    def increments(
        self, t0: float, t1: float, need_H: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """W (B, M) over any [t0, t1], or (W, H)."""
        noise = self.steps(0, np.array([t0, t1]), "WH", 0)
        parts = [part[0] for part in (noise.W, noise.H) if part is not None]
        return (parts[0], parts[1]) if need_H else parts[0]

    def steps(self, first: int, times: Times, need: Need, dim: int) -> Increments:
        """The noise of consecutive steps on any grid inside [t0, t1]."""
        if "Z" in need:
            raise BrownianMismatch("a BrownianTree has no extra normal numbers; use BrownianGrid")
        value, area = self.evaluate(times)
        lengths = np.diff(times, axis=-1)
        rows = lengths.T[:, :, None] if times.ndim == 2 else lengths[:, None, None]
        h = torch.as_tensor(np.ascontiguousarray(rows), device=self.device)
        live = h > 0
        w = torch.where(live, value[1:] - value[:-1], 0.0)
        if "H" not in need:
            return Increments(w.to(self.dtype), None, None)
        mean = (area[1:] - area[:-1]) / torch.where(live, h, 1.0) - value[:-1]
        levy = torch.where(live, mean - 0.5 * w, 0.0)
        return Increments(w.to(self.dtype), levy.to(self.dtype), None)

    def spawn(self, seed: int) -> BrownianTree:
        """The same interval with other noise."""
        return BrownianTree(
            self.t0,
            self.t1,
            self.shape,
            random_state=mix(self.seed, seed),
            tol=self.tol,
            dtype=self.dtype,
            device=self.device,
        )

    def _normals(self, nodes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The two normal numbers (Q, B, M) of the node of every level, the root's first.

        Those of several levels are found at once: for few times and paths the calls of torch cost
        more than the numbers.
        """
        n = self._channels.numel()
        size = max(1, _AT_ONCE // (nodes[0].shape[0] * n))
        for first in range(0, len(nodes), size):
            counter = nodes[first : first + size] * n + self._channels
            seeds = self._seeds[first : first + size]
            yield from zip(*normal_pair(seeds, counter), strict=True)

    def _clamp(self, times: Times) -> Times:
        """Times within rounding of the interval are moved to its ends."""
        slack = _ULPS * np.spacing(max(abs(self.t0), abs(self.t1)))
        outside = (times < self.t0 - slack) | (times > self.t1 + slack) | ~np.isfinite(times)
        if outside.any():
            worst = float(times[outside].ravel()[0])
            raise TimeGridError(
                f"t = {worst:g} is outside the range [{self.t0:g}, {self.t1:g}] of the noise; "
                "make the BrownianTree longer",
                t=worst,
            )
        return np.clip(times, self.t0, self.t1)


class TreeWalk:
    """A `BrownianTree` walked from left to right with steps that may be taken back.

    Args:
        tree: the path.
        t0: where the walk starts.
        t1: where it is to end.

    Raises:
        TimeGridError: if the tree does not reach that far.
    """

    def __init__(self, tree: BrownianTree, t0: float, t1: float) -> None:
        tree._clamp(np.array([t0, t1]))
        self.tree, self.t, self._h = tree, t0, 0.0
        self.seed = tree.seed

    def propose(self, h: float) -> tuple[Tensor, Tensor]:
        """W and H of the step [t, t + h], which is then waiting."""
        self._h = h
        return self._between(self.t, self._end())

    def reject(self, h: float) -> tuple[Tensor, Tensor]:
        """W and H of a shorter step."""
        return self.propose(h)

    def halve(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """W and H of both halves of the waiting step."""
        middle = self.t + self._h / 2
        return self._between(self.t, middle), self._between(middle, self._end())

    def accept(self) -> None:
        """Move to the end of the waiting step."""
        self.t = self._end()

    def _end(self) -> float:
        # sums of steps may pass the last output time by rounding
        return min(self.t + self._h, self.tree.t1)

    def _between(self, t0: float, t1: float) -> tuple[Tensor, Tensor]:
        w, area = self.tree.increments(t0, t1, need_H=True)
        return w, area
