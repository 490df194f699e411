"""Rows of a container that an index takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError


def indexed_rows(index: Any, n: int, noun: str) -> Array:
    """Numbers of the rows that an index takes: a number, a slice, numbers or a bool each.

    Args:
        index: as numpy takes it.
        n: number of rows.
        noun: what the rows are, for the error.

    Raises:
        InputError: if it takes none, or is of two axes.
    """
    if isinstance(index, tuple) and len(index) == 2 and index[1] is Ellipsis:
        index = index[0]  # scikit-learn's way to take rows of an array
    rows = np.atleast_1d(np.arange(n)[index])
    if rows.ndim != 1 or not len(rows):
        raise InputError(f"the index {index!r} takes no {noun}; index {noun} by their number")
    return np.asarray(rows)
