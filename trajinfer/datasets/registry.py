"""The table of data sets shipped with the package: what they are and how to recognise them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from trajinfer._core.errors import InputError, nearest


@dataclass(frozen=True)
class OriginalFile:
    """A file as its authors published it.

    Attributes:
        filename: its own name.
        sha256: its checksum.
        url: a public address, with the version fixed.
        key: name of the array (K, n, D) in an `.npz`; None for an `.npy` that is the array.
        shape: (K, n, D).
        times: (K,) times of its snapshots.
        split: (K,) their roles.
    """

    filename: str
    sha256: str
    url: str
    shape: tuple[int, ...]
    times: tuple[float, ...]
    split: tuple[str, ...]
    key: str | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """Source, licence, hash and shape of a data set.

    Attributes:
        name: the name in `fetch_snapshots(name)` and in the table.
        title: one line.
        description: what the rows and coordinates are.
        source: "package" (inside an installed package), "shipped" (simulated by us, in the wheel)
            or "file" (looked up in `data_home` and `TRAJINFER_DATA`, else downloaded if possible).
        loader: the call that gives it.
        n_times: K, number of snapshots.
        n_points: rows over all snapshots.
        dim: D.
        licence: terms of use of the data.
        citation: what to cite.
        url: where it comes from.
        features: names of the coordinates.
        time_unit: unit of the times.
        state_unit: unit of the coordinates.
        sha256: checksum of the `.npz`; None for data inside a package.
        parameters: parameters of the generator, for simulated data.
        original: the authors' file, where it can be read.
    """

    name: str
    title: str
    description: str
    source: Literal["package", "shipped", "file"]
    loader: str
    n_times: int
    n_points: int
    dim: int
    licence: str
    citation: str
    url: str
    features: tuple[str, ...]
    time_unit: str
    state_unit: str
    sha256: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    original: OriginalFile | None = None


def available() -> tuple[DatasetInfo, ...]:
    """All known data sets, sorted by name; nothing is read or downloaded.

    Example:
        >>> [info.name for info in available() if info.source == "shipped"][0]
        'lotka_volterra'
    """
    return tuple(sorted(_table().values(), key=lambda info: info.name))


def describe(name: str) -> DatasetInfo:
    """The entry of one data set.

    Raises:
        InputError: if there is none of that name; the nearest one is named.
    """
    table = _table()
    if name not in table:
        raise InputError(f"no data set '{name}'; {nearest(name, table)}")
    return table[name]


@cache
def _table() -> Mapping[str, DatasetInfo]:
    text = files("trajinfer.datasets").joinpath("registry.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)
    return MappingProxyType({name: _entry(name, fields) for name, fields in entries.items()})


def _entry(name: str, fields: dict[str, Any]) -> DatasetInfo:
    known = _with_tuples(fields)
    original = known.pop("original", None)
    if original is not None:
        original = OriginalFile(**_with_tuples(original))
    return DatasetInfo(name=name, original=original, **known)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
