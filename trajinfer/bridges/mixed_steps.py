r"""Anderson mixing: where the steps of a fixed-point iteration, taken together, would come to rest.

Of points $x_i$ at which the iteration would move by $f_i$, take the mean $\sum_i w_i x_i$,
$\sum_i w_i = 1$, at which the moves $\sum_i w_i f_i$ are least, and move on from there. Near the
limit, where moves are linear in the points, this is a Krylov method: directions in which single
steps go too far, and those in which they hardly advance, are met alike.

References:
    Walker, Ni, "Anderson acceleration for fixed-point iterations", SIAM Journal on Numerical
    Analysis 49 (2011).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

_NEGLIGIBLE = 1e-12


@dataclass
class MixedSteps:
    """A memory of points and moves.

    Attributes:
        most: number of pairs that are remembered.
        share: part of the mean move that is taken.

    Example:
        >>> mixed, x = MixedSteps(3, share=1.0), torch.tensor([4.0, 1.0], dtype=torch.float64)
        >>> for _ in range(4):
        ...     x = mixed.step(x, torch.tensor([-1.5, -0.1]) * x)
        >>> bool(x.abs().max() < 1e-6)
        True
    """

    most: int
    share: float = 0.5
    _pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def step(self, point: Tensor, move: Tensor) -> Tensor:
        """Where to go from a point (P,) at which the iteration would move by this (P,)."""
        points, moves = point, move
        if self._pairs:
            d_points, d_moves = (
                torch.stack([now - old for old in earlier], dim=1)
                for now, earlier in zip((point, move), zip(*self._pairs))
            )
            gram = d_moves.T @ d_moves
            inverse = torch.linalg.pinv(gram, rtol=_NEGLIGIBLE, hermitian=True)
            weights = inverse @ (d_moves.T @ move)
            points, moves = point - d_points @ weights, move - d_moves @ weights
        self._pairs = [*self._pairs, (point, move)][-self.most :]
        return points + self.share * moves
