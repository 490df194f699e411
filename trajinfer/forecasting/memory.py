"""Memory of held-out errors along the lead, and their correlation between channels."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import LeadUnits
from trajinfer.forecasting.lead_process import LeadProcess
from trajinfer.forecasting.memory_fit import drive_correlation, fit_memory
from trajinfer.forecasting.pairs import Pairs


def memory(
    z: Array, asked: Questions, pairs: Pairs, units: LeadUnits, n_independent: float
) -> tuple[LeadProcess, Array]:
    """The process of the errors, and the share of the noise floor that is new at every time.

    Args:
        z: (P, C) held-out errors as standard normal variables, NaN = not observed.
        asked: the questions.
        pairs: the rows they stand for; those of one cut stand together, by ascending lead.
        units: of the channels.
        n_independent: number of stretches of a horizon that errors are independent between.
    """
    floor = noise_floor(units, asked)
    lead = np.maximum(asked.own_lead / units.horizon, 1e-9)
    n_channels = z.shape[1]
    fits = []
    for c in range(n_channels):
        first, later = [], []
        for step in (1, 2):
            a, b = np.arange(len(z) - step), np.arange(step, len(z))
            same = (pairs.cut[a] == pairs.cut[b]) & (lead[b, c] > lead[a, c])
            both = same & ~np.isnan(z[a, c]) & ~np.isnan(z[b, c])
            first.append(a[both])
            later.append(b[both])
        a, b = np.concatenate(first), np.concatenate(later)
        fits.append(
            fit_memory(
                z[a, c], z[b, c], lead[a, c], lead[b, c], floor[a, c], floor[b, c], n_independent
            )
        )
    gamma, theta, white, mass = (
        np.array([getattr(f, name) for f in fits]) for name in ("gamma", "theta", "white", "mass")
    )
    observed = _correlation(z, np.sqrt(1 - white * floor))
    drive = drive_correlation(observed, gamma, mass)
    return LeadProcess(gamma, theta, drive, mass), white


def _correlation(z: Array, loading: Array) -> Array:
    """Correlation (C, C) of the part of the errors that is not white."""
    n_channels = z.shape[1]
    result = np.eye(n_channels)
    for c in range(n_channels):
        for d in range(c):
            both = ~np.isnan(z[:, c]) & ~np.isnan(z[:, d])
            if both.sum() >= 30:
                weight = (loading[both, c] * loading[both, d]).sum()
                norm = np.sqrt((z[both, c] ** 2).mean() * (z[both, d] ** 2).mean()) * weight
                result[c, d] = result[d, c] = (z[both, c] * z[both, d]).sum() / max(norm, 1e-12)
    return np.clip(result, -0.99, 0.99) + 0.01 * np.eye(n_channels)


def noise_floor(units: LeadUnits, asked: Questions) -> Array:
    """Shares (P, C) of the expected squares that do not vanish with the lead."""
    nugget = np.array([v.nugget for v in units.variograms])
    return np.asarray(np.minimum(nugget / asked.size**2, 1.0))
