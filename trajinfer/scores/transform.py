"""Positive data: noise that multiplies, as noise that adds in the logarithm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable


@packable
@dataclass(frozen=True)
class LogTransform:
    """z = log x of every column; geometric Brownian noise of x is additive noise of z."""

    def apply(self, x: Array, names: Array | None = None) -> Array:
        """Logarithms of positive rows (N, D); NaN stays.

        Raises:
            InputError: for values <= 0, naming the first column and how many there are.
        """
        bad = x <= 0
        if bad.any():
            column = int(np.argmax(bad.any(axis=0)))
            name = column if names is None else str(names[column])
            raise InputError(
                f"transform='log' needs positive values, but column {name!r} has "
                f"{int(bad[:, column].sum())} that are not; shift it, or use transform=None"
            )
        return np.asarray(np.log(x))

    def invert(self, z: Array) -> Array:
        """Exp z."""
        return np.asarray(np.exp(z))

    def log_density(self, log_p: Array, x: Array) -> Array:
        """log-density of x (N, D) from that of log x."""
        return np.asarray(log_p - np.log(x).sum(axis=-1))


def multiplicative_score(score_of_log: Tensor, x: Tensor) -> Tensor:
    """Score of the law of x from that of log x: (s - 1)/x."""
    return (score_of_log - 1) / x
