r"""How many independent errors as many dependent ones are worth.

The mean square of N normal errors with autocorrelations $\rho_j$ varies as that of

$$n = \frac{N}{1 + 2 \sum_j \rho_j^2}$$

independent ones (Bartlett, J. R. Stat. Soc. Suppl. 8 (1946), 27). Forecasts a lead ahead from
neighbouring cuts of a walk share their errors: n is 1.5 times the number of such leads in the
series. Those of values that forget each other do not, however far ahead.

Errors of several series at one time may be alike in other ways; theirs are counted by stretches.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.pairs import Pairs

_FEWEST = 8


def independent_errors(errors: Array, share: Array, pairs: Pairs, stretches: float) -> Array | None:
    """Numbers (3, C) by third of the horizon, never below that of stretches of its end.

    None for several series, whose errors at one time may be alike.

    Args:
        errors: (P, C) standardised, NaN = not observed.
        share: (P, C) leads as shares of the horizon.
        pairs: the rows they stand for.
        stretches: number of stretches of a horizon in them.
    """
    if pairs.series.min(initial=0) != pairs.series.max(initial=0):
        return None
    least = np.repeat(stretches * 3.0 / np.arange(1, 4)[:, None], errors.shape[1], axis=1)
    if pairs.series.min(initial=0) != pairs.series.max(initial=0):
        return least
    found = least.copy()
    for c in range(errors.shape[1]):
        known = ~np.isnan(errors[:, c])
        third = np.clip((3 * share[:, c]).astype(int), 0, 2)
        for k in range(3):
            rows = np.flatnonzero(known & (third == k))
            distance = np.abs(share[rows, c] - (k + 0.5) / 3)
            rows = rows[np.lexsort((distance, pairs.cut[rows]))]
            rows = rows[np.unique(pairs.cut[rows], return_index=True)[1]]
            if len(rows) >= _FEWEST:
                found[k, c] = _worth(errors[rows, c], stretches)
    return np.maximum(found, least)


def _worth(errors: Array, stretches: float) -> float:
    """Independent errors that one per cut (n,) are worth; correlations by chance are taken off."""
    square, total = float(np.mean(errors**2)), 1.0
    for lag in range(1, min(len(errors) // 2, int(np.ceil(len(errors) / stretches))) + 1):
        shared = float(np.mean(errors[lag:] * errors[:-lag])) / max(square, 1e-300)
        total += 2 * max(shared**2 - 1 / (len(errors) - lag), 0.0)
    return len(errors) / total
