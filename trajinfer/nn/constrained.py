"""Named model parameters: held fixed where a value is given, learnable where none is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError, nearest


@dataclass(frozen=True)
class Parameter:
    """Prior knowledge of one parameter: its value, sign and start.

    Attributes:
        value: the value given, which is then held fixed; None makes the parameter learnable.
        start: neutral start of a learnable parameter, in natural units of the data.
        positive: whether the parameter is a positive number (learned by its logarithm).
        state_power, time_power: its physical unit, as powers of the units of state and time. A
            neutral start is converted from natural units by them, so that a fit does not depend on
            the units of the data.
    """

    value: Any
    start: Any
    positive: bool = False
    state_power: int = 0
    time_power: int = 0


class Parameters(nn.Module):
    """A set of named parameters, each real or positive, each fixed or learnable.

    Args:
        declared: one `Parameter` per name.

    Attributes:
        neutral: names of the learnable parameters that still stand at their neutral start.
        units: size of one natural unit of every stored parameter (1 for a logarithm).

    Raises:
        InputError: if a value is not finite, not positive where it must be, or has another shape
            than its start.
    """

    def __init__(self, declared: Mapping[str, Parameter]) -> None:
        super().__init__()
        self._declared = dict(declared)
        self.neutral: set[str] = set()
        self.units = dict.fromkeys(declared, 1.0)
        for name, parameter in self._declared.items():
            given = parameter.value is not None
            value = self._checked(name, parameter.value if given else parameter.start)
            self.register_buffer(name, value)
            if not given:
                self.learn(name)
                self.neutral.add(name)

    def __iter__(self) -> Any:
        return iter(self._declared)

    @property
    def learnable(self) -> list[str]:
        """Names of the parameters that a fit may change."""
        return [name for name in self._declared if name in self._parameters]

    def values(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Current values by name, differentiable in the learnable ones."""
        found = {}
        for name, parameter in self._declared.items():
            stored = getattr(self, name)
            logarithmic = parameter.positive and name in self._parameters
            value = stored.exp() if logarithmic else stored
            found[name] = value if dtype is None else value.to(dtype)
        return found

    def learn(self, *names: str) -> None:
        """Make these parameters learnable, starting from their present values.

        Raises:
            InputError: if there is no parameter of that name.
        """
        for name in names:
            if name not in self._declared:
                raise InputError(f"no parameter '{name}'; {nearest(name, self._declared)}")
            if name in self._buffers:
                value = self._buffers.pop(name)
                self.register_parameter(name, nn.Parameter(self._stored(name, value)))

    def fix(self, *names: str) -> None:
        """Hold these parameters at their present values."""
        for name in names:
            if name in self._parameters:
                value = self.values()[name].detach().clone()
                del self._parameters[name]
                self.neutral.discard(name)
                self.register_buffer(name, value)

    def assign(self, name: str, value: Any) -> None:
        """Set one parameter, fixed or learnable, to a value.

        Raises:
            InputError: as for the class.
        """
        self._store(name, value)
        self.neutral.discard(name)

    def to_natural_units(self, state: float, time: float) -> None:
        """Convert the neutral starts from natural units, once the units of the data are known.

        Args:
            state: typical size of the state, in the units of the data.
            time: typical duration.
        """
        for name, declared in self._declared.items():
            factor = state**declared.state_power * time**declared.time_power
            self.units[name] = 1.0 if declared.positive else factor
            if name in self.neutral:
                self._store(name, np.asarray(declared.start, dtype=np.float64) * factor)

    def _store(self, name: str, value: Any) -> None:
        tensor = self._checked(name, value)
        if name in self._parameters:
            tensor = self._stored(name, tensor)
        with torch.no_grad():
            getattr(self, name).copy_(tensor)

    def _stored(self, name: str, value: Tensor | None) -> Tensor:
        """The unconstrained value of a parameter: the logarithm of positive ones."""
        tensor = torch.as_tensor(value, dtype=torch.float64)
        return tensor.log() if self._declared[name].positive else tensor.clone()

    def _checked(self, name: str, value: Any) -> Tensor:
        declared = self._declared[name]
        array: Array = as_array(value, name)
        expected = np.shape(declared.start)
        if array.ndim == 0:
            array = np.full(expected, array)
        if array.shape != expected:
            raise InputError(f"{name} must have shape {expected}, got {array.shape}")
        require_finite(np.atleast_1d(array), name)
        if declared.positive and not (array > 0).all():
            raise InputError(f"{name} must be positive, got {array.tolist()}")
        return torch.as_tensor(array, dtype=torch.float64)
