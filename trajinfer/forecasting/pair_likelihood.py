"""Likelihood of pairs of errors of one cut at two leads, with its slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from trajinfer._core.checks import Array

_TYPICAL = np.array([-0.7, -3.0, 0.0])
_WEIGHT, _LEAST = 1e-5, 1e-6


@dataclass(frozen=True)
class PairLikelihood:
    r"""Minus the mean log-likelihood of pairs of standard normal errors (z, z').

    The correlation of a pair is
    $\rho = \sqrt{(1 - w f)(1 - w f')}\,(h'/h)^{-\gamma} e^{-\theta (h' - h)}$, with the leads h
    and h', the shares f and f' that do not vanish with the lead, and $\gamma = e^{r_0}$,
    $\theta = e^{r_1}$, $w = 1 / (1 + e^{-r_2})$. A weak pull to typical values bounds what pairs
    say nothing of.

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

    def parameters(self, raw: Array) -> tuple[float, float, float]:
        """gamma, theta and w at the coordinates r (3,)."""
        gamma, theta = np.exp(raw[:2])
        return float(gamma), float(theta), float(expit(raw[2])) if self.noisy else 0.0

    def __call__(self, raw: Array) -> tuple[float, Array]:
        """The value, and its slope (3,) in r."""
        gamma, theta, white = self.parameters(raw)
        kept, later_kept = 1 - white * self.floor, 1 - white * self.later_floor
        common = np.sqrt(kept * later_kept)
        rho = common * np.exp(-gamma * self.log_ratio - theta * self.gap)
        free = 1 - rho**2
        rest = np.maximum(free, _LEAST)
        error = self.later_z - rho * self.z
        value = np.mean(0.5 * np.log(rest) + 0.5 * error**2 / rest)
        narrows = np.where(free > _LEAST, -2 * rho, 0.0)
        by_rho = 0.5 * (1 - error**2 / rest) / rest * narrows - error * self.z / rest
        pull = by_rho * rho
        by_white = -0.5 * white * (1 - white) * (self.floor / kept + self.later_floor / later_kept)
        slope = [
            -gamma * np.mean(pull * self.log_ratio),
            -theta * np.mean(pull * self.gap),
            np.mean(pull * by_white),
        ]
        away = raw - _TYPICAL
        return float(value + _WEIGHT * away @ away), np.array(slope) + 2 * _WEIGHT * away
