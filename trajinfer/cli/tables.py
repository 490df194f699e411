"""Reading population snapshots from the files people have."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError, nearest
from trajinfer._core.extras import import_extra
from trajinfer.cli.console import say
from trajinfer.data import Snapshots
from trajinfer.datasets.container import Role
from trajinfer.datasets.files import parse_snapshots, read_arrays


@dataclass(frozen=True)
class Source:
    """A file and how to read it.

    Attributes:
        path: the file.
        time: name of the time column.
        features: names of the coordinates; none for all numeric columns left.
        weight: name of the weight column.
        use_rep: representation of an AnnData.
    """

    path: Path
    time: str = "time"
    features: tuple[str, ...] = ()
    weight: str | None = None
    use_rep: str = "X_pca"


@dataclass(frozen=True)
class Data:
    """What a file held.

    Attributes:
        snapshots: all of them.
        split: what each is for, where the file says so.
        script: lines of Python that read the same data into `data`.
        unused: columns that are no numbers, left out without having been named.
    """

    snapshots: Snapshots
    split: tuple[Role, ...] | None
    script: tuple[str, ...]
    unused: tuple[str, ...] = ()


def read(source: Source, *, quiet: bool = False) -> Data:
    """Read a file by its suffix: .csv, .tsv, .parquet, .npz or .h5ad.

    Raises:
        InputError: if it is not there, of another kind, unreadable, or holds no snapshots.
    """
    path = source.path
    readers = {
        ".csv": _from_table,
        ".tsv": _from_table,
        ".parquet": _from_table,
        ".npz": _from_npz,
        ".h5ad": _from_h5ad,
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise InputError(f"{path} has the suffix '{suffix}'; expected one of {', '.join(readers)}")
    if not path.is_file():
        beside = [p.name for p in path.parent.glob(f"*{suffix}")] if path.parent.is_dir() else []
        hint = f"; {nearest(path.name, beside)}" if beside else ""
        raise InputError(f"there is no file {path}{hint}")
    data = readers[suffix](source)
    if data.unused:
        say(f"columns left out, not numeric: {', '.join(data.unused)}", quiet=quiet)
    return data


def read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """A table from a .csv, .tsv or .parquet file, and the Python that reads it.

    Raises:
        InputError: if it is not there, of another kind, unreadable, or empty.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".parquet"):
        raise InputError(f"{path} has the suffix '{kind}'; expected .csv, .tsv or .parquet")
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    frame = _read_frame(path, kind)
    if frame.empty:
        raise InputError(f"{path} holds no rows")
    return frame, _reading_call(path, kind)


def with_dates(frame: pd.DataFrame, time: str, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table with times written as text turned into dates, and the Python that does so.

    Raises:
        InputError: if the times are text but no dates.
    """
    if time not in frame.columns or not _is_text(frame[time]):
        return frame, []
    dated = frame.assign(**{time: _as_datetimes(frame[time], path)})
    return dated, [f"frame[{time!r}] = pd.to_datetime(frame[{time!r}])"]


def _reading_call(path: Path, kind: str) -> str:
    return {
        ".csv": f"pd.read_csv({str(path)!r}, float_precision='round_trip')",
        ".tsv": f"pd.read_csv({str(path)!r}, sep='\\t', float_precision='round_trip')",
        ".parquet": f"pd.read_parquet({str(path)!r})",
    }[kind]


def _from_table(source: Source) -> Data:
    path = source.path
    frame, call = read_table(path)
    frame, dating = with_dates(frame, source.time, path)
    script = ["import pandas as pd", f"frame = {call}", *dating]
    features = list(source.features) or None
    snapshots = Snapshots.from_frame(
        frame, time=source.time, features=features, weight=source.weight
    )
    named = {source.time, source.weight, *(snapshots.features or ())}
    unused = [str(c) for c in frame.columns if c not in named]
    options = [f"time={source.time!r}"]
    options += [f"features={features!r}"] if features else []
    options += [f"weight={source.weight!r}"] if source.weight else []
    script.append(f"data = Snapshots.from_frame(frame, {', '.join(options)})")
    return Data(snapshots, None, tuple(script), () if features else tuple(unused))


def _read_frame(path: Path, kind: str) -> pd.DataFrame:
    try:
        if kind == ".parquet":
            import_extra("pyarrow", "parquet")
            return pd.read_parquet(path)
        if not path.read_bytes()[-1:].isspace():
            warnings.warn(
                f"{path}: the last line does not end; is the file complete?", stacklevel=2
            )
        separator = "\t" if kind == ".tsv" else ","
        return pd.read_csv(path, sep=separator, float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def _is_text(column: pd.Series[Any]) -> bool:
    return not (
        pd.api.types.is_numeric_dtype(column)
        or pd.api.types.is_datetime64_any_dtype(column)
        or pd.api.types.is_timedelta64_dtype(column)
    )


def _as_datetimes(column: pd.Series[Any], path: Path) -> Any:
    try:
        return pd.to_datetime(column, format="ISO8601")
    except (ValueError, TypeError) as error:
        example = next((v for v in column if not _is_date(v)), column.iloc[0])
        raise InputError(
            f"{path}: the times in column '{column.name}' must be numbers or dates such as "
            f"2024-05-31, got {example!r}"
        ) from error


def _is_date(value: Any) -> bool:
    return not pd.isna(pd.to_datetime(value, format="ISO8601", errors="coerce"))


def _from_npz(source: Source) -> Data:
    path = source.path
    arrays = read_arrays(path)
    if "X" in arrays and "t" in arrays:
        lines = (
            "import numpy as np",
            f"arrays = np.load({str(path)!r})",
            "data = Snapshots.from_arrays(arrays['X'], arrays['t'])",
        )
        return Data(Snapshots.from_arrays(arrays["X"], arrays["t"]), None, lines)
    if "times" not in arrays:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected X (N, D) and t (N,), or "
            "x_0, x_1, ... and times"
        )
    snapshots, split = parse_snapshots(arrays, str(path))
    script = (
        "from trajinfer.datasets import read_snapshots",
        f"data, split = read_snapshots({str(path)!r})",
    )
    return Data(snapshots, split if "split" in arrays else None, script)


def _from_h5ad(source: Source) -> Data:
    anndata = import_extra("anndata", "anndata")
    path = source.path
    try:
        adata = anndata.read_h5ad(path)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    snapshots = Snapshots.from_anndata(
        adata, time=source.time, use_rep=source.use_rep, weight=source.weight
    )
    if source.features:
        snapshots = _columns(snapshots, source.features)
    keywords = f"time={source.time!r}, use_rep={source.use_rep!r}, weight={source.weight!r}"
    script = [
        "import anndata",
        f"adata = anndata.read_h5ad({str(path)!r})",
        f"data = Snapshots.from_anndata(adata, {keywords})",
    ]
    if source.features:
        script.append(
            f"data = Snapshots.from_frame(data.to_frame(), time='time', "
            f"features={list(source.features)!r})"
        )
    return Data(snapshots, None, tuple(script))


def _columns(snapshots: Snapshots, features: tuple[str, ...]) -> Snapshots:
    weight = None if snapshots.weights is None else snapshots.weight_name
    return Snapshots.from_frame(
        snapshots.to_frame(), time=snapshots.time_name, features=features, weight=weight
    )


def parse_times(snapshots: Snapshots, given: list[str]) -> list[Any]:
    """What a user typed as times, as labels of the snapshots' own time axis.

    Raises:
        InputError: for text that is no time of that kind.
    """
    kinds = {"number": float, "datetime": pd.Timestamp, "timedelta": pd.Timedelta}
    labels = []
    for text in given:
        try:
            labels.append(kinds[snapshots.axis.kind](text))
        except ValueError as error:
            raise InputError(
                f"'{text}' is no {snapshots.axis.kind}; the times are "
                f"{', '.join(map(str, np.asarray(snapshots.labels).tolist()))}"
            ) from error
    return labels
