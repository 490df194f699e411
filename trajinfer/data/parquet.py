"""Parquet files, one or many, by their groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.damaged import reading
from trajinfer._core.errors import InputError, MissingExtra


class PartialDataWarning(UserWarning):
    """Only a random part of the data is used, as all of them do not fit in memory."""


def dataset_of(path: Path) -> Any:
    """The parquet file, or folder of files, partitioned (hive) or not.

    Raises:
        InputError: if there is none, or it cannot be read.
        MissingExtra: without pyarrow.
    """
    try:
        import pyarrow.dataset  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra(
            "reading parquet needs pyarrow: pip install 'trajinfer[parquet]'"
        ) from error
    if not path.exists():
        raise InputError(f"there is no {path}; give a parquet file or a folder of them")
    try:
        return pyarrow.dataset.dataset(path, format="parquet", partitioning="hive")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as parquet ({error})") from error


def row_groups(dataset: Any, path: Path) -> tuple[Any, ...]:
    """The groups of rows of all files, each a small data set of its own."""
    with reading(path):
        return tuple(g for file in dataset.get_fragments() for g in file.split_by_row_group())


def rows_of(group: Any, path: Path, columns: Sequence[str], *, schema: Any = None) -> Any:
    """Columns of a group of rows, as a table of arrow.

    Args:
        group: of the rows.
        path: of the file, for messages.
        columns: by name.
        schema: of all files; None takes that of the group.

    Raises:
        InputError: if the file is damaged.
    """
    words = {} if schema is None else {"schema": schema}
    with reading(path):
        return group.to_table(columns=list(columns), **words)


def frame_of(table: Any, path: Path) -> pd.DataFrame:
    """A table of arrow as pandas has it, with the columns that pandas has written as an index.

    Raises:
        InputError: if its file is damaged.
    """
    with reading(path):
        frame: pd.DataFrame = table.to_pandas()
        kept = [name for name in frame.index.names if name in table.column_names]
        frame = frame.reset_index(level=kept) if kept else frame
        short = {name: np.float32 for name in frame if frame[name].dtype == np.float16}
        return frame.astype(short).reset_index(drop=True)  # by which pandas does not sort
