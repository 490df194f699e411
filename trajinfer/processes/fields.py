"""Drift and noise in numpy of processes that speak tensors, as objects that can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer.processes.base import Process
from trajinfer.sde.problem import Problem


@dataclass(frozen=True, eq=False)
class FieldsOfProcess:
    """Drift, noise and exact step of a process with the values that its parameters had.

    Attributes:
        process: with an Ito drift and noise i on coordinate i alone.
        parameters: its values by name, in float64.
    """

    process: Process
    parameters: Mapping[str, torch.Tensor]

    @classmethod
    def of(cls, process: Process) -> FieldsOfProcess:
        """Those of the parameters' values now."""
        values = process.values(torch.float64)
        return cls(process, {name: value.detach().clone() for name, value in values.items()})

    def drift(self, t: float, x: Array) -> Array:
        """(n, D)."""
        with torch.no_grad():
            return self.process.drift(_time(t), _state(x), self.parameters).numpy()

    def noise(self, t: float, x: Array) -> Array:
        """(n, D)."""
        with torch.no_grad():
            y = _state(x)
            return self.process.diffusion(_time(t), y, self.parameters).expand_as(y).numpy()

    def exact_step(self, h: float, x: Array, normals: Array) -> Array:
        """States (n, D) after a step h that the normals (n, D) drive."""
        with torch.no_grad():
            length, w = torch.tensor(h, dtype=torch.float64), _state(normals * np.sqrt(h))
            zero = torch.zeros(())
            return self.process.exact_step(zero, length, _state(x), w, None, None).numpy()


@dataclass(frozen=True, eq=False)
class FieldsOfProblem:
    """Drift and noise of any SDE.

    Attributes:
        problem: in Ito's calculus.
    """

    problem: Problem

    def drift(self, t: float, x: Array) -> Array:
        """(n, D)."""
        with torch.no_grad():
            return self.problem.f(_time(t), _state(x)).numpy()

    def noise(self, t: float, x: Array) -> Array:
        """(n, D), or (n, D, M)."""
        with torch.no_grad():
            return self.problem.g(_time(t), _state(x)).numpy()


def _time(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=torch.float64)


def _state(x: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))
