"""The snapshots of a file, and their parting into those to learn from and those held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError
from trajinfer.cli.console import say
from trajinfer.cli.typed_times import label_of, literal

if TYPE_CHECKING:
    import pandas as pd

    from trajinfer import Snapshots


@dataclass(frozen=True)
class Rows:
    """The rows of a file, one per cell, in their order.

    Attributes:
        times: (N,) as the file has them.
        points: (N, D) coordinates.
        table: their other columns.
        adata: the AnnData object; None for other files.
    """

    times: Any
    points: Any
    table: pd.DataFrame
    adata: Any = None


@dataclass(frozen=True)
class Population:
    """Snapshots of a file.

    Attributes:
        snapshots: all of them.
        roles: what each is for, where the file says so.
        script: lines of Python that read the same into `data`.
        rows: of the file, where it is a table of cells.
    """

    snapshots: Snapshots
    roles: tuple[str, ...] | None
    script: tuple[str, ...]
    rows: Rows | None = None

    def split(self, hold_out: Sequence[str], *, quiet: bool) -> Split:
        """Keep the named times aside, or those that the file itself marks.

        Raises:
            InputError: for a time without a snapshot, or if fewer than two snapshots are left.
        """
        import numpy as np

        snapshots = self.snapshots
        labels = labels_of(snapshots, hold_out)
        if not labels and self.roles is not None:
            marked = [k for k, role in enumerate(self.roles) if role != "train"]
            labels = list(np.asarray(snapshots.labels)[marked])
            if labels:
                say(f"held out, as the file says: {', '.join(map(str, labels))}", quiet=quiet)
        if not labels:
            return Split(snapshots, None, ())
        held_out = snapshots.select(labels)
        if len(snapshots) - len(held_out) < 2:
            raise InputError(
                f"holding out {len(held_out)} of {len(snapshots)} snapshots leaves fewer than two"
            )
        return Split(snapshots.drop(labels), held_out, tuple(labels))


@dataclass(frozen=True)
class Split:
    """Snapshots to learn from, and those that are kept aside.

    Attributes:
        train: to learn from.
        held_out: kept aside, None for none.
        labels: times kept aside.
    """

    train: Snapshots
    held_out: Snapshots | None
    labels: tuple[Any, ...]

    def script(self) -> list[str]:
        """Python that parts `data` into `train` and `held_out`, where anything is kept aside."""
        if not self.labels:
            return []
        times = ", ".join(literal(label) for label in self.labels)
        return [f"train, held_out = data.drop([{times}]), data.select([{times}])"]


def labels_of(snapshots: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times as a user typed them, as labels of the snapshots' own time axis.

    Raises:
        InputError: for text that is no time of that kind.
    """
    return [label_of(snapshots.axis, text, known=snapshots.labels) for text in texts]
