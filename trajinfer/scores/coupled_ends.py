"""Pairs of points of neighbouring snapshots, drawn from one global coupling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.metrics.exact_coupling import exact_coupling

Coupling = Literal["entropic", "independent", "exact"]


@packable
@dataclass(frozen=True)
class CoupledEnds:
    """A coupling of the points of two snapshots.

    Attributes:
        start: (N, D).
        end: (M, D).
        rows, columns: (P,) which points the pairs of the coupling are.
        cumulative: (P,) their masses, added up.
    """

    start: Tensor
    end: Tensor
    rows: Tensor
    columns: Tensor
    cumulative: Tensor

    @classmethod
    def of(cls, start: Array, end: Array, plan: Any) -> Self:
        """From masses (N, M), dense or sparse."""
        rows, columns = plan.nonzero()
        mass = torch.as_tensor(np.asarray(plan[rows, columns]).reshape(-1))
        total = mass.double().cumsum(0)
        return cls(
            torch.as_tensor(np.array(start)),
            torch.as_tensor(np.array(end)),
            torch.as_tensor(rows),
            torch.as_tensor(columns),
            total / total[-1],
        )

    @property
    def size(self) -> int:
        """Points of the larger snapshot."""
        return max(len(self.start), len(self.end))

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """N pairs, (n, D) each, stratified over the masses and in random order."""
        # an offset each: one for all would pick the same column in every row
        offsets = torch.rand(n, generator=generator, dtype=torch.float64)
        levels = (torch.randperm(n, generator=generator) + offsets) / n
        pair = torch.searchsorted(self.cumulative, levels, right=True)
        pair = pair.clamp(max=len(self.cumulative) - 1)
        return self.start[self.rows[pair]], self.end[self.columns[pair]]


def couple_snapshots(
    snapshots: Snapshots, coupling: Coupling, volatility: Array
) -> tuple[list[CoupledEnds], bool]:
    """Coupled ends of every pair of neighbours, and whether the iteration came to rest.

    Args:
        snapshots: few enough points for dense couplings.
        coupling: "entropic", that of the Schroedinger bridge to Brownian motion of this volatility;
            "exact", least squared distance; or "independent".
        volatility: (D,).
    """
    converged, plans = True, []
    if coupling == "entropic":
        bridge = SchrodingerBridge(volatility=volatility, n_refinements=0, random_state=0)
        bridge.fit(snapshots)
        converged = bridge.converged_
    for k in range(len(snapshots) - 1):
        a, b = snapshots.probabilities(k), snapshots.probabilities(k + 1)
        if coupling == "entropic":
            plans.append(bridge.coupling(k))
        elif coupling == "exact":
            plans.append(exact_coupling(snapshots.points[k], snapshots.points[k + 1], a, b))
        else:
            plans.append(np.outer(a, b))
    neighbours: Sequence[tuple[Array, Array]] = list(
        zip(snapshots.points[:-1], snapshots.points[1:], strict=True)
    )
    ends = [CoupledEnds.of(x, y, plan) for (x, y), plan in zip(neighbours, plans, strict=True)]
    return ends, converged
