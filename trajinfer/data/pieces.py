"""Answers for many series, written to parquet some series at a time."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from trajinfer._core.checkpoint_folder import checkpointed, once, using, write_bytes
from trajinfer._core.errors import InputError
from trajinfer._core.packing import pack
from trajinfer._core.process_group import is_first_process

PIECE = 10_000
"""Rows of a table that are written at once."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
_PROGRESS = "_progress"  # readers of parquet folders pass over what begins with _


def identity_of(model: Any) -> dict[str, Any]:
    """A fitted model as plain values, with all its arrays, for what an answer depends on."""
    arrays: dict[str, Any] = {}
    return {"plain": pack(model, arrays, "model"), "arrays": arrays}


def write_pieces(
    out: str | Path,
    work: str,
    identity: Callable[[], Mapping[str, Any]],
    n_series: int,
    at_once: int,
    answer: Callable[[slice], pd.DataFrame],
) -> Path:
    """Write `part-00000.parquet` and so on, each in one move; a call that was killed goes on.

    Of processes that `torchrun` started together the first one writes, the others pass.

    Args:
        out: the folder.
        work: what is answered.
        identity: () -> everything that the answers depend on, by name.
        n_series: number of series.
        at_once: series per piece; a call that goes on keeps that of the first one.
        answer: rows of some series.

    Returns:
        The folder, as `pandas.read_parquet` takes it.

    Raises:
        InputError: if the folder holds other files, or the answers of another call; or if series
            cannot be answered: no folder is left behind where these are the first.
        StorageError: if it cannot be written.
    """
    folder = Path(out).expanduser()
    if not is_first_process():
        return folder
    begun = (folder / _PROGRESS).is_dir()
    if not begun and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"out={str(out)!r} exists already; give the name of a new folder")
    made, refused = not folder.exists(), None
    with using(None), checkpointed(folder / _PROGRESS, work, identity):
        size = once("series per piece", int, at_once)
        for number, first in enumerate(range(0, n_series, size)):
            piece = folder / f"part-{number:05d}.parquet"
            if piece.exists():
                continue
            try:
                table = answer(slice(first, first + size))
            except InputError as error:
                if begun or first:
                    raise
                refused = error
                break
            written = io.BytesIO()
            table.to_parquet(written, index=False)
            write_bytes(piece, written.getvalue())
    if refused is not None:
        shutil.rmtree(folder if made else folder / _PROGRESS)
        raise refused
    return folder
