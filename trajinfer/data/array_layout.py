"""Arrays of channels by times, as aeon and sktime have them, told apart from times by channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trajinfer._core.errors import InputError

_TURN = "give (T, C) each: [x.T for x in X], or X.transpose(0, 2, 1)"


def layout_remark(values: Any) -> str:
    """What to say of values without times that may be (B, C, T); empty where they are (B, T, C).

    Raises:
        InputError: if they cannot be (B, T, C).

    Example:
        >>> layout_remark(np.zeros((5, 40, 3)))
        ''
        >>> layout_remark(np.zeros((5, 3, 40)))[:44]
        '. They are read as 3 times of 40 channels; i'
    """
    shapes = [np.shape(row) for row in values]
    if not all(len(shape) == 2 for shape in shapes):
        return ""
    first, second = {shape[0] for shape in shapes}, {shape[1] for shape in shapes}
    if (first == {1} and second != {1}) or (len(first) == 1 and len(second) > 1):
        raise _channels_first(shapes)
    if max(first) < min(second):
        return (
            f". They are read as {max(first)} times of {min(second)} channels; if they are "
            f"channels by times, as in aeon and sktime, {_TURN}"
        )
    return ""


def require_times_first(n_times: Sequence[int], values: Any) -> None:
    """Refuse values whose rows fit the times only when they are turned.

    Args:
        n_times: number of times of every series, or one number for all of them.
        values: of the series, (T, C) each.

    Raises:
        InputError: if all of them are (C, T).
    """
    shapes = [np.shape(row) for row in values] if np.iterable(values) else []
    if not shapes or not all(len(shape) == 2 for shape in shapes):
        return
    wanted = list(n_times) * len(shapes) if len(n_times) == 1 else list(n_times)
    rows, columns = ([shape[k] for shape in shapes] for k in (0, 1))
    if columns == wanted and rows != wanted:
        raise _channels_first(shapes)


def _channels_first(shapes: Sequence[tuple[int, ...]]) -> InputError:
    return InputError(
        f"values of shapes such as {shapes[0]} are channels by times, as aeon and sktime have "
        f"them; {_TURN}"
    )
