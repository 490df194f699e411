"""The latent dynamics by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import RandomState
from trajinfer._core.words import renamed
from trajinfer.series.baseline_dynamics import FreeSDE, LatentSDE, NeuralCDE, NeuralODE
from trajinfer.series.clipped import (
    ClippedGeometricSDE,
    ClippedLangevinSDE,
    ClippedLinearNoiseSDE,
)
from trajinfer.series.driven_network import Layers
from trajinfer.series.dynamics import LatentDynamics
from trajinfer.series.geometric import GeometricSDE
from trajinfer.series.langevin import LangevinSDE
from trajinfer.series.linear_noise import LinearNoiseSDE

Kind = Callable[..., LatentDynamics]
Parameterization = Literal["pure", "clipped"]

PURE: dict[str, Kind] = {
    "langevin": LangevinSDE,
    "linear_noise": LinearNoiseSDE,
    "geometric": GeometricSDE,
    "free": FreeSDE,
    "ode": NeuralODE,
    "cde": NeuralCDE,
    "latent_sde": LatentSDE,
}
CLIPPED: dict[str, Kind] = {
    "langevin": ClippedLangevinSDE,
    "linear_noise": ClippedLinearNoiseSDE,
    "geometric": ClippedGeometricSDE,
}
WITHOUT_CONTROL = ("free", "ode")
"""Dynamics that see the data at the start only, unless they are told to look at the path."""


@renamed(noise="stochastic")
def make_dynamics(
    name: str,
    dim: int,
    n_controls: int,
    *,
    parameterization: Parameterization = "pure",
    layers: Layers = 2,
    stochastic: bool = True,
    random_state: RandomState = None,
) -> LatentDynamics:
    """Latent dynamics by name, with initial weights from a seed.

    Args:
        name: "langevin", "linear_noise", "geometric", "free", "ode", "cde" or "latent_sde".
        dim: H, number of latent channels.
        n_controls: C, channels of the control path; 0 for dynamics that do not look at it.
        parameterization: "pure", or "clipped" for the field of the published code.
        layers: number of hidden layers of the drift, as wide as the state, or their widths.
        stochastic: False takes the noise out.
        random_state: seed of the weights.

    Raises:
        InputError: for a name that is not known, or has no such parameterization.
    """
    if parameterization not in ("pure", "clipped"):
        raise InputError(f"parameterization={parameterization!r} is neither 'pure' nor 'clipped'")
    known = PURE if parameterization == "pure" else CLIPPED
    if name not in known:
        raise InputError(f"no {parameterization} dynamics '{name}'; {nearest(name, known)}")
    return known[name](
        dim, n_controls, layers=layers, stochastic=stochastic, random_state=random_state
    )
