"""Series of darts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries


def from_darts(series: Any) -> IrregularSeries:
    """Series from a `TimeSeries` of darts, or a sequence of them.

    Components become channels, static covariates of a series its statics.

    Args:
        series: a deterministic `TimeSeries`, or several of the same components.

    Raises:
        InputError: for anything else; for sample paths, of which darts keeps several in a series.
    """
    members = list(series) if isinstance(series, (list, tuple)) else [series]
    if not members:
        raise InputError("there are no series; give a TimeSeries of darts or a list of them")
    for k, member in enumerate(members):
        _require_series(member, k)
    names = [tuple(map(str, member.components)) for member in members]
    if len(set(names)) > 1:
        raise InputError(
            f"series must have the same components, got {names[0]} and "
            f"{next(other for other in names if other != names[0])}; rename or select them"
        )
    return IrregularSeries.from_arrays(
        [_times(member) for member in members],
        [np.asarray(member.values(), dtype=np.float64) for member in members],
        channels=names[0],
        statics=_statics(members),
    )


def _require_series(member: Any, k: int) -> None:
    if not all(hasattr(member, name) for name in ("time_index", "components", "n_samples")):
        raise InputError(
            f"expected a TimeSeries of darts, got {type(member).__name__}; tables are read by "
            "IrregularSeries.from_frame"
        )
    if member.n_samples > 1:
        raise InputError(
            f"series {k} holds {member.n_samples} sample paths; take one, or their mean"
        )


def _times(member: Any) -> Any:
    index = member.time_index
    return index if isinstance(index, pd.DatetimeIndex) else np.asarray(index, dtype=np.float64)


def _statics(members: Sequence[Any]) -> pd.DataFrame | None:
    """Static covariates, a row per series; those of single components get names of their own."""
    tables = [member.static_covariates for member in members]
    if all(table is None for table in tables):
        return None
    if any(table is None for table in tables):
        raise InputError("some series have static covariates and others none; give them to all")
    return pd.DataFrame([_flat(table) for table in tables])


def _flat(table: pd.DataFrame) -> dict[str, Any]:
    if len(table) == 1:
        return {str(name): value for name, value in table.iloc[0].items()}
    return {f"{name}_{row}": table.loc[row, name] for row in table.index for name in table.columns}
