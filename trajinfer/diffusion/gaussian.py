"""The best linear denoiser: exact for Gaussian data, the base of every network, the jump."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.diffusion.denoiser import Level, as_double, isotropic
from trajinfer.diffusion.noise import NoiseLaw, White
from trajinfer.diffusion.normals import standard_normals

_LOG_TWO_PI = math.log(2 * math.pi)


@packable
class WienerDenoiser:
    r"""$D = m + C (C + \rho^2 N)^{-1} (y - m)$.

    Args:
        mean: m, (D,).
        covariance: C, (D, D), symmetric and positive semi-definite; of points, or a kernel at the
            times of a series.
        noise: the law N(0, N) of the noise, white by default.

    Attributes:
        mean: (D,) float64; covariance: (D, D).
        spectrum: eigenvalues of C relative to N, (D,), largest last.

    Raises:
        InputError: if shapes differ or C is not positive semi-definite.

    Example:
        >>> WienerDenoiser([0.0], [[4.0]]).denoise(torch.tensor([[1.0]]), 2.0).item()
        0.5
    """

    def __init__(self, mean: Any, covariance: Any, noise: NoiseLaw | None = None) -> None:
        self.mean = as_double(mean)
        self.covariance = as_double(covariance)
        dim = self.mean.shape[-1] if self.mean.ndim else 0
        if self.mean.ndim != 1 or self.covariance.shape != (dim, dim):
            raise InputError(
                f"expected mean (D,) and covariance (D, D), got {tuple(self.mean.shape)} and "
                f"{tuple(self.covariance.shape)}"
            )
        self.noise: NoiseLaw = White() if noise is None else noise
        eye = torch.eye(dim, dtype=torch.float64)
        self._whiten = self.noise.whiten(eye).T
        whitened = self._whiten @ self.covariance @ self._whiten.T
        spectrum, axes = torch.linalg.eigh((whitened + whitened.T) / 2)
        if float(spectrum[0]) < -1e-8 * max(float(spectrum[-1]), 1e-300):
            raise InputError(
                "the covariance must be positive semi-definite, its smallest eigenvalue is "
                f"{float(spectrum[0]):.3g}; make it symmetric or shrink it"
            )
        self.spectrum = spectrum.clamp(min=0.0)
        self._to_axes = axes.T @ self._whiten
        self._from_axes = self.noise.colour(eye).T @ axes

    def to_state(self) -> dict[str, Any]:
        """The arguments."""
        return {"mean": self.mean, "covariance": self.covariance, "noise": self.noise}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """From `to_state`."""
        return cls(**state)

    @property
    def top_sd(self) -> float:
        """Largest standard deviation relative to the noise."""
        return math.sqrt(float(self.spectrum[-1]))

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean, (B, D)."""
        level = isotropic(rho, y)
        if level is None:
            return self._denoise_entries(y, torch.as_tensor(rho, dtype=y.dtype, device=y.device))[0]
        gain = self.spectrum.to(y) / (self.spectrum.to(y) + level.square())
        return self.mean.to(y) + self._back(gain * self._forth(y))

    def posterior_sd(self, y: Tensor, rho: Level) -> Tensor:
        """Standard deviation of every entry given y: (D,), (1, D) or (B, D) as rho is."""
        level = isotropic(rho, y)
        if level is None:
            return self._denoise_entries(y, torch.as_tensor(rho, dtype=y.dtype, device=y.device))[1]
        spectrum = self.spectrum.to(y)
        left = spectrum * level.square() / (spectrum + level.square())
        result: Tensor = (left @ self._from_axes.to(y).square().T).sqrt()
        return result

    def flow(self, y: Tensor, rho: float, rho_to: float) -> Tensor:
        """The probability flow of the Gaussian law from one level to another, exact."""
        spectrum = self.spectrum.to(y)
        factor = ((spectrum + rho_to**2) / (spectrum + rho**2)).sqrt()
        return self.mean.to(y) + self._back(factor * self._forth(y))

    def log_prob(self, y: Tensor, rho: float = 0.0) -> Tensor:
        """Log-density of the law with noise, (B,)."""
        variance = self.spectrum.to(y) + rho**2
        square = (self._forth(y).square() / variance).sum(-1)
        log_det = variance.log().sum() + 2 * self.noise.log_det()
        result: Tensor = -0.5 * (square + log_det + y.shape[-1] * _LOG_TWO_PI)
        return result

    def draw(self, n: int, rho: float, generator: torch.Generator) -> Tensor:
        """N rows of the law with noise, (n, D) float64."""
        z = standard_normals((n, self.mean.shape[0]), generator, self.mean)
        return self.mean + self._back((self.spectrum + rho**2).sqrt() * z)

    def _forth(self, y: Tensor) -> Tensor:
        result: Tensor = (y - self.mean.to(y)) @ self._to_axes.to(y).T
        return result

    def _back(self, coordinates: Tensor) -> Tensor:
        result: Tensor = coordinates @ self._from_axes.to(coordinates).T
        return result

    def _denoise_entries(self, y: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and sd where entries have levels of their own: rho (D,) or (B, D), 0 = known."""
        covariance = self.covariance.to(y)
        scale = rho[..., :, None] * rho[..., None, :]
        eye = torch.eye(y.shape[-1], dtype=y.dtype, device=y.device)
        coloured = self.noise.colour(eye)
        total = covariance + scale * (coloured.T @ coloured)
        ridge = 1e-12 * covariance.diagonal().mean() * eye
        gain = torch.linalg.solve(total + ridge, covariance.expand(total.shape)).mT
        off = (y - self.mean.to(y))[..., None]
        mean = self.mean.to(y) + (gain @ off)[..., 0]
        left = (covariance - gain @ covariance).diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
        return torch.where(rho > 0, mean, y), torch.where(rho > 0, left, 0.0)
