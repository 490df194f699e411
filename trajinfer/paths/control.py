"""The control paths by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Protocol

from torch import Tensor

from trajinfer._core.errors import InputError, nearest
from trajinfer.paths.hermite import hermite_path
from trajinfer.paths.linear import linear_path
from trajinfer.paths.natural_cubic import natural_cubic_path
from trajinfer.paths.path import Path
from trajinfer.paths.rectilinear import rectilinear_path

Interpolation = Literal["natural_cubic", "hermite", "linear", "rectilinear"]


class ControlPath(Protocol):
    """A scheme: from observations to a path."""

    def __call__(
        self,
        times: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        *,
        clock: Tensor | None = None,
    ) -> Path:
        """Times (B, T), values (B, T, C), mask (B, T, C) and a clock channel (B, T)."""
        ...


CONTROL_PATHS: Mapping[str, ControlPath] = MappingProxyType(
    {
        "natural_cubic": natural_cubic_path,
        "hermite": hermite_path,
        "linear": linear_path,
        "rectilinear": rectilinear_path,
    }
)


def control_path(name: str) -> ControlPath:
    """The scheme of that name.

    Raises:
        InputError: if there is none; the nearest one is named.
    """
    if name not in CONTROL_PATHS:
        raise InputError(f"no interpolation '{name}'; {nearest(name, CONTROL_PATHS)}")
    return CONTROL_PATHS[name]
