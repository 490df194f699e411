r"""A reference of which some coordinates are hidden, with the law of these at the first snapshot.

$h_0 \mid y_0 \sim N(c + B (y_0 - \bar y) / s, \mathrm{diag}(\tau^2))$ with $\bar y$ and s the mean
and the standard deviations of the first snapshot. Centre, slopes and $\log\tau$ are learned with
the parameters of the reference; they are numbers in units of the state, with normal priors of one
observation's weight, broad for the centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trajinfer.hidden.coordinates import Coordinates
from trajinfer.hidden.hidden_law import HiddenLaw
from trajinfer.references.dynamics import Reference

_SPREAD, _BROAD = 0.2, 3.0


class PartialReference(nn.Module):
    """What is learned.

    Args:
        reference: refined in place.
        coordinates: which are measured.
        first: (N, d) points of the first snapshot.
        log_mass: (N,) of these.
        size: typical size of a state.
        n: individuals per snapshot, against which the priors count as one.
    """

    def __init__(
        self,
        reference: Reference,
        coordinates: Coordinates,
        first: Tensor,
        log_mass: Tensor,
        size: float,
        n: float,
    ) -> None:
        super().__init__()
        self.reference, self.coordinates, self.size, self.n = reference, coordinates, size, n
        if isinstance(reference.sde, nn.Module):
            self.sde = reference.sde
        weights = log_mass.exp()
        self.middle = weights @ first
        self.scale = (weights @ (first - self.middle).square()).sqrt().clamp_min(1e-9 * size)
        h, d = len(coordinates.hidden), len(coordinates.observed)
        self.center = nn.Parameter(torch.zeros(h, dtype=torch.float64))
        self.slopes = nn.Parameter(torch.zeros(h, d, dtype=torch.float64))
        self.log_spread = nn.Parameter(torch.zeros(h, dtype=torch.float64))

    def start(self, seen: Tensor) -> HiddenLaw:
        """Hidden coordinates at measured positions (N, d) of the first snapshot."""
        off = (seen - self.middle) / self.scale
        mean = self.size * (self.center + _SPREAD * off @ self.slopes.T)
        variance = (2 * (math.log(_SPREAD * self.size) + self.log_spread)).exp()
        return HiddenLaw(mean, torch.diag(variance).expand(len(seen), -1, -1))

    @property
    def shrinkage(self) -> Tensor:
        """Vector whose half squared norm is the penalty of the objective."""
        own = torch.cat([self.center / _BROAD, self.slopes.flatten(), self.log_spread]) / math.sqrt(
            self.n
        )
        ridge = self.reference.shrinkage
        return own if ridge is None else torch.cat([own, ridge])

    @property
    def penalty(self) -> float:
        """Half the squared norm of `shrinkage` at the present numbers."""
        return 0.5 * float(self.shrinkage.detach().square().sum())

    @property
    def of_reference(self) -> list[nn.Parameter]:
        """The learnable parameters of the reference."""
        own = {id(p) for p in (self.center, self.slopes, self.log_spread)}
        return [p for p in self.parameters() if p.requires_grad and id(p) not in own]


@contextmanager
def held(*parameters: nn.Parameter) -> Iterator[None]:
    """Parameters that are not learned meanwhile."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
