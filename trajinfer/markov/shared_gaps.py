"""Transition matrices and integrals of several rate matrices over the same gaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.markov.spectrum import FEW_GAPS, Spectra, spectra_of
from trajinfer.markov.transitions import convolution_by_regime, transition_matrices


@dataclass(frozen=True, eq=False)
class SharedGaps:
    """C rate matrices, and G gaps that all of them see.

    Attributes:
        rates: (C, S, S).
        gaps: (G,).
        quick: whether about nine digits suffice.
    """

    rates: Array
    gaps: Array
    quick: bool

    @cached_property
    def _spectra(self) -> Spectra | None:
        return spectra_of(self.rates) if self.quick and len(self.gaps) > FEW_GAPS else None

    @cached_property
    def _decays(self) -> Array:
        return np.zeros(0) if self._spectra is None else self._spectra.decays(self.gaps)

    @cached_property
    def _owner(self) -> Array:
        return np.repeat(np.arange(len(self.rates)), len(self.gaps))

    @cached_property
    def matrices(self) -> Array:
        """(C, G, S, S) transition matrices."""
        if self._spectra is not None:
            return self._spectra.all_matrices(self._decays)
        single = len(self.rates) == 1
        rates = self.rates[0] if single else self.rates[self._owner]
        flat = transition_matrices(rates, np.tile(self.gaps, len(self.rates)))
        return flat.reshape(len(self.rates), len(self.gaps), *self.rates.shape[1:])

    def integrals(self, weights: Array) -> Array:
        """(C, S, S) sums over the gaps with weights (C, G, S, S), see `transitions.convolution`."""
        if self._spectra is not None:
            return self._spectra.all_convolutions(self._decays, self.gaps, weights)
        flat = weights.reshape(-1, *self.rates.shape[1:])
        gaps = np.tile(self.gaps, len(self.rates))
        return convolution_by_regime(self.rates, self._owner, gaps, flat)
