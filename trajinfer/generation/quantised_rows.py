"""Rounded rows with exact zeros that follow the day, as meter readings do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.generation.memory_settings import Calendar, Memory
from trajinfer.generation.rounding import quantum
from trajinfer.generation.row_transform import RowTransform, State, TransformedRows

_MASS = 0.01


@packable
@dataclass(frozen=True)
class QuantisedRows(RowTransform):
    """Rounded channels, some of them often exactly zero, that repeat daily.

    Rounded readings are made continuous by uniform noise within their last digit, which the inverse
    rounds away; a series is rounded as on the training day it goes on from. Strictly positive
    channels are taken in logarithms; channels where zero has a mass of its own keep it as a hurdle
    (a probability of zero, and a law of the rest) and are taken as square roots; all others as they
    are.

    Args:
        period: rows per day.
        season: rows per year, None if the data span less than one.
        weekly: whether the days of the week differ.
    """

    period: int = 96
    season: float | None = None
    weekly: bool = True

    @property
    def memory(self) -> Memory:
        """The last rows, averages up to a day, the day before, and the calendar."""
        return Memory(
            half_lives=(1.0, 4.0, 16.0, float(self.period)),
            lags=(1, 2, self.period),
            target="increment",
            calendar=Calendar(self.period, self.season, self.weekly),
            burn_in=self.period,
            block=7 * self.period,
            hidden=(64, 64),
            n_steps=6000,
            ensemble=3,
        )

    def learn(self, values: Array, channels: Sequence[str]) -> State:
        """Rounding and scale of every channel.

        Raises:
            InputError: if the period is not a whole number of rows.
        """
        require_integer(self.period, "period", least=2)
        zero = (values == 0).mean(axis=0)
        kinds: list[Literal["log", "root", "plain"]] = []
        for k in range(values.shape[1]):
            low = values[:, k].min()
            rooted = low >= 0 and zero[k] >= _MASS
            kinds.append("log" if low > 0 else "root" if rooted else "plain")
        return {
            "quantum": np.array([quantum(column) for column in values.T]),
            "log": np.array([kind == "log" for kind in kinds]),
            "root": np.array([kind == "root" for kind in kinds]),
        }

    def forward(self, values: Array, state: State, rng: np.random.Generator) -> TransformedRows:
        """Latent rows; those of exact zeros are 0 behind the hurdle."""
        zero = (values == 0) & state["root"]
        quanta = self._quanta(values, state["quantum"])
        whole = values + quanta * rng.random(values.shape)
        rows = np.where(state["log"], np.log(np.where(state["log"], whole, 1.0)), whole)
        rows = np.where(state["root"], np.sqrt(np.where(state["root"], whole, 0.0)), rows)
        rows = np.where(zero, 0.0, rows)
        rows[np.isnan(values).any(axis=-1)] = np.nan
        free = np.where(zero, np.nan, rows)
        bounds = np.stack([np.nanmin(free, axis=(0, 1)), np.nanmax(free, axis=(0, 1))])
        return TransformedRows(rows, zero, quanta, bounds)

    def inverse(self, latents: Array, zero: Array, levels: Array, state: State) -> Array:
        """Readings, rounded as the data are; those beyond a hurdle are at least one digit."""
        values = np.where(state["log"], np.exp(np.where(state["log"], latents, 0.0)), latents)
        values = np.where(state["root"], np.maximum(latents, 0) ** 2, values)
        quantum = levels[:, None]
        rounded = np.floor(values / np.where(quantum > 0, quantum, 1.0) + 1e-9) * quantum
        values = np.where(quantum > 0, rounded, values)
        least = np.where(state["root"] | state["log"], quantum, -np.inf)
        return np.asarray(np.where(zero, 0.0, np.maximum(values, least)))

    def _quanta(self, values: Array, usual: Array) -> Array:
        """(R, T, D) last digit of every channel on the day of each row, which meters may change."""
        quanta = np.broadcast_to(usual, values.shape).copy()
        for first in range(0, values.shape[1], self.period):
            day = slice(first, first + self.period)
            for record, k in np.ndindex(len(values), values.shape[2]):
                told = values[record, day, k]
                told = told[np.isfinite(told) & (told != 0)]
                if len(told) >= self.period // 2:
                    quanta[record, day, k] = quantum(told)
        return quanta


def daily(period: int, n_rows: int, season: float | None = None) -> QuantisedRows:
    """Readings with `period` rows per day, with weeks and seasons where the data are long enough.

    Raises:
        InputError: if the data are shorter than two days.
    """
    if n_rows < 2 * period:
        raise InputError(
            f"transform='daily' needs at least two days of {period} rows, got {n_rows} rows; use "
            "transform='standard'"
        )
    return QuantisedRows(period, season, weekly=n_rows >= 14 * period)
