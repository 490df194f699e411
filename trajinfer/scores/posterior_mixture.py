"""What is left to know of rows of a Gaussian mixture, given some of their entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

_JITTER = 1e-9


@dataclass(frozen=True)
class PosteriorMixture:
    r"""The law of B rows of n entries given the known ones, as mixtures of K Gaussians.

    Known entries have no variance left; their mean is their value. Where all rows
    know the same entries, they share spectra and axes.

    Attributes:
        log_weights: (B, K).
        means: (B, K, n).
        spectra: eigenvalues of the covariances, (K, n) or (B, K, n).
        axes: eigenvectors in columns, (K, n, n) or (B, K, n, n).
        hidden: (n,) or (B, n) bool, entries that are not known.
    """

    log_weights: Tensor
    means: Tensor
    spectra: Tensor
    axes: Tensor
    hidden: Tensor

    @classmethod
    def of(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, known: Tensor, values: Tensor
    ) -> Self:
        """Condition parts on entries.

        Args:
            weights: (K,).
            means: (K, n) or (B, K, n).
            covariances: (K, n, n), or (B, K, n, n) where every row has its own.
            known: (n,) or (B, n) bool; the second needs covariances of every row.
            values: (B, n), read where known.
        """
        if not bool(known.any()):
            return cls._prior(weights, means, covariances, known, len(values))
        seen = known.to(means.dtype)
        row = seen if seen.ndim == 1 else seen[:, None]
        both = row[..., :, None] * row[..., None, :]
        scale = covariances.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        eye = torch.eye(means.shape[-1], dtype=means.dtype)
        within = covariances * both + (1 - row[..., None] + _JITTER * scale) * eye
        factor = torch.linalg.cholesky(within)
        cross = covariances * row[..., None, :]
        gain = torch.cholesky_solve(cross.mT, factor).mT
        shared = gain.ndim == 3
        off = torch.where(known, values, 0.0)[:, None] - means * row
        reach = torch.einsum("bkn,kmn->bkm" if shared else "bkn,bkmn->bkm", off, gain)
        columns = off.permute(1, 2, 0) if shared else off[..., None]
        solved = torch.linalg.solve_triangular(factor, columns, upper=False)
        square = solved.square().sum(-2).T if shared else solved.square().sum((-2, -1))
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        left = (covariances - gain @ cross.mT) * (1 - row)[..., :, None] * (1 - row)[..., None, :]
        spectra, axes = torch.linalg.eigh((left + left.mT) / 2)
        hidden = ~known
        moved = torch.where(
            hidden if hidden.ndim == 1 else hidden[:, None], means + reach, values[:, None]
        )
        return cls(
            torch.log_softmax(weights.log() - 0.5 * square - log_det, -1),
            moved,
            spectra.clamp(min=0.0),
            axes,
            hidden,
        )

    @classmethod
    def _prior(
        cls, weights: Tensor, means: Tensor, covariances: Tensor, known: Tensor, n_rows: int
    ) -> Self:
        """The law of rows of which nothing is known."""
        spectra, axes = torch.linalg.eigh((covariances + covariances.mT) / 2)
        parts = means.expand(n_rows, *means.shape[-2:])
        shares = torch.log_softmax(weights.log(), -1).expand(n_rows, -1)
        return cls(shares, parts, spectra.clamp(min=0.0), axes, ~known)

    def moments(self, y: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the clean entries given y (B, n) at levels rho (B, 1)."""
        shared = self.axes.ndim == 3
        axes, spectra = self.axes.to(y.dtype), self.spectra.to(y.dtype)
        hidden = self.hidden if self.hidden.ndim == 1 else self.hidden[:, None]
        off = torch.where(hidden, y[:, None] - self.means.to(y.dtype), 0.0)
        coordinates = torch.einsum("bkn,knj->bkj" if shared else "bkn,bknj->bkj", off, axes)
        square = rho.square()[..., None]
        variances = spectra + square
        distance = (coordinates.square() / variances).sum(-1)
        logits = self.log_weights.to(y.dtype) - 0.5 * (distance + variances.log().sum(-1))
        share = torch.softmax(logits, -1)[..., None]
        back = "bkj,knj->bkn" if shared else "bkj,bknj->bkn"
        means = self.means.to(y.dtype) + torch.einsum(back, coordinates * spectra / variances, axes)
        mean = (share * means).sum(1)
        left = torch.einsum(back, spectra * square / variances, axes.square())
        spread = (share * (left + (means - mean[:, None]).square())).sum(1)
        return mean, spread.clamp(min=0.0).sqrt()

    def expanded(self, n: int) -> Self:
        """The law of one row for n rows."""
        return type(self)(
            self.log_weights.expand(n, -1),
            self.means.expand(n, -1, -1),
            self.spectra,
            self.axes,
            self.hidden,
        )
