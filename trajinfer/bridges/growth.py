r"""Mass that changes on the way: individuals divide and die at a net rate g(t, x).

Over a segment of duration $\Delta$, growth along a path from x to y is taken by the trapezoid rule,

$G_{xy} = \tfrac{\Delta}{2}\,[g(t_k, x) + g(t_{k+1}, y)]$,

so that it splits into a part of the start and a part of the end. In the middle of the segment the
starts have grown by the first half and the ends are still to grow by the second: these two
populations have the same mass, and between them the bridge is an ordinary one. Up to a share u of
the segment a path has grown by

$G_{xy}(u) = \Delta\,[(u - u^2/2)\, g(t_k, x) + (u^2/2)\, g(t_{k+1}, y)]$.

References:
    Baradat, Lavenant, "Regularized unbalanced optimal transport as entropy minimization with
    respect to branching Brownian motion", arXiv 2111.01666; Schiebinger et al., Cell 176 (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer.references.problem import Problem

GrowthSetting = Any
_WORDS = ("counts", "learn")


class Rate(Protocol):
    """A net rate of divisions per unit of time."""

    def __call__(self, t: float, x: Tensor) -> Tensor:
        """Rates (N,) of individuals at x (N, D) at time t."""


@packable
@dataclass(frozen=True)
class UniformRate:
    """The same rate everywhere: 0, to which the level of every segment is added."""

    def __call__(self, t: float, x: Tensor) -> Tensor:
        """Zeros (N,)."""
        return x.new_zeros(len(x))


@dataclass(frozen=True)
class GivenRate:
    """A rate that the user knows.

    Attributes:
        function: of a time and positions (N, D), both as numbers of numpy; gives (N,).
    """

    function: Callable[[float, Array], Any]

    def __call__(self, t: float, x: Tensor) -> Tensor:
        """What the function says.

        Raises:
            InputError: if that is not one finite number for every position.
        """
        rates = np.asarray(self.function(t, x.numpy().copy()), dtype=np.float64)
        if rates.shape != (len(x),) or not np.isfinite(rates).all():
            found = f"shape {rates.shape}" if rates.shape != (len(x),) else "values not finite"
            raise InputError(
                f"growth(t, x) must give one finite rate for every row of x {tuple(x.shape)}, got "
                f"{found} at t = {t:g}"
            )
        return torch.as_tensor(rates)


@packable
@dataclass(frozen=True)
class Growth:
    """Net rate of divisions, and the total mass that goes with it.

    Attributes:
        times: (K,) of the snapshots.
        rate: up to a level.
        levels: (K-1,) added to the rate within every segment.
        masses: (K,) total mass at the snapshots, relative to the first.
    """

    times: Tensor
    rate: Rate
    levels: Tensor
    masses: Tensor

    @classmethod
    def given(cls, rate: Rate, problem: Problem) -> Self:
        """Growth at a known rate; the mass follows from it."""
        n = problem.n_segments
        bare = cls(problem.times, rate, torch.zeros(n).double(), torch.ones(n + 1).double())
        logs = torch.stack([bare._log_ratio(problem, k) for k in range(n)])
        return replace(bare, masses=torch.cat([bare.masses[:1], logs.cumsum(0).exp()]))

    @classmethod
    def with_masses(cls, rate: Rate, problem: Problem, sizes: Array) -> Self:
        """Growth at a rate whose level follows from the total mass of every snapshot."""
        masses = torch.as_tensor(sizes / sizes[0])
        bare = cls(problem.times, rate, torch.zeros(problem.n_segments).double(), masses)
        logs = torch.stack([bare._log_ratio(problem, k) for k in range(problem.n_segments)])
        return replace(bare, levels=(masses.log().diff() - logs) / problem.times.diff())

    def __call__(self, t: float, x: Tensor) -> Tensor:
        """Rates (N,) at x (N, D) and time t; outside the snapshots the nearest level holds."""
        k = int(torch.searchsorted(self.times, self.times.new_tensor(t), right=True)) - 1
        return self.rate(t, x) + self.levels[min(max(k, 0), len(self.levels) - 1)]

    def applied(self, problem: Problem) -> Problem:
        """The problem whose segments couple populations in the middle of them."""
        gains = tuple(
            (self.of_start(k, x, 0.5), self.of_end(k, y, 0.5))
            for k, (x, y) in enumerate(zip(problem.points[:-1], problem.points[1:]))
        )
        return Problem(problem.times, problem.points, problem.log_mass, gains)

    def of_start(self, k: int, x: Tensor, share: float) -> Tensor:
        """Growth (N,), at the rate of the starts x (N, D) of segment k, over a share of it."""
        rate = self.rate(float(self.times[k]), x) + self.levels[k]
        return share * self._duration(k) * rate

    def of_end(self, k: int, y: Tensor, share: float) -> Tensor:
        """Growth (M,), at the rate of the ends y (M, D) of segment k, over a share of it."""
        rate = self.rate(float(self.times[k + 1]), y) + self.levels[k]
        return share * self._duration(k) * rate

    def along(self, k: int, share: float, x: Tensor, y: Tensor) -> Tensor:
        """Growth (N,) of paths from x to y (N, D) up to a share of segment k."""
        late = share**2 / 2
        return self.of_start(k, x, share - late) + self.of_end(k, y, late)

    def tilt(self, k: int, share: float, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Log-factors of starts (N,) and of ends (M,) from the middle of segment k to a share."""
        late = share**2 / 2
        return self.of_start(k, x, share - late - 0.5), self.of_end(k, y, late)

    def descendants(self, legs: Sequence[tuple[int, Array, Tensor, Tensor]]) -> Tensor:
        """Expected descendants (n, T) of n individuals along their paths, 1 at the first time.

        Args:
            legs: for successive segments their index, the times asked for in them, and where the
                paths start and end (n, D).
        """
        logs = []
        before = legs[0][2].new_zeros(len(legs[0][2]))
        for k, inside, x, y in legs:
            duration = float(self._duration(k))
            shares = [(t - float(self.times[k])) / duration for t in inside.tolist()]
            logs += [before + self.along(k, share, x, y) for share in shares]
            before = before + self.along(k, 1.0, x, y)
        gained = torch.stack(logs, dim=1)
        return (gained - gained[:, :1]).exp()

    def _log_ratio(self, problem: Problem, k: int) -> Tensor:
        """Logarithm of the mass at the end of a segment over that at its start."""
        start = (problem.log_mass[k] + self.of_start(k, problem.points[k], 0.5)).logsumexp(0)
        back = self.of_end(k, problem.points[k + 1], 0.5)
        return start - (problem.log_mass[k + 1] - back).logsumexp(0)

    def _duration(self, k: int) -> Tensor:
        return self.times[k + 1] - self.times[k]


def check_growth(growth: GrowthSetting) -> None:
    """Refuse what is no way to say how mass changes.

    Raises:
        InputError: naming the nearest word.
    """
    if growth is None or callable(growth) or (isinstance(growth, str) and growth in _WORDS):
        return
    hint = nearest(growth, _WORDS) if isinstance(growth, str) else f"got {growth!r}"
    raise InputError(
        f"growth must be None, 'counts', 'learn' or a function (t, x) -> rates; {hint}"
    )
