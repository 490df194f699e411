"""What a fitted bridge knows of every cell of the file, as a table and in the file's own format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from trajinfer import SchrodingerBridge
    from trajinfer._core.checks import Array
    from trajinfer.bridges.annotation import CellAnswers
    from trajinfer.cli.population import Rows


def labels_of_rows(rows: Rows | None, column: str | None) -> Array | None:
    """Labels (N,) of the rows, whose sets at the last time are the fates; None for none.

    Raises:
        InputError: if there is no such column.
    """
    from trajinfer._core.errors import InputError
    from trajinfer.bridges.annotation import labels_of

    if column is None:
        return None
    if rows is None:
        raise InputError("--fates names a column of labels, which npz files have not; give a table")
    return labels_of(rows.table, column)


def cell_answers(bridge: SchrodingerBridge, rows: Rows, labels: Array | None) -> CellAnswers:
    """Growth, velocity and fates of the rows."""
    from trajinfer.bridges.annotation import CellAnswers, rows_of

    own = rows_of(bridge.given_snapshots, rows.times, rows.points)
    return CellAnswers.of(bridge, own, len(rows.points), labels, None)


def cell_table(answers: CellAnswers, rows: Rows, names: tuple[str, ...], time: str) -> pd.DataFrame:
    """One line per row of the file: its name where it has one, its time, and the answers."""
    table = answers.to_frame(names)
    table.insert(0, time, list(rows.times))
    if rows.adata is not None:
        table.insert(0, "cell", list(rows.adata.obs_names))
    return table


def annotated(
    answers: CellAnswers, rows: Rows, time: str, rep: str
) -> Mapping[str, Callable[[Path], Any]]:
    """The AnnData file with the answers in it; nothing for other files."""
    from trajinfer.bridges.annotation import write

    if rows.adata is None:
        return {}

    def save(path: Path) -> None:
        write(answers, rows.adata, time, rep)
        rows.adata.write_h5ad(path)

    return {"cells.h5ad": save}
