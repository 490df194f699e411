"""Likelihood of pairs of errors of one cut at two leads, with its slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from trajinfer._core.checks import Array
from trajinfer.forecasting.inertia import correlation, slope

_TYPICAL = np.array([-0.7, -3.0, 0.0, -1.6])
_WEIGHT, _LEAST = 1e-5, 1e-6
_STEP = 1e-4


@dataclass(frozen=True)
class PairLikelihood:
    r"""Minus the mean log-likelihood of pairs of standard normal errors (z, z').

    The correlation of a pair is $\rho = \sqrt{(1 - w f)(1 - w f')}\,R(u)$ with that of
    `inertia.correlation` over $u = \gamma \log(h'/h) + \theta (h' - h)$, the leads h and h', the
    shares f and f' that do not vanish with the lead, and $\gamma = e^{r_0}$, $\theta = e^{r_1}$,
    $w = 1 / (1 + e^{-r_2})$. The mass is $e^{r_3}$, or 0 where there are three coordinates. A weak
    pull to typical values bounds what pairs say nothing of.

    Attributes:
        z, later_z: (P,) errors.
        log_ratio: (P,) log(h'/h).
        gap: (P,) h' - h.
        floor, later_floor: (P,) f and f'.
        noisy: whether w is not 0.
    """

    z: Array
    later_z: Array
    log_ratio: Array
    gap: Array
    floor: Array
    later_floor: Array
    noisy: bool

    def parameters(self, raw: Array) -> tuple[float, float, float, float]:
        """gamma, theta, w and the mass at the coordinates r (3,) or (4,)."""
        gamma, theta = np.exp(raw[:2])
        white = float(expit(raw[2])) if self.noisy else 0.0
        return float(gamma), float(theta), white, float(np.exp(raw[3])) if len(raw) > 3 else 0.0

    def __call__(self, raw: Array) -> tuple[float, Array]:
        """The value, and its slope in r; that in the mass by central differences."""
        gamma, theta, white, mass = self.parameters(raw)
        kept, later_kept = 1 - white * self.floor, 1 - white * self.later_floor
        common = np.sqrt(kept * later_kept)
        clock = gamma * self.log_ratio + theta * self.gap
        rho = common * correlation(clock, mass)
        free = 1 - rho**2
        rest = np.maximum(free, _LEAST)
        error = self.later_z - rho * self.z
        value = np.mean(0.5 * np.log(rest) + 0.5 * error**2 / rest)
        narrows = np.where(free > _LEAST, -2 * rho, 0.0)
        by_rho = 0.5 * (1 - error**2 / rest) / rest * narrows - error * self.z / rest
        by_clock = by_rho * common * slope(clock, mass)
        by_white = -0.5 * white * (1 - white) * (self.floor / kept + self.later_floor / later_kept)
        slopes = [
            gamma * np.mean(by_clock * self.log_ratio),
            theta * np.mean(by_clock * self.gap),
            np.mean(by_rho * rho * by_white),
        ]
        if mass > 0:
            ends = [correlation(clock, mass * np.exp(e)) for e in (-_STEP, _STEP)]
            slopes.append(np.mean(by_rho * common * (ends[1] - ends[0])) / (2 * _STEP))
        away = raw - _TYPICAL[: len(raw)]
        return float(value + _WEIGHT * away @ away), np.array(slopes) + 2 * _WEIGHT * away
