"""The panel of cheap experts on whole series, fitted with held-out predictions for every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries
from trajinfer.data.grouping import in_groups
from trajinfer.regression import BoostedTrees, BoostingSettings, fit_kernel_ridge, fit_ridge
from trajinfer.regression.mixture import softmax, temperature
from trajinfer.series.experts.convolutions import Convolutions
from trajinfer.series.experts.resampling import resampled, shared_window
from trajinfer.series.experts.summaries import summaries

ExpertName = Literal["linear", "kernel", "convolutions", "boosting"]
EXPERTS: tuple[ExpertName, ...] = get_args(ExpertName)
_FEWEST_FOR_TREES = 40
_LONGEST_GRID = 32
_STAGES = (10, 20, 35, 60)
_FEATURES, _FEATURES_OF_MANY, _MANY = 9996, 2016, 2000


@packable
@dataclass(frozen=True, eq=False)
class Inputs:
    """Features of whole series that experts see.

    Attributes:
        grid: number of even times at which series are read by straight lines.
        convolutions: features of convolutions, where an expert asks for them.
        window: the span of these times; None: that of each series.
    """

    grid: int
    convolutions: Convolutions | None
    window: tuple[float, float] | None = None

    def __call__(self, series: IrregularSeries) -> dict[str, Array]:
        """Features (B, F) by the name of the expert that sees them."""
        short = in_groups(series, summaries)
        values = in_groups(series, lambda part: resampled(part, self.grid, self.window))
        values = values.reshape(len(series), -1)
        design = np.concatenate([short, values], axis=1)
        features = {"linear": design, "kernel": design, "boosting": short}
        if self.convolutions is not None:
            features["convolutions"] = self.convolutions(series)
        return features


@packable
@dataclass(frozen=True, eq=False)
class Panel:
    """Fitted experts.

    Attributes:
        inputs: their features.
        experts: by name; boosting has one set of trees per fold.
        n_classes: K; 0 for numbers.
        temperatures: factors on the scores of experts, for classes.
    """

    inputs: Inputs
    experts: dict[str, Any]
    n_classes: int
    temperatures: dict[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The experts, in the order of their answers."""
        return tuple(self.experts)

    def __call__(self, series: IrregularSeries) -> Array:
        """(E, B, K) probabilities, or (E, B, 1) numbers."""
        features = self.inputs(series)
        return np.stack([self._answer(name, features[name]) for name in self.experts])

    def _answer(self, name: str, features: Array) -> Array:
        expert = self.experts[name]
        if isinstance(expert, tuple):
            parts = [_answer(part(features), self.n_classes) for part in expert]
            return np.asarray(np.mean(parts, axis=0))
        return _answer(self.temperatures[name] * expert(features), self.n_classes)


def fit_panel(
    series: IrregularSeries,
    target: Array,
    weights: Array,
    folds: Array,
    n_classes: int,
    names: tuple[str, ...],
    seed: int,
) -> tuple[Panel, Array]:
    """Fit experts.

    Args:
        series: n training series.
        target: (n,) classes 0..K-1, or standardised numbers.
        weights: (n,) of the series, with mean 1.
        folds: (n,) number of the part in which each series is held out.
        n_classes: K; 0 for numbers.
        names: of the experts.
        seed: of the convolutions and the trees.

    Returns:
        The panel, and (E, n, K) or (E, n, 1) answers of every expert for each series by fits
        without it.
    """
    seed_of_convolutions, seed_of_kernel, *seeds = spawn(seed, 3 + int(folds.max()))
    n_features = _FEATURES if len(series) <= _MANY else _FEATURES_OF_MANY
    convolutions = (
        Convolutions.of(series, n_features, seed_of_convolutions)
        if "convolutions" in names
        else None
    )
    grid = int(np.clip(np.median(series.lengths), 2, _LONGEST_GRID))
    inputs = Inputs(grid, convolutions, shared_window(series))
    features = inputs(series)
    values = np.eye(n_classes)[target.astype(int)] if n_classes else target[:, None]
    experts: dict[str, Any] = {}
    temperatures, held_out = {}, []
    for name in names:
        if name == "boosting":
            if len(series) >= _FEWEST_FOR_TREES and _can_be_held_out(target, folds, n_classes):
                trees, answers = _cross_fitted_trees(
                    features[name], target, weights, folds, n_classes, seeds
                )
                experts[name] = trees
                held_out.append(answers)
            continue
        if name == "kernel":
            experts[name], scores = fit_kernel_ridge(
                features[name], values, weights, seed_of_kernel
            )
        else:
            experts[name], scores = fit_ridge(features[name], values, weights)
        factor = temperature(scores, target.astype(int), weights) if n_classes else 1.0
        temperatures[name] = factor
        held_out.append(_answer(factor * scores, n_classes))
    return Panel(inputs, experts, n_classes, temperatures), np.stack(held_out)


def fold_of_each(codes: Array, count: int, seed: int) -> Array:
    """(n,) numbers of `count` parts, in each of which every class has its share.

    Args:
        codes: (n,) classes; equal for all rows where there are none.
        count: number of parts.
        seed: of the order.
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(len(codes), dtype=int)
    folds[order] = np.arange(len(codes)) % count
    return folds


def _can_be_held_out(target: Array, folds: Array, n_classes: int) -> bool:
    if not n_classes:
        return True
    return all(len(np.unique(target[folds != k])) > 1 for k in np.unique(folds))


def _cross_fitted_trees(
    design: Array, target: Array, weights: Array, folds: Array, n_classes: int, seeds: list[int]
) -> tuple[tuple[BoostedTrees, ...], Array]:
    """Trees per fold, cut after the number of rounds that is best on all held-out rows."""
    trees = []
    answers = np.empty((len(_STAGES), len(target), max(n_classes, 1)))
    for k in np.unique(folds):
        rest = folds != k
        settings = BoostingSettings(
            rounds=_STAGES[-1], smallest_leaf=max(3, min(20, int(rest.sum()) // 30))
        )
        one = BoostedTrees.fit(
            design[rest], target[rest], weights[rest], n_classes, settings, seeds[k]
        )
        trees.append(one)
        stages = one.staged(design[~rest], _STAGES)
        answers[:, ~rest] = [_answer(scores, n_classes) for scores in stages]
    losses = [_loss(whole, target, weights, n_classes) for whole in answers]
    best = int(np.argmin(losses))
    return tuple(one.first(_STAGES[best]) for one in trees), answers[best]


def _answer(scores: Array, n_classes: int) -> Array:
    return softmax(scores) if n_classes else scores


def _loss(answers: Array, target: Array, weights: Array, n_classes: int) -> float:
    if not n_classes:
        return float((weights * (answers[:, 0] - target) ** 2).mean())
    chosen = answers[np.arange(len(target)), target.astype(int)]
    return float(-(weights * np.log(chosen + 1e-12)).mean())
