"""`load_energy`: days of the meters of an office building, split by blocks of weeks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import Trajectories
from trajinfer.datasets.files import DataHome, read_arrays
from trajinfer.datasets.series_split import SeriesSplit, find_series_file

CHANNELS = ("blocks_1_2", "blocks_3_4", "import", "gas")
_FILE = "electric_days.npz"
_SHA256 = "b1947947e1ba7d507d730b3e13ee2f87fc7dde574b51b6b09a11929d779feea3"
_WEEKS, _EVERY = 4, 4
_LONGEST_GAP = 4
# Catch-up readings after a gap are more than twice what is ever used in a quarter of an hour.
_CATCH_UP = 1.5


def load_energy(*, offset: int = 3, data_home: DataHome = None) -> SeriesSplit:
    """Quarter-hourly electricity (kWh) and gas (cubic metres) of Dublin's Civic Offices, by days.

    Four meters, 2011-03-29 to 2013-02-20. The import is the sum of the two block meters. Negative
    readings and catch-up readings after gaps count as missing; gaps of at most an hour are filled
    by straight lines, days with longer ones are left out. Blocks of four weeks are split; every
    fourth is held out.

    Args:
        offset: which of every four blocks is held out, 0 to 3.
        data_home: folder of the file `electric_days.npz`; see `fetch_snapshots`.

    Returns:
        Days (n, 96, 4), times in hours. Groups are the blocks.

    Raises:
        InputError: for an offset outside 0 to 3.
        DatasetError: if the file is nowhere or is not the right one.

    References:
        Dublin City Council open data, as used in Min, Hu, Ichiba, ICML 2023, arXiv 2304.13131:
        for measuring, not for redistribution.
    """
    days, _, block = _complete_days(offset, data_home)
    series = Trajectories(np.arange(96) / 4, days, features=CHANNELS)
    return SeriesSplit.cut(series, block, block % _EVERY == offset)


def energy_dates(
    *, offset: int = 3, data_home: DataHome = None
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Dates of the training and of the held-out days of `load_energy`, in their order."""
    _, dates, block = _complete_days(offset, data_home)
    held_out = block % _EVERY == offset
    return dates[~held_out], dates[held_out]


def _complete_days(offset: int, data_home: DataHome) -> tuple[Array, pd.DatetimeIndex, Array]:
    """Days (n, 96, 4) without gaps, their dates and their blocks of weeks."""
    if offset not in range(_EVERY):
        raise InputError(f"offset must be 0 to {_EVERY - 1}, got {offset!r}")
    days, dates = _read(data_home)
    block = (dates - dates[0]).days.to_numpy() // (7 * _WEEKS)
    complete = np.isfinite(days).all(axis=(1, 2))
    return days[complete], dates[complete], block[complete]


def _read(data_home: DataHome) -> tuple[Array, pd.DatetimeIndex]:
    arrays = read_arrays(find_series_file(_FILE, _SHA256, data_home))
    # Meters count in steps of 0.05; the file holds single precision.
    readings = arrays["x"].astype(np.float64).round(2)
    usual = np.nanquantile(readings, 0.999, axis=(0, 1))
    readings[(readings < 0) | (readings > _CATCH_UP * usual)] = np.nan
    # The import follows from the blocks, and is wrong wherever one of them is.
    meters = readings[:, :, [0, 1, 3]]
    filled = np.stack([_filled(meters[:, :, c]) for c in range(3)], axis=-1)
    total = filled[:, :, :1] + filled[:, :, 1:2]
    days = np.concatenate([filled[:, :, :2], total, filled[:, :, 2:]], axis=2)
    return days, pd.DatetimeIndex(arrays["dates"])


def _filled(days: Array) -> Array:
    """Days (n, T) with gaps of at most an hour filled by straight lines along the calendar."""
    line = pd.Series(days.ravel())
    missing = line.isna()
    run = missing.groupby((~missing).cumsum()).transform("sum")
    filled = line.interpolate(limit_area="inside")
    return np.asarray(filled.where(~missing | (run <= _LONGEST_GAP))).reshape(days.shape)
