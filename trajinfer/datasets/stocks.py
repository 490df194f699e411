"""`load_stocks`: windows of daily prices, split by blocks of time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer.data import Trajectories
from trajinfer.datasets.files import DataHome
from trajinfer.datasets.series_split import SeriesSplit, find_series_file

CHANNELS = ("open", "high", "low", "close", "volume")
_FILE = "stock_data.csv"
_SHA256 = "134b8a00eb4eefa3242dd7ae85144082da80dedf75a1a656d5d08f97cd95277a"
_BLOCK, _EVERY = 144, 4


def load_stocks(n_times: int = 24, *, offset: int = 3, data_home: DataHome = None) -> SeriesSplit:
    """Windows of Google's daily open, high, low, close and volume, 2004 to 2019, oldest first.

    The column of adjusted closes repeats the close in every row and is left out. Neighbouring
    windows share all rows but one, so they are split by blocks of 144 starts, of which every
    fourth is held out; training windows that start within `n_times` of a held-out start are
    dropped, so no row is on both sides.

    Args:
        n_times: rows per window.
        offset: which of every four blocks is held out, 0 to 3.
        data_home: folder of the file `stock_data.csv`; see `fetch_snapshots`.

    Returns:
        Windows (n, n_times, 5) of prices and volumes as they are; `relative_prices` makes windows
        of different years comparable. Groups are the blocks.

    Raises:
        InputError: for an offset outside 0 to 3 or windows longer than a block.
        DatasetError: if the file is nowhere or is not the right one.

    References:
        Exchange prices under the terms of their vendor, as used since Yoon, Jarrett, van der
        Schaar, "Time-series generative adversarial networks", NeurIPS 2019: for measuring, not
        for redistribution.
    """
    n_times = require_integer(n_times, "n_times", least=2)
    if offset not in range(_EVERY) or n_times > _BLOCK:
        raise InputError(
            f"offset must be 0 to {_EVERY - 1} and n_times at most {_BLOCK}, got {offset!r} and "
            f"{n_times}"
        )
    table = pd.read_csv(find_series_file(_FILE, _SHA256, data_home))
    columns = [name.capitalize() for name in CHANNELS]
    rows = table[columns].to_numpy(dtype=np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(rows, n_times, axis=0).transpose(0, 2, 1)
    starts = np.arange(len(windows))
    block = starts // _BLOCK
    held_out = block % _EVERY == offset
    kept = held_out | (_distance(starts, starts[held_out]) > n_times)
    series = Trajectories(np.arange(n_times), windows[kept], features=CHANNELS)
    return SeriesSplit.cut(series, block[kept], held_out[kept])


def relative_prices(windows: Array) -> Array:
    """Windows as logarithms: prices relative to the first close, volumes to their mean.

    Args:
        windows: (n, T, 5) open, high, low, close, volume, all positive.

    Returns:
        (n, T, 5).

    Raises:
        InputError: if a value is not positive.
    """
    if windows.ndim != 3 or windows.shape[2] != len(CHANNELS):
        raise InputError(f"windows must be (n, T, {len(CHANNELS)}), got shape {windows.shape}")
    if not (windows > 0).all():
        bad = int((~(windows > 0)).any(axis=(1, 2)).sum())
        raise InputError(f"prices and volumes must be positive; {bad} window(s) hold others")
    logs = np.log(windows)
    anchor = np.repeat(logs[:, :1, 3:4], len(CHANNELS), axis=2)
    anchor[:, :, 4] = logs[:, :, 4].mean(axis=1, keepdims=True)
    return np.asarray(logs - anchor)


def _distance(points: Array, others: Array) -> Array:
    """Distance of every point to the nearest of the others, both sorted."""
    right = np.searchsorted(others, points).clip(max=len(others) - 1)
    left = (right - 1).clip(min=0)
    return np.asarray(np.minimum(np.abs(points - others[left]), np.abs(points - others[right])))
