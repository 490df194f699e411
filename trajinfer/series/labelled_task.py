"""Training of one network on labelled series: loss, figure of what is held out, answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.series.objective import TrainingPass
from trajinfer.series.series_rows import SeriesRows
from trajinfer.training import Loss


@dataclass(frozen=True)
class LabelledTask(ABC):
    """A weighted mean of losses, one per series; a subclass says which.

    Attributes:
        passes: through the network in training.
        rows: the series.
        target: (B,) what is to be answered: codes of classes, or standardised numbers.
        weights: (B,) of the series.
        held: rows kept for validation.
    """

    passes: TrainingPass
    rows: SeriesRows
    target: Tensor
    weights: Tensor
    held: Tensor

    @abstractmethod
    def losses(self, law: Any, target: Tensor) -> Tensor:
        """(b,) losses of series under the laws that the head gives them."""

    @abstractmethod
    def answer(self, law: Any) -> Tensor:
        """(b, K) probabilities or (b, 1) numbers."""

    def training_losses(self, law: Any, target: Tensor) -> Tensor:
        """(b,) losses in training, where they differ from those of validation."""
        return self.losses(law, target)

    def objective(self, index: Tensor, step: int) -> Loss:
        """Weighted mean loss of some series, which are thinned."""
        return self.rows.mean_loss(index, lambda group: self._loss(group, step))

    def _loss(self, index: Tensor, step: int) -> Loss:
        encoding = self.passes.encode(self.rows.rows(index).thinned(self.passes.thinning))
        losses = self.training_losses(self.passes.network.head(encoding), self.target[index])
        weighted = (losses * self.weights[index].to(losses)).mean()
        return self.passes.loss(weighted, encoding, step)

    def validate(self) -> float:
        """Weighted mean loss of the series kept aside."""
        total = 0.0
        for group in self.rows.groups(self.held):
            losses = self.losses(self._law(group), self.target[group])
            total += float((losses * self.weights[group].to(losses)).sum())
        return total / max(float(self.weights[self.held].sum()), 1e-12)

    def answers(self, index: Tensor) -> Array:
        """(b, K) probabilities or (b, 1) numbers of series, by the noise of validation."""
        found: Array = self.answer(self._law(index)).double().cpu().numpy()
        return found

    def _law(self, index: Tensor) -> Any:
        return self.passes.network.head(self.passes.validation(self.rows.rows(index)))
