"""Population snapshots from the files people have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from trajinfer._core.damaged import reading
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.cli.files import TableFile
from trajinfer.cli.options import Time, call_of, names
from trajinfer.cli.population import Population, Rows


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
        points = frame[list(snapshots.features or ())].to_numpy(dtype=float)
        rows = Rows(frame[self.time], points, frame)
        return Population(snapshots, None, (*script, f"data = {call}"), rows)

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
        with reading(self.data):
            adata = anndata.read_h5ad(path)
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
        rows = self._rows_of(adata, list(snapshots.features or ()))
        return Population(snapshots, None, tuple(script), rows)

    def _rows_of(self, adata: Any, features: list[str]) -> Rows:
        """The cells, at the coordinates that were chosen."""
        from trajinfer.data.cells import read_cells

        cells = read_cells(adata, time=self.time, use_rep=self.use_rep, n_dims=None, weight=None)
        chosen = [list(cells.features).index(name) for name in features]
        return Rows(cells.times, cells.points[:, chosen], adata.obs, adata)
