"""Estimators of one answer per series: a validated mixture of cheap experts and networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import Seeds, seed_from, spawn
from trajinfer.data import IrregularSeries
from trajinfer.series.early_decision import EarlyDecision
from trajinfer.series.experts.panel import EXPERTS, fit_panel, fold_of_each
from trajinfer.series.labelled_task import LabelledTask
from trajinfer.series.mixture_model import CrossFitting, SeriesMixture, Weighing, alone
from trajinfer.series.network import NetworkPlan, Shape
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_batch import Scaling
from trajinfer.series.series_estimator import SeriesEstimator, split
from trajinfer.series.series_model import SeriesModel
from trajinfer.series.series_rows import SeriesRows
from trajinfer.training import Report

_FEWEST_TO_MIX = 12
_MOST_FOLDS = 5
_STEPS_OF_A_MEMBER = 120
_EPOCHS_ALONE = 200
_STEPS, _STEPS_ALONE = 20, 40


MakeTask = Callable[[TrainingPass, SeriesRows, Tensor], LabelledTask]


@dataclass(eq=False, repr=False)
class LabelledEstimator(SeriesEstimator):
    """Settings and fit common to the classifier and the regressor; not for direct use."""

    accepts = replace(SeriesEstimator.accepts, weights=True)

    _: KW_ONLY
    experts: Sequence[str] | None = None
    max_epochs: int | None = None  # type: ignore[assignment]
    validation: float = 1 / 3

    @property
    def shares_(self) -> dict[str, float]:
        """Share of every expert in the answer, "neural" among them."""
        shares: dict[str, float] = self._mixture().shares
        return shares

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @abstractmethod
    def _mixture(self) -> SeriesMixture:
        """The fitted mixture."""

    def _series_model(self) -> SeriesModel:
        return self._mixture().members[0]

    def _experts(self, n_series: int) -> tuple[str, ...]:
        """Names of the experts beside the networks.

        Raises:
            InputError: for a name that is not known.
        """
        names = EXPERTS if self.experts is None else tuple(self.experts)
        unknown = [name for name in names if name not in EXPERTS]
        if unknown:
            raise InputError(
                f"experts are {', '.join(EXPERTS)}, got {unknown[0]!r}; None takes all, () none"
            )
        mixes = self.validation > 0 and n_series >= _FEWEST_TO_MIX
        return tuple(names) if mixes else ()

    def _fit_mixture(
        self, data: IrregularSeries, target: Array, weights: Array, n_classes: int, task: MakeTask
    ) -> tuple[SeriesMixture, Report, int]:
        """Fit networks and experts, and weigh them by held-out series.

        Args:
            data: n series.
            target: (n,) classes 0..K-1 or standardised numbers.
            weights: (n,) of the series, with mean 1.
            n_classes: K; 0 for numbers.
            task: of one network.
        """
        seed = once("seed", seed_from, self.random_state)
        seeds = Seeds.of(seed)
        scaling = Scaling.on_one_axis(data)
        series = SeriesRows.of(data, scaling)
        names = self._experts(len(data))
        shape = Shape.of(
            series.batches(), self._scaled_step(scaling), _STEPS if names else _STEPS_ALONE
        )
        head, n_out = ("class", n_classes) if n_classes else ("number", 1)
        plan = self._plan(shape, head, n_out=n_out)
        if not names:
            learned, held = split(np.arange(len(data)), self.validation, seeds.split)
            member, report = self._trained(plan, series, scaling, data, seeds, task, learned, held)
            return alone(member, n_classes), report, seed
        count = int(np.clip(round(1 / self.validation), 2, _MOST_FOLDS))
        groups = target.astype(int) if n_classes else np.zeros(len(data), dtype=int)
        folds = fold_of_each(groups, count, seeds.split)
        seed_of_experts = spawn(seeds.weights, 1)[0]
        panel, held_out = once(
            "experts", fit_panel, data, target, weights, folds, n_classes, names, seed_of_experts
        )
        weighing = Weighing(series, panel, held_out, target, weights, folds)
        members, report = self._cross_fitted(plan, weighing, scaling, data, seeds, task)
        return weighing.mixture(members), report, seed

    def _trained(
        self,
        plan: NetworkPlan,
        series: SeriesRows,
        scaling: Scaling,
        data: IrregularSeries,
        seeds: Seeds,
        task: MakeTask,
        learned: Array,
        held: Array,
    ) -> tuple[SeriesModel, Report]:
        """One network, stopped early on series kept aside where there are enough."""
        network = plan.build(seeds.weights)
        one = task(self._training_pass(network, seeds), series, torch.as_tensor(held))
        recipe = replace(self._recipe(seeds), epochs=self.max_epochs or _EPOCHS_ALONE)
        report = recipe.fit(network, one.objective, learned, one.validate if len(held) else None)
        return SeriesModel(network, scaling, data.axis, seeds, self.n_samples), report

    def _cross_fitted(
        self,
        plan: NetworkPlan,
        weighing: Weighing,
        scaling: Scaling,
        data: IrregularSeries,
        seeds: Seeds,
        task: MakeTask,
    ) -> tuple[list[SeriesModel], Report]:
        """One network per fold, which never sees it; all are trained in one run."""
        folds, count = weighing.folds, 1 + int(weighing.folds.max())
        networks = [plan.build(one) for one in spawn(seeds.weights, count)]
        tasks = [
            task(
                self._training_pass(network, seeds),
                weighing.series,
                torch.as_tensor(np.flatnonzero(folds == k)),
            )
            for k, network in enumerate(networks)
        ]
        fitting = CrossFitting(
            nn.ModuleList(networks),
            [one.objective for one in tasks],
            [one.validate for one in tasks],
            torch.as_tensor(folds),
        )
        per_epoch = -(-len(data) // self.batch_size)
        epochs = self.max_epochs or -(-_STEPS_OF_A_MEMBER // per_epoch)
        recipe = replace(self._recipe(seeds), epochs=epochs)
        decision = EarlyDecision(lambda: weighing.score([one.answers for one in tasks]))
        report = recipe.fit(
            fitting.modules,
            fitting.objective,
            len(data),
            fitting.validate,
            # who names a number of epochs gets them
            decision if self.max_epochs is None else None,
        )
        members = [
            SeriesModel(network, scaling, data.axis, seeds, self.n_samples) for network in networks
        ]
        return members, report

    def _answers(self, data: IrregularSeries, ts: Any, prior: Array) -> Array:
        """Answers (B, K) of whole series, or (B, T, K) of what was known at times.

        Args:
            data: B series on the axis of the fit, without empty times.
            ts: times in any order, or None.
            prior: (K,) answer where nothing is known.
        """
        mixture = self._mixture()
        if ts is None:
            return mixture(data)
        times = self.axis_.queries(ts, len(data))
        answers = np.broadcast_to(prior, (*times.shape, len(prior))).copy()
        for k in range(times.shape[1]):
            known = np.flatnonzero(data.first_times <= times[:, k])
            if len(known):
                answers[known, k] = mixture(data[known].until(times[known, k]))
        return answers
