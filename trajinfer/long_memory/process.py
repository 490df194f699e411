"""What a fitted process with fractional noise can do, however it was fitted."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.long_memory.grid import ObservationGrid
from trajinfer.long_memory.linear import LinearParameters


@dataclass(frozen=True)
class FitReport:
    """How a fit ended.

    Attributes:
        elbo: log-evidence of all observations, or a bound on it.
        interval: (D, 2) of H.
        converged: whether the searches ended at a maximum and no step had to be skipped.
        n_iter: steps of the search, or epochs of the training.
        history: of the search or the training.
    """

    elbo: float
    interval: Array
    converged: bool
    n_iter: int
    history: list[dict[str, Any]]


class Process(Protocol):
    """A fitted process of standardised series, at times in units of the span of the fit."""

    @property
    def parameters(self) -> LinearParameters:
        """Of the linear part, (D,)."""

    @property
    def largest_step(self) -> float | None:
        """Bound on the steps of a grid, or None where any grid will do."""

    @property
    def is_latent(self) -> bool:
        """Whether the processes stand behind a decoder, rather than for the channels."""

    def seeds(self, seed: int, ids: Sequence[Hashable]) -> list[int]:
        """Of the draws of every series."""

    def draws(self, grid: ObservationGrid, n: int, seeds: Sequence[int], *, noisy: bool) -> Tensor:
        """N draws at the queries, (B, n, Q, C), of observations, or of X alone if not `noisy`."""

    def means(self, grid: ObservationGrid) -> Tensor:
        """Means of the observations at the queries, (B, Q, C); they depend on no other series."""

    def prior(self, times: Tensor, n: int, seed: int) -> Tensor:
        """N new series of X at times (T,), (n, T, C)."""
