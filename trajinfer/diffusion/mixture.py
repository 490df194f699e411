"""Gaussian mixtures: the denoiser, densities and conditionals in closed form."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.denoiser import Level, as_double, isotropic
from trajinfer.diffusion.em import SHRINKAGE, fit_mixture
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.normals import standard_normals
from trajinfer.diffusion.observation import LinearObservation

_LOG_TWO_PI = math.log(2 * math.pi)


@packable
class GaussianMixture:
    """A mixture of K Gaussians in D dimensions as a model and an exact denoiser.

    Args:
        weights: (K,), positive; they are normalised.
        means: (K, D).
        covariances: (K, D, D).

    Attributes:
        weights, means, covariances: as given, float64.
        mean, covariance: moments of the whole, (D,) and (D, D).
        smallest_sd: of the narrowest direction of any part.

    Raises:
        InputError: if shapes differ or a covariance is not positive definite.

    Example:
        >>> mixture = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.01]], [[0.01]]])
        >>> round(mixture.denoise(torch.tensor([[0.8]]), 0.1).item(), 6)
        0.9
    """

    def __init__(self, weights: Any, means: Any, covariances: Any) -> None:
        self.weights = as_double(weights)
        self.means, self.covariances = as_double(means), as_double(covariances)
        self._check()
        self.weights = self.weights / self.weights.sum()
        symmetric = (self.covariances + self.covariances.mT) / 2
        self._spectra, self._axes = torch.linalg.eigh(symmetric)
        if bool((self._spectra <= 0).any()):
            part = int((self._spectra[:, 0]).argmin())
            raise InputError(
                f"the covariance of part {part} is not positive definite (smallest eigenvalue "
                f"{float(self._spectra[part, 0]):.3g}); shrink it or drop constant columns"
            )
        self.mean = self.weights @ self.means
        off = self.means - self.mean
        self.covariance = torch.einsum("k,kde->de", self.weights, symmetric) + torch.einsum(
            "k,kd,ke->de", self.weights, off, off
        )
        self.smallest_sd = math.sqrt(float(self._spectra.min()))
        k, dim = self.means.shape
        self._wide = self._axes.permute(1, 0, 2).reshape(dim, k * dim)
        self._centre = torch.einsum("kd,kde->ke", self.means, self._axes)

    def to_state(self) -> dict[str, Any]:
        """The arguments."""
        return {"weights": self.weights, "means": self.means, "covariances": self.covariances}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """From `to_state`."""
        return cls(**state)

    @classmethod
    def fit(
        cls,
        X: Any,
        n_components: int = 1,
        *,
        shrinkage: float = SHRINKAGE,
        random_state: RandomState = 0,
    ) -> Self:
        """Fit by EM in the principal subspace, with covariances shrunk to the pooled one.

        Args:
            X: rows (N, D), all known.
            n_components: K.
            shrinkage: how many rows the pooled covariance counts for in that of every part, > 0.
            random_state: seed of the first parts.

        Raises:
            InputError: for rows or numbers that cannot be used.
        """
        return cls(*fit_mixture(X, n_components, seed_from(random_state), shrinkage))

    @property
    def dim(self) -> int:
        """D."""
        return int(self.means.shape[1])

    @property
    def spectra(self) -> Tensor:
        """Eigenvalues of the covariances, rising, (K, D)."""
        spectra: Tensor = self._spectra
        return spectra

    @cached_property
    def linear(self) -> WienerDenoiser:
        """The best linear denoiser under white noise."""
        return WienerDenoiser(self.mean, self.covariance)

    def moments_matched(self) -> GaussianMixture:
        """The one Gaussian with the same mean and covariance."""
        return GaussianMixture([1.0], self.mean[None], self.covariance[None])

    def denoise(self, y: Tensor, rho: Level) -> Tensor:
        """The posterior mean of x given y = x + rho xi, (B, D), in the dtype of y."""
        level = isotropic(rho, y)
        if level is None:
            return self._denoise_entries(y, torch.as_tensor(rho, dtype=y.dtype, device=y.device))
        responsibility, coordinates, variances = self._parts(y, level)
        spectra = self._spectra.to(y)
        pulled = responsibility[..., None] * coordinates * (spectra / variances)
        back = pulled.flatten(-2) @ self._wide.to(y).T
        result: Tensor = responsibility @ self.means.to(y) + back
        return result

    def log_prob(self, y: Any, rho: Level = 0.0) -> Tensor:
        """Log-density of the law with white noise of level rho, (B,)."""
        state = y if isinstance(y, Tensor) else as_double(y)
        level = isotropic(rho, state)
        if level is None:
            raise InputError("log_prob takes one level for all entries; give a number or (B, 1)")
        return torch.logsumexp(self._log_parts(state, level)[0], -1)

    def sample(self, n: int, rho: float = 0.0, random_state: RandomState = None) -> Tensor:
        """N draws of the law with white noise of level rho, (n, D)."""
        generator = torch_generator(seed_from(random_state))
        part = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = standard_normals((n, self.dim), generator, self.means)
        scaled = (self._spectra[part] + rho**2).sqrt() * z
        result: Tensor = self.means[part] + (self._axes[part] @ scaled[..., None])[..., 0]
        return result

    def log_parts(self, y: Tensor) -> Tensor:
        """Logarithm of weight times density of every part at rows y, (B, K)."""
        return self._log_parts(y, y.new_zeros(()))[0]

    def responsibilities(self, y: Tensor, rho: Level = 0.0) -> Tensor:
        """Probability of every part given y, (B, K)."""
        return torch.softmax(
            self._log_parts(y, torch.as_tensor(rho, dtype=y.dtype, device=y.device))[0], -1
        )

    def posterior(self, observation: LinearObservation) -> GaussianMixture:
        """The law of x given a linear observation: again a mixture."""
        observation.require_width(self.dim)
        H = observation.H
        cross = self.covariances @ H.T
        evidence = H @ cross + observation.R
        gain = torch.linalg.solve(evidence, cross.mT).mT
        off = observation.y - self.means @ H.T
        means = self.means + (gain @ off[..., None])[..., 0]
        covariances = self.covariances - gain @ cross.mT
        factor = torch.linalg.cholesky(evidence)
        z = torch.linalg.solve_triangular(factor, off[..., None], upper=False)[..., 0]
        log_w = self.weights.log() - 0.5 * z.square().sum(-1)
        log_w = log_w - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return GaussianMixture(torch.softmax(log_w, 0), means, (covariances + covariances.mT) / 2)

    def log_evidence(self, observation: LinearObservation) -> float:
        """Log-density of a linear observation under the mixture."""
        observation.require_width(self.dim)
        H = observation.H
        seen = H @ self.covariances @ H.T + observation.R
        return float(
            GaussianMixture(self.weights, self.means @ H.T, seen).log_prob(observation.y[None])
        )

    def tilt(self, direction: Any) -> GaussianMixture:
        """The law proportional to p(x) exp(b'x): again a mixture.

        Args:
            direction: b, (D,).
        """
        b = as_double(direction)
        shift = self.covariances @ b
        log_w = self.weights.log() + self.means @ b + 0.5 * shift @ b
        return GaussianMixture(torch.softmax(log_w, 0), self.means + shift, self.covariances)

    def affine(self, matrix: Any, offset: Any = 0.0) -> GaussianMixture:
        """The law of A x + b."""
        A = as_double(matrix)
        means = self.means @ A.T + as_double(offset)
        return GaussianMixture(self.weights, means, A @ self.covariances @ A.T)

    def _parts(self, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, coordinates, variances = self._log_parts(y, level)
        return torch.softmax(logits, -1), coordinates, variances

    def _log_parts(self, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log of weight times density (B, K), coordinates in the axes of parts, variances."""
        k, dim = self.means.shape
        flat = y @ self._wide.to(y)
        coordinates = flat.reshape(*y.shape[:-1], k, dim) - self._centre.to(y)
        square = level.square() if level.ndim == 0 else level.square()[..., None]
        variances = self._spectra.to(y) + square
        log_norm = self.weights.to(y).log() - 0.5 * variances.log().sum(-1)
        distance = (coordinates.square() / variances).sum(-1)
        return log_norm - 0.5 * (distance + dim * _LOG_TWO_PI), coordinates, variances

    def _denoise_entries(self, y: Tensor, rho: Tensor) -> Tensor:
        """The posterior mean where entries have levels of their own; level 0 = known."""
        S = self.covariances.to(y)
        total = S + torch.diag_embed(rho.square())[..., None, :, :]
        factor = torch.linalg.cholesky(total)
        off = (y[..., None, :] - self.means.to(y))[..., None]
        solved = torch.cholesky_solve(off, factor)
        log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        square = (off * solved).sum((-2, -1))
        logits = self.weights.to(y).log() - 0.5 * (square + log_det)
        means = self.means.to(y) + (S @ solved)[..., 0]
        return (torch.softmax(logits, -1)[..., None] * means).sum(-2)

    def _check(self) -> None:
        k, dim = self.means.shape if self.means.ndim == 2 else (0, 0)
        if not k or self.weights.shape != (k,) or self.covariances.shape != (k, dim, dim):
            raise InputError(
                "expected weights (K,), means (K, D) and covariances (K, D, D), got "
                f"{tuple(self.weights.shape)}, {tuple(self.means.shape)} and "
                f"{tuple(self.covariances.shape)}"
            )
        if not bool((self.weights > 0).all()):
            raise InputError("weights must be positive; leave out parts without weight")
        if not all(bool(torch.isfinite(p).all()) for p in (self.means, self.covariances)):
            raise InputError("means and covariances must be finite")
