"""Noise for steps that may be rejected: no known piece of the path is ever lost."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer._core.errors import BrownianMismatch, InputError, TimeGridError
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.paths.brownian import BrownianPath, Increments, Need, Times
from trajinfer.paths.counter import mix
from trajinfer.paths.levy_area import draw, join, split


class Piece(NamedTuple):
    """A stretch of the path that is known.

    Attributes:
        length: of the stretch.
        W: its increment.
        H: its space-time area.
    """

    length: float
    W: Tensor
    H: Tensor


class BrownianStack(BrownianPath):
    """A Brownian path that is walked from left to right, with steps that may be taken back.

    Known pieces that are not used yet lie on a stack, the nearest on top. A proposed step takes
    pieces off and joins them; what overshoots is split and put back; fresh noise is drawn only
    beyond what is known. A rejected step is split at its new end. Thus the accepted steps are
    increments of one Brownian path, whatever was proposed in between.

    Args:
        shape: (B, M).
        t0: start of the path.
        random_state: int, numpy or torch Generator, or None (fresh entropy, kept in `seed`).
        dtype: of the numbers.
        device: where they are drawn.

    References:
        Rackauckas and Nie, DCDS-B 22(7), 2017 (rejection with memory); the pieces are split with
        their space-time area, which that recipe does not keep on one path.
    """

    repeatable = False

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        t0: float = 0.0,
        random_state: RandomState = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.shape, self.dtype, self.device = shape, dtype, torch.device(device)
        self.seed, self.t = seed_from(random_state), float(t0)
        self._generator = torch_generator(self.seed, self.device)
        self._known: list[Piece] = []
        self._current: list[Piece] = []

    @property
    def n_known(self) -> int:
        """Pieces that are known and not used yet."""
        return len(self._known)

    def propose(self, h: float) -> tuple[Tensor, Tensor]:
        """W and H of the step [t, t + h], which is then waiting to be accepted or rejected.

        Raises:
            InputError: if h is not positive or another step is waiting.
        """
        if not h > 0 or self._current:
            raise InputError(f"h must be positive and no step may wait, got h = {h}")
        piece = self._known.pop() if self._known else self._fresh(h)
        while piece.length < h:
            known = bool(self._known)
            more = self._known.pop() if known else self._fresh(h - piece.length)
            w, area = join(piece.length, piece.W, piece.H, more.length, more.W, more.H)
            piece = Piece(piece.length + more.length if known else h, w, area)
        if piece.length > h:
            piece = self._cut(piece, h)
        self._current = [piece]
        return piece.W, piece.H

    def halve(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """W and H of both halves of the waiting step, which goes on waiting."""
        (piece,) = self._waiting()
        left = self._cut(piece, piece.length / 2)
        right = self._known.pop()
        self._current = [left, right]
        return (left.W, left.H), (right.W, right.H)

    def accept(self) -> None:
        """Keep the waiting step and move to its end."""
        self.t += sum(piece.length for piece in self._waiting())
        self._current = []

    def reject(self, h: float) -> tuple[Tensor, Tensor]:
        """Shorten the waiting step to h and keep the rest for later.

        Returns:
            W and H of the shortened step, which is waiting now.

        Raises:
            InputError: if h is not inside the step.
        """
        length = sum(piece.length for piece in self._waiting())
        if not 0 < h < length:
            raise InputError(f"a rejected step must get shorter: {h} is not in (0, {length})")
        self._known.extend(reversed(self._current))
        self._current = []
        return self.propose(h)

    def increments(
        self, t0: float, t1: float, need_H: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """W (B, M) of the step [t0, t1], or (W, H); t0 must be where the last step ended."""
        if abs(t0 - self.t) > 1e-9 * max(1.0, abs(self.t)):
            raise TimeGridError(
                f"a BrownianStack is walked once from left to right: it stands at {self.t:g}, "
                f"not at {t0:g}; use BrownianTree to ask again",
                t=self.t,
            )
        w, area = self.propose(t1 - t0)
        self.accept()
        return (w, area) if need_H else w

    def steps(self, first: int, times: Times, need: Need, dim: int) -> Increments:
        """The noise of consecutive steps, which must go on from the last ones."""
        if times.ndim == 2:
            raise TimeGridError("a BrownianStack has one time for all paths; use BrownianTree")
        if "Z" in need:
            raise BrownianMismatch("a BrownianStack has no extra normal numbers; use BrownianGrid")
        pairs = [self.increments(a, b, need_H=True) for a, b in pairwise(times)]
        w, area = (torch.stack(parts) for parts in zip(*pairs))
        return Increments(w, area if "H" in need else None, None)

    def spawn(self, seed: int) -> BrownianStack:
        """A stack at the same time with other noise and nothing known yet."""
        return BrownianStack(
            self.shape,
            t0=self.t,
            random_state=mix(self.seed, seed),
            dtype=self.dtype,
            device=self.device,
        )

    def _waiting(self) -> list[Piece]:
        if not self._current:
            raise InputError("no step is waiting; propose one first")
        return self._current

    def _fresh(self, length: float) -> Piece:
        w, area = draw(self.shape, length, self._generator, self.dtype, self.device)
        return Piece(length, w, area)

    def _cut(self, piece: Piece, at: float) -> Piece:
        """The first part of a piece; the rest goes on the stack."""
        z = torch.randn(
            (2, *self.shape), generator=self._generator, dtype=self.dtype, device=self.device
        )
        right = piece.length - at
        w1, h1, w2, h2 = split(piece.W, piece.H, at, right, z[0], z[1])
        self._known.append(Piece(right, w2, h2))
        return Piece(at, w1, h1)
