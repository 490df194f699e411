"""Tables as text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_HUGE = 1e9
_CLOCK = ("D", "h", "min", "s", "ms", "us")
_FINE = 1000  # parts of a duration beyond which nobody reads


def table_text(table: pd.DataFrame, *, digits: int = 3) -> str:
    """A table in full, with numbers of so many decimals; those that run off are written short.

    Durations are written to the largest unit of a clock that is a thousandth of them or less.

    >>> import pandas as pd
    >>> print(table_text(pd.DataFrame({"x": [0.25, 1e160]})))
            x
        0.250
     1.0e+160
    >>> print(table_text(pd.DataFrame({"lasts": pd.to_timedelta([87.1234567, 4000.2], "D")})))
               lasts
    87 days 03:00:00
           4000 days
    """
    number = partial(_short, digits)
    kinds = table.dtypes.items()
    written: Any = {name: partial(_duration_or, number) for name, t in kinds if t.kind in "mO"}
    text = table.to_string(index=False, float_format=number, formatters=written, justify="right")
    return str(text)


def _duration_or(number: Callable[[float], str], value: Any) -> str:
    """A duration as far as anybody reads it; anything else as a table writes it."""
    import pandas as pd

    if isinstance(value, float):
        return number(value)
    if not isinstance(value, pd.Timedelta) or value is pd.NaT:
        return str(value)
    sizes = (pd.Timedelta(1, unit) for unit in _CLOCK)
    step = next((size for size in sizes if abs(value) >= _FINE * size), pd.Timedelta(1, "ns"))
    return str(value.round(step)).removesuffix(" 00:00:00")


def _short(digits: int, value: float) -> str:
    return f"{value:.{digits}f}" if not _HUGE <= abs(value) < float("inf") else f"{value:.1e}"
