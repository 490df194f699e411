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
from trajinfer.forecasting.calendar import CalendarCycles
from trajinfer.forecasting.common_times import CommonOrigins, Independent, independent_stretches
from trajinfer.forecasting.continuations import CONTINUATIONS, fit_continuations
from trajinfer.forecasting.design import Design
from trajinfer.forecasting.experts import SIMPLE, ridge_columns, simple_increments
from trajinfer.forecasting.features import Questions, questions
from trajinfer.forecasting.folds import Folds, folds_of
from trajinfer.forecasting.forests import fit_forests
from trajinfer.forecasting.held_out import HeldOut, Judged
from trajinfer.forecasting.history import history
from trajinfer.forecasting.independent_errors import independent_errors
from trajinfer.forecasting.law import ForecastLaw, Part
from trajinfer.forecasting.learning_curve import growth_lately
from trajinfer.forecasting.measures import measured, places
from trajinfer.forecasting.memory import memory
from trajinfer.forecasting.mixed_by_others import mixed_by_others
from trajinfer.forecasting.mixed_models import fit_mixed_models
from trajinfer.forecasting.mixture import Mixture
from trajinfer.forecasting.network import IncrementNetwork, NetworkSettings, fit_network
from trajinfer.forecasting.newcomers import Newcomers, standardised_errors, unseen
from trajinfer.forecasting.observations import Observations
from trajinfer.forecasting.pairs import Pairs, PairSource
from trajinfer.forecasting.quantiles import WEIGHTS, ErrorQuantiles
from trajinfer.forecasting.spread import fit_spread
from trajinfer.forecasting.value_scale import ValueScale
from trajinfer.regression import fit_ridge_by_parts

_PAIRS_PER_SERIES = 2000
_MOST_PAIRS = 40_000
_FEWEST_PAIRS = 300
_FEWEST_STRETCHES, _OF_ONE_SERIES = 25, 60
_ALIKE = 0.5


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


class LawFit:
    """One fit; `history` is there after `run`.

    Args:
        series: to learn from.
        settings: of the fit.
        seed: of everything random.
        weights: (B,) of the series, positive; None: they count alike.

    Raises:
        InputError: if no series has a past and a future.
    """

    def __init__(
        self,
        series: IrregularSeries,
        settings: LawSettings,
        seed: int,
        weights: Array | None = None,
    ) -> None:
        data, self.settings, self.weights = Observations.of(series), settings, weights
        self.seeds = spawn(seed, 4)
        self.rng = np.random.default_rng(self.seeds[0])
        self.known = places(settings.future, series.channels)
        self.kinds = ChannelKinds.of(data.values, series.channels, settings.bounds)
        self.scale = ValueScale.of(
            data, self.kinds, settings.horizon, np.random.default_rng(self.seeds[0])
        )
        self.data = self.scale.observations(data)
        self.source = PairSource.of(self.data, settings.horizon, settings.cutoffs)
        if not len(self.source):
            raise InputError(
                f"no series has observations both before and within horizon={settings.horizon:g} "
                "after a cut; series need two times at least"
            )
        self.units = measured(
            self.data, settings.horizon, settings.window, settings.lags, self.rng, weights
        )
        self.calendar = CalendarCycles.of(self.data, series.axis)
        self.past = history(self.data, np.arange(len(self.data.times)), self.units)
        self.history: list[dict[str, Any]] = []

    def run(self) -> tuple[Judged, Judged | None]:
        """Fit everything.

        Returns:
            The law, judged by what held-out series say; and the law beyond the end of the table,
            judged by what came later in all series at once. None where the series share no shocks,
            so that both are the same.
        """
        drawn = self._draw(self.rng)
        self.listed = len(drawn) >= len(self.source)
        pairs = self._counted(drawn, self.rng)
        asked = self._ask(pairs)
        self.design = Design.fit(asked, self.units)
        usable = int((self.source.per_series > 0).sum())
        horizon = self.settings.horizon
        self.stretches = stretches = self.source.stretches(self.data, horizon) * self._evenness()
        fewest = _FEWEST_STRETCHES if usable > 1 else _OF_ONE_SERIES
        rich = len(drawn) >= _FEWEST_PAIRS and stretches >= fewest
        folds = folds_of(self.data, usable, horizon, self.settings.parts, self.seeds[1], rich=rich)
        learned = ("trees", "network") if rich else ()
        parts, held_out = self._experts(pairs, asked, folds, learned)
        if not len(held_out.part):
            raise InputError(
                f"these series are too few and short to hold anything out at horizon={horizon:g}, "
                f"which judges a forecast ({len(drawn)} pairs of times in all); give more or "
                "longer series, or a shorter horizon"
            )
        tried = Independent.all(stretches * len(held_out.part) / len(pairs))
        within = self._chosen(parts, held_out, learned, tried)
        origins = self._origins(pairs, asked, stretches)
        if origins is None:
            return within, None
        parts, held_out = self._experts(pairs, asked, origins, learned[:1])
        later = (1 - origins.known[0]) * stretches
        alone = self._independent(held_out.best_error(), held_out.pairs, later)
        return within, self._chosen(parts, held_out, learned[:1], alone, biased=False)

    def _origins(self, pairs: Pairs, asked: Questions, stretches: float) -> CommonOrigins | None:
        """Origins common to all series; None where their increments are not alike."""
        increments = (self.data.values[pairs.target] - asked.history.last) / asked.size
        alone = self._independent(increments, pairs, stretches)
        few = alone.of_means < _ALIKE * stretches
        return CommonOrigins.of(self.data, pairs) if few else None

    def _independent(self, errors: Array, pairs: Pairs, stretches: float) -> Independent:
        times = self.data.times[pairs.cut]
        return independent_stretches(errors, pairs.series, times, self.settings.horizon, stretches)

    def _chosen(
        self,
        parts: list[Part],
        held_out: HeldOut,
        learned: tuple[str, ...],
        stretches: Independent,
        *,
        biased: bool = True,
    ) -> Judged:
        """The law that what the parts hold out chooses.

        Errors after a few times common to all series have a mean that is what happened then, not a
        bias that goes on.
        """
        names = (*SIMPLE, *CONTINUATIONS, "mixed_model", "ridge", *learned)
        held_out, by_now = held_out.by_now(stretches.of_means)
        share = self._share(held_out)
        mixture, held_out = mixed_by_others(names, held_out, share, stretches.of_squares)
        parts = _without_idle(parts, mixture)
        noisy = "network" in learned
        return self._law(parts, mixture, held_out, stretches, by_now, noisy=noisy, biased=biased)

    def _share(self, held_out: HeldOut) -> Array:
        """Leads (P, C) as shares of the horizon, at most 1."""
        return np.minimum(held_out.asked.own_lead / self.units.horizon, 1.0)

    def _draw(self, rng: np.random.Generator) -> Pairs:
        usable = max(1, int((self.source.per_series > 0).sum()))
        per_series = max(_PAIRS_PER_SERIES, _MOST_PAIRS // (2 * usable))
        return self.source.draw(rng, per_series, _MOST_PAIRS)

    def _counted(self, pairs: Pairs, rng: np.random.Generator) -> Pairs:
        """Pairs as often as their series count."""
        return pairs if self.weights is None else pairs.counted(self.weights, _MOST_PAIRS, rng)

    def _evenness(self) -> float:
        r"""Share $(\sum w)^2 / (B \sum w^2)$ of the B usable series that weights leave (Kish)."""
        if self.weights is None:
            return 1.0
        own = self.weights[self.source.per_series > 0]
        return float(own.mean() ** 2 / np.mean(own**2))

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
            known,
        )

    def _experts(
        self, pairs: Pairs, asked: Questions, folds: Folds, names: tuple[str, ...]
    ) -> tuple[list[Part], HeldOut]:
        """Experts of every part, and what they say of the pairs they have not seen."""
        features = self.design(asked, self.units)
        products = self.design.interactions(features, asked, self.units)
        truth = self.data.values[pairs.target]
        held = folds.held(self.data, pairs)
        trains = [folds.trains(self.data, pairs, k) for k in range(folds.count)]
        simple = simple_increments(asked, self.units)
        self._mean_of_others(simple, asked, truth, held, trains)
        target = (truth - asked.history.last) / asked.size
        n_features, n_channels = features.shape[1], self.units.n_channels
        columns = ridge_columns(self.design, n_features, n_channels, rich=bool(names))
        # errors in units of the channel: else short leads of steep stretches would count most
        size = (asked.size / np.sqrt(np.mean(asked.size**2, axis=0))).mean(axis=1)
        ridges, ridge = fit_ridge_by_parts(products, target, held, trains, columns, size)
        del products
        continued, continuations = fit_continuations(
            self.past,
            asked,
            pairs,
            target,
            held,
            trains,
            self.units,
            self.stretches,
            self.weights,
        )
        mixed, of_curve = fit_mixed_models(
            self.data, asked, pairs, held, trains, self.units, self.weights
        )
        increments = [simple, continuations, of_curve[:, :, None], ridge[:, :, None]]
        log_scale = np.zeros_like(ridge)
        learned = [continued, mixed, ridges]
        if "trees" in names:
            forests, trees = fit_forests(
                features, target, held, trains, self.design.own, self.seeds[2]
            )
            increments.append(trees[:, :, None])
            learned.append(forests)
        if "network" in names:
            networks, network, log_scale = self._networks(features, target, folds, held, trains)
            increments.append(network[:, :, None])
            learned.append(networks)
        parts = [Part(*own) for own in zip(*learned, strict=True)][folds.averaged]
        every = HeldOut(
            asked,
            pairs,
            held,
            truth,
            np.concatenate(increments, axis=2),
            log_scale,
            folds.weight(held),
            log_scale,
            log_scale,
        )
        return parts, every if (held >= 0).all() else every[np.flatnonzero(held >= 0)]

    def _mean_of_others(
        self, simple: Array, asked: Questions, truth: Array, held: Array, trains: list[Array]
    ) -> None:
        """Make the mean of everything that of what may be learned from."""
        column = SIMPLE.index("mean_of_all")
        for part, rows in enumerate(trains):
            if rows.any() and (held == part).any():
                known = ~np.isnan(truth[rows])
                total = np.where(known, truth[rows], 0.0).sum(axis=0)
                center = np.where(
                    known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), self.units.center
                )
                own = asked[np.flatnonzero(held == part)]
                moved = replace(self.units, center=center)
                simple[held == part, :, column] = simple_increments(own, moved)[:, :, column]

    def _networks(
        self,
        features: Array,
        target: Array,
        folds: Folds,
        held: Array,
        trains: list[Array],
    ) -> tuple[list[IncrementNetwork], Array, Array]:
        mean, log_scale = np.zeros_like(target), np.zeros_like(target)
        networks = []
        for part, seed in enumerate(spawn(self.seeds[3], folds.count)):
            rows = held == part

            def draw(epoch: int, part: int = part, seed: int = seed) -> tuple[Array, Array]:
                if self.listed or epoch == 0:
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
        rng = np.random.default_rng(seed)
        pairs = self._counted(self._draw(rng), rng)
        pairs = pairs[folds.trains(self.data, pairs, part)]
        asked = self._ask(pairs)
        target = (self.data.values[pairs.target] - asked.history.last) / asked.size
        return self.design(asked, self.units), target

    def _law(
        self,
        parts: list[Part],
        mixture: Mixture,
        held_out: HeldOut,
        stretches: Independent,
        by_now: Array,
        *,
        noisy: bool,
        biased: bool,
    ) -> Judged:
        asked, share, truth = held_out.asked, self._share(held_out), held_out.truth
        newcomers = Newcomers.fit(
            asked, held_out.pairs.series, held_out.mean, truth, self.units.scale
        )
        mean = newcomers.mean(asked, held_out.mean)
        error = np.where(unseen(asked), np.nan, truth - mean) * by_now[:, None]
        log_scale = held_out.log_scale if noisy else None
        positive = ~self.scale.logs & ~(self.data.values < 0).any(axis=0)
        spread = fit_spread(
            asked, mean, error, self.units, log_scale, stretches.of_squares, positive
        )
        scale = newcomers.scales(asked, spread(asked, mean, self.units, log_scale))
        errors = error / scale
        quantiles = ErrorQuantiles.fit(errors * growth_lately(errors, held_out.weight), share)
        normal = quantiles.normal(errors, share)
        process, white = memory(normal, asked, held_out.pairs, self.units, stretches.of_squares)
        of_thirds = independent_errors(errors, share, held_out.pairs, stretches.of_squares)
        to_come = quantiles.of_errors_to_come(
            stretches.of_means, stretches.of_squares, of_thirds, biased=biased
        )
        expected = scale[:, :, None] * standardised_errors(asked, to_come.table(share))
        law = ForecastLaw(
            self.scale.confirmed(mean, expected, WEIGHTS, truth, stretches.of_squares),
            self.units,
            self.calendar,
            self.design,
            tuple(parts),
            mixture,
            newcomers,
            spread,
            to_come,
            process,
            white,
            self.kinds,
            self.known,
        )
        return Judged(law, replace(held_out, scale=scale), stretches.of_means)


def _without_idle(parts: list[Part], mixture: Mixture) -> list[Part]:
    """Leave out the trees of channels in which they have no share."""
    if "trees" not in mixture.names:
        return parts
    share = mixture.shares[:, :, mixture.names.index("trees")].max(axis=0)
    return [
        replace(
            part,
            trees=tuple(t if s > 0 else None for t, s in zip(part.trees, share, strict=True)),
        )
        for part in parts
    ]
