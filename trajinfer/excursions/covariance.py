"""Covariances of stationary Gaussian processes: derivatives, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError

_NEAR = 1e-4
_POINTS = 2000
_DECAYED = 1e-8
_DOUBLINGS = 40


@dataclass(frozen=True, eq=False)
class Covariance:
    """A covariance r(t) with r(0) = 1 and two derivatives at 0.

    Attributes:
        function: r of a float64 tensor.
        curvature: lambda_2 = -r''(0).
        reach: a lag beyond which r is negligible.
    """

    function: Callable[[Any], Any]
    curvature: float
    reach: float

    @classmethod
    def of(cls, function: Callable[[Any], Any]) -> Self:
        """The covariance, checked.

        Raises:
            InputError: if r(0) is not 1, the process is not smooth, r does not decay, or is not
                positive definite on a grid.
        """
        start = _value(function, torch.zeros(1, dtype=torch.float64))
        if abs(float(start[0]) - 1) > 1e-9:
            raise InputError(
                f"a covariance must have r(0) = 1, got {float(start[0]):g}; divide by it"
            )
        curvature = _curvature(function)
        reach = _reach(function, curvature)
        grid = np.linspace(0, reach, _POINTS)
        values = _value(function, torch.as_tensor(grid)).numpy()
        spectrum = np.fft.rfft(np.concatenate([values, values[-2:0:-1]])).real
        if spectrum.min() < -1e-3 * spectrum.max():
            raise InputError(
                "this function is no covariance: its spectrum is negative somewhere; check its form"
            )
        return cls(function, curvature, reach)

    def values(self, t: Array) -> tuple[Array, Array]:
        """The covariance and its derivative at the lags t."""
        lags = torch.as_tensor(t, dtype=torch.float64)
        both: Any = torch.func.jvp(self.function, (lags,), (torch.ones_like(lags),))
        return both[0].detach().numpy(), both[1].detach().numpy()

    def require_monotone(self) -> None:
        """Refuse a covariance that does not fall all the way.

        Raises:
            InputError: naming the lag at which it rises.
        """
        t = np.linspace(0, self.reach, _POINTS)[1:]
        _, slope = self.values(t)
        rising = slope > 1e-7 * np.sqrt(self.curvature)
        if rising.any():
            raise InputError(
                f"the covariance rises at lag {t[rising][0]:.3g}, where intervals are far from "
                "independent and this law would be wrong; take method='simulate'"
            )


def _value(function: Callable[[Any], Any], t: torch.Tensor) -> torch.Tensor:
    try:
        result = torch.as_tensor(function(t), dtype=torch.float64)
    except TypeError as error:
        raise InputError(
            f"a covariance must take a tensor of lags, as lambda t: torch.exp(-t**2 / 2) ({error})"
        ) from error
    if result.shape != t.shape:
        raise InputError(
            f"a covariance must give one number per lag, got shape {tuple(result.shape)}"
        )
    return result


def _curvature(function: Callable[[Any], Any]) -> float:
    """-r''(0), from differences that must agree at two scales."""
    found = []
    for h in (1e-3, 1e-4):
        r = float(_value(function, torch.tensor([h], dtype=torch.float64))[0])
        found.append(2 * (1 - r) / h**2)
    if not (found[0] > 0) or abs(found[1] / found[0] - 1) > 0.05:
        raise InputError(
            "the process has no derivative: its covariance falls like |t| or a root at 0, "
            "crossings cluster without end and there is no law of stays; ask survival within a "
            "horizon, or count stays at the gap of sampling"
        )
    return found[1] if abs(found[1] / found[0] - 1) < 1e-3 else 2 * found[1] - found[0]


def _reach(function: Callable[[Any], Any], curvature: float) -> float:
    reach = 4 / np.sqrt(curvature)
    for _ in range(_DOUBLINGS):
        tail = _value(function, torch.linspace(reach, 2 * reach, 65, dtype=torch.float64))
        if float(tail.abs().max()) < _DECAYED:
            return float(reach)
        reach *= 1.25
    raise InputError("the covariance does not decay; subtract its limit, or give another one")
