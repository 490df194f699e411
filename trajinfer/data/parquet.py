"""Parquet files, one or many, by their groups of rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def row_groups(dataset: Any) -> Iterator[Any]:
    """The groups of rows of all files, each a small data set of its own."""
    for file in dataset.get_fragments():
        yield from file.split_by_row_group()
