"""How many Gaussians rows need, and the noise levels between which they are told apart."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.diffusion.mixture import GaussianMixture

_COUNTS = (1, 2, 4, 8, 16)
_ROWS_A_PART = 8
_PATIENCE = 2
_COUNTED = 0.02
_WIDEST, _FINEST, _LEAST = 10.0, 0.25, 1e-3


def choose_mixture(rows: Array, held_out: Array, n_components: Any, seed: int) -> GaussianMixture:
    """The mixture of `n_components` parts, or of as many as held-out rows are likeliest under.

    Args:
        rows, held_out: (N, D).
        n_components: a number or "auto".
        seed: of the starts.
    """
    if n_components != "auto":
        return GaussianMixture.fit(rows, int(n_components), random_state=seed)
    best, best_score, waited = None, -np.inf, 0
    for count in _COUNTS:
        if best is not None and (len(rows) < _ROWS_A_PART * count or waited == _PATIENCE):
            break
        mixture = fit_parts(rows, count, seed)
        score = float(mixture.log_prob(held_out).mean())
        waited = 0 if score > best_score else waited + 1
        if score > best_score or best is None:
            best, best_score = mixture, score
    return best  # type: ignore[return-value]


def fit_parts(rows: Array, count: int, seed: int) -> GaussianMixture:
    """A mixture of rows; that there are few of them is said of one part alone."""
    with warnings.catch_warnings():
        if count > 1:
            warnings.simplefilter("ignore", UserWarning)
        return GaussianMixture.fit(rows, count, random_state=seed)


def levels_for(mixture: GaussianMixture) -> tuple[float, float]:
    """rho_max, ten times the largest spread of the whole, and rho_min, a quarter of a local one.

    The local spread is the narrowest direction of any part that holds at least 2 % of the rows:
    that of the whole would hide narrow parts. Below 1/1000 nothing is resolved.
    """
    counted = mixture.weights >= min(_COUNTED, float(mixture.weights.max()))
    smallest = float(mixture.spectra[counted].min().sqrt())
    top = float(np.sqrt(np.linalg.eigvalsh(mixture.covariance.numpy())[-1]))
    return _WIDEST * top, max(_FINEST * smallest, _LEAST * top)
