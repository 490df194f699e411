"""Coverage and sharpness of forecasts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.evaluation.series.interpolants import persistence
from trajinfer.metrics import crps


def calibration(
    forecast: Forecast, truth: Array, levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95)
) -> pd.DataFrame:
    r"""Share of the observed values inside the central intervals of each level.

    Args:
        forecast: of B series at T times.
        truth: (B, T, C) what came; NaN = not observed, left out.
        levels: probabilities of the intervals.

    Returns:
        Columns level, coverage, standard_error (binomial, as if the values were independent),
        width (mean) and n.

    Raises:
        InputError: if shapes disagree or nothing was observed.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> forecast = Forecast(rng.normal(size=(50, 400, 4, 1)), np.arange(4.0))
        >>> table = calibration(forecast, rng.normal(size=(50, 4, 1)), [0.9])
        >>> bool(abs(table.coverage[0] - 0.9) < 4 * table.standard_error[0])
        True
    """
    observed = _observed(forecast, truth)
    n = int(observed.sum())
    rows = []
    for level in levels:
        lower, upper = forecast.interval(level)
        inside = ((lower <= truth) & (truth <= upper))[observed].mean()
        width = (upper - lower)[observed].mean()
        rows.append((level, inside, np.sqrt(level * (1 - level) / n), width, n))
    return pd.DataFrame(rows, columns=["level", "coverage", "standard_error", "width", "n"])


def forecast_figures(forecast: Forecast, truth: Array) -> dict[str, float]:
    """Mean squared and absolute error of the mean, CRPS, and coverage of the 90 % intervals.

    Args:
        forecast: of B series at T times.
        truth: (B, T, C) what came; NaN = not observed, left out.

    Raises:
        InputError: if shapes disagree or nothing was observed.
    """
    observed = _observed(forecast, truth)
    error = (forecast.mean() - truth)[observed]
    samples = np.moveaxis(forecast.samples, 1, -1)[observed]  # (N, n)
    table = calibration(forecast, truth, [0.9])
    return {
        "mse": float((error**2).mean()),
        "mae": float(np.abs(error).mean()),
        "crps": float(np.mean(crps(samples.T, truth[observed]))),
        "coverage90": float(table.coverage[0]),
    }


def figures_beside_the_last_value(
    forecast: Forecast, past: IrregularSeries, truth: Array
) -> dict[str, float]:
    """The figures of `forecast_figures`, and the squared error of the last values.

    Args:
        forecast: of B series at T times.
        past: the series that it continues.
        truth: (B, T, C) what came; NaN = not observed, left out.

    Raises:
        InputError: if shapes disagree or nothing was observed.
    """
    observed = _observed(forecast, truth)
    error = (persistence(past, forecast.ts) - truth)[observed]
    figures = forecast_figures(forecast, truth)
    return {**figures, "mse_of_the_last_value": float((error**2).mean())}


def _observed(forecast: Forecast, truth: Array) -> Array:
    expected = (len(forecast), *forecast.samples.shape[2:])
    if truth.shape != expected:
        raise InputError(f"truth must be (B, T, C) = {expected}, got {truth.shape}")
    observed = np.isfinite(truth)
    if not observed.any():
        raise InputError("truth holds no observed value; there is nothing to compare with")
    return np.asarray(observed)
