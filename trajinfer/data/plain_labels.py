"""Labels as people write them: what other libraries wrap names in is taken off."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError

_POINT_ZERO = re.compile(r"(-?\d+)\.0+")


def as_python(label: Any) -> Any:
    """A numpy scalar as the Python one, anything else, and times of numpy, as they are."""
    is_time = isinstance(label, (np.datetime64, np.timedelta64))
    return label.item() if isinstance(label, np.generic) and not is_time else label


def plain_label(label: Any) -> Any:
    """A numpy scalar as the Python one; bytes and intervals of pandas as their text.

    >>> plain_label(np.int64(3)), plain_label(b"mild"), plain_label(pd.Interval(0, 5))
    (3, 'mild', '(0, 5]')
    """
    if isinstance(label, pd.Interval):
        return str(label)
    label = as_python(label)
    return label.decode(errors="backslashreplace") if isinstance(label, bytes) else label


def require_one_spelling(labels: Iterable[Any]) -> None:
    """Refuse text in which one number is written in two ways, such as 1 and 1.0.

    Raises:
        InputError: naming both.
    """
    texts = {str(label) for label in labels if isinstance(label, str)}
    for text in sorted(texts):
        number = _POINT_ZERO.fullmatch(text)
        if number and number[1] in texts:
            raise InputError(
                f"labels {number[1]!r} and {text!r} are one number written in two ways; write them "
                r"alike: column.str.replace(r'\.0+$', '', regex=True)"
            )
