r"""Columns by which linear experts learn the curve that the series of a panel have in common.

A curve f that is straight between knots moves by

$$f(t + h) - f(t) = \sum_j f'_j \, w_j(t, h)$$

where $w_j$ is the time that the lead spends in stretch j of the clock of `CommonCurve`. A linear
expert learns the slopes $f'_j$ from these columns, and growth in proportion to the level from their
products with the last value. Products of features with the lead alone have the same slope at
every age.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import LeadUnits


def stretch_columns(asked: Questions, units: LeadUnits, index: int) -> Array:
    """Columns (P, 2 J) of one channel in units of the expected size; (P, 0) without a curve.

    They are the times in the J stretches, and these times the last value from the mean, in
    standard deviations.
    """
    curve = units.curves[index]
    if curve is None:
        return np.zeros((len(asked), 0))
    past = asked.history
    seen = ~np.isnan(past.age[:, index])
    here = past.time - np.where(seen, past.age[:, index], 0.0)
    first = np.where(seen, past.states[index].first[past.row], here)
    begin, end = (curve.clock(times, first) for times in (here, past.time + asked.lead))
    spent = _until(end, curve.knots) - _until(begin, curve.knots)
    spent *= (units.scale[index] / asked.size[:, index])[:, None]
    level = (past.last[:, index] - units.center[index]) / units.scale[index]
    return np.concatenate([spent, spent * level[:, None]], axis=1)


def _until(clock: Array, knots: Array) -> Array:
    """Part (P, J) of the clock in every stretch; the first and the last one have no end."""
    edges = np.concatenate([[-np.inf], knots, [np.inf]])
    low = np.where(np.isfinite(edges[:-1]), edges[:-1], 0.0)
    return np.asarray(np.clip(clock[:, None], edges[:-1], edges[1:]) - low)
