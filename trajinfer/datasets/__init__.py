"""Data sets: simulated (`make_*`), installed (`load_*`), found or downloaded (`fetch_*`)."""

from trajinfer.datasets.container import Dataset
from trajinfer.datasets.energy import energy_dates, load_energy
from trajinfer.datasets.files import (
    DatasetError,
    data_folders,
    locate,
    read_snapshots,
    write_snapshots,
)
from trajinfer.datasets.interacting import make_fitzhugh_nagumo, make_opinion_dynamics
from trajinfer.datasets.loaders import (
    fetch_embryoid_body,
    fetch_gulf_of_mexico,
    fetch_hesc,
    fetch_lotka_volterra,
    fetch_pbmc,
    fetch_repressilator,
    fetch_snapshots,
    load_gapminder,
    load_lotka_volterra,
    load_repressilator,
    load_repressilator_mrna,
    load_snapshots,
    load_vortex,
)
from trajinfer.datasets.passive_agents import follow_opinions
from trajinfer.datasets.registry import DatasetInfo, OriginalFile, available, describe
from trajinfer.datasets.series_container import (
    SeriesDataset,
    SeriesInfo,
    describe_series,
    series_sets,
)
from trajinfer.datasets.series_loaders import (
    load_labelled_series,
    load_macho,
    load_mujoco_windows,
    load_series,
)
from trajinfer.datasets.series_split import SeriesSplit
from trajinfer.datasets.simulators import (
    make_lotka_volterra,
    make_repressilator,
    make_repressilator_mrna,
    make_vortex,
)
from trajinfer.datasets.sines import make_sines
from trajinfer.datasets.stocks import load_stocks, relative_prices

__all__ = [
    "Dataset",
    "DatasetError",
    "DatasetInfo",
    "OriginalFile",
    "SeriesDataset",
    "SeriesInfo",
    "SeriesSplit",
    "available",
    "data_folders",
    "describe",
    "describe_series",
    "energy_dates",
    "fetch_embryoid_body",
    "fetch_gulf_of_mexico",
    "fetch_hesc",
    "fetch_lotka_volterra",
    "fetch_pbmc",
    "fetch_repressilator",
    "fetch_snapshots",
    "follow_opinions",
    "load_energy",
    "load_gapminder",
    "load_labelled_series",
    "load_lotka_volterra",
    "load_macho",
    "load_mujoco_windows",
    "load_repressilator",
    "load_repressilator_mrna",
    "load_series",
    "load_snapshots",
    "load_stocks",
    "load_vortex",
    "locate",
    "make_fitzhugh_nagumo",
    "make_lotka_volterra",
    "make_opinion_dynamics",
    "make_repressilator",
    "make_repressilator_mrna",
    "make_sines",
    "make_vortex",
    "read_snapshots",
    "relative_prices",
    "series_sets",
    "write_snapshots",
]
