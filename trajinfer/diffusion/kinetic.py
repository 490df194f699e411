"""The path of least kinetic energy for given data, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.denoiser import Denoiser, as_denoiser
from trajinfer.diffusion.paths import GaussianPath


@packable
@dataclass(frozen=True, eq=False)
class KineticOptimalPath(GaussianPath):
    r"""A straight chord in the polar geometry $(r, \phi)$ of alpha and sigma.

    alpha = r sin(th), sigma = unit * r cos(th), and phi is the arc length of th under
    sqrt(delta).

    Attributes:
        angles: th on a grid from 0 to pi/2.
        lengths: phi at these angles.
        separations: delta at these angles.
        energy: kinetic energy per dimension, 2 - 2 cos(phi).
        unit: standard deviation of the data.
    """

    angles: Array
    lengths: Array
    separations: Array
    unit: float = 1.0

    @property
    def phi(self) -> float:
        """Length of the whole."""
        return float(self.lengths[-1])

    @property
    def energy(self) -> float:
        """2 - 2 cos(phi)."""
        return 2 - 2 * math.cos(self.phi)

    def _polar(self, level: float) -> tuple[float, float]:
        """Radius and angle on the chord from (1, phi = 0) to (1, phi)."""
        if self.phi < 1e-9:
            return 1.0, level * math.pi / 2
        x = (1 - level) + level * math.cos(self.phi)
        y = level * math.sin(self.phi)
        phi = math.atan2(y, x)
        return math.hypot(x, y), float(np.interp(phi, self.lengths, self.angles))

    def alpha(self, level: float) -> float:
        """R sin(th)."""
        radius, angle = self._polar(level)
        return radius * math.sin(angle)

    def sigma(self, level: float) -> float:
        """Unit r cos(th)."""
        radius, angle = self._polar(level)
        return self.unit * radius * math.sin(math.pi / 2 - angle)

    def level(self, rho: float) -> float:
        """Where the chord has the angle of rho."""
        angle = math.atan2(self.unit, rho)
        if self.phi < 1e-9:
            return angle * 2 / math.pi
        phi = float(np.interp(angle, self.angles, self.lengths))
        # sin(phi) (1 - u + u cos P) = cos(phi) u sin P, solved for u
        return math.sin(phi) / (math.sin(phi) + math.sin(self.phi - phi))


def kinetic_optimal(
    denoiser: Any, n: int = 2000, random_state: RandomState = None, *, n_angles: int = 201
) -> KineticOptimalPath:
    """The path of least kinetic energy, from the denoiser on one batch of draws.

    Kinetic energy is a property of the path in its own coordinates: it changes training weights
    and the default grid, not what a converged sampler returns.

    Args:
        denoiser: with `mean`, `covariance` and `sample(n, rho, random_state)`, a `GaussianMixture`.
        n: draws per angle.
        random_state: seed of the draws.
        n_angles: nodes between noise and data.

    Raises:
        InputError: for a denoiser that cannot be sampled.
    """
    model = as_denoiser(denoiser)
    if not hasattr(model, "sample"):
        raise InputError("kinetic_optimal needs a denoiser with sample(n, rho, random_state)")
    unit = math.sqrt(float(model.covariance.diagonal().mean()))  # type: ignore[attr-defined]
    seed = seed_from(random_state)
    clean = model.sample(n, 0.0, random_state=seed)
    generator = torch_generator(seed + 1)
    z = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    angles = np.linspace(0, math.pi / 2, n_angles)
    separations = np.array([_separation(model, clean, z, unit, th) for th in angles])
    speed = np.sqrt(separations)
    lengths = np.concatenate([[0.0], np.cumsum(np.diff(angles) * (speed[1:] + speed[:-1]) / 2)])
    return KineticOptimalPath(angles, lengths, separations, unit)


def _separation(
    model: Denoiser, clean: torch.Tensor, z: torch.Tensor, unit: float, angle: float
) -> float:
    """delta(th): mean square of cos(th) X - sin(th) Z, the posterior means of data and noise."""
    mean = model.mean  # type: ignore[attr-defined]
    sine, cosine = math.sin(angle), math.cos(angle)
    if min(sine, cosine) < 1e-9:  # nothing is left to say of the data, or of the noise
        return 0.0
    rho = unit * cosine / sine
    y = clean + rho * z
    posterior = model.denoise(y, rho)
    data, noise = (posterior - mean) / unit, (y - posterior) / rho
    return float((cosine * data - sine * noise).square().mean())
