"""Invertible maps between rows of a recording and rows whose conditional law is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.memory_settings import Memory

State = Mapping[str, Array]


@packable
@dataclass(frozen=True)
class TransformedRows:
    """Latent rows of recordings.

    Attributes:
        rows: (R, T, D), NaN where there is none.
        zero: (R, T, D) bool, where a channel with a hurdle is exactly zero.
        levels: (R, T, L) what the latent rows leave out and the inverse needs.
        bounds: (2, D) values that a simulation is clipped to.
    """

    rows: Array
    zero: Array
    levels: Array
    bounds: Array


class RowTransform(ABC):
    """An invertible map between rows of a recording (..., T, C) and latent rows (..., T, D).

    A transform is a frozen set of settings; what it learns from data (`learn`) is a mapping of
    arrays that is handed back to it.
    """

    @property
    @abstractmethod
    def memory(self) -> Memory:
        """What the law of the next latent row sees of the past, unless the user says otherwise."""

    @abstractmethod
    def learn(self, values: Array, channels: Sequence[str]) -> State:
        """Read what has to be known of the training rows (N, C), none of them missing.

        Raises:
            InputError: if the data do not fit the transform.
        """

    @abstractmethod
    def forward(self, values: Array, state: State, rng: np.random.Generator) -> TransformedRows:
        """Latent rows of records (R, T, C), NaN after their ends."""

    @abstractmethod
    def inverse(self, latents: Array, zero: Array, levels: Array, state: State) -> Array:
        """Rows (n, T, C) from latent rows that follow a row with these levels (n, L)."""

    def comparable(self, values: Array) -> Array:
        """Paths (n, T, C) in units in which series of different times can be compared."""
        return values


def average_before(rows: Array, half_life: float, start: Array) -> Array:
    """Exponential averages (R, T, K) of what came before each row of (R, T, K), begun at `start`.

    Rows without values leave the average where it started.
    """
    keep = 0.5 ** (1 / half_life)
    begin = np.broadcast_to(start, rows[:, 0].shape)[:, None]
    filled = np.where(np.isnan(rows), begin, rows)
    averages = lfilter([1 - keep], [1, -keep], filled, axis=1, zi=keep * begin)[0]
    return np.asarray(np.concatenate([begin, averages[:, :-1]], axis=1))
