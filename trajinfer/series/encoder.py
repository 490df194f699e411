"""Encoders turn observations into latent states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from trajinfer.sde import SolverRegularization
from trajinfer.series.series_batch import SeriesBatch


@dataclass(frozen=True)
class Encoding:
    """Latent states of a batch, as read by heads.

    Attributes:
        states: (B, N, H) along each series.
        weights: (B, N) shares of time up to the end of a series, which sum to 1; 0 beyond it.
        last: (B, H) at the end.
        asked: (B, Q, H) at the query times.
        penalty: cost of the solver's steps, where it is asked for.
        kl: divergence of the posterior from the prior, where the dynamics have one.
    """

    states: Tensor
    weights: Tensor
    last: Tensor
    asked: Tensor
    penalty: Tensor
    kl: Tensor


class Encoder(nn.Module, ABC):
    """A module from a batch of series to latent states.

    Attributes:
        dim: H.
    """

    dim: int

    @abstractmethod
    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        common_noise: bool = False,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Encode.

        Args:
            batch: the series.
            queries: (B, Q) times at or after the end of each series, ascending.
            seed: of the noise.
            common_noise: all series follow one path of noise, so that the states of a series do
                not depend on the others; otherwise each has its own.
            regularization: penalty on the cost of the solver's steps.
        """
