r"""Velocity and score between two snapshots: a law in closed form, moved by a network."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trajinfer._core.devices import home_of
from trajinfer._core.packing import packable
from trajinfer.diffusion.denoiser import as_double
from trajinfer.diffusion.interpolant_mixture import LawsAt, MixtureInterpolant
from trajinfer.diffusion.likelihood import Probes, carried
from trajinfer.scores.networks import ResidualPerceptron

_WAVES = 4
_STEPS = 25


@packable
class FieldNetwork(ResidualPerceptron):
    """A residual perceptron to a correction of slope and score; at first all zero.

    Args:
        dim: D.
        hidden: width.
        layers: residual layers.
        seed: of the first weights.
    """

    def __init__(self, dim: int, hidden: int, layers: int, seed: int) -> None:
        plan = {"dim": dim, "hidden": hidden, "layers": layers, "seed": seed}
        super().__init__(3 * dim + 4 * _WAVES + 2, 2 * dim, plan)

    def forward(self, shown: Tensor) -> Tensor:
        """(..., 2D) of what `LocatedField` shows."""
        return self.through(shown)


@dataclass(frozen=True)
class InterpolantField:
    r"""Mean slope $E[\dot x \mid x] = m + s F_1$ and score $s_m - F_2/\mathrm{sd}$ in a segment.

    m and $s_m$ are those of the closed form, s the deviation of the slope given x and sd that of x
    under the one Gaussian with its moments, F a network that begins at zero.

    Args:
        law: in closed form.
        network: F, or None for the law alone.
        span: start and end of the segment as shares of the whole time.
    """

    law: MixtureInterpolant
    network: nn.Module | None
    span: tuple[float, float]

    @property
    def dim(self) -> int:
        """D."""
        return self.law.dim

    def at(self, u: Tensor) -> FieldAt:
        """The field at n places u, (n,)."""
        return FieldAt(self, u, self.law.at(u), self.law.linear.at(u))

    def velocity_and_score(self, x: Tensor, u: Tensor | float) -> tuple[Tensor, Tensor]:
        """The velocity b per unit of u, and the score, (B, D) each."""
        place = as_double(u).reshape(1)
        slope, score = self.at(place).moments(x[None])
        return self.law.flow(slope, score, place)[0], score[0]

    def velocity(self, x: Tensor, u: Tensor | float) -> Tensor:
        """The velocity b(x, u), (B, D)."""
        return self.velocity_and_score(x, u)[0]

    def score(self, x: Tensor, u: Tensor | float) -> Tensor:
        """The score of the law at u, (B, D)."""
        return self.velocity_and_score(x, u)[1]

    def log_density(self, x: Tensor, u: float) -> Tensor:
        r"""Log-density of positions x (B, D) at u, (B,): the closed form's, carried by the flow.

        From the nearer snapshot, where the population has the law of the ends:
        $\log p_u(x) = \log p_e(x_e) + \int_u^e \nabla\cdot b\,du$ along $\dot x = b$, by
        Runge-Kutta steps of order 4, even in $\arcsin\sqrt u$.
        """
        if self.network is None:
            return self.law.log_prob(x, u)
        probes = Probes.of(x)

        def slope(state: Tensor, angle: float) -> tuple[Tensor, Tensor]:
            place, stretch = math.sin(angle) ** 2, math.sin(2 * angle)
            moved, total = probes.trace(lambda z: self.velocity(z, place), state)
            return stretch * moved, stretch * total

        end = float(round(u))
        stops = math.asin(math.sqrt(u)), math.asin(math.sqrt(end))
        there, change = carried(slope, x, *stops, _STEPS)
        return self.law.log_prob(there, end) + change


@dataclass(frozen=True)
class FieldAt:
    """A field at n places u of its segment.

    Attributes:
        field: which.
        u: (n,).
        law, linear: in closed form there.
    """

    field: InterpolantField
    u: Tensor
    law: LawsAt
    linear: LawsAt

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean slope and the score at positions x, (n, r, D) each."""
        slope, score = self.law.moments(x)
        if self.field.network is None:
            return slope, score
        wide, left = (s[:, None] for s in self.linear.spread())
        middle, usual = self.linear.means, self.linear.slopes
        parts = ((x - middle) / wide, (slope - usual) / left, score * wide, self._time(x))
        # the closed forms need double precision, which not every device has; the network does not
        shown = torch.cat(parts, -1).float().to(home_of(self.field.network))
        moved = self.field.network(shown).to(x)
        first, second = moved.chunk(2, -1)
        return slope + left * first, score - second / wide

    def _time(self, x: Tensor) -> Tensor:
        """Waves of the place within the segment and of the whole time, (n, r, 4 waves + 2)."""
        begin, end = self.field.span
        angle = self.u.sqrt().clamp(max=1.0).asin() * (2 / torch.pi)
        places = torch.stack([angle, begin + (end - begin) * self.u], -1)
        turns = torch.pi * places[..., None] * 2.0 ** torch.arange(_WAVES)
        shown = torch.cat([places, turns.cos().flatten(-2), turns.sin().flatten(-2)], -1)
        return shown[:, None].expand(-1, x.shape[1], -1)
