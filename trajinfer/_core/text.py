"""Tables as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table_text(table: pd.DataFrame, *, digits: int = 3) -> str:
    """A table in full, with numbers of so many decimals."""
    return str(
        table.to_string(index=False, float_format=lambda v: f"{v:.{digits}f}", justify="right")
    )
