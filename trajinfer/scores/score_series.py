"""The estimator: series with times of their own, by a denoiser."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from trajinfer._core.accepted_data import SERIES
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array, require_fraction
from trajinfer._core.devices import Device, device_of
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, Seeds, seed_from
from trajinfer.data import IrregularSeries
from trajinfer.data.channel_kinds import Bounds, ChannelKinds
from trajinfer.data.input import as_series
from trajinfer.data.scaling import Standardisation, is_constant
from trajinfer.data.windows import FEWEST_FOR_A_LAW
from trajinfer.generation.schema import ChannelSchema, schema_of
from trajinfer.scores.correction import Learned
from trajinfer.scores.exact_support import ExactSupport
from trajinfer.scores.hung_channels import fit_hung, places_of
from trajinfer.scores.knot_fit import fit_complete, fit_incomplete, knots_of
from trajinfer.scores.knot_law import require_few
from trajinfer.scores.mixture_choice import levels_for
from trajinfer.scores.series_learning import learn_series, require_short
from trajinfer.scores.series_score_model import SeriesScoreModel
from trajinfer.scores.series_verbs import SeriesVerbs
from trajinfer.scores.settings import require_settings, schedule_of

_GRID = 20
_ROWS_OF_GAPS = 20_000


@dataclass(eq=False, repr=False)
class ScoreSeries(SeriesVerbs):
    r"""The law of irregular series: draws, gaps, forecasts, likelihoods, anomalies, conditions.

    The law in closed form is that of values at knots, with lines between them. Where all series
    share their times and miss nothing, it is a mixture of Gaussians of whole series, with as many
    parts as foretell hidden values best; else a mixture fitted to series with times and holes of
    their own, with as many parts as make held-out series likeliest. Series that share their times
    are also tried with innovations whose sizes wander, `SizedLaw`, which draws whole
    series, forecasts and gives likelihoods where held-out series are likelier under it.

    With `model="network"` a network with attention between the entries of a series moves its
    denoiser, so that it learns what the closed form does not hold. It is trained on series of which
    everything, some values, some times or the end are hidden. Training ends when the held-out loss,
    every noise level counting alike, gets no better, or when draws come nearer to training series
    than held-out ones do. A network that does not help is left out.

    One model generates, fills in and forecasts, and all draws are paths: their values at several
    times belong together. Channels keep what they can be (whole numbers, positive, levels such as
    0/1, bounds).

    Args:
        model: "mixture", the law in closed form alone, which takes seconds; or "network", which
            takes minutes.
        n_components: parts of the mixture, "auto" by held-out series.
        bounds: lowest and highest value of channels by name, None = as the values show.
        hide: share of the values that `score` hides.
        hidden: width of the network, a multiple of four.
        layers: of attention.
        n_evaluations: evaluations of the denoiser per draw, with a network.
        churn: noise of the sampler; 0 is an ODE.
        max_epochs, batch_size, lr, patience: of the training, see `ScoreDensity`.
        validation: share of the series held out.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed; drawing verbs can override it.
        device: as of `ScoreDensity`.
        verbose: 1 shows a bar, 2 logs.

    Attributes:
        model_: the fitted law.
        losses_, memorisation_: as of `ScoreDensity`.
        channel_kinds_, bounds_: kind and bounds of every channel by name, as found from the values.
        n_features_in_, feature_names_in_, n_iter_, converged_, history_, seed_: as everywhere.

    References:
        Tashiro et al., arXiv 2107.03502 (training by hiding); Karras et al., arXiv 2206.00364.

    Example:
        >>> walks = np.random.default_rng(0).normal(size=(60, 8, 1)).cumsum(axis=1)
        >>> series = IrregularSeries.from_arrays(np.arange(8.0), walks)
        >>> model = ScoreSeries(random_state=0).fit(series)
        >>> model.forecast(series[:2].until(4.0), [6.0, 7.0], n=50)
        Forecast(2 series, 50 paths, 2 times, 1 channels)
    """

    accepts = replace(SERIES, alone=False)

    model: Literal["mixture", "network"] = "mixture"
    _: KW_ONLY
    n_components: int | Literal["auto"] = "auto"
    bounds: Bounds | None = None
    hide: float = 0.5
    hidden: int = 32
    layers: int = 2
    n_evaluations: int = 10
    churn: float = 0.0
    max_epochs: int = 200
    batch_size: int = 32
    lr: float = 1e-3
    patience: int = 4
    validation: float = 0.15
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the law of series.

        Args:
            X: at least 20 series: an `IrregularSeries`, or what `as_series` takes.
            y: ignored.

        Raises:
            InputError: for settings or series that cannot be used, before any work.
        """
        self._check_settings()
        data = self._read(X)
        if self.model == "network":
            require_short(data)
        seed = once("seed", seed_from, self.random_state)
        seeds = Seeds.of(seed)
        schema = schema_of(data, self.bounds)
        flat = np.asarray(data.flat_values)
        shown = np.stack([k.forward(flat[:, c]) for c, k in enumerate(schema)], axis=-1)
        scaling = Standardisation.of(shown)
        grid = _grid(data)
        order = np.random.default_rng(seeds.split).permutation(len(data))
        n_held = max(3, round(self.validation * len(data)))
        held, rows = order[:n_held], order[n_held:]
        model = SeriesScoreModel(
            None,  # type: ignore[arg-type]
            None,
            (1.0, 0.5),
            schema,
            scaling,
            data.channels,
            data.axis,
            grid,
            len(data),
            seeds.draws,
        )
        pasts = model.pasts(data)
        parts = [pasts[i] for i in rows], [pasts[i] for i in held]
        unseen = self.model == "network"
        exact = _exact_support(data, schema, grid)
        if _is_complete(data):
            latent = scaling.apply(shown).reshape(data.shape)
            knots = once(
                "mixture",
                fit_complete,
                grid,
                latent[rows],
                latent[held],
                self.n_components,
                seeds.weights,
                exact.functions(scaling.scale, [k.kind == "real" for k in schema]),
                unseen,
            )
        else:
            times = knots_of(np.asarray(data.flat_times))
            knots = once(
                "mixture",
                fit_incomplete,
                *parts,
                times,
                len(data.channels),
                self.n_components,
                seeds.weights,
                unseen,
            )
        model = replace(
            model,
            knots=knots,
            levels=levels_for(knots.mixture),
            exact=exact,
        )
        learned = None
        if self.model == "network":
            sizes = {"hidden": int(self.hidden), "layers": int(self.layers)}
            device = device_of(self.device)
            network, learned = learn_series(
                model.law, *parts, sizes, schedule_of(self), seeds, device
            )
            model = replace(model, network=network if learned.helps else None)
        model = self._hung(model, data, seeds.noise)
        self._keep(model, learned, seed)
        return self

    def _hung(self, model: SeriesScoreModel, data: IrregularSeries, seed: int) -> SeriesScoreModel:
        """The law with channels that hang from others, at gaps as those of the series."""
        exact, kinds = model.exact, model.schema
        positive = np.array([k.kind == "positive" for k in kinds])
        places = () if exact is None else places_of(exact.order, _plain(kinds), positive)
        if exact is None or not places:
            return model
        n = math.ceil(_ROWS_OF_GAPS / len(model.grid))
        drawn = replace(model, exact=None).sample(n, model.grid, seed, **self._settings())
        real = np.asarray(data.flat_values)
        if len(exact.grid):
            # cells that never change tell nothing of gaps
            whole = real.reshape(data.shape)
            drawn, real = (np.where(np.isnan(exact.still), x, np.nan) for x in (drawn, whole))
        rows = (x.reshape(-1, len(kinds)) for x in (real, drawn))
        return replace(model, exact=replace(exact, hung=fit_hung(places, *rows)))

    def _keep(self, model: SeriesScoreModel, learned: Learned | None, seed: int) -> None:
        self.model_ = model
        self.n_features_in_ = len(model.channels)
        self.feature_names_in_ = np.array(model.channels, dtype=object)
        self.losses_: dict[str, Array] = {}
        self.memorisation_ = float("nan")
        if learned is None:
            self._conclude(seed=seed, n_iter=0, converged=True, history=[])
            return
        self.losses_ = {"rho": learned.rhos, "loss": learned.by_level}
        self.memorisation_ = learned.memorisation
        self._conclude(
            seed=seed,
            n_iter=learned.report.history[-1]["epoch"],
            converged=learned.report.n_skipped == 0,
            history=learned.report.history,
        )

    def _read(self, X: Any) -> IrregularSeries:
        data = as_series(X)
        if len(data) < FEWEST_FOR_A_LAW:
            raise InputError(
                f"a law cannot be learned from n_samples={len(data)} series, at least "
                f"{FEWEST_FOR_A_LAW} are needed; cut a long series by trajinfer.data.Windows "
                "(--window), or fill gaps "
                "by NeuralSDEInterpolator (trajinfer impute --model gru), which learns from one"
            )
        missing = np.isnan(data.flat_values).all(axis=0)
        if missing.any():
            raise InputError(
                f"channel {data.channels[int(missing.argmax())]!r} is never observed; drop it"
            )
        constant = is_constant(data.flat_values)
        if constant.any():
            raise InputError(
                f"channel {data.channels[int(constant.argmax())]!r} is constant (sd 0): drop it or "
                "add it after sampling"
            )
        ChannelKinds.of(np.asarray(data.flat_values), data.channels, self.bounds)
        compact = data.compact()
        if _is_complete(compact):
            require_few(compact.shape[1] * compact.shape[2])
        return compact

    def _check_settings(self) -> None:
        require_settings(self)
        require_fraction(self.hide, "hide")
        if self.hidden % 4:
            raise InputError(f"hidden must be a multiple of four, got {self.hidden}")


def _exact_support(
    data: IrregularSeries, schema: tuple[ChannelSchema, ...], grid: Array
) -> ExactSupport:
    """What holds exactly in all series, held-out ones too: their values show it."""
    bounds = np.array([[k.low for k in schema], [k.high for k in schema]])
    whole = np.asarray(data.values) if _is_complete(data) else None
    return ExactSupport.of(np.asarray(data.flat_values), grid, whole, _plain(schema), bounds)


def _plain(schema: tuple[ChannelSchema, ...]) -> Array:
    """(C,) channels whose values are not moved to a grid of their own."""
    smooth = ("real", "positive")
    return np.array([k.kind in smooth and not len(k.levels) and k.unit == 0 for k in schema])


def _is_complete(data: IrregularSeries) -> bool:
    """Whether all series share their times and miss nothing."""
    lengths = data.lengths
    return bool(
        (lengths == lengths[0]).all()
        and not np.isnan(data.flat_values).any()
        and (data.times == data.times[0]).all()
    )


def _grid(data: IrregularSeries) -> Array:
    """The times of the series where they share them, else even steps over their range."""
    same = (data.lengths == data.lengths[0]).all() and (data.times == data.times[0]).all()
    if same:
        return np.asarray(data.times[0])
    times = data.flat_times
    return np.linspace(times.min(), times.max(), _GRID)
