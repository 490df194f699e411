"""What rows usually do at their hour of their day of the week."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.memory_settings import Calendar, Memory

# A slot of the week is trusted as much as its phase of the day when it was seen so often.
_TRUSTED = 20.0
_LEAST_SCALE = 0.02


@packable
@dataclass(frozen=True)
class SeasonalProfile:
    r"""Location and scale of what is modelled, by slot $s$ of the calendar: $y = a_s + b_s u$.

    Meters switch at fixed times; a law of $u$ need not learn when. Means of a slot of the week are
    shrunk towards those of its phase of the day, as far as it was seen seldom. Without a calendar
    there is one slot, and only the scale is taken out.

    Attributes:
        level: (S, D) mean of standardised rows.
        loc: (S, D) a, mean of what is modelled.
        scale: (S, D) b.
    """

    level: Array
    loc: Array
    scale: Array

    @classmethod
    def of(cls, memory: Memory, rows: Array, target: Array, number: Array) -> SeasonalProfile:
        """Read the profile of rows.

        Args:
            memory: settings; the calendar has the slots.
            rows: (N, D) standardised rows.
            target: (N, D) what is modelled, NaN where there is nothing to explain.
            number: (N,) row numbers.
        """
        scale = np.nanstd(target, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        calendar = memory.calendar
        if calendar is None:
            nothing = np.zeros((1, rows.shape[1]))
            return cls(nothing, nothing, scale[None])
        level, loc = (_usual(part, number, calendar) for part in (rows, target))
        missed = np.abs(target - loc[calendar.slot(number)])
        size = _usual(missed, number, calendar) / np.nanmean(missed, axis=0)
        return cls(level, loc, scale * np.maximum(size, _LEAST_SCALE))

    def standardise(self, memory: Memory, target: Array, number: Array) -> Array:
        """Units u (n, D) of what is modelled at the rows of these numbers."""
        slot = self._slot(memory, number)
        return np.asarray((target - self.loc[slot]) / self.scale[slot])

    def restore(self, memory: Memory, u: Array, number: Array) -> Array:
        """What is modelled (n, D), from u."""
        slot = self._slot(memory, number)
        return np.asarray(self.loc[slot] + self.scale[slot] * u)

    def features(self, memory: Memory, last: Array, number: Array) -> Array:
        """What is usual for the rows (n,) that follow the rows `last` (n, D); (n, F).

        The last rows less their usual level, the usual change, and the logarithm of its scale.
        """
        if memory.calendar is None:
            return np.empty((len(last), 0))
        now, before = memory.calendar.slot(number), memory.calendar.slot(number - 1)
        whole = np.sqrt((self.scale**2).mean(axis=0))
        return np.concatenate(
            [
                last - self.level[before],
                self.loc[now] / whole,
                np.log(self.scale[now] / whole),
            ],
            axis=1,
        )

    def _slot(self, memory: Memory, number: Array) -> Array:
        if memory.calendar is None:
            return np.zeros(number.shape, dtype=int)
        return memory.calendar.slot(number)


def _usual(values: Array, number: Array, calendar: Calendar) -> Array:
    """(S, D) means by slot, shrunk towards those of the phase, and these to that of all rows."""
    whole = np.nanmean(values, axis=0)
    phase = _shrunk(values, calendar.phase(number), np.tile(whole, (calendar.period, 1)))
    turns = calendar.n_slots // calendar.period
    return _shrunk(values, calendar.slot(number), np.tile(phase, (turns, 1)))


def _shrunk(values: Array, group: Array, towards: Array) -> Array:
    """Means of groups (n,) of values (n, D), shrunk to (G, D)."""
    count, total = np.zeros_like(towards), np.zeros_like(towards)
    there = np.isfinite(values)
    np.add.at(count, group, there)
    np.add.at(total, group, np.where(there, values, 0.0))
    return np.asarray((total + _TRUSTED * towards) / (count + _TRUSTED))
