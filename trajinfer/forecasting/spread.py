"""The scale of the errors of a forecast: by lead, by level, or by what networks say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.history import LeadUnits
from trajinfer.forecasting.variogram import Variogram

_EXPONENTS = np.linspace(-1.0, 1.0, 41)
_TYPICAL_EXPONENT = 0.5
_STEEPEST_USUAL = 0.5
_FARTHEST_LEVEL = 2.0
_CLEAR = 1.0


@packable
@dataclass(frozen=True)
class Spread:
    r"""Scales of errors, $s(h, m) = \sqrt{v(h)}\; e^{b (m - \bar y) / \mathrm{sd}(y)}$ by default.

    Values that vary more where they are high, such as counts and concentrations, have b > 0.

    Attributes:
        of_lead: v of each channel.
        exponent: (C,) b; the level counts up to two standard deviations from the mean.
        learned: (C,) bool, whether the scale is that of the networks instead.
    """

    of_lead: tuple[Variogram, ...]
    exponent: Array
    learned: Array

    def __call__(
        self, asked: Questions, mean: Array, units: LeadUnits, log_scale: Array | None
    ) -> Array:
        """Scales (P, C).

        Args:
            asked: the questions.
            mean: (P, C) forecasts.
            units: of the channels.
            log_scale: (P, C) of the networks, in units of the expected size; None: there are none.
        """
        root = [np.sqrt(v(asked.own_lead[:, c])) for c, v in enumerate(self.of_lead)]
        scale = np.stack(root, axis=1) * np.exp(self.exponent * _level(mean, units))
        if log_scale is None or not self.learned.any():
            return np.asarray(scale)
        return np.where(self.learned, asked.size * np.exp(log_scale), scale)


def fit_spread(
    asked: Questions,
    mean: Array,
    error: Array,
    units: LeadUnits,
    log_scale: Array | None,
    n_independent: float,
    positive: Array | None = None,
) -> Spread:
    r"""The scale under which held-out errors are most likely, channel by channel.

    b maximises the normal likelihood of n independent errors, with a normal prior of standard
    deviation .5 around what is usual, $b_0$; it is $b_0$ where that gains less than a unit over it
    (Akaike), since a growth found by chance is carried on to levels that were not seen. What is
    positive usually varies more where it is high: its variance is taken to be in proportion to the
    level, as that of counts, halfway between even errors and errors in proportion, so that

    $$b_0 = \frac{\mathrm{sd}(y)}{2 \bar y},$$

    at most 1/2; other channels have $b_0 = 0$. The networks' scale is taken where it is more likely
    than the other.

    Args:
        asked: the questions.
        mean, error: (P, C) forecasts of held-out values and their errors, NaN = not observed.
        units: of the channels.
        log_scale: (P, C) of the networks; None: there are none.
        n_independent: n, the number of stretches of a horizon.
        positive: (C,) bool, whether no value is negative; None: no channel is thought so.
    """
    usual = np.zeros(error.shape[1]) if positive is None else _usual(positive, units)
    n_channels = error.shape[1]
    level = _level(mean, units)
    exponent, of_lead = np.zeros(n_channels), []
    for c in range(n_channels):
        known = ~np.isnan(error[:, c])
        lead, own, at = asked.own_lead[known, c], error[known, c], level[known, c]
        if not known.any():
            lead, own, at = np.ones(8), np.full(8, units.scale[c]), np.zeros(8)
        size = np.sqrt(Variogram.fit(lead, own)(lead))
        exponent[c] = _exponent(own / np.maximum(size, 1e-300), at, n_independent, usual[c])
        of_lead.append(Variogram.fit(lead, own * np.exp(-exponent[c] * at)))
    plain = Spread(tuple(of_lead), exponent, np.zeros(n_channels, dtype=bool))
    if log_scale is None:
        return plain
    by_network = asked.size * np.exp(log_scale)
    learned = _likelihood(error, by_network) > _likelihood(error, plain(asked, mean, units, None))
    return Spread(plain.of_lead, exponent, learned)


def _level(mean: Array, units: LeadUnits) -> Array:
    level = (mean - units.center) / units.scale
    return np.asarray(np.clip(level, -_FARTHEST_LEVEL, _FARTHEST_LEVEL))


def _usual(positive: Array, units: LeadUnits) -> Array:
    """The exponents (C,) of a variance in proportion to the level, 0 where that may be negative."""
    level = np.where(positive & (units.center > 0), units.center, np.inf)
    return np.minimum(0.5 * units.scale / level, _STEEPEST_USUAL)


def _exponent(z: Array, level: Array, n: float, usual: float) -> float:
    """The most plausible b for errors z (P,) in units of what their leads suggest."""
    tried = np.append(_EXPONENTS, usual)
    square = np.array([np.mean(z**2 * np.exp(-2 * b * level)) for b in tried])
    loss = 0.5 * np.log(np.maximum(square, 1e-300)) + tried * level.mean()
    loss = n * loss + 0.5 * ((tried - usual) / _TYPICAL_EXPONENT) ** 2
    best = int(np.argmin(loss))
    return float(tried[best]) if loss[-1] - loss[best] > _CLEAR else float(usual)


def _likelihood(error: Array, scale: Array) -> Array:
    """Mean normal log-likelihood (C,) of errors, the scale multiplied by its best factor."""
    scale = np.maximum(scale, 1e-300)
    known = ~np.isnan(error)
    z = np.where(known, error / scale, 0.0)
    n = np.maximum(known.sum(axis=0), 1)
    factor = np.sqrt((z**2).sum(axis=0) / n)
    return np.asarray(
        -np.log(np.maximum(factor, 1e-300)) - np.where(known, np.log(scale), 0.0).sum(axis=0) / n
    )
