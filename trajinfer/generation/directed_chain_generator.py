"""The estimator: synthetic series with the law of those given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.archive import save_archive
from trajinfer._core.checks import Array, require_finite, require_increasing, require_integer
from trajinfer._core.errors import ExtrapolationWarning, InputError, nearest
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.generation.archive import pack, unpack
from trajinfer.generation.chain_engine import ChainEngine
from trajinfer.generation.directed_chain import NEIGHBOURS, NeighbourKind, NoiseKind
from trajinfer.generation.memory_engine import MemoryEngine
from trajinfer.generation.memory_settings import Memory
from trajinfer.generation.prepared import Prepared, prepare, to_series
from trajinfer.generation.row_transform import RowTransform
from trajinfer.generation.stages import LossName, Stage, resolve_stages
from trajinfer.generation.transition_likelihood import TransitionLikelihood
from trajinfer.metrics import signature_mmd
from trajinfer.sde import SolverRegularization
from trajinfer.training import Callback, Progress

Transform = Literal["standard", "relative", "daily"]
_TRANSFORMS = ("standard", "relative", "daily")
_SCORED = 128


@dataclass(eq=False, repr=False)
class DirectedChainGenerator(BaseEstimator):  # type: ignore[misc]
    r"""As many new series as wanted, with the law of the series it was fitted to.

    With `transform="standard"` the series follow a directed-chain SDE (`DirectedChainSDE`),
    $dX = V_0(s, X, \tilde X)\,ds + V_1(s, X, \tilde X)\,dB$, whose neighbour $\tilde X$ is none,
    one path of the same law, or the whole interacting system. With "relative" and "daily" the next
    row follows a law that sees the past (`Memory`), in a representation that suits prices or
    readings.

    Redundant channels (copies, sums, constants) are left out of the model and rebuilt exactly.
    Missing values: the standard transform takes the observations at which all channels are present,
    with the gaps between them as they are; the others split a recording there.

    Args:
        loss: the stages of training, by name or as `TransitionLikelihood(...)`, `PathMMD(...)`,
            `SigKernelMMD(...)`, `ExpectedSignature(...)`, `CDECritic(...)`; several run one after
            another. Only the likelihood applies to "relative" and "daily".
        neighbour: "none"; "one", where paths are links of a chain; or "pool", where all series of a
            group interact (`fit(series, groups=...)`).
        chain_steps: links that are walked at least before a path is taken; more, up to four times
            as many, until the dependence on the seed is at its null level.
        transform: "standard"; "relative" for prices (and bars and volumes, see `PriceBars`);
            "daily" for readings that repeat daily (see `MeterReadings`); or such an object.
        hidden: widths of the network of the SDE.
        noise: "diagonal", "triangular" for noises of the channels that are correlated, a number of
            Brownian channels, or "auto": triangular where increments are correlated.
        start: function (n, torch generator) -> (n, D) that draws starts, for a known law; None
            smooths the observed ones. Standard transform only.
        memory: what "relative" and "daily" see of the past; None takes the transform's own.
        regularization: penalty on what the solver's steps cost, for losses that simulate. Chains
            take fixed Euler steps, whose error is estimated by
            `SolverRegularization(mode="local", estimate="doubling")`.
        callbacks: of the trainings, see `trajinfer.training`.
        random_state: seed; sampling calls can override it.
        verbose: 1 shows a bar, 2 logs every epoch.

    Attributes:
        history_: rows of the histories of all trainings.
        seconds_: time spent in each training.
        dependence_: per link of a walk the largest correlation with its seed, and the level to be
            expected of independent paths; None where there is no neighbour path.
        chain_steps_: links that are walked by default.
        channels_: names of the channels.

    References:
        Min, Hu and Ichiba, Directed Chain Generative Adversarial Networks, ICML 2023 (the model);
        Detering, Fouque and Ichiba, arXiv 1805.01962 (the equation).

    Example:
        >>> from trajinfer.generation import TransitionLikelihood
        >>> walks = np.random.default_rng(0).normal(size=(50, 20, 1)).cumsum(axis=1)
        >>> series = IrregularSeries.from_arrays(np.arange(20.0), walks)
        >>> quick = TransitionLikelihood(n_steps=50, batch_size=64)
        >>> DirectedChainGenerator(loss=quick, random_state=0).fit(series).sample(3)
        Trajectories(3 paths, 20 times, dim 1)
    """

    _: KW_ONLY
    loss: LossName | Stage | Sequence[LossName | Stage] = "likelihood"
    neighbour: NeighbourKind = "none"
    chain_steps: int = 5
    transform: Transform | RowTransform = "standard"
    hidden: Sequence[int] = (64, 64, 64)
    noise: NoiseKind | int | Literal["auto"] = "auto"
    start: Callable[[int, torch.Generator], Any] | None = None
    memory: Memory | None = None
    regularization: SolverRegularization | None = None
    callbacks: Sequence[Callback] = ()
    random_state: RandomState = None
    verbose: int = 0

    def fit(self, series: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Learn the law of series.

        Args:
            series: at least 20 of them: `IrregularSeries`, `Trajectories`, or arrays (B, T, C).
                Windows of one recording are joined again for "relative" and "daily", by their times
                or, where all have the same, by the rows they share.
            y: ignored.
            groups: (B,) the interacting system of every series, for `neighbour="pool"`.

        Raises:
            InputError: for settings or series that cannot be used, before any work.
        """
        stages = self._check_settings()
        prepared = prepare(series, groups)
        seed = seed_from(self.random_state)
        seed_fit, self._seed = spawn(seed, 2)
        hooks = [*self.callbacks, *([Progress(self.verbose)] if self.verbose else [])]
        self._engine, reports = self._fit_engine(prepared, stages, seed_fit, hooks)
        data = prepared.series
        self.channels_, self.axis_ = data.channels, data.axis
        self.n_features_in_ = len(data.channels)
        self._constraints = prepared.constraints
        self.history_ = [{"seed": seed}, *(row for report in reports for row in report.history)]
        self.seconds_ = [report.wall_time for report in reports]
        return self

    def sample(
        self,
        n: int,
        ts: Any = None,
        *,
        chain_steps: int | None = None,
        given: Any = None,
        random_state: RandomState = None,
    ) -> Trajectories:
        """Draw n series.

        Args:
            n: number of series. With `neighbour="pool"` they come system after system, each as
                large as an observed one; the last may be cut off.
            ts: (T,) increasing times; None takes those of the training series where they share
                them, else equal steps over their range. For "relative" and "daily" times count from
                the first row, unless `given`.
            chain_steps: links walked before the paths are taken; None takes `chain_steps_`.
            given: the past to go on from: one series, or n of them; ts then lie after its end.
            random_state: None uses the estimator's.

        Raises:
            InputError: for arguments that cannot be used.

        Warns:
            ExtrapolationWarning: for times outside those of the training series.
            UserWarning: if the paths may still depend on the seeds of their walk.
        """
        self._check_fitted()
        n = require_integer(n, "n", least=1)
        if chain_steps is not None:
            require_integer(chain_steps, "chain_steps", least=1)
        seed = self._seed if random_state is None else seed_from(random_state)
        if given is not None:
            return self._continue(n, ts, given, seed)
        times = self._times(ts)
        self._warn_of_dependence(chain_steps)
        kept = self._engine.sample(n, times, chain_steps, seed)
        return self._trajectories(times, kept)

    def walk(
        self, n: int, n_steps: int, ts: Any = None, *, random_state: RandomState = None
    ) -> list[Trajectories]:
        """The first `n_steps` links of n walks; the neighbours of the first are training series.

        Raises:
            InputError: unless `neighbour="one"`.
        """
        self._check_fitted()
        if not isinstance(self._engine, ChainEngine):
            raise InputError("only neighbour='one' makes a chain; use sample")
        n, n_steps = (
            require_integer(n, "n", least=1),
            require_integer(n_steps, "n_steps", least=1),
        )
        seed = self._seed if random_state is None else seed_from(random_state)
        times = self._times(ts)
        links = self._engine.walk(n, n_steps, times, seed)
        return [self._trajectories(times, link) for link in links]

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the signature-kernel MMD (squared, unbiased) to held-out series on the same times.

        At most 128 series of either side are compared, standardised by the held-out ones.

        Raises:
            InputError: if the held-out series do not share complete times.
        """
        self._check_fitted()
        held_out = to_series(X)
        if held_out.mask.sum() < held_out.mask.size or (held_out.times != held_out.times[0]).any():
            raise InputError("the score needs held-out series that are complete on the same times")
        rows = np.random.default_rng(self._seed).permutation(len(held_out))[:_SCORED]
        real = held_out.values[rows]
        times = held_out.axis.decode(held_out.times[0])
        fake = self.sample(_SCORED, times if isinstance(self._engine, ChainEngine) else None).values
        if isinstance(self._engine, MemoryEngine):
            real, fake = (self._engine.transform.comparable(part) for part in (real, fake))
        mean, spread = real.mean(axis=(0, 1)), real.std(axis=(0, 1))
        spread = np.where(spread > 0, spread, 1.0)
        return -float(signature_mmd((fake - mean) / spread, (real - mean) / spread))

    @property
    def dependence_(self) -> Any:
        """Dependence of the links on their seeds, or None without a neighbour path."""
        self._check_fitted()
        return self._engine.dependence if isinstance(self._engine, ChainEngine) else None

    @property
    def chain_steps_(self) -> int:
        """Links that are walked by default."""
        self._check_fitted()
        return self._engine.n_links if isinstance(self._engine, ChainEngine) else 1

    def save(self, path: str | Path) -> Path:
        """Write the fitted generator to a folder that `trajinfer.load` reads.

        It holds training series: seeds of walks and starts, or the rows draws are made of.

        Raises:
            InputError: if `start` is a function.
        """
        self._check_fitted()
        return save_archive(path, *pack(self))

    @classmethod
    def _from_archive(cls, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Self:
        estimator: Self = unpack(cls, config, tensors)
        return estimator

    def _check_settings(self) -> tuple[Stage, ...]:
        stages = resolve_stages(self.loss)
        if self.neighbour not in NEIGHBOURS:
            raise InputError(
                f"unknown neighbour {self.neighbour!r}; {nearest(str(self.neighbour), NEIGHBOURS)}"
            )
        require_integer(self.chain_steps, "chain_steps", least=1)
        if isinstance(self.transform, RowTransform) or self.transform in _TRANSFORMS[1:]:
            if self.neighbour != "none" or self.start is not None:
                raise InputError("neighbour= and start= belong to transform='standard'")
            if self.loss != "likelihood":
                raise InputError(
                    f"transform={self.transform!r} is learned by loss='likelihood', got "
                    f"{self.loss!r}; its training settings are those of memory=Memory(...)"
                )
        elif self.transform != "standard":
            raise InputError(
                f"unknown transform {self.transform!r}; {nearest(str(self.transform), _TRANSFORMS)}"
            )
        elif self.memory is not None:
            raise InputError("memory= belongs to transform='relative' or 'daily'")
        if self.regularization is not None and all(
            isinstance(stage, TransitionLikelihood) for stage in stages
        ):
            raise InputError(
                "regularization= penalises the steps of simulated paths, and loss='likelihood' "
                "simulates none; add a loss of whole paths, or leave it out"
            )
        return stages

    def _fit_engine(
        self, prepared: Prepared, stages: tuple[Stage, ...], seed: int, hooks: Sequence[Callback]
    ) -> tuple[ChainEngine | MemoryEngine, list[Any]]:
        if self.transform != "standard":
            return MemoryEngine.fit(prepared, self.transform, self.memory, seed, hooks)
        return ChainEngine.fit(
            prepared,
            stages,
            neighbour=self.neighbour,
            noise=self.noise,
            hidden=self.hidden,
            chain_steps=self.chain_steps,
            start=self.start,
            regularization=self.regularization,
            seed=seed,
            callbacks=hooks,
        )

    def _check_fitted(self) -> None:
        check_is_fitted(self, "_engine")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_engine")

    def _times(self, ts: Any) -> Array:
        if ts is None:
            return self._engine.grid()
        axis = self.axis_ if isinstance(self._engine, ChainEngine) else self.axis_.since_start()
        times = axis.encode(np.ravel(ts))
        require_finite(times, "ts")
        require_increasing(times, "ts")
        if isinstance(self._engine, ChainEngine):
            self._require_range(times)
        return times

    def _require_range(self, times: Array) -> None:
        first, last = self._engine.range()  # type: ignore[union-attr]
        slack = 1e-6 * (last - first)
        if times[0] < first - slack:
            raise InputError(
                f"series begin at {first:g}, ts begins at {times[0]:g}; nothing is known before"
            )
        if times[-1] > last + slack:
            warnings.warn(
                f"ts goes on to {times[-1]:g}, the training series end at {last:g}",
                ExtrapolationWarning,
                stacklevel=4,
            )

    def _warn_of_dependence(self, chain_steps: int | None) -> None:
        found = self.dependence_
        if found is None:
            return
        k = self.chain_steps_ if chain_steps is None else chain_steps
        level = found.links[min(k, len(found.links)) - 1]
        if level > found.null:
            warnings.warn(
                f"after {k} links paths still correlate with their seeds, by up to {level:.3f} "
                f"({found.null:.3f} is the 99 % quantile of independent ones); take more "
                "chain_steps",
                UserWarning,
                stacklevel=3,
            )

    def _continue(self, n: int, ts: Any, given: Any, seed: int) -> Trajectories:
        past = to_series(given).on_axis(self.axis_)
        if past.channels != self.channels_ or len(past) not in (1, n):
            raise InputError(
                f"given must be one series or {n}, with channels {self.channels_}; got {len(past)} "
                f"with {past.channels}"
            )
        if ts is None:
            raise InputError("say at which times after the given past the paths are wanted: ts=")
        times = self.axis_.encode(np.ravel(ts))
        require_finite(times, "ts")
        require_increasing(times, "ts")
        if isinstance(self._engine, ChainEngine):
            self._require_range(times)
        kept = self._engine.continue_from(_kept(past, self._constraints), n, times, seed)
        return Trajectories(
            times, self._constraints.rebuild(kept), features=self.channels_, axis=self.axis_
        )

    def _trajectories(self, times: Array, kept: Array) -> Trajectories:
        axis = self.axis_ if isinstance(self._engine, ChainEngine) else self.axis_.since_start()
        values = self._constraints.rebuild(kept)
        return Trajectories(times, values, features=self.channels_, axis=axis)


def _kept(series: IrregularSeries, constraints: Any) -> IrregularSeries:
    """The channels that are modelled."""
    names = tuple(series.channels[k] for k in constraints.kept)
    return IrregularSeries(
        series.flat_times,
        constraints.drop(series.flat_values),
        series.lengths,
        channels=names,
        axis=series.axis,
    )
