"""Training passes through a network: noise per step, and penalties beside the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trajinfer._core.devices import home_of
from trajinfer.sde import SolverRegularization
from trajinfer.series.encoder import Encoding
from trajinfer.series.network import Network
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.training import Loss


@dataclass(frozen=True)
class TrainingPass:
    """Encodings and losses of one network in training.

    Attributes:
        network: in training.
        kl_weight: weight of the divergence from a prior, where the dynamics have one.
        regularization: penalty on the cost of the solver's steps.
        thinning: largest share of observations that is hidden from a series.
        noise: seed of the paths of validation, the same at every call.
    """

    network: Network
    kl_weight: float
    regularization: SolverRegularization | None
    thinning: float
    noise: int

    def encode(self, batch: SeriesBatch, queries: Tensor | None = None) -> Encoding:
        """Encode with one path of noise per series, drawn from the stream of the step."""
        seed = int(torch.randint(2**62, (1,)))
        encoding: Encoding = self.network.encoder(
            *self._moved(batch, queries), seed=seed, regularization=self.regularization
        )
        return encoding

    def validation(self, batch: SeriesBatch, queries: Tensor | None = None) -> Encoding:
        """Encode with the noise of validation."""
        encoding: Encoding = self.network.encoder(*self._moved(batch, queries), seed=self.noise)
        return encoding

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return home_of(self.network)

    def _moved(
        self, batch: SeriesBatch, queries: Tensor | None
    ) -> tuple[SeriesBatch, Tensor | None]:
        return batch.to(self.device), None if queries is None else queries.to(self.device)

    def loss(self, value: Tensor, encoding: Encoding, step: int, **terms: Tensor) -> Loss:
        """A loss with the cost of the solver's steps and the divergence from a prior."""
        total = value + self.kl_weight * encoding.kl
        if self.regularization is not None:
            total = total + self.regularization.weight(step) * encoding.penalty
            terms["penalty"] = encoding.penalty.detach()
        return Loss(total, {name: term.detach() for name, term in terms.items()})


def weighed(parts: Sequence[tuple[float, Loss]]) -> Loss:
    """The sum of losses (share, loss) of the parts of a batch, each by its share."""
    if len(parts) == 1:
        return parts[0][1]
    total = torch.stack([share * loss.total for share, loss in parts]).sum()
    names = parts[0][1].terms
    return Loss(total, {n: sum(s * float(one.terms[n]) for s, one in parts) for n in names})
