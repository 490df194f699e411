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
from trajinfer.data.grouping import in_groups
from trajinfer.regression.mixture import mixture_of_numbers, mixture_of_probabilities
from trajinfer.series.experts.panel import Panel
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.series.series_model import SeriesModel
from trajinfer.series.series_rows import SeriesRows
from trajinfer.training import Loss

NEURAL = "neural"

Objective = Callable[[Tensor, int], Loss]
Answer = Callable[[Tensor], Array]

_LEAST_SPREAD = 1e-12


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


@dataclass(frozen=True)
class Weighing:
    """What decides on the shares of networks and experts: series that no one was fitted to.

    Attributes:
        series: n training series.
        panel: the experts beside the networks.
        held_out: (E, n, K) or (E, n, 1) their held-out answers.
        target: (n,) classes or standardised numbers.
        weights: (n,) of the series, with mean 1.
        folds: (n,) number of the fold of each; there is one network per fold, trained without it.
    """

    series: SeriesRows
    panel: Panel
    held_out: Array
    target: Array
    weights: Array
    folds: Array

    def mixture(self, members: Sequence[SeriesModel]) -> SeriesMixture:
        """The mixture of best held-out answers.

        The networks get a share only where they lower the held-out loss of the others by more than
        its standard error.

        Args:
            members: one network per fold.
        """
        neural = self.answers([self._answer_of(member) for member in members])
        without, shares, score = self._compared(neural)
        chosen = shares if score > 1 else np.append(without, 0.0)
        named = dict(zip((*self.panel.names, NEURAL), chosen.tolist()))
        return SeriesMixture(tuple(members), self.panel.n_classes, self.panel, named)

    def score(self, answers: Sequence[Answer]) -> float:
        """Held-out gain by networks in units of its standard error.

        Args:
            answers: of one network per fold.
        """
        return self._compared(self.answers(answers))[2]

    def answers(self, answers: Sequence[Answer]) -> Array:
        """(n, K) or (n, 1) answers of every network for its own fold."""
        held_out = np.empty(self.held_out.shape[1:])
        for k, answer in enumerate(answers):
            for rows in self.series.groups(np.flatnonzero(self.folds == k)):
                held_out[rows.numpy()] = answer(rows)
        return held_out

    def _answer_of(self, member: SeriesModel) -> Answer:
        return lambda rows: member_answer(member, self.series.rows(rows), self.panel.n_classes)

    def _compared(self, neural: Array) -> tuple[Array, Array, float]:
        """Shares without and with the networks, and the standard score of the gain."""
        rest = (self.target, self.weights, self.panel.n_classes)
        answers = np.concatenate([self.held_out, neural[None]])
        without, shares = _shares(self.held_out, *rest), _shares(answers, *rest)
        before = _losses(without, self.held_out, self.target, self.panel.n_classes)
        after = _losses(shares, answers, self.target, self.panel.n_classes)
        gain = self.weights * (before - after)
        spread = float(gain.std()) / np.sqrt(len(gain))
        return without, shares, float(gain.mean()) / max(spread, _LEAST_SPREAD)


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
