"""How an interpolant leads from one snapshot to the next: shares of the ends, and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from torch import Tensor

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable

Shape = Literal["straight", "cosine"]
NoiseShape = Literal["bridge", "smooth"]


class Shares(NamedTuple):
    """Weights of the ends at u and their derivatives; the noise, squared, and half its derivative.

    All have the shape of u.
    """

    start: Tensor
    end: Tensor
    start_slope: Tensor
    end_slope: Tensor
    variance: Tensor
    half_slope: Tensor


@packable
@dataclass(frozen=True)
class InterpolantPath:
    r"""$x_u = a(u)\,x_0 + b(u)\,x_1 + \gamma(u)\,\sigma z$ for u from 0 to 1.

    Args:
        shape: "straight", $a = 1 - u$, $b = u$; or "cosine", $a = \cos(\pi u/2)$,
            $b = \sin(\pi u/2)$ for deviations from the line between the means, which keeps the
            spread of ends that are independent.
        noise: "bridge", $\gamma^2 = u(1-u)$, that of a Brownian bridge; or "smooth",
            $\gamma = 2u(1-u)$, which begins and ends without a jump of its slope.

    Raises:
        InputError: for another word.
    """

    shape: Shape = "straight"
    noise: NoiseShape = "bridge"

    def __post_init__(self) -> None:
        for name, word, known in (
            ("path", self.shape, get_args(Shape)),
            ("noise", self.noise, get_args(NoiseShape)),
        ):
            if word not in known:
                raise InputError(f"no {name} {word!r}; {nearest(str(word), known)}")

    def at(self, u: Tensor) -> Shares:
        """Weights at u."""
        if self.shape == "straight":
            ends = (1 - u, u, -u.new_ones(u.shape), u.new_ones(u.shape))
        else:
            turn = math.pi / 2
            cos, sin = (turn * u).cos(), (turn * u).sin()
            ends = (cos, sin, -turn * sin, turn * cos)
        bump = u * (1 - u)
        if self.noise == "bridge":
            return Shares(*ends, bump, (1 - 2 * u) / 2)
        return Shares(*ends, 4 * bump.square(), 4 * bump * (1 - 2 * u))
