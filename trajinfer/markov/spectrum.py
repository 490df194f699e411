"""Transition matrices and their integrals by eigenvectors: quick where many gaps differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.markov.transitions import convolution_by_regime, transition_matrices

_WORST_CONDITION = 1e6
FEW_GAPS = 4
_CHUNK = 20_000
_CLOSE = 1e-3


@dataclass(frozen=True, eq=False)
class Spectra:
    r"""R rate matrices as $F_r = V_r \Lambda_r V_r^{-1}$.

    Digits are lost where eigenvectors are nearly parallel, and relative ones where a probability
    is tiny; so they serve the steps of a sampler or a search, and exact exponentials its end.

    Attributes:
        values: (R, S) eigenvalues.
        vectors, inverse: (R, S, S).
        accurate: (R,) bool, False where more than about ten digits of the 16 may be lost.
    """

    values: Array
    vectors: Array
    inverse: Array
    accurate: Array

    @classmethod
    def of(cls, rates: Array) -> Self:
        """The decompositions of (R, S, S)."""
        finite = np.asarray(np.isfinite(rates).all(axis=(1, 2)))
        values, vectors = np.linalg.eig(np.where(finite[:, None, None], rates, 0.0))
        singular: Array = np.abs(np.linalg.det(vectors)) < 1 / _WORST_CONDITION**2
        vectors = np.where(singular[:, None, None], np.eye(rates.shape[1]), vectors)
        inverse = np.linalg.inv(vectors)
        size = np.linalg.norm(vectors, axis=(1, 2)) * np.linalg.norm(inverse, axis=(1, 2))
        return cls(values, vectors, inverse, finite & ~singular & (size < _WORST_CONDITION))

    def decays(self, gaps: Array) -> Array:
        r"""(R, G, S) $e^{\lambda \Delta}$."""
        return np.asarray(np.exp(self.values[:, None, :] * gaps[:, None]))

    def all_matrices(self, decays: Array) -> Array:
        """(R, G, S, S) transition matrices of every rate matrix at every gap."""
        n = self.values.shape[1]
        product = (decays @ self._projections).real
        return np.asarray(np.maximum(product, 0.0)).reshape(*decays.shape[:2], n, n)

    def all_convolutions(self, decays: Array, gaps: Array, weights: Array) -> Array:
        r"""(R, S, S) sums over the gaps with weights (R, G, S, S), as `transitions.convolution`.

        With $\phi_{kl}(\Delta) = \int_0^\Delta e^{\lambda_k s + \lambda_l (\Delta - s)} ds$ the
        sums $\sum_\Delta W_\Delta[i, j]\, \phi_{kl}(\Delta)$ are one product of matrices.
        """
        n = self.values.shape[1]
        n_rates, n_gaps = weights.shape[:2]
        difference = (self.values[:, :, None] - self.values[:, None, :])[:, None]
        exponent = difference * gaps[:, None, None]
        close = np.abs(exponent) < _CLOSE
        x = np.where(close, exponent, 0.0)
        series = 1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))
        left, right = decays[..., :, None], decays[..., None, :]
        quotient = (left - right) / np.where(close, 1.0, difference)
        phi = np.where(close, right * series * gaps[:, None, None], quotient)
        flat = weights.reshape(n_rates, n_gaps, n * n).transpose(0, 2, 1)
        sums = (flat @ phi.reshape(n_rates, n_gaps, n * n)).reshape(n_rates, n, n, n, n)
        total = np.einsum("rijkl,rik,rlj->rkl", sums, self.vectors, self.inverse)
        before, after = self.vectors.transpose(0, 2, 1), self.inverse.transpose(0, 2, 1)
        return np.asarray((after @ total @ before).real)

    @property
    def _projections(self) -> Array:
        """(R, S, S^2) outer products of right and left eigenvectors."""
        n = self.values.shape[1]
        parts = self.vectors.transpose(0, 2, 1)[:, :, :, None] * self.inverse[:, :, None, :]
        return parts.reshape(-1, n, n * n)

    def matrices(self, owner: Array, gaps: Array) -> Array:
        """(G, S, S) transition matrices of the gaps (G,) under the rates `owner` (G,)."""
        n = self.values.shape[1]
        decays = np.exp(self.values[owner] * gaps[:, None])
        parts = self._projections
        product = decays @ parts[0] if len(parts) == 1 else (decays[:, None] @ parts[owner])[:, 0]
        return np.asarray(np.maximum(product.real, 0.0).reshape(-1, n, n))

    def convolution(self, owner: Array, gaps: Array, weights: Array) -> Array:
        """(R, S, S) as `transitions.convolution_by_regime`."""
        before, after = self.vectors.transpose(0, 2, 1), self.inverse.transpose(0, 2, 1)
        if len(self.values) == 1:
            inner = before[0] @ weights @ after[0]
        else:
            inner = before[owner] @ weights @ after[owner]
        difference = self.values[:, :, None] - self.values[:, None, :]
        grows = difference.real > 0
        base = np.where(grows, self.values[:, :, None], self.values[:, None, :])[owner]
        rate = np.where(grows, -difference, difference)[owner]
        spans = gaps[:, None, None]
        flat = np.abs(rate) * spans < 1e-9
        quotient = np.where(flat, spans, np.expm1(rate * spans) / np.where(flat, 1.0, rate))
        total = np.zeros(self.vectors.shape, dtype=inner.dtype)
        np.add.at(total, owner, inner * np.exp(base * spans) * quotient)
        return np.asarray((after @ total @ before).real)


@lru_cache(maxsize=4)
def _spectra(values: bytes, shape: tuple[int, ...]) -> Spectra:
    return Spectra.of(np.frombuffer(values).reshape(shape))


def spectra_of(rates: Array) -> Spectra | None:
    """The decompositions of (R, S, S); None where one of them is not accurate."""
    spectra = _spectra(rates.tobytes(), rates.shape)
    return spectra if spectra.accurate.all() else None


def quick_transition_matrices(rates: Array, owner: Array, gaps: Array) -> Array:
    """Transition matrices (G, S, S), by eigenvectors where these are accurate.

    Args:
        rates: (R, S, S).
        owner: (G,) the rates r of each gap.
        gaps: (G,).
    """
    if len(gaps) <= FEW_GAPS:
        return transition_matrices(rates[owner], gaps)
    spectra = _spectra(rates.tobytes(), rates.shape)
    out = np.empty((len(gaps), *rates.shape[1:]))
    for start in range(0, len(gaps), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(gaps)))
        good = spectra.accurate[owner[rows]]
        fast, rest = rows[good], rows[~good]
        out[fast] = spectra.matrices(owner[fast], gaps[fast])
        if len(rest):
            out[rest] = transition_matrices(rates[owner[rest]], gaps[rest])
    return out


def quick_convolution(rates: Array, regime: Array, gaps: Array, weights: Array) -> Array:
    """`convolution_by_regime`, by eigenvectors where these are accurate."""
    if len(gaps) <= FEW_GAPS:
        return convolution_by_regime(rates, regime, gaps, weights)
    spectra = _spectra(rates.tobytes(), rates.shape)
    total = np.zeros(rates.shape)
    for start in range(0, len(gaps), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(gaps)))
        good = spectra.accurate[regime[rows]]
        fast, rest = rows[good], rows[~good]
        total += spectra.convolution(regime[fast], gaps[fast], weights[fast])
        if len(rest):
            total += convolution_by_regime(rates, regime[rest], gaps[rest], weights[rest])
    return total
