"""An elliptic vortex."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility


class Vortex(Process):
    r"""Rotation around a centre on ellipses,

    $dx = s\,e^{-l}(y - y_0)\,dt$, $dy = -s\,(x - x_0)\,dt$ plus noise.

    Args:
        strength: s, per unit of time; positive turns clockwise.
        center: (x_0, y_0).
        log_aspect: l, logarithm of the squared ratio of the axes.
        volatility: see `Process`.

    References:
        Shen, Berlinghieri, Broderick, arXiv 2408.06277 (the drift fitted to a Gulf-of-Mexico eddy).
    """

    def __init__(
        self,
        strength: Any = None,
        center: Any = None,
        log_aspect: Any = None,
        *,
        volatility: Volatility = None,
    ) -> None:
        declared = {
            "strength": Parameter(strength, 0.0, time_power=-1),
            "center": Parameter(center, np.zeros(2), state_power=1),
            "log_aspect": Parameter(log_aspect, 0.0),
        }
        super().__init__(2, volatility, declared)

    def adapt_to(self, center: Array, scale: Array, duration: float) -> None:
        """Start the centre, where it is not given, at the mean of the data."""
        super().adapt_to(center, scale, duration)
        if "center" in self.coefficients.neutral:
            self.coefficients.assign("center", center)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Perpendicular to the offset from the centre."""
        return (y - p["center"]) @ self._matrix(p).T

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """The same everywhere."""
        return self._matrix(p).expand(len(y), -1, -1)

    def affine(self, p: Values) -> tuple[Tensor, Tensor] | None:
        """A = [[0, s exp(-l)], [-s, 0]], c = -A center."""
        if self.noise_type != "additive":
            return None
        matrix = self._matrix(p)
        return matrix, -matrix @ p["center"]

    @staticmethod
    def _matrix(p: Values) -> Tensor:
        zero = torch.zeros_like(p["strength"])
        upper = p["strength"] * torch.exp(-p["log_aspect"])
        return torch.stack((zero, upper, -p["strength"], zero)).reshape(2, 2)
