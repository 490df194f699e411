"""Population snapshots from the files people have, and their parting into two sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.cli.console import say
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Time, call_of, names

if TYPE_CHECKING:
    from trajinfer import Snapshots


@dataclass(frozen=True, kw_only=True)
class _Columns:
    time: Time = "time"
    features: Annotated[
        str,
        typer.Option(
            help="Columns of coordinates, separated by commas; all numeric ones if empty."
        ),
    ] = ""
    weight: Annotated[str | None, typer.Option(help="Column of weights.")] = None
    use_rep: Annotated[str, typer.Option(help="h5ad only: key of obsm, or X.")] = "X_pca"


@dataclass(frozen=True, kw_only=True)
class SnapshotFile(TableFile, _Columns):
    """A file with snapshots: a table, arrays, or an AnnData."""

    suffixes: ClassVar[tuple[str, ...]] = (*TableFile.suffixes, ".npz", ".h5ad")

    data: Annotated[Path, typer.Argument(help="csv, tsv, txt, parquet, npz or h5ad.")]

    def read(self) -> Population:
        """The snapshots of the file.

        Raises:
            InputError: if it is unreadable, or as for `Snapshots.from_frame`.
        """
        suffix = self.data.suffix.lower()
        if suffix == ".npz":
            return self._from_npz()
        return self._from_h5ad() if suffix == ".h5ad" else self._from_table()

    def _from_table(self) -> Population:
        from trajinfer import Snapshots

        frame, script = self.read_table(time=self.time)
        words: dict[str, Any] = {
            "time": self.time,
            "features": names(self.features) or None,
            "weight": self.weight,
        }
        snapshots = Snapshots.from_frame(frame, **words)
        shown = {**words, "features": list(snapshots.features or ())}
        call = call_of("Snapshots.from_frame", shown, "frame")
        return Population(snapshots, None, (*script, f"data = {call}"))

    def _from_npz(self) -> Population:
        from trajinfer import Snapshots
        from trajinfer.datasets.files import parse_snapshots, read_arrays

        path = str(self.data)
        arrays = read_arrays(self.data)
        if "X" in arrays and "t" in arrays:
            script = [
                "import numpy as np",
                f"arrays = np.load({path!r})",
                "data = Snapshots.from_arrays(arrays['X'], arrays['t'])",
            ]
            snapshots = Snapshots.from_arrays(arrays["X"], arrays["t"])
            return Population(snapshots, None, tuple(script))
        if "times" not in arrays:
            raise InputError(
                f"{path} holds {', '.join(arrays) or 'nothing'}; expected X (N, D) and t (N,), or "
                "x_0, x_1, ... and times"
            )
        snapshots, split = parse_snapshots(arrays, path)
        script = [
            "from trajinfer.datasets import read_snapshots",
            f"data, split = read_snapshots({path!r})",
        ]
        return Population(snapshots, split if "split" in arrays else None, tuple(script))

    def _from_h5ad(self) -> Population:
        from trajinfer import Snapshots

        anndata = import_extra("anndata", "anndata")
        path = str(self.data)
        try:
            adata = anndata.read_h5ad(path)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        words: dict[str, Any] = {"time": self.time, "use_rep": self.use_rep, "weight": self.weight}
        snapshots = Snapshots.from_anndata(adata, **words)
        script = [
            "import anndata",
            f"adata = anndata.read_h5ad({path!r})",
            f"data = {call_of('Snapshots.from_anndata', words, 'adata')}",
        ]
        chosen = names(self.features)
        if chosen:
            columns: dict[str, Any] = {
                "time": snapshots.time_name,
                "features": chosen,
                "weight": None if snapshots.weights is None else snapshots.weight_name,
            }
            snapshots = Snapshots.from_frame(snapshots.to_frame(), **columns)
            call = call_of("Snapshots.from_frame", columns, "data.to_frame()")
            script.append(f"data = {call}")
        return Population(snapshots, None, tuple(script))


@dataclass(frozen=True)
class Population:
    """Snapshots of a file.

    Attributes:
        snapshots: all of them.
        roles: what each is for, where the file says so.
        script: lines of Python that read the same into `data`.
    """

    snapshots: Snapshots
    roles: tuple[str, ...] | None
    script: tuple[str, ...]

    def split(self, hold_out: Sequence[str], *, quiet: bool) -> Split:
        """Keep the named times aside, or those that the file itself marks.

        Raises:
            InputError: for a time without a snapshot, or if fewer than two snapshots are left.
        """
        import numpy as np

        snapshots = self.snapshots
        labels = parse_times(snapshots, hold_out)
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
        times = ", ".join(_literal(label) for label in self.labels)
        return [f"train, held_out = data.drop([{times}]), data.select([{times}])"]


def parse_times(snapshots: Snapshots, texts: Sequence[str]) -> list[Any]:
    """Times as a user typed them, as labels of the snapshots' own time axis.

    Raises:
        InputError: for text that is no time of that kind.
    """
    import numpy as np
    import pandas as pd

    kinds = {"number": float, "datetime": pd.Timestamp, "timedelta": pd.Timedelta}
    labels = []
    for text in texts:
        try:
            labels.append(kinds[snapshots.axis.kind](text))
        except ValueError as error:
            raise InputError(
                f"'{text}' is no {snapshots.axis.kind}; the times are "
                f"{', '.join(map(str, np.asarray(snapshots.labels).tolist()))}"
            ) from error
    return labels


def _literal(label: Any) -> str:
    if hasattr(label, "isoformat"):
        return f"pd.{type(label).__name__}({str(label)!r})"
    return repr(float(label))
