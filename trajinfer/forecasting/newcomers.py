"""Forecasts of channels of which a series has said nothing yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.features import Questions
from trajinfer.forecasting.quantiles import PLACES

_PRIOR = 6.0


@packable
@dataclass(frozen=True)
class Newcomers:
    r"""Before its first value a channel is forecast by what other series were.

    The forecast is $\bar y + b\,m$ with the mean $\bar y$ of all values and the increment m that
    the experts say. These learned m from the series whose first value came late; where there are
    few of them b is small, and the errors are about as large as all values vary. They are normal.

    Attributes:
        belief: (C,) b, in [0, 1].
        scale: (C,) standard deviation of the errors, whatever the lead.
    """

    belief: Array
    scale: Array

    @classmethod
    def fit(
        cls, asked: Questions, series: Array, mean: Array, truth: Array, deviation: Array
    ) -> Newcomers:
        r"""Shrunk regression of the increments on what was said of them, held out.

        $$b = \frac n{n+6}\,\frac{\sum_s \overline{m y}_s}{\sum_s \overline{m^2}_s}, \qquad
        \sigma^2 = \frac{\sum_s \overline{(y - b m)^2}_s + 6 \sigma_0^2}{n + 6}$$

        over the n series s with such pairs, with means over the pairs of each.

        Args:
            asked: the questions.
            series: (P,) of the pairs.
            mean: (P, C) what the experts say.
            truth: (P, C), NaN = not observed.
            deviation: (C,) $\sigma_0$ of all values.
        """
        last, new = asked.history.last, unseen(asked)
        belief, scale = np.zeros(mean.shape[1]), deviation.astype(float).copy()
        for c in range(mean.shape[1]):
            rows = np.flatnonzero(new[:, c] & ~np.isnan(truth[:, c]))
            if not len(rows):
                continue
            said, were = mean[rows, c] - last[rows, c], truth[rows, c] - last[rows, c]
            _, own, count = np.unique(series[rows], return_inverse=True, return_counts=True)
            share, n = 1 / count[own], len(count)
            square = float(share @ said**2)
            if square > 0:
                belief[c] = np.clip(n / (n + _PRIOR) * float(share @ (said * were)) / square, 0, 1)
            errors = float(share @ (were - belief[c] * said) ** 2)
            scale[c] = np.sqrt((errors + _PRIOR * deviation[c] ** 2) / (n + _PRIOR))
        return cls(belief, scale)

    def mean(self, asked: Questions, mean: Array) -> Array:
        """Forecasts (P, C), of those by the experts (P, C)."""
        last = asked.history.last
        return np.where(unseen(asked), last + self.belief * (mean - last), mean)

    def scales(self, asked: Questions, scale: Array) -> Array:
        """Scales of the errors (P, C), of those after values (P, C)."""
        return np.where(unseen(asked), self.scale, scale)


def standardised_errors(asked: Questions, after_values: Array) -> Array:
    """Errors (P, C, 25) at `PLACES`, given those of channels that have values."""
    return np.where(unseen(asked)[:, :, None], PLACES, after_values)


def unseen(asked: Questions) -> Array:
    """(P, C) whether the channel has no value yet."""
    return np.asarray(np.isnan(asked.history.age))
