"""Filling in irregular series: a linear Langevin smoother, corrected by a driven neural SDE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_fraction, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, Seeds, seed_from, spawn
from trajinfer._core.words import renamed, renamed_settings
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.data.filled_table import filled_table
from trajinfer.data.grouping import similar_lengths
from trajinfer.data.input import as_series, series_to_learn
from trajinfer.data.time_order import TimeOrder
from trajinfer.data.written_forecasts import written_forecasts
from trajinfer.data.written_predictions import mean_path, written_predictions
from trajinfer.filling.cross_channel import EXPERTS
from trajinfer.filling.hiding import hidings, judges_hidden
from trajinfer.filling.linear_prior import PriorFamily
from trajinfer.metrics import crps
from trajinfer.series.corrected_smoother import CorrectedSmoother
from trajinfer.series.correction import Correction
from trajinfer.series.early_decision import EarlyDecision
from trajinfer.series.filling_examples import FillingExamples, filling_examples
from trajinfer.series.format_1 import series_estimator_of
from trajinfer.series.hidden_values import some_of
from trajinfer.series.network import Network, Shape
from trajinfer.series.series_batch import Scaling
from trajinfer.series.series_estimator import SeriesEstimator
from trajinfer.series.series_model import SeriesModel, compacted
from trajinfer.training import Report

_SHORTEST_STEP = 0.05
_MOST_EPOCHS, _MOST_STEPS = 60, 160
_MOST_JUDGED, _MOST_VALIDATIONS = 256, 20
_DRAWS_OF_INTERVALS = 400


@renamed_settings(noise="stochastic")
@dataclass(eq=False, repr=False)
class NeuralSDEInterpolator(SeriesEstimator):
    r"""Values between the observations of irregular series, with uncertainty.

    Each channel of each series has its own linear Langevin prior, found by marginal likelihood,
    and with it a smoother (a Gaussian process with a Matern kernel). A latent state, driven along
    the control path through the observations, moves and stretches the smoother's law,
    $m(t) + s(t)\,(a\,\mu(z_t) + e^{b \varsigma(z_t)}\,\varepsilon)$. It learns from observations
    hidden from the series of the fit. A part of the observations, the judges, is never asked for in
    training; the shares a, b in [0, 1] of a channel are those that predict its judges best, and 0
    where that gains no more than its standard error over the smoother at its best spread.

    Args:
        dynamics, parameterization, hidden, layers, interpolation, control, stochastic, step,
            n_samples, batch_size, lr, weight_decay, kl_weight, regularization, callbacks,
            checkpoint, random_state, device, verbose: as for `NeuralSDEClassifier`.
        max_epochs: passes over the data; None: 60 or as many as make 160 steps, whichever is less,
            and the network is given up on the way where the judges say that it brings nothing.
        thinning: in training, a random share up to this of what is left is hidden from the network
            as well.
        validation: share of the observations that are the judges: they stop the training early,
            choose the shares and calibrate. With 0, or where nothing can be kept aside, training
            is one pass and nothing is corrected.
        patience: validations without a better one before training stops.
        hide: share of the observations hidden in training.
        n_hidings: draws of what is hidden, per series.
        bounds: (lower, upper) by name of the channel, None = no bound; channels that are not named
            are judged by their values.

    Attributes:
        share_: the shares a ("mean") and b ("spread") of the correction by name of the channel.
        shares_: shares of smoother, straight lines, ridge and kernel ridge in the mean of every
            channel, before the correction.
        bounds_, channel_kinds_: by name of the channel.
        calibration_: factors on the standard deviations that make nine of ten judges fall into
            their 90 % intervals, drawn towards 1 where judges are few.
        model_, n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as for
            `NeuralSDEClassifier`.
    """

    _: KW_ONLY
    max_epochs: int | None = None  # type: ignore[assignment]
    thinning: float = 0.0
    hide: float = 0.5
    n_hidings: int = 4
    bounds: Bounds | None = None

    @renamed(series="X")
    def fit(self, X: Any, y: Any = None, *, errors: Any = None) -> Self:
        """Fit the correction and the calibration on hidden observations.

        Args:
            X: an `IrregularSeries`, or what `as_series` takes.
            y: not used.
            errors: standard errors of the values, (B, T, C) or series of them.

        Raises:
            InputError: for series or settings that cannot be used.
        """
        self._check_settings()
        require_integer(self.n_hidings, "n_hidings", least=1)
        require_fraction(self.hide, "hide")
        whole = series_to_learn(X)
        data = compacted(whole)
        weights = _relative_variances(whole, errors, data)
        seed = once("seed", seed_from, self.random_state)
        seeds = Seeds.of(seed)
        scaling = Scaling.on_one_axis(data)
        kinds = ChannelKinds.of(data.values[data.present], data.channels, self.bounds)
        of_judges, of_draws = spawn(seeds.split, 2)
        judges = judges_hidden(data, self.validation, of_judges)
        draws = hidings(data, self.hide, self.n_hidings, judges.asked, of_draws)
        examples = filling_examples(data, weights, scaling, draws, judges, seeds.weights)
        judged = bool(judges.asked.any())
        network, report = self._trained(examples, judged, scaling, seeds)
        series = SeriesModel(network, scaling, data.axis, seeds, self.n_samples)
        nothing, unchanged = np.zeros((2, data.shape[2])), np.ones(data.shape[2])
        model = CorrectedSmoother(
            series, nothing, unchanged, examples.family, examples.cross_channel, kinds
        )
        self.model_ = model.judged(examples.judges) if judged else model
        self._keep_features(data)
        self._conclude_training(report, seed)
        return self

    def _trained(
        self, examples: FillingExamples, judged: bool, scaling: Scaling, seeds: Seeds
    ) -> tuple[Network, Report]:
        """The network of the correction; it is given up where judges say that it brings nothing."""
        contexts = [part.context for part in examples.learned]
        shape = Shape.of(contexts, self._scaled_step(scaling))
        shape = replace(shape, step=max(shape.step, _SHORTEST_STEP))
        plan = self._plan(shape, "correction", n_channels=shape.n_channels)
        network = plan.build(seeds.weights)
        judges = some_of(examples.judges, _MOST_JUDGED)
        task = Correction(self._training_pass(network, seeds), examples.learned, judges)
        epochs = self._epochs(task.n_rows) if judged else 1
        recipe = replace(self._recipe(seeds), epochs=epochs, validations=_MOST_VALIDATIONS)
        report = recipe.fit(
            network,
            task.objective,
            task.n_rows,
            task.validate if judged else None,
            # who names a number of epochs gets them
            EarlyDecision(task.score) if judged and self.max_epochs is None else None,
        )
        return network, report

    def _epochs(self, n_rows: int) -> int:
        per_epoch = -(-n_rows // self.batch_size)
        return self.max_epochs or max(1, min(_MOST_EPOCHS, _MOST_STEPS // per_epoch))

    @property
    def share_(self) -> dict[str, dict[str, float]]:
        """The shares of the correction in mean and spread, by name of the channel."""
        pairs = self.model_.share.T.tolist()
        return {
            name: {"mean": mean, "spread": spread}
            for name, (mean, spread) in zip(self.feature_names_in_, pairs)
        }

    @property
    def shares_(self) -> dict[str, dict[str, float]]:
        """Shares of the experts in the mean of every channel."""
        model = self.model_
        if model.cross_channel is None:
            return {name: {"smoother": 1.0} for name in self.feature_names_in_}
        mixtures = zip(self.feature_names_in_, model.cross_channel.channels, strict=True)
        return {name: dict(zip(EXPERTS, one.shares.tolist())) for name, one in mixtures}

    @property
    def bounds_(self) -> dict[str, tuple[float | None, float | None]]:
        """Bounds of the channels by name, None = no bound."""
        kinds = self.model_.kinds
        free = ((None, None),) * self.n_features_in_
        return dict(zip(self.feature_names_in_, free if kinds is None else kinds.bounds))

    @property
    def channel_kinds_(self) -> dict[str, str]:
        """Kinds of the channels by name."""
        kinds = self.model_.kinds
        free = ("real",) * self.n_features_in_
        return dict(zip(self.feature_names_in_, free if kinds is None else kinds.names))

    @property
    def calibration_(self) -> Array:
        """(C,) factors on the standard deviations."""
        return self.model_.calibration

    @renamed(series="X")
    def interpolate(
        self,
        X: Any,
        ts: Any,
        n: int = 100,
        *,
        errors: Any = None,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Forecast | Path:
        """Sample values at any times, between the observations of each series or outside them.

        Samples are those of new observations, their noise included, and independent between times.

        Args:
            X: the observations.
            ts: times, one row for all series or one each, or one time; in any order. Outside the
                observations the smoother goes back to the mean of the series.
            n: number of samples.
            errors: standard errors of the values.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Forecast.to_frame`, in parquet), some series at a time
                as the memory of an open table allows, with a seed of their own; a call that was
                killed goes on. Times are then common to all series, without `errors`.

        Returns:
            Samples (B, n, T, C); the folder where there is an `out`.

        Raises:
            InputError: for times that are no times of the data, empty or not finite.
        """
        check_is_fitted(self)
        require_integer(n, "n", least=1)
        model = self.model_
        seed = model.series.seeds.draws if random_state is None else seed_from(random_state)
        if out is None:
            return self._sampled(X, ts, n, errors, seed)
        if errors is not None:
            raise InputError("out= takes no errors=; leave one of them out")
        return written_forecasts(out, X, model, seed, {"ts": ts, "n": n}, self.interpolate)

    def _sampled(self, X: Any, ts: Any, n: int, errors: Any, seed: int) -> Forecast:
        model = self.model_
        asked, data, weights, order = self._asked(X, ts, errors)
        samples = model.samples(data, weights, order.times, n, seed)
        return Forecast(
            order.restore(samples, axis=2),
            order.restore(order.times, axis=1),
            asked.channels,
            asked.ids,
            asked.axis,
            asked,
        )

    @renamed(series="X")
    def predict(
        self, X: Any, ts: Any = None, *, errors: Any = None, out: str | Path | None = None
    ) -> Array | Path:
        """Means at any times, (B, T, C), in the order asked.

        Args:
            X: the observations.
            ts: times as for `interpolate`; None: those of the series themselves, (B, T) with the
                last one repeated in shorter series, where what was observed is kept.
            errors: standard errors of the values.
            out: folder to write tables to (id, time, channel, mean), as for `interpolate`; times
                must then be given.

        Returns:
            The means; the folder where there is an `out`.
        """
        check_is_fitted(self)
        if out is None:
            return self._means(X, ts, errors).samples[:, 0]
        if errors is not None or ts is None:
            raise InputError("out= takes times that all series share, as ts=, and no errors=")
        return written_predictions(out, X, self.model_, {"ts": ts}, self._means)

    def _means(self, X: Any, ts: Any, errors: Any = None) -> Forecast:
        asked, data, weights, order = self._asked(X, ts, errors)
        means = order.restore(self.model_.mean(data, weights, order.times), axis=1)
        return mean_path(means, asked, order.restore(order.times, axis=1))

    def fill(
        self, X: Any, *, level: float = 0.9, errors: Any = None, random_state: RandomState = None
    ) -> pd.DataFrame:
        """The table of the series with its gaps filled; what was observed is kept.

        Args:
            X: the observations.
            level: of the intervals.
            errors: standard errors of the values.
            random_state: None uses the estimator's.

        Returns:
            The columns of `X.to_frame()`, and per channel `<channel>_filled`, which says where the
            value was filled in, `<channel>_low` and `<channel>_high`, the ends of its interval.

        Raises:
            InputError: if `level` does not lie in (0, 1).
        """
        check_is_fitted(self)
        require_fraction(level, "level")
        model = self.model_
        asked = as_series(X).on_axis(model.series.axis)
        data = model.series.series(asked)
        weights = None if errors is None else _relative_variances(asked, errors, data)
        seed = model.series.seeds.draws if random_state is None else seed_from(random_state)
        ends, answers = (
            [50 * (1 - level), 50 * (1 + level)],
            np.empty((3, *asked.flat_values.shape)),
        )
        for rows, own in _groups(asked, seed):
            part, known = asked[rows], data[rows]
            shape = known.values.shape
            sizes = np.ones(shape) if weights is None else weights[rows, : shape[1]]
            drawn = model.samples(known, sizes, part.times, _DRAWS_OF_INTERVALS, own)
            found = [model.mean(known, sizes, part.times)]
            found += list(np.percentile(drawn, ends, axis=1, method="weibull"))
            entries = asked.layout.take(rows)[1]
            answers[:, entries] = [part.layout.flatten(answer) for answer in found]
        return filled_table(asked, *answers)

    @renamed(series="X")
    def score(self, X: Any, y: Any = None) -> float:
        """Minus the mean CRPS of values that are hidden from the series for the occasion.

        In standard deviations of the training values of each channel.
        """
        check_is_fitted(self)
        series = self.model_.series
        data = series.series(X)
        shown = data.drop_observations(self._valid_setting("hide"), spawn(series.seeds.draws, 2)[1])
        if np.array_equal(np.isnan(data.flat_values), np.isnan(shown.flat_values)):
            raise InputError(
                "nothing can be hidden from these series, so that no score can be had; give series "
                "with more observations per channel, or a larger hide="
            )
        scale = series.scaling.values.scale
        errors = []
        for rows, seed in _groups(data, series.seeds.draws):
            whole, part = data[rows], shown[rows]
            hidden = whole.mask & ~part.mask
            drawn = self._sampled(part, whole.times, 100, None, seed).samples / scale
            errors.append(
                crps(drawn.transpose(1, 0, 2, 3)[:, hidden], (whole.values / scale)[hidden])
            )
        return -float(np.mean(np.concatenate(errors)))

    def _asked(
        self, X: Any, ts: Any, errors: Any
    ) -> tuple[IrregularSeries, IrregularSeries, Array, TimeOrder]:
        """The series, those without empty times, their weights, and the times in order."""
        series = self.model_.series
        asked = as_series(X).on_axis(series.axis)
        data = series.series(asked)
        weights = _relative_variances(asked, errors, data)
        times = asked.times if ts is None else series.axis.queries(ts, len(asked))
        return asked, data, weights, TimeOrder.of(times)

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, Tensor]) -> Self:
        """The interpolator that version 0.1 wrote."""
        n_channels = config["shape"]["n_channels"]
        estimator, series = series_estimator_of(
            cls, config, tensors, "correction", n_channels=n_channels
        )
        learned = config["learned"]
        share = np.full((2, n_channels), learned["share"])
        factors, plain = np.array(learned["calibration"]), PriorFamily(plain=True)
        estimator.model_ = CorrectedSmoother(series, share, factors, plain)
        return estimator


def _groups(series: IrregularSeries, seed: int) -> Iterator[tuple[Array, int]]:
    """Places of series of similar length, and a seed for each group, the first the one given."""
    groups = similar_lengths(series.lengths)
    yield from zip(groups, [seed, *spawn(seed, len(groups) - 1)], strict=True)


def _relative_variances(whole: IrregularSeries, errors: Any, data: IrregularSeries) -> Array:
    """Squared standard errors (B, T, C) relative to their mean; ones where none are whole.

    Raises:
        InputError: if errors do not have the shape of the values, or are not positive.
    """
    if errors is None:
        return np.ones(data.values.shape)
    sizes = errors.values if isinstance(errors, IrregularSeries) else np.asarray(errors, float)
    if sizes.shape != whole.values.shape or data.values.shape != whole.values.shape:
        raise InputError(
            f"errors must have the shape of the values, {whole.values.shape}, got {sizes.shape}, "
            "and every time must have an observation; see series.compact()"
        )
    if not (sizes[whole.mask] > 0).all():
        raise InputError("errors must be positive wherever a value was observed")
    squares = np.where(whole.mask, sizes, np.nan) ** 2
    mean = np.nanmean(squares, axis=(0, 1), keepdims=True)
    return np.asarray(np.nan_to_num(squares / mean, nan=1.0))
