"""Whether rows held out are likelier with sizes of innovations than without."""

from __future__ import annotations

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.scores.sized_fit import fit_sized
from trajinfer.scores.sized_law import SizedLaw

_FEWEST, _FEWEST_TIMES = 100, 4
_MOST_CELLS = 400
_JUDGED = 40
_ERRORS = 2.0


def sized_if_likelier(
    closed: GaussianMixture, rows: Array, held: Array, knots: Array, unchanging: Array, seed: int
) -> SizedLaw | None:
    """The law with sizes, fitted to all rows, where those held out are likelier under it.

    Likelier means by more than two standard errors. Densities are those of a row among rows that
    obey what never changes: a law that leaves it free is no worse for that.

    Args:
        closed: the law without sizes, fitted to `rows`.
        rows, held: (B, J, C) in standard units.
        knots: (J,) times.
        unchanging: (M, J C) orthonormal functions that are the same in all rows.
        seed: of the fit.
    """
    if len(rows) < _FEWEST or len(knots) < _FEWEST_TIMES or rows[0].size > _MOST_CELLS:
        return None
    sized = fit_sized(rows, knots, unchanging, seed)
    aside = held[:_JUDGED].reshape(-1, rows[0].size)
    with_sizes = [sized.log_density_of_row(row) for row in aside]
    gain = np.array(with_sizes) - _log_density_among(closed, aside, unchanging)
    if gain.mean() <= _ERRORS * gain.std(ddof=1) / np.sqrt(len(gain)):
        return None
    return fit_sized(np.concatenate([rows, held]), knots, unchanging, seed)


def _log_density_among(law: GaussianMixture, rows: Array, unchanging: Array) -> Array:
    """(B,) nats of rows (B, D) of a law, given what never changes."""
    whole = law.log_prob(torch.as_tensor(rows)).numpy()
    if not len(unchanging):
        return np.asarray(whole)
    v = torch.as_tensor(unchanging)
    across = GaussianMixture(law.weights, law.means @ v.T, v @ law.covariances @ v.T)
    return np.asarray(whole - across.log_prob(torch.as_tensor(rows @ unchanging.T)).numpy())
