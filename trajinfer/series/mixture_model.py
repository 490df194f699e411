"""Mixtures of cheap experts on whole series and of networks, weighed by held-out series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries
from trajinfer.series.experts.mixture import mixture_of_numbers, mixture_of_probabilities
from trajinfer.series.experts.panel import Panel
from trajinfer.series.grouping import in_groups
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.series.series_model import SeriesModel
from trajinfer.series.series_rows import SeriesRows
from trajinfer.training import Loss

NEURAL = "neural"

Objective = Callable[[Tensor, int], Loss]


@packable
@dataclass(frozen=True, eq=False)
class SeriesMixture:
    """Networks and experts with their shares of the answer.

    Attributes:
        members: networks, trained on different series; their mean is one expert.
        n_classes: K; 0 for numbers.
        panel: the other experts, where there are any.
        shares: of the experts by name, "neural" among them; they sum to 1.
    """

    members: tuple[SeriesModel, ...]
    n_classes: int
    panel: Panel | None
    shares: dict[str, float]

    def __call__(self, data: IrregularSeries) -> Array:
        """(B, K) probabilities, or (B, 1) numbers in the unit of the fit."""
        return in_groups(data, self._answer)

    def _answer(self, data: IrregularSeries) -> Array:
        answer = 0.0
        if self.shares[NEURAL] > 0:
            batch = self.members[0].scaling.batch(data)
            parts = [member_answer(one, batch, self.n_classes) for one in self.members]
            answer = self.shares[NEURAL] * np.mean(parts, axis=0)
        if self.panel is not None:
            weights = [self.shares[name] for name in self.panel.names]
            answer = answer + np.einsum("e,ebk->bk", weights, self.panel(data))
        return np.asarray(answer)


def member_answer(member: SeriesModel, batch: SeriesBatch, n_classes: int) -> Array:
    """(B, K) probabilities or (B, 1) numbers of one network, averaged over paths of noise."""
    head = member.network.head
    if n_classes:
        logits = member.answers(batch, lambda encoding, _rows: head(encoding).logits)
        return np.asarray(logits.softmax(-1).mean(0).double().numpy())
    means = member.answers(batch, lambda encoding, _rows: head(encoding).mean)
    return np.asarray(means.mean(0).double().numpy()[:, None])


def weigh(
    members: Sequence[SeriesModel],
    series: SeriesRows,
    panel: Panel,
    held_out: Array,
    target: Array,
    weights: Array,
    folds: Array,
) -> SeriesMixture:
    """The mixture whose shares are best on series that no expert was fitted to.

    The networks get a share only where they lower the held-out loss of the others by more than
    its standard error.

    Args:
        members: one network per fold, trained without it.
        series: the training series.
        panel: the other experts.
        held_out: (E, n, K) or (E, n, 1) their held-out answers.
        target: (n,) classes or standardised numbers.
        weights: (n,) of the series, with mean 1.
        folds: (n,) numbers of the folds.
    """
    neural = np.empty(held_out.shape[1:])
    for k, member in enumerate(members):
        for rows in series.groups(np.flatnonzero(folds == k)):
            neural[rows.numpy()] = member_answer(member, series.rows(rows), panel.n_classes)
    answers = np.concatenate([held_out, neural[None]])
    without = _shares(held_out, target, weights, panel.n_classes)
    shares = _shares(answers, target, weights, panel.n_classes)
    gain = weights * (
        _losses(without, held_out, target, panel.n_classes)
        - _losses(shares, answers, target, panel.n_classes)
    )
    if gain.mean() <= gain.std() / np.sqrt(len(gain)):
        shares = np.append(without, 0.0)
    named = dict(zip((*panel.names, NEURAL), shares.tolist()))
    return SeriesMixture(tuple(members), panel.n_classes, panel, named)


def _shares(answers: Array, target: Array, weights: Array, n_classes: int) -> Array:
    if n_classes:
        return mixture_of_probabilities(answers, target.astype(int), weights)
    return mixture_of_numbers(answers[:, :, 0], target, weights)


def _losses(shares: Array, answers: Array, target: Array, n_classes: int) -> Array:
    mixed = np.einsum("e,enk->nk", shares, answers)
    if n_classes:
        chosen = mixed[np.arange(len(target)), target.astype(int)]
        return np.asarray(-np.log(np.maximum(chosen, 1e-12)))
    return np.asarray((mixed[:, 0] - target) ** 2)


@dataclass(frozen=True)
class CrossFitting:
    """Training of one network per fold in one run.

    Attributes:
        modules: the networks.
        objectives: of each network.
        validations: figure of each on its held-out fold.
        folds: (n,) numbers of the folds.
    """

    modules: nn.ModuleList
    objectives: Sequence[Objective]
    validations: Sequence[Callable[[], float]]
    folds: Tensor

    def objective(self, index: Tensor, step: int) -> Loss:
        """Sum of the losses of the networks on the rows that they may see."""
        losses = []
        for k, objective in enumerate(self.objectives):
            rows = index[self.folds[index] != k]
            if len(rows):
                losses.append(objective(rows, step))
        total = torch.stack([loss.total for loss in losses]).sum()
        names = losses[0].terms
        means = {n: sum(float(loss.terms[n]) for loss in losses) / len(losses) for n in names}
        return Loss(total, means)

    def validate(self) -> float:
        """Mean of the figures of the held-out folds."""
        return float(np.mean([validate() for validate in self.validations]))


def alone(member: SeriesModel, n_classes: int) -> SeriesMixture:
    """One network without other experts."""
    return SeriesMixture((member,), n_classes, None, {NEURAL: 1.0})
