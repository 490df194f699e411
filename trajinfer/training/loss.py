"""Value of an objective with its named terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A number to lower, and the figures worth keeping beside it.

    Args:
        total: tensor without axes, with its graph.
        terms: named parts, tensors or floats, kept in the history as means over an epoch.
    """

    total: Tensor
    terms: Mapping[str, Tensor | float] = field(default_factory=dict)
