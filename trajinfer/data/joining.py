"""Several containers of series as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.ragged import RaggedLayout


def joined_fields(parts: Sequence[Any]) -> dict[str, Any]:
    """The fields of one `IrregularSeries` with the series of several.

    Args:
        parts: the containers, on one axis.

    Raises:
        InputError: if channels, statics or labels do not match.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.channels != first.channels or part.static_names != first.static_names:
            raise InputError(
                f"channels {part.channels} and statics {part.static_names} do not match "
                f"{first.channels} and {first.static_names}"
            )
        if (part.labels is None) != (first.labels is None):
            raise InputError("some of the parts have labels and some have none")
    return {
        "flat_times": np.concatenate([part.flat_times for part in parts]),
        "flat_values": np.concatenate([part.flat_values for part in parts]),
        "lengths": RaggedLayout.join([part.layout for part in parts]).lengths,
        "labels": _joined([part.labels for part in parts]),
        "statics": _joined([part.statics for part in parts]),
        "ids": tuple(name for part in parts for name in part.ids),
    }


def _joined(arrays: Sequence[Array | None]) -> Array | None:
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if len(known) == len(arrays) else None
