"""Measures of the training data: centres, scales, gaps and variograms of the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.forecasting.calendar import shown_period
from trajinfer.forecasting.common_curve import CommonCurve
from trajinfer.forecasting.history import LeadUnits
from trajinfer.forecasting.observations import Channel, Observations
from trajinfer.forecasting.pairs import PairSource
from trajinfer.forecasting.structures import Structures
from trajinfer.forecasting.variogram import Variogram

_VARIOGRAM_PAIRS = 20_000
_FEWEST_SERIES, _MOST_VALUES = 3, 20_000
_MOST_OF_ONE = 1000


def measured(
    data: Observations,
    horizon: float,
    window: float,
    lags: tuple[int, ...],
    rng: np.random.Generator,
    weights: Array | None = None,
) -> LeadUnits:
    """Measure the channels; one without any value is taken as constant 0.

    The centres are means in which series count by their weights (B,), where there are any; all
    else is of all alike.
    """
    center, scale, gaps, variograms, periods, curves, structures = [], [], [], [], [], [], []
    span = float(np.max(data.spans))
    for c in range(data.values.shape[1]):
        channel = data.channel(c)
        own = Observations(channel.times, channel.values[:, None], channel.starts, data.statics)
        counts = None if weights is None else weights[own.series]
        mean = float(np.average(channel.values, weights=counts)) if len(channel.values) else 0.0
        size = float(channel.values.std()) if len(channel.values) else 0.0
        flat = not size > 1e-12 * max(abs(mean), 1e-300)
        steps = np.diff(channel.times)[np.diff(own.series) == 0]
        center.append(mean)
        scale.append(1.0 if flat else size)
        gaps.append(float(np.median(steps)) if len(steps) else horizon)
        periods.append(shown_period(channel, span))
        variograms.append(_variogram(own, horizon, rng))
        curves.append(None if np.isfinite(window) else _curve(channel, periods[-1]))
        structures.append(None if np.isfinite(window) else _structures(channel, periods[-1]))
    return LeadUnits(
        np.array(center),
        np.array(scale),
        np.array(gaps),
        horizon,
        tuple(variograms),
        window,
        lags,
        np.array(periods),
        tuple(curves),
        tuple(structures),
    )


def _curve(channel: Channel, period: float) -> CommonCurve | None:
    """None for few series, and for so many values that other experts learn any curve."""
    several = np.count_nonzero(np.diff(channel.starts)) >= _FEWEST_SERIES
    few = len(channel.values) <= _MOST_VALUES
    return CommonCurve.of(channel, period) if several and few else None


def _structures(channel: Channel, period: float) -> Structures | None:
    """For one series or two, and few values: of many other experts learn what they are made of."""
    several = np.count_nonzero(np.diff(channel.starts)) >= _FEWEST_SERIES
    few = 0 < len(channel.values) <= _MOST_OF_ONE
    return Structures.of(seasonal=period > 0) if few and not several else None


def _variogram(own: Observations, horizon: float, rng: np.random.Generator) -> Variogram:
    lead, increments = [], []
    for reach in (horizon, 4 * horizon):
        pairs = PairSource.of(own, reach).draw(rng, _VARIOGRAM_PAIRS, _VARIOGRAM_PAIRS)
        lead.append(own.times[pairs.target] - own.times[pairs.cut])
        increments.append(own.values[pairs.target, 0] - own.values[pairs.cut, 0])
    return Variogram.fit(np.concatenate(lead), np.concatenate(increments))


def places(names: Sequence[str], channels: Sequence[str]) -> tuple[int, ...]:
    """Places of the channels whose later values are known.

    Raises:
        InputError: for a name that is no channel.
    """
    missing = [name for name in names if name not in channels]
    if missing:
        raise InputError(
            f"future names {missing[0]!r}, which is no channel; the channels are "
            f"{', '.join(channels)}"
        )
    return tuple(channels.index(name) for name in names)
