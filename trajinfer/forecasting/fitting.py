"""Fit of a forecast law: examples, held-out parts, experts, mixture, spreads, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.forecasting.calendar import CalendarCycles, shown_period
from trajinfer.forecasting.experts import SIMPLE, ridge_columns, simple_increments
from trajinfer.forecasting.features import Design, Questions, questions
from trajinfer.forecasting.folds import Folds
from trajinfer.forecasting.history import LeadUnits, history
from trajinfer.forecasting.law import ForecastLaw, Part, noise_floor
from trajinfer.forecasting.lead_process import LeadProcess, drive_correlation, fit_memory
from trajinfer.forecasting.mixture import Mixture, fit_mixture
from trajinfer.forecasting.network import IncrementNetwork, NetworkSettings, fit_network
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs, PairSource
from trajinfer.forecasting.quantiles import ErrorQuantiles
from trajinfer.forecasting.variogram import Variogram
from trajinfer.regression.boosted_trees import BoostedTrees, BoostingSettings
from trajinfer.regression.ridge_by_parts import fit_ridge_by_parts

_PAIRS_PER_SERIES = 2000
_MOST_PAIRS = 40_000
_FEWEST_PAIRS = 300
_FEWEST_STRETCHES = 25
_TREE_WORK = 60_000
_MOST_TREE_PAIRS = 15_000
_FEWEST_FOR_TREES = 20
_VARIOGRAM_PAIRS = 20_000


@dataclass(frozen=True)
class LawSettings:
    """Settings of a fit.

    Attributes:
        horizon: longest lead.
        window: duration of the past that is used.
        cutoffs: the most cuts per series.
        lags: slopes reach this many values back.
        parts: number of held-out parts.
        bounds: of channels by name.
        future: names of the channels whose later values are known.
        network: of the neural part.
    """

    horizon: float
    window: float = np.inf
    cutoffs: int | None = None
    lags: tuple[int, ...] = (1, 2, 4, 8)
    parts: int = 4
    bounds: Bounds | None = None
    future: Sequence[str] = ()
    network: NetworkSettings = field(default_factory=NetworkSettings)


@dataclass(frozen=True)
class HeldOut:
    """Pairs, each predicted by the part that has not seen it.

    Attributes:
        asked: the questions.
        pairs: the rows they stand for.
        truth: (P, C), NaN = not observed.
        increments: (P, C, E) of the experts, in units of the expected size.
        log_scale: (P, C) of the networks.
        scale: (P, C) of the law, set when it is known.
    """

    asked: Questions
    pairs: Pairs
    truth: Array
    increments: Array
    log_scale: Array
    scale: Array

    @property
    def target(self) -> Array:
        """(P, C) true increments in units of the expected size."""
        return np.asarray((self.truth - self.asked.history.last) / self.asked.size)


class LawFit:
    """One fit; `law`, `held_out`, `history` are there after `run`.

    Args:
        series: to learn from.
        settings: of the fit.
        seed: of everything random.

    Raises:
        InputError: if no series has a past and a future.
    """

    def __init__(self, series: IrregularSeries, settings: LawSettings, seed: int) -> None:
        self.data, self.settings = Observations.of(series), settings
        self.seeds = spawn(seed, 4)
        self.rng = np.random.default_rng(self.seeds[0])
        self.known = _known(settings.future, series.channels)
        self.kinds = ChannelKinds.of(self.data.values, series.channels, settings.bounds)
        self.source = PairSource.of(self.data, settings.horizon, settings.cutoffs)
        if not len(self.source):
            raise InputError(
                f"no series has observations both before and within horizon={settings.horizon:g} "
                "after a cut; series need two times at least"
            )
        self.units = _units(self.data, settings, self.rng)
        self.calendar = CalendarCycles.of(self.data, series.axis)
        span = float(np.max(self._spans()))
        channels = range(self.units.n_channels)
        self.periods = np.array([shown_period(self.data.channel(c), span) for c in channels])
        self.past = history(self.data, np.arange(len(self.data.times)), self.units)
        self.history: list[dict[str, Any]] = []

    def run(self) -> ForecastLaw:
        """Fit everything."""
        pairs = self._draw(self.rng)
        asked = self._ask(pairs)
        self.design = Design.fit(asked, self.units)
        usable = int((self.source.per_series > 0).sum())
        folds = Folds.of(
            self.data, usable, self.settings.horizon, self.settings.parts, self.seeds[1]
        )
        stretches = self._stretches()
        rich = len(pairs) >= _FEWEST_PAIRS and stretches >= _FEWEST_STRETCHES
        parts, held_out = self._experts(pairs, asked, folds, rich=rich)
        names = (*SIMPLE, "ridge", *(("trees", "network") if rich else ()))
        share = np.minimum(asked.own_lead / self.units.horizon, 1.0)
        mixture = fit_mixture(names, held_out.increments, held_out.target, share, stretches)
        self.held_out, self.folds, self.stretches = held_out, folds, stretches
        return self._law(_without_idle(parts, mixture), mixture, held_out, rich=rich)

    def _draw(self, rng: np.random.Generator) -> Pairs:
        usable = max(1, int((self.source.per_series > 0).sum()))
        per_series = max(_PAIRS_PER_SERIES, _MOST_PAIRS // (2 * usable))
        return self.source.draw(rng, per_series, _MOST_PAIRS)

    def _ask(self, pairs: Pairs) -> Questions:
        times = self.data.times[pairs.target]
        known = None
        if self.known:
            where = list(self.known)
            given = self.data.values[pairs.target][:, where]
            known = np.nan_to_num((given - self.units.center[where]) / self.units.scale[where])
        return questions(
            self.data,
            self.past[pairs.cut],
            pairs.cut,
            pairs.series,
            times,
            self.units,
            self.calendar,
            self.periods,
            known,
        )

    def _spans(self) -> Array:
        """(B,) time that each series covers; 0 for a series without a value."""
        first, end = self.data.starts[:-1], self.data.starts[1:]
        filled = end > first
        last = np.where(filled, self.data.times[end - 1], 0.0)
        return last - np.where(
            filled, self.data.times[np.minimum(first, len(self.data.times) - 1)], 0.0
        )

    def _stretches(self) -> float:
        """Number of stretches of a horizon that hold pairs, which errors far apart stand for."""
        usable = self.source.per_series > 0
        return float(np.maximum(self._spans()[usable] / self.settings.horizon, 1.0).sum())

    def _experts(
        self, pairs: Pairs, asked: Questions, folds: Folds, *, rich: bool
    ) -> tuple[list[Part], HeldOut]:
        """Experts of every part, and what they say of the pairs they have not seen."""
        features = self.design(asked, self.units)
        products = self.design.interactions(features, asked, self.units)
        truth = self.data.values[pairs.target]
        held = folds.held(self.data, pairs)
        trains = [folds.trains(self.data, pairs, k) for k in range(folds.count)]
        simple = simple_increments(asked, self.units)
        target = (truth - asked.history.last) / asked.size
        columns = ridge_columns(self.design, features.shape[1], self.units.n_channels)
        ridges, ridge = fit_ridge_by_parts(products, target, held, trains, columns)
        del products
        increments, log_scale = [simple, ridge[:, :, None]], np.zeros_like(ridge)
        parts = [Part(one) for one in ridges]
        if rich:
            forests, trees = self._trees(features, target, held, trains)
            networks, network, log_scale = self._networks(
                pairs, features, target, folds, held, trains
            )
            increments += [trees[:, :, None], network[:, :, None]]
            parts = [Part(*three) for three in zip(ridges, forests, networks, strict=True)]
        return parts, HeldOut(
            asked, pairs, truth, np.concatenate(increments, axis=2), log_scale, log_scale
        )

    def _trees(
        self, features: Array, target: Array, held: Array, trains: list[Array]
    ) -> tuple[list[tuple[BoostedTrees, ...]], Array]:
        n_channels = target.shape[1]
        most = min(_MOST_TREE_PAIRS, max(2000, _TREE_WORK // n_channels))
        predicted = np.zeros(target.shape)
        forests = []
        for part, (rows, seed) in enumerate(
            zip(trains, spawn(self.seeds[2], len(trains)), strict=True)
        ):
            rng, forest = np.random.default_rng(seed), []
            for c in range(n_channels):
                usable = np.flatnonzero(rows & ~np.isnan(target[:, c]))
                if len(usable) > most:
                    usable = np.sort(rng.choice(usable, most, replace=False))
                own = features[:, self.design.own[c]]
                forest.append(_trees(own[usable], target[usable, c], seed))
                predicted[held == part, c] = forest[-1](own[held == part])[:, 0]
            forests.append(tuple(forest))
        return forests, predicted

    def _networks(
        self,
        pairs: Pairs,
        features: Array,
        target: Array,
        folds: Folds,
        held: Array,
        trains: list[Array],
    ) -> tuple[list[IncrementNetwork], Array, Array]:
        mean, log_scale = np.zeros_like(target), np.zeros_like(target)
        listed = len(pairs) >= len(self.source)
        networks = []
        for part, seed in enumerate(spawn(self.seeds[3], folds.count)):
            rows = held == part

            def draw(epoch: int, part: int = part, seed: int = seed) -> tuple[Array, Array]:
                if listed or epoch == 0:
                    return features[trains[part]], target[trains[part]]
                return self._fresh(folds, part, [seed, epoch])

            network, history = fit_network(
                draw,
                (features[rows], target[rows]),
                self.settings.network,
                seed,
                self.settings.network.callbacks if part == 0 else (),
            )
            mean[rows], log_scale[rows] = network(features[rows])
            networks.append(network)
            self.history += [{"part": part, **row} for row in history]
        return networks, mean, log_scale

    def _fresh(self, folds: Folds, part: int, seed: list[int]) -> tuple[Array, Array]:
        """Features and targets of pairs drawn for one epoch of one part."""
        pairs = self._draw(np.random.default_rng(seed))
        pairs = pairs[folds.trains(self.data, pairs, part)]
        asked = self._ask(pairs)
        target = (self.data.values[pairs.target] - asked.history.last) / asked.size
        return self.design(asked, self.units), target

    def _law(
        self, parts: list[Part], mixture: Mixture, held_out: HeldOut, *, rich: bool
    ) -> ForecastLaw:
        asked = held_out.asked
        share = np.minimum(asked.own_lead / self.units.horizon, 1.0)
        error = (
            held_out.truth - asked.history.last - asked.size * mixture(held_out.increments, share)
        )
        n_channels = self.units.n_channels
        residual = tuple(
            _residual(asked.own_lead[:, c], error[:, c], self.units.scale[c])
            for c in range(n_channels)
        )
        plain = np.stack([np.sqrt(v(asked.own_lead[:, c])) for c, v in enumerate(residual)], axis=1)
        learned = asked.size * np.exp(held_out.log_scale)
        better = (
            _likelihood(error, learned) > _likelihood(error, plain)
            if rich
            else np.zeros(n_channels, dtype=bool)
        )
        scale = np.where(better, learned, plain)
        self.held_out = replace(held_out, scale=scale)
        errors = error / scale
        quantiles = ErrorQuantiles.fit(errors, share)
        z = quantiles.normal(errors, share)
        process, white = _memory(z, held_out, self.units)
        return ForecastLaw(
            self.units,
            self.calendar,
            self.periods,
            self.design,
            tuple(parts),
            mixture,
            residual,
            better,
            quantiles,
            process,
            white,
            self.kinds,
            self.known,
        )


def _trees(design: Array, target: Array, seed: int) -> BoostedTrees:
    if len(target) < _FEWEST_FOR_TREES:
        return BoostedTrees.blank(0, np.zeros(1), np.zeros(design.shape[1]))
    settings = BoostingSettings(
        leaves=16,
        smallest_leaf=max(5, min(40, len(target) // 40)),
        penalty=10.0,
        feature_share=0.5,
    )
    return BoostedTrees.fit(design, target, None, 0, settings, seed)


def _without_idle(parts: list[Part], mixture: Mixture) -> list[Part]:
    """Leave out the trees of channels in which they have no share."""
    if "trees" not in mixture.names:
        return parts
    share = mixture.shares[:, :, mixture.names.index("trees")].max(axis=0)
    return [
        Part(
            part.ridge,
            tuple(t if s > 0 else None for t, s in zip(part.trees, share, strict=True)),
            part.network,
        )
        for part in parts
    ]


def _known(names: Sequence[str], channels: Sequence[str]) -> tuple[int, ...]:
    missing = [name for name in names if name not in channels]
    if missing:
        raise InputError(
            f"future names {missing[0]!r}, which is no channel; the channels are "
            f"{', '.join(channels)}"
        )
    return tuple(channels.index(name) for name in names)


def _units(data: Observations, settings: LawSettings, rng: np.random.Generator) -> LeadUnits:
    """Measure the channels; one without any value is taken as constant 0."""
    center, scale, gaps, variograms = [], [], [], []
    for c in range(data.values.shape[1]):
        channel = data.channel(c)
        own = Observations(channel.times, channel.values[:, None], channel.starts, data.statics)
        mean = float(channel.values.mean()) if len(channel.values) else 0.0
        size = float(channel.values.std()) if len(channel.values) else 0.0
        flat = not size > 1e-12 * max(abs(mean), 1e-300)
        steps = np.diff(channel.times)[np.diff(own.series) == 0]
        center.append(mean)
        scale.append(1.0 if flat else size)
        gaps.append(float(np.median(steps)) if len(steps) else settings.horizon)
        variograms.append(_variogram(own, settings.horizon, rng))
    return LeadUnits(
        np.array(center),
        np.array(scale),
        np.array(gaps),
        settings.horizon,
        tuple(variograms),
        settings.window,
        settings.lags,
    )


def _variogram(own: Observations, horizon: float, rng: np.random.Generator) -> Variogram:
    lead, increments = [], []
    for reach in (horizon, 4 * horizon):
        pairs = PairSource.of(own, reach).draw(rng, _VARIOGRAM_PAIRS, _VARIOGRAM_PAIRS)
        lead.append(own.times[pairs.target] - own.times[pairs.cut])
        increments.append(own.values[pairs.target, 0] - own.values[pairs.cut, 0])
    return Variogram.fit(np.concatenate(lead), np.concatenate(increments))


def _residual(lead: Array, error: Array, scale: float) -> Variogram:
    known = ~np.isnan(error)
    if not known.any():
        return Variogram.fit(np.ones(8), np.full(8, scale))
    return Variogram.fit(lead[known], error[known])


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


def _memory(z: Array, held_out: HeldOut, units: LeadUnits) -> tuple[LeadProcess, Array]:
    """The process of the errors, and the share of the noise floor that is new at every time."""
    pairs, asked = held_out.pairs, held_out.asked
    floor = noise_floor(units, asked)
    lead = np.maximum(asked.own_lead / units.horizon, 1e-9)
    n_channels = z.shape[1]
    fits = []
    for c in range(n_channels):
        first, later = [], []
        for step in (1, 2):
            a, b = np.arange(len(z) - step), np.arange(step, len(z))
            same = (pairs.cut[a] == pairs.cut[b]) & (lead[b, c] > lead[a, c])
            both = same & ~np.isnan(z[a, c]) & ~np.isnan(z[b, c])
            first.append(a[both])
            later.append(b[both])
        a, b = np.concatenate(first), np.concatenate(later)
        fits.append(fit_memory(z[a, c], z[b, c], lead[a, c], lead[b, c], floor[a, c], floor[b, c]))
    gamma, theta, white = (
        np.array([getattr(f, name) for f in fits]) for name in ("gamma", "theta", "white")
    )
    observed = _correlation(z, np.sqrt(1 - white * floor))
    return LeadProcess(gamma, theta, drive_correlation(observed, gamma)), white


def _correlation(z: Array, loading: Array) -> Array:
    """Correlation (C, C) of the part of the errors that is not white."""
    n_channels = z.shape[1]
    result = np.eye(n_channels)
    for c in range(n_channels):
        for d in range(c):
            both = ~np.isnan(z[:, c]) & ~np.isnan(z[:, d])
            if both.sum() >= 30:
                weight = (loading[both, c] * loading[both, d]).sum()
                norm = np.sqrt((z[both, c] ** 2).mean() * (z[both, d] ** 2).mean()) * weight
                result[c, d] = result[d, c] = (z[both, c] * z[both, d]).sum() / max(norm, 1e-12)
    return np.clip(result, -0.99, 0.99) + 0.01 * np.eye(n_channels)
