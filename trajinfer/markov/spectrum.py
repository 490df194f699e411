"""Transition matrices and their integrals by eigenvectors: quick where many gaps differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.markov.transitions import convolution, transition_matrices

_WORST_CONDITION = 1e6
_FEW = 4


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""A rate matrix as $F = V \Lambda V^{-1}$.

    Digits are lost where eigenvectors are nearly parallel, and relative ones where a probability
    is tiny; so it serves the steps of a sampler, and the exact exponentials serve everything else.

    Attributes:
        values: (S,) eigenvalues.
        vectors, inverse: (S, S).
    """

    values: Array
    vectors: Array
    inverse: Array

    @classmethod
    def of(cls, rates: Array) -> Spectrum | None:
        """The decomposition, or None where it may lose more than about ten digits of the 16."""
        values, vectors = np.linalg.eig(rates)
        try:
            inverse = np.linalg.inv(vectors)
        except np.linalg.LinAlgError:
            return None
        condition = np.linalg.norm(vectors) * np.linalg.norm(inverse)
        return cls(values, vectors, inverse) if condition < _WORST_CONDITION else None

    def matrices(self, gaps: Array) -> Array:
        """(G, S, S) transition matrices."""
        decays = np.exp(self.values * gaps[:, None])
        product = (self.vectors * decays[:, None, :]) @ self.inverse
        return np.asarray(np.maximum(product.real, 0.0))

    def convolution(self, gaps: Array, weights: Array) -> Array:
        """As `transitions.convolution`."""
        inner = self.vectors.T @ weights @ self.inverse.T
        difference = self.values[:, None] - self.values
        grows = difference.real > 0
        base = np.where(grows, self.values[:, None], self.values)
        rate = np.where(grows, -difference, difference)
        spans = gaps[:, None, None]
        flat = np.abs(rate) * spans < 1e-9
        quotient = np.where(flat, spans, np.expm1(rate * spans) / np.where(rate == 0, 1.0, rate))
        total = (inner * np.exp(base * spans) * quotient).sum(axis=0)
        return np.asarray((self.inverse.T @ total @ self.vectors.T).real)


@lru_cache(maxsize=4)
def _spectrum(values: bytes, size: int) -> Spectrum | None:
    return Spectrum.of(np.frombuffer(values).reshape(size, size))


def _worthwhile(rates: Array, gaps: Array) -> Spectrum | None:
    return _spectrum(rates.tobytes(), len(rates)) if len(gaps) > _FEW else None


def quick_transition_matrices(rates: Array, gaps: Array) -> Array:
    """`transition_matrices` of rates (S, S), by eigenvectors where these are accurate."""
    spectrum = _worthwhile(rates, gaps)
    return transition_matrices(rates, gaps) if spectrum is None else spectrum.matrices(gaps)


def quick_convolution(rates: Array, gaps: Array, weights: Array) -> Array:
    """`convolution`, by eigenvectors where these are accurate."""
    spectrum = _worthwhile(rates, gaps)
    if spectrum is None:
        return convolution(rates, gaps, weights)
    return spectrum.convolution(gaps, weights)
