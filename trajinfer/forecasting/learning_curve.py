r"""How held-out errors become smaller with the share of the data that was learned from.

After early origins little was known: a curve that all series follow had hardly begun. Errors that
fall with the known share $\kappa$ as $s\,\kappa^{-p}$ say by how much; the power is the most likely
one,

$$\max_{p \ge 0}\; -\tfrac K2 \log \sum_o k_o m_o \kappa_o^{2p} + p \sum_o k_o \log \kappa_o
- \frac{p^2}{8},$$

for origins of mean square m and k independent errors (K in all), and 0 where that gains less than
a unit. Errors are then counted in those of the last origin, never in smaller ones.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_POWERS = np.linspace(0.0, 4.0, 41)
_TYPICAL = 2.0
_CLEAR = 1.0


def falling_power(errors: Array, known: Array, n_independent: float) -> float:
    """The power p.

    Args:
        errors: (P, C) of held-out pairs, NaN = not observed.
        known: (P,) share of the data that each was predicted from.
        n_independent: number of independent errors of a channel; one at least for each origin.
    """
    origins, place = np.unique(known, return_inverse=True)
    if len(origins) < 2:
        return 0.0
    gains = []
    for own in errors.T:
        seen = ~np.isnan(own)
        count = np.bincount(place[seen], minlength=len(origins))
        total = np.bincount(place[seen], own[seen] ** 2, minlength=len(origins))
        used = (count > 0) & (total > 0)
        if used.sum() < 2:
            continue
        worth = np.maximum(n_independent * count[used] / count.sum(), 1.0)
        square, of = total[used] / count[used], np.log(origins[used])
        left = (worth * square) @ np.exp(2 * of[:, None] * _POWERS)
        gains.append(-0.5 * worth.sum() * np.log(left / left[0]) + _POWERS * (worth @ of))
    if not gains:
        return 0.0
    gain = np.mean(gains, axis=0) - 0.5 * (_POWERS / _TYPICAL) ** 2
    best = int(np.argmax(gain))
    return float(_POWERS[best]) if gain[best] > _CLEAR else 0.0


def growth_lately(errors: Array, weight: Array) -> Array:
    """Factors (C,) >= 1 by which errors that count more are larger than all.

    Errors that grew over time will not be as small again as they once were.
    """
    square = np.nan_to_num(errors**2)
    known = ~np.isnan(errors)
    mean, weighted = (
        (w[:, None] * square).sum(axis=0) / np.maximum((w[:, None] * known).sum(axis=0), 1e-300)
        for w in (np.ones(len(weight)), weight)
    )
    return np.asarray(np.sqrt(np.maximum(weighted / np.maximum(mean, 1e-300), 1.0)))
