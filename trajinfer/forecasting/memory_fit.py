"""Memory of one channel's errors along the lead, by the likelihood of pairs of leads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from trajinfer._core.checks import Array
from trajinfer.forecasting.inertia import overlap
from trajinfer.forecasting.pair_likelihood import PairLikelihood

_SMALLEST_FLOOR = 1e-6
_FEWEST_PAIRS = 10
_MOST_PAIRS = 8000
_BOUNDS = ((-5.0, 3.0), (-7.0, 4.0), (-6.0, 6.0))
_MASS_BOUNDS = (-3.0, 0.0)
_MASS_START = -1.6


@dataclass(frozen=True)
class MemoryFit:
    """Memory of one channel.

    Attributes:
        gamma, theta: as in `LeadProcess`.
        white: share in [0, 1] of the largest white variance that the spread allows.
        mass: as in `LeadProcess`.
    """

    gamma: float
    theta: float
    white: float
    mass: float = 0.0


def fit_memory(
    z: Array,
    later_z: Array,
    lead: Array,
    later_lead: Array,
    floor: Array,
    later_floor: Array,
    n_independent: float = np.inf,
) -> MemoryFit:
    r"""Maximum likelihood of pairs of standard normal errors of one cut at two leads.

    A mass is taken where it raises the log-likelihood of n independent pairs by more than
    $\tfrac12 \log n$ (Schwarz).

    Args:
        z, later_z: (P,) errors.
        lead, later_lead: (P,) leads > 0, the first not larger.
        floor, later_floor: (P,) shares of the variance that do not vanish with the lead; the white
            share at a lead is `white` times this.
        n_independent: n, at most P.
    """
    if len(z) < _FEWEST_PAIRS:
        return MemoryFit(0.5, 0.0, 0.0)
    keep = slice(None, None, -(-len(z) // _MOST_PAIRS))
    z, later_z, floor, later_floor = z[keep], later_z[keep], floor[keep], later_floor[keep]
    log_ratio, gap = np.log(later_lead[keep] / lead[keep]), later_lead[keep] - lead[keep]
    noisy = bool((floor > _SMALLEST_FLOOR).any())
    loss = PairLikelihood(z, later_z, log_ratio, gap, floor, later_floor, noisy)
    starts = sorted(
        map(np.array, itertools.product((-2.0, -0.7), (-4.0, 0.7), (-2.0, 2.0))),
        key=lambda raw: loss(raw)[0],
    )
    fits = [
        minimize(loss, start, jac=True, method="L-BFGS-B", bounds=_BOUNDS) for start in starts[:3]
    ]
    light = min(fits, key=lambda fit: float(fit.fun))
    start = np.append(light.x, _MASS_START)
    bounds = (*_BOUNDS, _MASS_BOUNDS)
    heavy = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    n = min(n_independent, len(z))
    gain = n * (float(light.fun) - float(heavy.fun))
    return MemoryFit(*loss.parameters(heavy.x if gain > 0.5 * np.log(n) else light.x))


def drive_correlation(observed: Array, gamma: Array, mass: Array | float = 0.0) -> Array:
    r"""Correlation of the Brownian motions that gives channels of equal ages the one observed.

    Observed correlations divided by `inertia.overlap`, which is
    $2 \sqrt{\gamma_c \gamma_d} / (\gamma_c + \gamma_d)$ without mass, moved to the nearest
    correlation matrix by its positive eigenvalues.
    """
    shared = overlap(gamma, np.broadcast_to(np.asarray(mass, dtype=float), gamma.shape))
    wanted = observed / shared
    wanted = np.clip(0.5 * (wanted + wanted.T), -0.999, 0.999)
    np.fill_diagonal(wanted, 1.0)
    values, vectors = np.linalg.eigh(wanted)
    positive = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    size = np.sqrt(np.diag(positive))
    return np.asarray(positive / (size[:, None] * size[None, :]))
