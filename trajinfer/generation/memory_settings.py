"""What the law of the next row sees of the past, and how it is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_DAY_WAVES, _YEAR_WAVES = 12, 2


@packable
@dataclass(frozen=True)
class Calendar:
    """Where a row stands in the day, the week and the year.

    Attributes:
        period: rows per day.
        season: rows per year, or None.
        weekly: whether the days of the week differ.
    """

    period: int
    season: float | None = None
    weekly: bool = True

    def phase(self, row: Array) -> Array:
        """Row of the day of the row numbers."""
        return np.asarray(row % self.period)

    @property
    def n_slots(self) -> int:
        """Rows per week, or per day if the days of the week do not differ."""
        return self.period * (7 if self.weekly else 1)

    def slot(self, row: Array) -> Array:
        """Row of the week, or of the day, of the row numbers."""
        return np.asarray(row % self.n_slots)

    def features(self, row: Array) -> Array:
        """(..., F) of row numbers (...,) counted from a midnight."""
        parts = [_waves(row / self.period, _DAY_WAVES)]
        if self.weekly:
            day = (row // self.period) % 7
            parts.append((day[..., None] == np.arange(7)).astype(float))
        if self.season is not None:
            parts.append(_waves(row / self.season, _YEAR_WAVES))
        return np.concatenate(parts, axis=-1)


@packable
@dataclass(frozen=True)
class Memory:
    r"""Law of the next latent row given lags, exponential averages and the calendar.

    The scale and the location of every channel are a linear map plus a small network of these
    features; the likelihood is Student's t with learned degrees of freedom. Draws take whole
    residual vectors of training rows, which keeps tails and the dependence of the channels.

    Args:
        half_lives: rows after which the averages of the rows, and of their sizes, have half
            forgotten.
        lags: earlier rows that are seen as they are.
        target: whether the next "level" or its "increment" is modelled.
        calendar: what the row number tells, if anything.
        burn_in: simulated rows that are thrown away before a series begins.
        block: rows per block; a fifth of the blocks validates.
        ensemble: networks that are averaged.
        hidden: widths of the networks.
        n_steps: training steps at most.
        batch_size: rows per step.
        lr: of AdamW.
        weight_decay: of AdamW.
        patience: epochs (of ten steps at least) without a better validation before training stops.
        jitter: noise on drawn residuals, in their standard deviations.
    """

    half_lives: tuple[float, ...] = (1.5, 5.0, 20.0)
    lags: tuple[int, ...] = (1,)
    target: Literal["level", "increment"] = "level"
    calendar: Calendar | None = None
    burn_in: int = 30
    block: int = 36
    ensemble: int = 1
    hidden: tuple[int, ...] = (24, 24)
    n_steps: int = 4000
    batch_size: int = 1024
    lr: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 25
    jitter: float = 0.1


def _waves(turns: Array, count: int) -> Array:
    angles = 2 * np.pi * turns[..., None] * np.arange(1, count + 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
