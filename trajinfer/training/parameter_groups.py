"""Groups of parameters for an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

ParameterGroups = Callable[[nn.Module, float], list[dict[str, Any]]]


def all_decay(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """One group: every parameter decays."""
    return [{"params": list(module.parameters()), "weight_decay": weight_decay}]


def matrices_decay(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices decay, vectors do not."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
