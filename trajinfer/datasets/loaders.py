"""`load_*` (in the wheel or in an installed package) and `fetch_*` (found or downloaded)."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.data import Snapshots, Trajectories
from trajinfer.datasets.container import Dataset, Role
from trajinfer.datasets.files import (
    DataHome,
    DatasetError,
    download,
    locate,
    parse_snapshots,
    parse_trajectories,
    read_arrays,
    stacked,
    verify,
)
from trajinfer.datasets.registry import DatasetInfo, OriginalFile, describe

Frame = Any
GulfOfMexico = Literal["gom_vortex_sbirr", "gom_vortex_small_sbirr", "gom_200", "gom_bench_mit"]
LotkaVolterraSet = Literal["lv_sbirr", "lv_200", "lv_bench_mit"]
RepressilatorSet = Literal[
    "repressilator_sbirr",
    "repressilator_200",
    "repressilator_bench_mit",
    "repressilator_mrna_of_6_200",
    "repressilator_mrna_of_6_bench_mit",
    "repressilator_traj_mit",
]
_GAPMINDER_COLUMNS = ("gdpPercap", "lifeExp", "pop")


def load_snapshots(name: str) -> Dataset:
    """A data set that needs no file of the user's: shipped in the wheel or in a package.

    Raises:
        InputError: if there is none of that name, or it has to be fetched.
        DatasetError: if the installed file is damaged or of another shape than recorded.
    """
    info = describe(name)
    if info.source == "file":
        raise InputError(f"{name} is not shipped; use {info.loader}")
    if info.source == "package":
        return _gapminder(info)
    with as_file(files("trajinfer.datasets").joinpath("files", f"{name}.npz")) as path:
        return _read_converted(path, info)


def fetch_snapshots(
    name: str, *, data_home: DataHome = None, download_if_missing: bool = True
) -> Dataset:
    """A data set by its name in `available()`, from a file of the user's or the network.

    Args:
        name: see `available()`; shipped sets are given as well.
        data_home: folder to look in first, and to download to. Next come the folder named by the
            environment variable `TRAJINFER_DATA` and the user's cache. In each, the converted file
            `<name>.npz` and the authors' own file are looked for, also in a subfolder `snapshots`.
        download_if_missing: whether the network may be used.

    Returns:
        The data set, its checksum and shape checked.

    Raises:
        InputError: if there is no data set of that name.
        DatasetError: if the file is nowhere, cannot be downloaded, or is not the right one.
    """
    info = describe(name)
    if info.source != "file":
        return load_snapshots(name)
    path = locate(info, data_home)
    if path is None and not download_if_missing and info.original is not None:
        raise DatasetError(
            f"{info.original.filename} (sha256 {info.original.sha256}) was not found; allow the "
            f"download or get it from {info.original.url}"
        )
    if path is None:
        path = download(info, data_home)
    if info.original is not None and path.name == info.original.filename:
        return _read_original(path, info, info.original)
    return _read_converted(path, info)


def load_gapminder(*, return_frame: bool = False) -> Dataset | Frame:
    """142 countries every five years, 1952-2007: a population whose true pairing is known.

    Coordinates: log10 of GDP per head (international dollars), life expectancy (years), log10 of
    population. Every second year from 1957 to 1997 is held out, 2007 is to be forecast. Rows are
    in the order of `individuals` at every time; `trajectories` joins them.

    Args:
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    dataset = load_snapshots("gapminder")
    return dataset.to_frame() if return_frame else dataset


def load_lotka_volterra(*, return_frame: bool = False) -> Dataset | Frame:
    """Simulated prey and predator with additive noise, 50 individuals at 9 times.

    Args:
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    dataset = load_snapshots("lotka_volterra")
    return dataset.to_frame() if return_frame else dataset


def load_repressilator(*, return_frame: bool = False) -> Dataset | Frame:
    """Simulated ring of three genes with additive noise, 50 cells at 11 times.

    Args:
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    dataset = load_snapshots("repressilator")
    return dataset.to_frame() if return_frame else dataset


def load_repressilator_mrna(*, return_frame: bool = False) -> Dataset | Frame:
    """Simulated mRNA and protein of three genes, of which only the mRNA is seen.

    Args:
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    dataset = load_snapshots("repressilator_mrna_of_6")
    return dataset.to_frame() if return_frame else dataset


def load_vortex(*, return_frame: bool = False) -> Dataset | Frame:
    """Simulated drifters in an elliptic vortex, 100 at 9 times.

    Args:
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    dataset = load_snapshots("vortex")
    return dataset.to_frame() if return_frame else dataset


def fetch_embryoid_body(
    *, data_home: DataHome = None, download_if_missing: bool = True, return_frame: bool = False
) -> Dataset | Frame:
    """Embryoid bodies: 300 cells in 5 principal components at 5 stages.

    Args:
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame("eb_pca5_sbirr", data_home, download_if_missing, return_frame)


def fetch_hesc(
    *, data_home: DataHome = None, download_if_missing: bool = True, return_frame: bool = False
) -> Dataset | Frame:
    """Human embryonic stem cells becoming definitive endoderm, 5 principal components.

    Args:
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame("hesc_pca5_sbirr", data_home, download_if_missing, return_frame)


def fetch_pbmc(
    *, data_home: DataHome = None, download_if_missing: bool = True, return_frame: bool = False
) -> Dataset | Frame:
    """Immune activation of blood cells: 30 gene programmes, every half hour over 20 hours.

    Args:
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame("pbmc30_500", data_home, download_if_missing, return_frame)


def fetch_gulf_of_mexico(
    name: GulfOfMexico = "gom_vortex_sbirr",
    *,
    data_home: DataHome = None,
    download_if_missing: bool = True,
    return_frame: bool = False,
) -> Dataset | Frame:
    """Drifters in a Gulf-of-Mexico eddy, longitude and latitude offsets in degrees.

    Args:
        name: which of them, see `available()`.
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame(name, data_home, download_if_missing, return_frame)


def fetch_lotka_volterra(
    name: LotkaVolterraSet = "lv_sbirr",
    *,
    data_home: DataHome = None,
    download_if_missing: bool = True,
    return_frame: bool = False,
) -> Dataset | Frame:
    """Prey and predator as used in published comparisons.

    Args:
        name: which of them, see `available()`.
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame(name, data_home, download_if_missing, return_frame)


def fetch_repressilator(
    name: RepressilatorSet = "repressilator_sbirr",
    *,
    data_home: DataHome = None,
    download_if_missing: bool = True,
    return_frame: bool = False,
) -> Dataset | Frame:
    """The repressilator as used in published comparisons.

    Args:
        name: which of them, see `available()`.
        data_home: see `fetch_snapshots`.
        download_if_missing: whether the network may be used.
        return_frame: give the table of `Dataset.to_frame` instead.
    """
    return _data_or_frame(name, data_home, download_if_missing, return_frame)


def _data_or_frame(
    name: str, data_home: DataHome, download_if_missing: bool, return_frame: bool
) -> Dataset | Frame:
    dataset = fetch_snapshots(name, data_home=data_home, download_if_missing=download_if_missing)
    return dataset.to_frame() if return_frame else dataset


def _read_converted(path: Path, info: DatasetInfo) -> Dataset:
    verify(path, info.sha256)
    arrays = read_arrays(path)
    snapshots, split = parse_snapshots(arrays, str(path), info.features)
    _check_shape(info, path, len(snapshots), snapshots.n_points, snapshots.dim)
    validation = None
    if "xval_0" in arrays:
        second = stacked(arrays, "xval", len(snapshots), str(path))
        validation = Snapshots(snapshots.times, second, features=info.features)
    truth = parse_trajectories(arrays)
    return Dataset(snapshots, split, info, trajectories=truth, validation=validation)


def _read_original(path: Path, info: DatasetInfo, original: OriginalFile) -> Dataset:
    verify(path, original.sha256)
    arrays = read_arrays(path)
    key = original.key or "array"
    if key not in arrays or arrays[key].shape != original.shape:
        shapes = {name: array.shape for name, array in arrays.items()}
        raise DatasetError(f"{path} should hold '{key}' of shape {original.shape}, found {shapes}")
    snapshots = Snapshots(np.array(original.times), tuple(arrays[key]), features=info.features)
    split: tuple[Role, ...] = original.split  # type: ignore[assignment]
    return Dataset(snapshots, split, info)


def _check_shape(info: DatasetInfo, where: Any, n_times: int, n_points: int, dim: int) -> None:
    expected, shape = (info.n_times, info.n_points, info.dim), (n_times, n_points, dim)
    if expected != shape:
        raise DatasetError(
            f"{where} should hold (times, rows, coordinates) = {expected} for {info.name}, "
            f"found {shape}"
        )


def _gapminder(info: DatasetInfo) -> Dataset:
    frame = import_extra("plotly.data", "demo").gapminder()
    years, names = np.unique(frame["year"]), np.unique(frame["country"].to_numpy(dtype=str))
    _check_shape(info, "the table in plotly", len(years), len(frame), len(_GAPMINDER_COLUMNS))
    frame = frame.sort_values(["country", "year"])
    columns: Array = frame[list(_GAPMINDER_COLUMNS)].to_numpy(dtype=np.float64)
    columns[:, [0, 2]] = np.log10(columns[:, [0, 2]])
    values = columns.reshape(len(names), len(years), -1)
    points = tuple(values[:, k] for k in range(len(years)))
    roles: list[Role] = ["train" if k % 2 == 0 else "held_out" for k in range(len(years))]
    roles[-1] = "forecast"
    return Dataset(
        Snapshots(years, points, features=info.features),
        tuple(roles),
        info,
        individuals=tuple(names.tolist()),
        trajectories=Trajectories(years, values, features=info.features),
    )
