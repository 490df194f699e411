"""The estimator: synthetic series with the law of those given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.accepted_data import SERIES
from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import require_integer, require_widths
from trajinfer._core.devices import Device, device_of
from trajinfer._core.errors import InputError
from trajinfer._core.estimator import Estimator
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer._core.words import renamed
from trajinfer.data import Trajectories
from trajinfer.data.channel_kinds import Bounds
from trajinfer.data.written_draws import written_draws
from trajinfer.generation import format_1
from trajinfer.generation.chain import Dependence
from trajinfer.generation.chain_engine import ChainEngine
from trajinfer.generation.directed_chain import NeighbourKind, NoiseKind
from trajinfer.generation.engine import Engine
from trajinfer.generation.generator_model import GeneratorModel, training_scale
from trajinfer.generation.losses import lost
from trajinfer.generation.memory_engine import MemoryEngine
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.prepared import Prepared, prepare, to_series
from trajinfer.generation.row_engine import RowEngine
from trajinfer.generation.row_transform import RowTransform
from trajinfer.generation.schema import schema_of
from trajinfer.generation.settings import checked_stages
from trajinfer.generation.stages import LossName, Stage, has_settled
from trajinfer.generation.unlisted_setting import UnlistedSetting
from trajinfer.sde import SolverRegularization
from trajinfer.training import Callback, Progress, Report

Transform = Literal["auto", "standard", "rows", "relative", "daily"]
_MOST_REHEARSED = 256
_TRANSFORM: Any = UnlistedSetting("auto")


@dataclass(eq=False, repr=False)
class DirectedChainGenerator(Estimator):
    r"""As many new series as wanted, with the law of the series it was fitted to.

    With `transform="standard"` the series follow a directed-chain SDE (`DirectedChainSDE`),
    $dX = V_0(s, X, \tilde X)\,ds + V_1(s, X, \tilde X)\,dB$, whose neighbour $\tilde X$ is none,
    one path of the same law, or the whole interacting system. With "relative" and "daily" the next
    row follows a law that sees the past (`Memory`), in a representation that suits prices or
    readings.

    Redundant channels (copies, sums, constants) are left out of the model and rebuilt exactly.
    Missing values: "rows" keeps their pattern; "standard" takes the observations at which all
    channels are present,
    with the gaps between them as they are; the others split a recording there.

    Args:
        loss: the stages of training, by name or as `TransitionLikelihood(...)`, `PathMMD(...)`,
            `SigKernelMMD(...)`, `ExpectedSignature(...)`, `CDECritic(...)`; several run one after
            another. Only the likelihood applies to "relative" and "daily".
        neighbour: "none"; "one", where paths are links of a chain; or "pool", where all series of a
            group interact (`fit(X, groups=...)`).
        chain_steps: links that are walked at least before a path is taken; more, up to four times
            as many, until the dependence on the seed is at its null level.
        transform: "standard" for the SDE; "rows" for tables, where every channel keeps what it can
            be (whole numbers, positive values, levels such as 0/1, constants of a series), the
            period, the tails, and lengths and times of series; "relative" for positive rows that
            follow the row before, such as prices (see `RelativeRows`); "daily" for rounded rows
            with zeros that repeat daily (see `QuantisedRows`); or such an object. "auto" takes
            "rows" where the data show any of what it keeps, or are fewer than 100 series, and no
            setting of the SDE is given; else the SDE. As a setting it stands in `get_params()`.
        hidden: widths of the network of the SDE.
        noise: "diagonal", "triangular" for noises of the channels that are correlated, a number of
            Brownian channels, or "auto": triangular where increments are correlated.
        start: function (n, torch generator) -> (n, D) that draws starts, for a known law; None
            smooths the observed ones. Standard transform only.
        memory: what "relative" and "daily" see of the past; None takes the transform's own.
        bounds: lowest and highest value of channels by name, {channel: (low, high)}, None = as the
            values show; other channels are judged by their values. "rows" and "auto" only.
        regularization: penalty on what the solver's steps cost, for losses that simulate. Chains
            take fixed Euler steps, whose error is estimated by
            `SolverRegularization(mode="local", estimate="doubling")`.
        callbacks: of the trainings, see `trajinfer.training`.
        checkpoint: folder in which the work is kept as it is done: a fit that was killed goes on
            from there when it is called again; see docs/scale.md.
        random_state: seed; sampling calls can override it.
        device: None or "cpu"; "auto", "cuda" and the like, where the networks are trained and draw.
            "rows" is algebra on the CPU.
        verbose: 1 shows a bar, 2 logs every epoch.

    Attributes:
        model_: the fitted law, which draws.
        history_: rows of the histories of all trainings.
        n_iter_: steps of all trainings.
        converged_: whether every training ended with a finite loss that had not risen.
        seconds_: time spent in each training.
        dependence_: per link of a walk the largest correlation with its seed, and the level to be
            expected of independent paths; None where there is no neighbour path.
        chain_steps_: links that are walked by default.
        channels_: names of the channels, also as `feature_names_in_`.
        n_features_in_: their number.
        seed_: seed of the fit.

    References:
        Min, Hu and Ichiba, Directed Chain Generative Adversarial Networks, ICML 2023 (the model);
        Detering, Fouque and Ichiba, arXiv 1805.01962 (the equation).

    Example:
        >>> from trajinfer import IrregularSeries
        >>> from trajinfer.generation import TransitionLikelihood
        >>> walks = np.random.default_rng(0).normal(size=(50, 20, 1)).cumsum(axis=1)
        >>> series = IrregularSeries.from_arrays(np.arange(20.0), walks)
        >>> quick = TransitionLikelihood(n_steps=50, batch_size=64)
        >>> DirectedChainGenerator(loss=quick, random_state=0).fit(series).sample(3)
        Trajectories(3 paths, 20 times, dim 1)
    """

    accepts = replace(SERIES, alone=False, weights=True)

    _: KW_ONLY
    loss: LossName | Stage | Sequence[LossName | Stage] = "likelihood"
    neighbour: NeighbourKind = "none"
    chain_steps: int = 5
    transform: Transform | RowTransform = _TRANSFORM
    hidden: Sequence[int] = (64, 64, 64)
    noise: NoiseKind | int | Literal["auto"] = "auto"
    start: Callable[[int, torch.Generator], Any] | None = None
    memory: Memory | None = None
    bounds: Bounds | None = None
    regularization: SolverRegularization | None = None
    callbacks: Sequence[Callback] = ()
    checkpoint: str | Path | None = None
    random_state: RandomState = None
    device: Device = None
    verbose: int = 0

    training_only: ClassVar[Mapping[str, Any]] = {"callbacks": ()}

    @renamed(series="X")
    def fit(self, X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None) -> Self:
        """Learn the law of series.

        Args:
            X: at least 20 series: `IrregularSeries`, `Trajectories`, or arrays (B, T, C).
                Windows of one recording are joined again for "relative" and "daily", by their times
                or, where all have the same, by the rows they share.
            y: ignored.
            groups: (B,) the interacting system of every series, for `neighbour="pool"`.
            sample_weight: (B,) how often each series counts, not negative; "rows" and "auto" only.

        Raises:
            InputError: for settings or series that cannot be used, before any work.
        """
        stages = self._check_settings()
        prepared = prepare(X, groups, sample_weight, self.bounds)
        prepared = replace(prepared, device=device_of(self.device))
        seed = once("seed", seed_from, self.random_state)
        seed_fit, seed_draws = spawn(seed, 2)
        hooks = [*self.callbacks, *([Progress(self.verbose)] if self.verbose else [])]
        engine, reports = self._fit_engine(prepared, stages, seed_fit, hooks)
        data = prepared.series
        self.model_ = GeneratorModel(
            engine,
            prepared.constraints,
            data.channels,
            data.axis,
            len(data),
            training_scale(engine.comparable(data.values)),
            seed_draws,
            schema_of(data, self.bounds),
        )
        self.n_features_in_ = len(data.channels)
        self.feature_names_in_ = np.array(data.channels, dtype=object)
        self.seconds_ = [report.wall_time for report in reports]
        self._conclude(
            seed=seed,
            n_iter=sum(report.n_steps for report in reports),
            converged=all(has_settled(report) for report in reports),
            history=[row for report in reports for row in report.history],
        )
        return self

    def sample(
        self,
        n: int | None = None,
        ts: Any = None,
        *,
        chain_steps: int | None = None,
        given: Any = None,
        random_state: RandomState = None,
        out: str | Path | None = None,
    ) -> Trajectories | Path:
        """Draw n series.

        Args:
            n: number of series; None draws as many as were fitted. With `neighbour="pool"` they
                come system after system, each as large as an observed one; the last may be cut off.
            ts: times (T,), one time, or a row of times per series (n, T), in any order and
                repeated or not; the draws come in the order asked. None takes those of the
                training series where they share them, else equal steps over their range. For
                "relative" and "daily" times count from the first row, unless `given`.
            chain_steps: links walked before the paths are taken; None takes `chain_steps_`.
            given: the past to go on from: one series, or n of them; ts then lie after its end.
            random_state: None uses the estimator's.
            out: folder to write tables to (`Trajectories.to_frame`, in parquet), 10 000 series at a
                time, each with a seed of its own; a call that was killed goes on.

        Returns:
            The series; the folder where there is an `out`.

        Raises:
            InputError: for arguments that cannot be used, or an `out` of another call.
            sklearn.exceptions.NotFittedError: before `fit`.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
            UserWarning: if the paths may still depend on the seeds of their walk.
        """
        check_is_fitted(self)
        n = self.model_.n_series if n is None else require_integer(n, "n", least=1)
        if chain_steps is not None:
            require_integer(chain_steps, "chain_steps", least=1)
        seed = self._draws_seed(random_state)
        if out is not None:
            if given is not None:
                raise InputError("out= takes times that all series share, and no given=")
            asked = {"ts": ts, "chain_steps": chain_steps}
            return written_draws(out, self.model_, n, seed, asked, self.sample)
        if given is not None:
            return self.model_.continue_from(to_series(given), n, ts, seed)
        return self.model_.sample(n, ts, chain_steps, seed)

    def walk(
        self, n: int, n_steps: int, ts: Any = None, *, random_state: RandomState = None
    ) -> list[Trajectories]:
        """The first `n_steps` links of n walks; the neighbours of the first are training series.

        Raises:
            InputError: unless `neighbour="one"`.
        """
        check_is_fitted(self)
        n = require_integer(n, "n", least=1)
        n_steps = require_integer(n_steps, "n_steps", least=1)
        return self.model_.walk(n, n_steps, ts, self._draws_seed(random_state))

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the signature-kernel MMD (squared, unbiased) to held-out series.

        It is free of units: every channel is measured in standard deviations of the training
        series. At most 128 series of either side are compared.

        Args:
            X: held-out series that are complete on the same times.
            y: ignored.

        Raises:
            InputError: if the held-out series do not share complete times.
        """
        check_is_fitted(self)
        return self.model_.score(to_series(X))

    def losses(self, X: Any, *, random_state: RandomState = None) -> tuple[str, ...]:
        """Sentences on what draws lose of the law of series; empty where nothing was found.

        A rehearsal to be run before draws are handed out: as many series as X holds, at most 256,
        are drawn and compared with X in the spectrum, the spread, the tails and the memory of
        increments, the correlations of channels, the dependence of missing values on what is
        observed, and by a classifier, whose area under the curve is named above .6.
        `evaluation.generation_report` says more, and needs held-out series.

        Args:
            X: series of the channels that were fitted, such as the training series.
            random_state: of the draws; None uses the estimator's.

        Raises:
            InputError: for other channels.
        """
        check_is_fitted(self)
        real = to_series(X)
        if real.channels != self.channels_:
            raise InputError(f"X must have the channels {self.channels_}, got {real.channels}")
        n = min(len(real), _MOST_REHEARSED)
        drawn = self.model_.sample(n, None, None, self._draws_seed(random_state)).values
        comparable = self.model_.engine.comparable
        return lost(real.channels, comparable(real.values[:n]), comparable(drawn))

    @property
    def channels_(self) -> tuple[str, ...]:
        """Names of the channels."""
        check_is_fitted(self)
        return self.model_.channels

    @property
    def dependence_(self) -> Dependence | None:
        """Dependence of the links on their seeds, or None without a neighbour path."""
        check_is_fitted(self)
        return self.model_.engine.dependence

    @property
    def chain_steps_(self) -> int:
        """Links that are walked by default."""
        check_is_fitted(self)
        return self.model_.engine.n_links

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name."""
        return {name: vars(self)[name] for name in self._get_param_names()}

    @classmethod
    def _from_format_1(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        estimator = cls(**format_1.read_settings(config))
        estimator.model_ = format_1.read_model(config, tensors)
        estimator.n_features_in_ = len(estimator.channels_)
        estimator.feature_names_in_ = np.array(estimator.channels_, dtype=object)
        first, *history = config["history"]
        estimator.history_, estimator.seconds_ = history, config["seconds"]
        estimator.seed_ = first["seed"]
        estimator.n_iter_ = sum(
            row["step"] for row, after in zip(history, [*history[1:], None]) if _ends(row, after)
        )
        estimator.converged_ = True
        return estimator

    @property
    def _transform(self) -> Transform | RowTransform:
        """The setting `transform`, which is no attribute."""
        setting: Transform | RowTransform = vars(self)["transform"]
        return setting

    def _is_plain(self) -> bool:
        """Whether no setting asks for the SDE."""
        plain = self.loss == "likelihood" if isinstance(self.loss, str) else False
        return plain and self.neighbour == "none" and self.start is None

    @property
    def channel_kinds_(self) -> dict[str, str]:
        """Kind of every channel, as found from the values; see `ChannelSchema`."""
        check_is_fitted(self)
        return {name: kind.kind for name, kind in zip(self.channels_, self.model_.schema)}

    @property
    def bounds_(self) -> dict[str, tuple[float, float]]:
        """Bounds of every channel, as found from the values."""
        check_is_fitted(self)
        return {name: (k.low, k.high) for name, k in zip(self.channels_, self.model_.schema)}

    def _draws_seed(self, random_state: RandomState) -> int:
        return self.model_.seed if random_state is None else seed_from(random_state)

    def _check_settings(self) -> tuple[Stage, ...]:
        require_widths(self.hidden, "hidden")
        return checked_stages(
            self.loss,
            self._transform,
            neighbour=self.neighbour,
            start=self.start,
            chain_steps=self.chain_steps,
            memory=self.memory,
            regularization=self.regularization,
            device=self.device,
        )

    def _fit_engine(
        self, prepared: Prepared, stages: tuple[Stage, ...], seed: int, hooks: Sequence[Callback]
    ) -> tuple[Engine, list[Report]]:
        if self._transform == "rows" or (self._transform == "auto" and self._is_plain()):
            rows = RowEngine.fit(prepared, seed)
            if self._transform == "rows" or rows.is_needed:
                return rows, []
        if prepared.weight is not None or prepared.bounds:
            raise InputError("bounds= and sample_weight= belong to transform='rows' or 'auto'")
        prepared.require_complete_rows()
        if self._transform not in ("auto", "standard"):
            return MemoryEngine.fit(prepared, self._transform, self.memory, seed, hooks)
        return ChainEngine.fit(
            prepared,
            stages,
            neighbour=self.neighbour,
            noise=self.noise,
            hidden=require_widths(self.hidden, "hidden"),
            chain_steps=self.chain_steps,
            start=self.start,
            regularization=self.regularization,
            seed=seed,
            callbacks=hooks,
        )


def _ends(row: dict[str, Any], after: dict[str, Any] | None) -> bool:
    """Whether a row of a history is the last one of its training."""
    return after is None or after["step"] <= row["step"]
