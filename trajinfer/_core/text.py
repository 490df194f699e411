"""Tables as text."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_HUGE = 1e9


def table_text(table: pd.DataFrame, *, digits: int = 3) -> str:
    """A table in full, with numbers of so many decimals; those that run off are written short.

    >>> import pandas as pd
    >>> print(table_text(pd.DataFrame({"x": [0.25, 1e160]})))
            x
        0.250
     1.0e+160
    """
    return str(table.to_string(index=False, float_format=partial(_short, digits), justify="right"))


def _short(digits: int, value: float) -> str:
    return f"{value:.{digits}f}" if not _HUGE <= abs(value) < float("inf") else f"{value:.1e}"
