"""A fitted forecaster: a predictive law together with the columns and the axis of its fit."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.data.names import fits_columns
from trajinfer.data.time_order import TimeOrder
from trajinfer.forecasting.fitting import LawFit, LawSettings
from trajinfer.forecasting.law import ForecastLaw
from trajinfer.forecasting.report import Report, held_out_report


@packable
@dataclass(frozen=True)
class LeadForecast:
    """A law of paths in the lead, and what series it can be asked about.

    Attributes:
        law: of the values after a cut.
        axis: of the times of the fit.
        channels, static_names: of the series of the fit.
        report: held-out errors and shares.
        beyond: the law after the last time of the fit, where it is another one.
        last_time: of the fit.
    """

    law: ForecastLaw
    axis: TimeAxis
    channels: tuple[str, ...]
    static_names: tuple[str, ...]
    report: Report
    beyond: ForecastLaw | None = None
    last_time: float = np.inf

    @classmethod
    def fit(
        cls,
        series: IrregularSeries,
        settings: LawSettings,
        seed: int,
        weights: Array | None = None,
    ) -> tuple[LeadForecast, list[dict[str, Any]]]:
        """Fit a law; the second value is the history of the trainings.

        Args:
            series: to learn from.
            settings: of the fit.
            seed: of everything random.
            weights: (B,) of the series, positive; None: they count alike.

        Raises:
            InputError: if no series has a past and a future, or a setting names no channel.
        """
        fit = LawFit(series, settings, seed, weights)
        within, beyond = fit.run()
        report = held_out_report(within, beyond, fit.data, series.channels)
        made = cls(
            within.law,
            series.axis,
            series.channels,
            series.static_names,
            report,
            None if beyond is None else beyond.law,
            float(fit.data.times.max()),
        )
        return made, fit.history

    @property
    def horizon(self) -> float:
        """The longest lead that the fit aimed at."""
        return self.law.units.horizon

    @property
    def window(self) -> float:
        """Duration of the past that is used."""
        return self.law.units.window

    @property
    def channel_scale(self) -> Array:
        """(C,) standard deviations of the training values."""
        return self.law.scale.spread

    def require(self, series: IrregularSeries) -> None:
        """Refuse series with other columns than those of the fit.

        Raises:
            InputError: naming the columns.
        """
        pairs = (
            (self.channels, series.channels, "x"),
            (self.static_names, series.static_names, "s"),
        )
        for fitted, given, letter in pairs:
            if len(fitted) != len(given):
                raise InputError(
                    f"these series have {len(series.channels)} channels and "
                    f"{len(series.static_names)} statics, the fit saw {len(self.channels)} and "
                    f"{len(self.static_names)}; give the same ones in the same order"
                )
            if not fits_columns(given, fitted, letter):
                raise InputError(
                    f"the columns of these series are {given}, those of the fit were {fitted}; "
                    "give the same ones in the same order"
                )

    def samples(
        self,
        past: IrregularSeries,
        later: Array,
        n: int,
        seed: int,
        future: Array | None = None,
    ) -> Array:
        """Paths (B, n, Q, C) at times (B, Q) of any order; equal times share their values.

        Args:
            past: series on the axis of the fit.
            later: not before the last time of a series.
            n: number of paths.
            seed: of the draws; those of a series depend on it and on the name of the series.
            future: (B, Q, K) values of the channels that are known ahead.
        """
        order = TimeOrder.of(later)
        known = None if future is None else order.sort(future, axis=1)
        seeds = _seeds(past.ids, seed)
        drawn = np.empty((len(past), n, later.shape[1], len(self.channels)))
        for law, rows in self._laws(past):
            asked = law.ask(past[rows], order.times[rows], None if known is None else known[rows])
            drawn[rows] = law.sample(asked, [seeds[row] for row in rows], n)
        return order.restore(drawn, axis=2)

    def mean(self, past: IrregularSeries, later: Array, future: Array | None = None) -> Array:
        """Means (B, Q, C) of the law."""
        found = np.empty((*later.shape, len(self.channels)))
        for law, rows in self._laws(past):
            asked = law.ask(past[rows], later[rows], None if future is None else future[rows])
            found[rows] = law.mean(asked).reshape(*later[rows].shape, -1)
        return found

    def _laws(self, past: IrregularSeries) -> list[tuple[ForecastLaw, Array]]:
        """The laws and the series (b,) that each is asked about.

        The one beyond the fit answers for series whose horizon lies for the greater part after the
        last time that the fit has seen.
        """
        every = np.arange(len(past))
        if self.beyond is None:
            return [(self.law, every)]
        after = past.last_times + 0.5 * self.horizon > self.last_time
        parts = [(self.law, every[~after]), (self.beyond, every[after])]
        return [(law, rows) for law, rows in parts if len(rows)]

    def recalibrated(self, series: IrregularSeries, cutoffs: int | None, seed: int) -> LeadForecast:
        """The same experts with spreads that fit errors on other series, within the times of these.

        Raises:
            InputError: if none of the series has a past and a future.
        """
        return replace(self, law=self.law.recalibrated(series, cutoffs, seed))

    def shares(self) -> pd.DataFrame:
        """Shares of the experts: a row per third of the horizon, channel and expert.

        Those beyond the times of the fit follow, where they are others.
        """
        laws = {"within": self.law} | ({} if self.beyond is None else {"beyond": self.beyond})
        return pd.concat([self._shares(law, name) for name, law in laws.items()], ignore_index=True)

    def _shares(self, law: ForecastLaw, times: str) -> pd.DataFrame:
        index = pd.MultiIndex.from_product(
            [(times,), ("near", "middle", "far"), self.channels, law.mixture.names],
            names=["times", "third", "channel", "expert"],
        )
        return pd.DataFrame({"share": law.mixture.shares.ravel()}, index=index).reset_index()


def _seeds(ids: tuple[Hashable, ...], seed: int) -> list[list[int]]:
    """A seed for each series from its name; series of the same name are counted."""
    seen: Counter[Hashable] = Counter()
    seeds = []
    for name in ids:
        seeds.append([seed, zlib.crc32(repr(name).encode()), seen[name]])
        seen[name] += 1
    return seeds
