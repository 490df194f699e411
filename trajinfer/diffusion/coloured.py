"""A denoiser for white noise, used under noise that is a process."""

from __future__ import annotations

from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer.diffusion.denoiser import Level, isotropic
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.noise import NoiseLaw


class ColouredMixture:
    r"""The exact denoiser of a mixture under noise N(0, N): $D(y) = L D_w(L^{-1} y)$.

    Args:
        mixture: law of the data.
        noise: law of the noise, of one series.

    Attributes:
        mean, covariance: moments of the data.
        whitened: the law of $L^{-1} x$.
    """

    def __init__(self, mixture: GaussianMixture, noise: NoiseLaw) -> None:
        self.mixture, self.noise = mixture, noise
        self.mean, self.covariance = mixture.mean, mixture.covariance
        eye = mixture.covariance.new_ones(mixture.dim).diag()
        self.whitened = mixture.affine(noise.whiten(eye).T)
        self.smallest_sd = self.whitened.smallest_sd

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean, (B, D).

        Raises:
            InputError: for levels by entry.
        """
        if isotropic(rho, y) is None:
            raise InputError("noise that is a process has one level for all entries")
        return self.noise.colour(self.whitened.denoise(self.noise.whiten(y), rho))

    def log_prob(self, y: Tensor, rho: Level = 0.0) -> Tensor:
        """Log-density of the law with noise, (B,)."""
        return self.whitened.log_prob(self.noise.whiten(y), rho) - self.noise.log_det()
