r"""The predictive law of the values after a cut.

For each channel and the lead h since its last value,

$$y(h) = y_{last} + m(h) + s(h)\,Q_h\big(\sqrt{1 - w(h)}\,Z_h + \sqrt{w(h)}\,\varepsilon\big)$$

with m the mixture of the experts, s the scale, Q the quantiles of held-out errors, Z the process of
`lead_process`, and w the share of the noise of measurement, which is new at every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import ChannelKinds
from trajinfer.forecasting.calendar import CalendarCycles
from trajinfer.forecasting.continuations import Continuations
from trajinfer.forecasting.design import Design
from trajinfer.forecasting.experts import simple_increments
from trajinfer.forecasting.features import Questions, questions
from trajinfer.forecasting.history import LeadUnits, history
from trajinfer.forecasting.lead_process import LeadProcess
from trajinfer.forecasting.memory import noise_floor
from trajinfer.forecasting.mixed_models import MixedModels
from trajinfer.forecasting.mixture import Mixture
from trajinfer.forecasting.network import IncrementNetwork
from trajinfer.forecasting.newcomers import Newcomers, standardised_errors, unseen
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import PairSource
from trajinfer.forecasting.quantiles import WEIGHTS, ErrorQuantiles
from trajinfer.forecasting.spread import Spread
from trajinfer.forecasting.value_scale import ValueScale
from trajinfer.regression import BoostedTrees, LinearMaps

_CHUNK = 20_000
_PAIRS_PER_SERIES = 2000
_MOST_VALUES = 2_000_000
_AT_ONCE = 1e-9


@packable
@dataclass(frozen=True)
class Part:
    """What was learned with one part of the series held out.

    Attributes:
        continuations: of each channel by itself.
        mixed: models of a common curve and of what sets series apart.
        ridge: on all channels.
        trees: one set per channel, None where it has no share.
        network: None where there are too few examples.
    """

    continuations: Continuations
    mixed: MixedModels
    ridge: LinearMaps
    trees: tuple[BoostedTrees | None, ...] = ()
    network: IncrementNetwork | None = None


@packable
@dataclass(frozen=True)
class ForecastLaw:
    """A fitted forecaster of C channels.

    Attributes:
        scale: that the values are modelled on; all that follows is in its units.
        units, calendar, design: how features are made.
        parts: experts that are averaged.
        mixture: shares of the experts.
        newcomers: what is said of channels before their first value.
        spread: scales of the errors.
        quantiles: of the standardised errors to come.
        process: noise along the lead; times in units of the horizon.
        white: (C,) share of the noise floor that is new at every time.
        kinds: values that the channels can take.
        known: channels whose future values are given.
    """

    scale: ValueScale
    units: LeadUnits
    calendar: CalendarCycles
    design: Design
    parts: tuple[Part, ...]
    mixture: Mixture
    newcomers: Newcomers
    spread: Spread
    quantiles: ErrorQuantiles
    process: LeadProcess
    white: Array
    kinds: ChannelKinds
    known: tuple[int, ...] = field(default=())

    def ask(self, past: IrregularSeries, later: Array, future: Array | None = None) -> Questions:
        """Questions (B Q,) at times (B, Q) after the last time of every series.

        Args:
            past: series on the axis of the fit.
            later: not before the last time of a series.
            future: (B, Q, K) values of the known channels.
        """
        data = self.scale.observations(Observations.of(past))
        rows = data.starts[1:] - 1
        known_past = history(data, rows, self.units)
        index = np.repeat(np.arange(len(past)), later.shape[1])
        return questions(
            data,
            known_past[index],
            rows[index],
            index,
            later.ravel(),
            self.units,
            self.calendar,
            None if future is None else self._known_ahead(future.reshape(len(index), -1)),
        )

    def standardised(self, future: Array) -> Array:
        """Known inputs (P, K) in units of their channels; unknown ones at the mean."""
        where = list(self.known)
        return np.nan_to_num((future - self.units.center[where]) / self.units.scale[where])

    def _known_ahead(self, future: Array) -> Array:
        """Known inputs (P, K) as they came, in units of their channels."""
        every = np.full((len(future), self.units.n_channels), np.nan)
        every[:, list(self.known)] = future
        return self.standardised(self.scale.into(every)[:, list(self.known)])

    def moments(self, asked: Questions) -> tuple[Array, Array]:
        """Locations and scales (P, C)."""
        mean, scale = np.empty(asked.size.shape), np.empty(asked.size.shape)
        for start in range(0, len(asked), _CHUNK):
            rows = slice(start, start + _CHUNK)
            mean[rows], scale[rows] = self._moments(asked[np.arange(len(asked))[rows]])
        return mean, scale

    def _moments(self, asked: Questions) -> tuple[Array, Array]:
        features = self.design(asked, self.units)
        products = self.design.interactions(features, asked, self.units)
        answers = [self._learned(part, asked, features, products) for part in self.parts]
        learned = np.mean([answer for answer, _ in answers], axis=0)
        increments = np.concatenate([simple_increments(asked, self.units), learned], axis=2)
        said = asked.history.last + asked.size * self.mixture(increments, self.share(asked))
        mean = self.newcomers.mean(asked, said)
        square = np.mean([np.exp(2 * log_scale) for _, log_scale in answers], axis=0)
        scale = self.spread(asked, mean, self.units, 0.5 * np.log(square))
        return mean, self.newcomers.scales(asked, scale)

    def _learned(
        self, part: Part, asked: Questions, features: Array, products: Array
    ) -> tuple[Array, Array]:
        """Increments (P, C, E) of the experts of one part and log-scales (P, C).

        The order is smoothings, autoregression, mixed model, ridge, trees, network; trees and
        networks that were not fitted are left out.
        """
        ridge = part.ridge(products)
        mixed = part.mixed(asked, self.units)
        columns = [part.continuations(asked, self.units), mixed[:, :, None], ridge[:, :, None]]
        log_scale = 0 * ridge
        if part.trees:
            made = [
                ridge[:, c] if trees is None else trees(features[:, self.design.own[c]])[:, 0]
                for c, trees in enumerate(part.trees)
            ]
            columns.append(np.stack(made, axis=1)[:, :, None])
        if part.network is not None:
            mean, log_scale = part.network(features)
            columns.append(mean[:, :, None])
        return np.concatenate(columns, axis=2), log_scale

    def recalibrated(self, series: IrregularSeries, cutoffs: int | None, seed: int) -> ForecastLaw:
        """The same law with quantiles of its errors on pairs of other series.

        Raises:
            InputError: if none of the series has a past and a future.
        """
        data = self.scale.observations(Observations.of(series))
        source = PairSource.of(data, self.units.horizon, cutoffs)
        pairs = source.draw(np.random.default_rng(seed), _PAIRS_PER_SERIES, _CHUNK)
        if not len(pairs):
            raise InputError(
                "none of the series to calibrate on has observations within the horizon of each "
                "other; give longer ones"
            )
        truth = data.values[pairs.target]
        asked = questions(
            data,
            history(data, pairs.cut, self.units),
            pairs.cut,
            pairs.series,
            data.times[pairs.target],
            self.units,
            self.calendar,
            self.standardised(truth[:, list(self.known)]) if self.known else None,
        )
        mean, scale = self.moments(asked)
        errors = np.where(unseen(asked), np.nan, (truth - mean) / scale)
        quantiles = ErrorQuantiles.fit(errors, self.share(asked))
        stretches = source.stretches(data, self.units.horizon)
        return replace(self, quantiles=quantiles.of_errors_to_come(stretches))

    def share(self, asked: Questions) -> Array:
        """Leads (P, C) as shares of the horizon, at most 1."""
        return np.minimum(asked.own_lead / self.units.horizon, 1.0)

    def mean(self, asked: Questions) -> Array:
        """Means (P, C) of the law, moved within the bounds."""
        mean, scale = self.moments(asked)
        table = self.quantiles.table(self.share(asked))
        errors = scale[:, :, None] * standardised_errors(asked, table)
        return self.kinds.reaching(*self._reached(asked)).inside(
            self.scale.means(mean, errors, WEIGHTS)
        )

    def sample(self, asked: Questions, seeds: Sequence[Any], n: int) -> Array:
        """Paths (B, n, Q, C).

        Args:
            asked: the questions of B series, Q of each, in ascending order.
            seeds: (B,) of the draws of each series, as numpy takes them.
            n: number of paths.
        """
        mean, scale = self.moments(asked)
        n_series, n_channels = len(seeds), mean.shape[1]
        shape = (n_series, len(asked) // n_series, n_channels)
        values = np.empty((n_series, n, *shape[1:]))
        lead = asked.lead.reshape(shape[:2]) / self.units.horizon
        parts = [mean, scale, self._white_share(asked), asked.own_lead, self.share(asked)]
        mean, scale, white, own_lead, share = (part.reshape(shape) for part in parts)
        new = unseen(asked).reshape(shape)
        low, high = (part.reshape(shape)[:, None] for part in self._reached(asked))
        at_once = max(1, _MOST_VALUES // (n * shape[1] * n_channels))
        for start in range(0, n_series, at_once):
            rows = slice(start, start + at_once)
            z = self._normal_paths(
                lead[rows], own_lead[rows] / self.units.horizon, white[rows], seeds[rows], n
            )
            errors = [np.where(new[rows], one, self.quantiles(one, share[rows])) for one in z]
            paths = [mean[rows] + scale[rows] * one for one in errors]
            kinds = self.kinds.reaching(low[rows], high[rows])
            values[rows] = kinds.attainable(self.scale.back(np.stack(paths, axis=1)))
        return values

    def _reached(self, asked: Questions) -> tuple[Array, Array]:
        """Lowest and highest (P, C) of what the series can be, NaN = not known.

        It can be its last value; logarithms keep what they model above zero.
        """
        last = np.where(unseen(asked), np.nan, self.scale.back(asked.history.last))
        return np.where(self.scale.logs, self.kinds.lower, last), last

    def _white_share(self, asked: Questions) -> Array:
        """Shares (P, C) of the variance of the errors that are new at every time."""
        return np.asarray(self.white * noise_floor(self.units, asked))

    def _normal_paths(
        self, lead: Array, own_lead: Array, white_share: Array, seeds: Sequence[Any], n: int
    ) -> Array:
        """Standard normal errors (n, b, Q, C) along the leads (b, Q) and (b, Q, C) of b series."""
        shape = (1 + self.process.orders, n, *own_lead.shape[1:])
        noise = np.stack([np.random.default_rng(s).standard_normal(shape) for s in seeds], axis=2)
        ages = np.maximum(own_lead[:, 0] - lead[:, :1], 0.0)
        white, driving = noise[1], noise[::2]
        z = self.process.sample(np.maximum(lead, _AT_ONCE), ages, driving)
        for k in range(1, lead.shape[1]):  # equal times share their noise
            again = (lead[:, k] == lead[:, k - 1])[:, None]
            white[:, :, k] = np.where(again, white[:, :, k - 1], white[:, :, k])
        return np.asarray(np.sqrt(1 - white_share) * z + np.sqrt(white_share) * white)
