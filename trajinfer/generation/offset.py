"""Times and values far from zero, moved to where single precision tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

# of their standard deviation; below it single precision keeps five digits of what varies
_FAR = 100.0


@packable
@dataclass(frozen=True)
class Offset:
    """What is taken off before the chain sees times and values, and put back after it.

    Attributes:
        time: taken off times.
        state: (D,) taken off values.
    """

    time: float
    state: Array

    @classmethod
    def of(cls, times: Array, values: Array) -> Self:
        """The centres of times (N,) and of values (N, D), or 0 where that is near.

        What is near stays as it is, digit by digit.
        """
        centre, std = values.mean(axis=0), values.std(axis=0)
        first, span = float(times.min()), float(np.ptp(times))
        return cls(
            first if abs(first) > _FAR * span else 0.0,
            np.where(np.abs(centre) > _FAR * std, centre, 0.0),
        )
