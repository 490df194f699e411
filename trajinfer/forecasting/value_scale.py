r"""The scale that values are modelled on: as they are, or their logarithms.

Positive values whose changes grow with their level, such as sales and populations, have even
changes and even seasons in their logarithms. An autoregression on each scale says which is the
more likely, the logarithms' with $\sum \log y$ added (Box and Cox, J. R. Stat. Soc. B 26 (1964),
211). The logarithms are taken where they gain two units and more in log-likelihood, unless the
squared error of their forecasts, taken back, is half as large again and more, by two standard
errors of as many independent ones as there are stretches of a horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data.channel_kinds import ChannelKinds
from trajinfer.forecasting.autoregression import Autoregression, fit_autoregression
from trajinfer.forecasting.calendar import shown_period
from trajinfer.forecasting.observations import Channel, Observations
from trajinfer.forecasting.pairs import PairSource
from trajinfer.forecasting.recent_steps import recent_steps

_CLEAR, _MOST_LOSS, _SURE = 2.0, 1.5, 2.0
_FEWEST = 20
_DEPTH, _DEEPEST = 8, 60
_MOST_PAIRS = 5000
_FAR_BELOW = 0.1
_PRIOR = 6.0


@packable
@dataclass(frozen=True)
class ValueScale:
    """Which of C channels are modelled by their logarithms.

    Attributes:
        logs: (C,) bool.
        lowest: (C,) what zero and less are taken for in such a channel.
        spread: (C,) standard deviations of the values as they came.
        above: (C,) share in [0, 1] of the way from the median to the mean of a law of logarithms
            that held-out values confirm.
    """

    logs: Array
    lowest: Array
    spread: Array
    above: Array

    @classmethod
    def of(
        cls, data: Observations, kinds: ChannelKinds, horizon: float, rng: np.random.Generator
    ) -> ValueScale:
        """Judge every channel by its values."""
        channels = [data.channel(c) for c in range(data.values.shape[1])]
        logs, lowest, spread = [], [], []
        for c, channel in enumerate(channels):
            least = float(channel.values.min(initial=np.inf))
            can = bool(least > 0 and kinds.lower[c] >= 0 and len(channel.values) >= _FEWEST)
            logs.append(can and _by_logarithms(data, channel, horizon, rng))
            lowest.append(_FAR_BELOW * least if can else 0.0)
            size = float(channel.values.std()) if len(channel.values) else 0.0
            spread.append(size if size > 0 else 1.0)
        return cls(np.array(logs), np.array(lowest), np.array(spread), np.ones(len(logs)))

    def into(self, values: Array) -> Array:
        """Values (..., C) on the scale of the model."""
        if not self.logs.any():
            return values
        known = np.where(values <= 0, self.lowest, values)
        positive = np.where(self.logs, known, 1.0)
        return np.where(self.logs, np.log(positive), values)

    def back(self, values: Array) -> Array:
        """The values (..., C) as they came."""
        if not self.logs.any():
            return values
        return np.where(self.logs, np.exp(np.where(self.logs, values, 0.0)), values)

    def means(self, location: Array, errors: Array, chance: Array) -> Array:
        """Means (P, C) of values with a law of `location + errors` on the scale of the model.

        Args:
            location: (P, C).
            errors: (P, C, K) that have the chances (K,).
            chance: with sum 1.
        """
        plain = location + errors @ chance
        found = self.back(plain)
        for c in np.flatnonzero(self.logs):
            mean = np.exp(location[:, c]) * (np.exp(errors[:, c]) @ chance)
            found[:, c] += self.above[c] * (mean - found[:, c])
        return found

    def confirmed(
        self, location: Array, errors: Array, chance: Array, truth: Array, n_independent: float
    ) -> ValueScale:
        r"""With the shares that give held-out values (P, C) the least squared error.

        They are multiplied by $n / (n + 6)$ for n independent stretches.
        """
        if not self.logs.any():
            return self
        none, whole = (
            replace(self, above=np.full(len(self.logs), share)).means(location, errors, chance)
            for share in (0.0, 1.0)
        )
        rest = np.nan_to_num(self.back(truth) - none)
        way = np.where(np.isnan(truth), 0.0, whole - none)
        best = (way * rest).sum(axis=0) / np.maximum((way**2).sum(axis=0), 1e-300)
        shrunk = n_independent / (n_independent + _PRIOR)
        return replace(self, above=shrunk * np.clip(best, 0.0, 1.0))

    def observations(self, data: Observations) -> Observations:
        """A table on the scale of the model."""
        return replace(data, values=self.into(data.values))


def _by_logarithms(
    data: Observations, channel: Channel, horizon: float, rng: np.random.Generator
) -> bool:
    own = Observations(channel.times, channel.values[:, None], channel.starts, data.statics)
    steps = np.diff(channel.times)[np.diff(own.series) == 0]
    if not len(steps):
        return False
    gap = float(np.median(steps))
    period = round(shown_period(channel, float(own.spans.max())) / gap)
    source = PairSource.of(own, horizon)
    pairs, stretches = source.draw(rng, _MOST_PAIRS, _MOST_PAIRS), source.stretches(own, horizon)
    truth = channel.values[pairs.target]
    lead = channel.times[pairs.target] - channel.times[pairs.cut]
    criteria, squares = [], []
    for logarithms in (False, True):
        values = np.log(channel.values) if logarithms else channel.values
        regression, steps_back = _regression(
            replace(channel, values=values), own, gap, period, horizon
        )
        moved = regression(values[pairs.cut], steps_back[pairs.cut], lead)
        reached = values[pairs.cut] + moved
        answer = np.exp(reached) if logarithms else reached
        if logarithms:  # the mean lies above the exponential of the mean, in proportion
            answer *= (truth @ answer) / (answer @ answer)
        squares.append((truth - answer) ** 2)
        criteria.append(regression.criterion)
    n = len(channel.values)
    gain = 0.5 * n * (criteria[0] - criteria[1] - 2 * np.log(channel.values).mean())
    return bool(gain > _CLEAR and not _clearly_larger(squares[1], squares[0], stretches))


def _clearly_larger(squares: Array, others: Array, n_independent: float) -> bool:
    """Whether the mean of squares is half as large again, by more than two standard errors.

    Of values that grow a hundredfold the last few make the whole mean.
    """
    more = squares - others
    error = float(more.std()) / np.sqrt(n_independent)
    return bool(squares.mean() > _MOST_LOSS * others.mean() and more.mean() > _SURE * error)


def _regression(
    channel: Channel, own: Observations, gap: float, period: int, horizon: float
) -> tuple[Autoregression, Array]:
    depth = max(_DEPTH, period if period <= _DEEPEST else 0)
    rows, first = np.arange(len(own.times)), own.starts[own.series]
    back, reached = recent_steps(channel, own.series, first, rows, gap, depth + 1)
    center = float(channel.values.mean())
    used = rows[:: -(-len(rows) // _MOST_PAIRS)]
    made = fit_autoregression(
        channel.values[used],
        back[used],
        reached[used],
        center,
        gap,
        period,
        round(horizon / gap),
        len(channel.starts) - 1,
    )
    return made, back[:, :-1]
