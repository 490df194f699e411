r"""A law in closed form, moved by a network that learns only what the law does not hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from trajinfer._core.devices import home_of
from trajinfer._core.errors import InputError
from trajinfer.diffusion.denoiser import Level, isotropic
from trajinfer.scores.posterior_mixture import PosteriorMixture


@dataclass(frozen=True)
class Entries:
    """What a network is shown of B rows of n entries, in units of the data's spread.

    Attributes:
        state: (B, n) the noisy value of a hidden entry over its spread; the value of a known one.
        hidden: (B, n) 1 where hidden.
        mean, sd: (B, n) of the closed-form law given the state.
        log_level: (B, 1) of the noise.
    """

    state: Tensor
    hidden: Tensor
    mean: Tensor
    sd: Tensor
    log_level: Tensor

    def to(self, device: torch.device) -> Entries:
        """The same entries on a device."""
        return Entries(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True, eq=False)
class Corrected:
    r"""$D(y, \rho) = m(y, \rho) + s(\rho)\,F(y, m, s, \rho)$, a denoiser of rows of n entries.

    m is the posterior mean under a mixture of Gaussians, s the posterior standard deviation under
    the one Gaussian with its moments, F a network that begins at zero. Known entries are given
    back as they are.

    Args:
        law: of the rows, given what is known.
        linear: the same for one Gaussian.
        network: F, or None for the law alone.
        places: where the entries stand, handed to the network.
        levels: (rho_max, rho_min).
    """

    law: PosteriorMixture
    linear: PosteriorMixture
    network: nn.Module | None
    places: Any
    levels: tuple[float, float]

    @property
    def mean(self) -> Tensor:
        """(n,) of the law of the first row."""
        return self.law.log_weights[0].exp() @ self.law.means[0]

    @property
    def covariance(self) -> Tensor:
        """(n, n) of the law of the first row."""
        spectra, axes = self.law.spectra, self.law.axes
        if axes.ndim == 4:
            spectra, axes = spectra[0], axes[0]
        weights = self.law.log_weights[0].exp()
        off = torch.where(self._hidden, self.law.means[0] - self.mean, 0.0)
        within = torch.einsum("k,kij,kj,klj->il", weights, axes, spectra, axes)
        return within + torch.einsum("k,ki,kj->ij", weights, off, off)

    @property
    def _hidden(self) -> Tensor:
        return self.law.hidden if self.law.hidden.ndim == 1 else self.law.hidden[0]

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean, (B, n), at one level for all entries, or one per row (B, 1).

        Raises:
            InputError: for levels by entry.
        """
        level = isotropic(rho, y)
        if level is None:
            raise InputError("this denoiser takes one level for all entries; give a number")
        return self.moments(y, level.expand(y.shape[0], 1))[0]

    def moments(self, y: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior mean, and the scale s of its correction, (B, n) each."""
        mean, sd = self.law.moments(y, rho)
        if self.network is None:
            return mean, sd
        if self.linear is not self.law:
            sd = self.linear.moments(y, rho)[1]
        # the closed forms need double precision, which not every device has; the network does not
        device = home_of(self.network)
        places = None if self.places is None else self.places.to(device)
        entries = self._entries(y, rho, mean, sd).to(device)
        moved = self.network(entries, places).to(y)
        return mean + torch.where(self.law.hidden, sd * moved, 0.0), sd

    def _entries(self, y: Tensor, rho: Tensor, mean: Tensor, sd: Tensor) -> Entries:
        hidden = self.law.hidden.expand(y.shape)
        state = torch.where(hidden, y / (1 + rho.square()).sqrt(), mean)
        parts = (state, hidden, mean, sd.clamp(min=1e-6).log() / 4, rho.log() / 4)
        return Entries(*(part.float() for part in parts))
