"""How many Gaussians rows need, and the noise levels between which they are told apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.diffusion.em import SHRINKAGE
from trajinfer.diffusion.mixture import GaussianMixture

_COUNTS = (1, 2, 4, 8, 16)
_ROWS_A_PART = 8
_PATIENCE = 2
_SHRINKAGES = (SHRINKAGE, 15.0, 4.0)
_COUNTED = 0.02
_WIDEST, _FINEST, _LEAST = 10.0, 0.25, 1e-3


def choose_mixture(
    rows: Array, held_out: Array, n_components: Any, seed: int, unseen: bool
) -> GaussianMixture:
    """The mixture under which held-out rows are likeliest, by its parts and their shrinkage.

    Args:
        rows, held_out: (N, D).
        n_components: a number of parts, or "auto".
        seed: of the starts.
        unseen: whether the held-out rows stay out of the fit that is returned.
    """
    counts = _COUNTS if n_components == "auto" else (int(n_components),)
    tried = (_best(rows, held_out, counts, shrinkage, seed) for shrinkage in _SHRINKAGES)
    best, *others = (one for one in tried if one is not None)
    for other in others:
        best = other if other.beats(best) else best
    if unseen:
        return best.mixture
    whole = np.concatenate([rows, held_out])
    return fit_parts(whole, len(best.mixture.weights), seed, best.shrinkage)


class _Tried(NamedTuple):
    mixture: GaussianMixture
    shrinkage: float
    log_p: Array

    def beats(self, other: _Tried) -> bool:
        """Whether held-out rows are likelier by more than a standard error: they may be few."""
        gain = self.log_p - other.log_p
        return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


def _best(
    rows: Array, held_out: Array, counts: Sequence[int], shrinkage: float, seed: int
) -> _Tried | None:
    """The likeliest of more and more parts, until more have not helped twice.

    One part has no other to be shrunk to: it is tried with the first shrinkage alone.
    """
    best, waited = None, 0
    for count in counts:
        if count == 1 and shrinkage != SHRINKAGE:
            continue
        if best is not None and (len(rows) < _ROWS_A_PART * count or waited == _PATIENCE):
            break
        mixture = fit_parts(rows, count, seed, shrinkage)
        log_p = mixture.log_prob(held_out).numpy()
        if best is None or log_p.mean() > best.log_p.mean():
            best, waited = _Tried(mixture, shrinkage, log_p), 0
        else:
            waited += 1
    return best


def fit_parts(rows: Array, count: int, seed: int, shrinkage: float = SHRINKAGE) -> GaussianMixture:
    """A mixture of rows; that there are few of them is said of one part alone."""
    with warnings.catch_warnings():
        if count > 1:
            warnings.simplefilter("ignore", UserWarning)
        return GaussianMixture.fit(rows, count, shrinkage=shrinkage, random_state=seed)


def levels_for(mixture: GaussianMixture) -> tuple[float, float]:
    """rho_max, ten times the largest spread of the whole, and rho_min, a quarter of a local one.

    The local spread is the narrowest direction of any part that holds at least 2 % of the rows:
    that of the whole would hide narrow parts. Below 1/1000 nothing is resolved.
    """
    counted = mixture.weights >= min(_COUNTED, float(mixture.weights.max()))
    smallest = float(mixture.spectra[counted].min().sqrt())
    top = float(np.sqrt(np.linalg.eigvalsh(mixture.covariance.numpy())[-1]))
    return _WIDEST * top, max(_FINEST * smallest, _LEAST * top)
