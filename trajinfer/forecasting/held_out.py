"""What experts say of pairs that they have not seen, and what follows of their law."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.law import ForecastLaw
from trajinfer.forecasting.learning_curve import falling_power
from trajinfer.forecasting.pairs import Pairs


@dataclass(frozen=True)
class HeldOut:
    """Pairs, each predicted by the part that has not seen it.

    Attributes:
        asked: the questions.
        pairs: the rows they stand for.
        part: (P,) in which each is held out.
        truth: (P, C), NaN = not observed.
        increments: (P, C, E) of the experts, in units of the expected size.
        log_scale: (P, C) of the networks.
        weight: (P,) of the pairs in means.
        mixed: (P, C) increments by the shares of the other parts, set when they are known.
        scale: (P, C) of the law, likewise.
    """

    asked: Questions
    pairs: Pairs
    part: Array
    truth: Array
    increments: Array
    log_scale: Array
    weight: Array
    mixed: Array
    scale: Array

    def __getitem__(self, index: Array) -> HeldOut:
        return HeldOut(
            self.asked[index],
            self.pairs[index],
            self.part[index],
            self.truth[index],
            self.increments[index],
            self.log_scale[index],
            self.weight[index],
            self.mixed[index],
            self.scale[index],
        )

    @property
    def target(self) -> Array:
        """(P, C) true increments in units of the expected size."""
        return np.asarray((self.truth - self.asked.history.last) / self.asked.size)

    @property
    def mean(self) -> Array:
        """(P, C) forecasts by the shares of the other parts."""
        return np.asarray(self.asked.history.last + self.asked.size * self.mixed)

    def mean_squares(self) -> Array:
        """(C, E) of the errors of the experts, in these units; NaN where one never answers."""
        square = self.weight[:, None, None] * (self.target[:, :, None] - self.increments) ** 2
        known = ~np.isnan(square)
        count = (known * self.weight[:, None, None]).sum(axis=0)
        total = np.where(known, square, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)

    def by_now(self, n_independent: float) -> tuple[HeldOut, Array]:
        """With weights by how large errors were when little was known.

        Also the factors (P,) that make errors as small as those of the last origin; see
        `learning_curve`.
        """
        known = np.sqrt(self.weight / self.weight.max())
        factors = known ** falling_power(self.best_error(), known, n_independent)
        return replace(self, weight=self.weight * factors**2), factors

    def best_error(self) -> Array:
        """(P, C) errors of the best expert of each channel, in these units."""
        squares = self.mean_squares()
        best = np.where(np.isnan(squares), np.inf, squares).argmin(axis=1)
        found = np.take_along_axis(self.increments, best[None, :, None], axis=2)[:, :, 0]
        return np.asarray(self.target - found)


@dataclass(frozen=True)
class Judged:
    """A law and the pairs that chose it.

    Attributes:
        law: of the values after a cut.
        held_out: the pairs, with the scale of the law.
        stretches: number of independent stretches of a horizon that they stand for.
    """

    law: ForecastLaw
    held_out: HeldOut
    stretches: float
