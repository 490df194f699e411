"""Snapshots from parquet files that may be larger than memory."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from trajinfer._core.damaged import reading
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.memory import in_words, memory_bytes
from trajinfer.data.parquet import PartialDataWarning, dataset_of, frame_of, row_groups, rows_of

_BYTES_PER_NUMBER = 3 * 8  # the rows, their parts by time, and one more while they are sorted


def read_points(
    path: str | Path, time: str, features: Sequence[str] | None, memory: float | str | None
) -> pd.DataFrame:
    """Rows of a table of snapshots: all, or a random part that fits in memory.

    Args:
        path: a parquet file, or a folder of them.
        time: column of observation times.
        features: columns of coordinates; None takes all others.
        memory: as for `memory_bytes`.

    Raises:
        InputError: for a missing file or column.

    Warns:
        PartialDataWarning: if not all rows fit.
    """
    source, bound = Path(path).expanduser(), memory_bytes(memory)
    dataset = dataset_of(source)
    names = list(dataset.schema.names)
    columns = [time, *(features if features is not None else [n for n in names if n != time])]
    for name in columns:
        if name not in names:
            raise InputError(f"{source} has no column {name!r}; {nearest(name, names)}")
    with reading(source):
        n_rows = dataset.count_rows()
    if not n_rows:
        raise InputError(f"{source} has no rows")
    share = bound / (n_rows * len(columns) * _BYTES_PER_NUMBER)
    if share < 1:
        warnings.warn(
            f"{source.name} holds {n_rows} rows, memory= allows {in_words(bound)}: a random "
            f"{share:.1%} of them is taken",
            PartialDataWarning,
            stacklevel=3,
        )
    rng, parts = np.random.default_rng(0), []
    for group in row_groups(dataset, source):
        rows = rows_of(group, source, columns, schema=dataset.schema)
        if share < 1:
            rows = rows.take(np.flatnonzero(rng.random(len(rows)) < share))
        parts.append(frame_of(rows, source))
    return pd.concat(parts, ignore_index=True)
