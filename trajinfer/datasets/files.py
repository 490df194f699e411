"""Finding, checking, downloading, reading and writing data files."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, TrajinferError
from trajinfer._core.extras import import_extra
from trajinfer.data import Snapshots, Trajectories
from trajinfer.datasets.container import ROLES, Role, check_split
from trajinfer.datasets.registry import DatasetInfo

VARIABLE = "TRAJINFER_DATA"
DataHome = str | Path | None
_RETRIES = 2


class DatasetError(TrajinferError, OSError):
    """A data file is not there, could not be downloaded, or is not the file it should be."""


def data_folders(data_home: DataHome = None) -> tuple[Path, ...]:
    """Folders searched for data files, in order: `data_home`, `$TRAJINFER_DATA`, the user's cache.

    Raises:
        InputError: if `TRAJINFER_DATA` names something that is not a folder.
    """
    folders = [] if data_home is None else [Path(data_home).expanduser()]
    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"{VARIABLE} names {folder}, which is not a folder; correct or unset it"
            )
        folders.append(folder)
    return (*folders, _cache())


def locate(info: DatasetInfo, data_home: DataHome = None) -> Path | None:
    """Path of the file of a data set, converted or original; None if there is none.

    In each folder of `data_folders`, the subfolder `snapshots` is searched first.
    """
    names = [f"{info.name}.npz"] + ([info.original.filename] if info.original else [])
    for folder in data_folders(data_home):
        for path in (place / name for name in names for place in (folder / "snapshots", folder)):
            if path.is_file():
                return path
    return None


def download(info: DatasetInfo, data_home: DataHome = None) -> Path:
    """Download the authors' file of a data set, checked before it is put in place.

    Raises:
        DatasetError: if no address is known, the network fails, or the checksum is wrong; nothing
            is left behind.
        MissingExtra: if pooch is not installed.
    """
    original = info.original
    if original is None:
        raise DatasetError(
            f"{info.name} has no public address and no file of it was found; put {info.name}.npz "
            f"(sha256 {info.sha256}) into the folder 'snapshots' of data_home= or {VARIABLE}"
        )
    pooch = import_extra("pooch", "data")
    folder = (_cache() if data_home is None else Path(data_home).expanduser()) / "snapshots"
    store = pooch.create(
        path=folder,
        base_url="",
        registry={original.filename: f"sha256:{original.sha256}"},
        urls={original.filename: original.url},
        retry_if_failed=_RETRIES,
    )
    try:
        return Path(store.fetch(original.filename))
    except (OSError, ValueError) as error:  # requests' own errors are OSErrors
        reason = str(error).split("\n", maxsplit=1)[0]
        raise DatasetError(
            f"could not download {original.filename} (sha256 {original.sha256}) from "
            f"{original.url}: {reason}. Without a network, put the file into {folder} yourself"
        ) from error


# What zip files, their compression and the headers of arrays are refused with.
_UNREADABLE: tuple[type[Exception], ...] = (
    *(EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


def verify(path: Path, sha256: str | None) -> None:
    """Compare a file with its checksum.

    Raises:
        DatasetError: if they differ, naming both.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        raise DatasetError(
            f"{path} has sha256 {digest}, expected {sha256}; it is damaged or another version: "
            "remove or replace it"
        )


def read_arrays(path: Path) -> dict[str, Array]:
    """All arrays of an `.npz`, or the one of an `.npy` under the name "array".

    Raises:
        DatasetError: if the file cannot be read or holds pickled objects, which are never read.
    """
    try:
        with path.open("rb") as stream:  # numpy leaves a file it cannot parse open
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"array": loaded}
            return {key: loaded[key] for key in loaded.files}
    except _UNREADABLE as error:
        reason = "it holds Python objects, not arrays" if "allow_pickle" in str(error) else error
        raise DatasetError(
            f"{path} cannot be read: {reason}; write it by numpy.savez, or take another file"
        ) from error


def read_snapshots(path: str | Path) -> tuple[Snapshots, tuple[Role, ...]]:
    """Read an `.npz` with `x_0`, ..., `x_{K-1}`, `times` (K,) and, optionally, `split` (K,).

    Returns:
        The snapshots and what each is for (all "train" where the file has no split).

    Raises:
        DatasetError: if the file cannot be read or lacks an array.
        InputError: if the arrays make no snapshots.
    """
    return parse_snapshots(read_arrays(Path(path)), str(path))


def parse_snapshots(
    arrays: Mapping[str, Array], where: str, features: tuple[str, ...] | None = None
) -> tuple[Snapshots, tuple[Role, ...]]:
    """The snapshots among the arrays of a file; see `read_snapshots`."""
    if "times" not in arrays:
        raise DatasetError(f"{where} has no array 'times'; it holds {', '.join(arrays)}")
    times = arrays["times"]
    snapshots = Snapshots(times, stacked(arrays, "x", len(times), where), features=features)
    codes = arrays.get("split", np.zeros(len(times)))
    if not np.isin(codes, range(len(ROLES))).all():
        raise DatasetError(f"{where}: split must hold 0, 1 or 2, got {np.unique(codes)}")
    split = tuple(ROLES[int(code)] for code in codes)
    check_split(split, snapshots)
    return snapshots, split


def parse_trajectories(arrays: Mapping[str, Array]) -> Trajectories | None:
    """True paths stored as `traj` (T, B, D) and `traj_times` (T,), where there are any."""
    if "traj" not in arrays:
        return None
    return Trajectories(arrays["traj_times"], arrays["traj"].swapaxes(0, 1))


def stacked(arrays: Mapping[str, Array], prefix: str, n: int, where: str) -> tuple[Array, ...]:
    """The arrays `prefix_0` ... `prefix_{n-1}`.

    Raises:
        DatasetError: naming the first that is not there.
    """
    names = [f"{prefix}_{k}" for k in range(n)]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DatasetError(f"{where} has {n} times but no array '{missing[0]}'")
    return tuple(arrays[name] for name in names)


def write_snapshots(
    path: str | Path, snapshots: Snapshots, split: Sequence[Role] | None = None, **arrays: Any
) -> Path:
    """Write snapshots in the layout that `read_snapshots` reads, whole or not at all.

    Args:
        path: the `.npz` to write; an existing one is replaced.
        snapshots: what to write; weights are not part of the layout.
        split: role of each snapshot; None for all "train".
        **arrays: further arrays of numbers, such as true parameters.

    Raises:
        InputError: if the split does not fit, or the snapshots carry weights.
    """
    everything: list[Role] = ["train" for _ in snapshots.points]
    roles = tuple(everything if split is None else split)
    check_split(roles, snapshots)
    if snapshots.weights is not None:
        raise InputError("this layout holds no weights; save the table of to_frame() instead")
    content: dict[str, Any] = {f"x_{k}": cloud for k, cloud in enumerate(snapshots.points)}
    content["times"] = snapshots.times
    content["split"] = np.array([ROLES.index(role) for role in roles], dtype=np.float64)
    content |= {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items()}
    target = Path(path)
    handle, scratch = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, **content)
        Path(scratch).chmod(0o644)
        Path(scratch).replace(target)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return target


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "trajinfer"
