"""Tables on disk that are larger than memory: indexed once, read some series at a time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.memory import in_words, memory_bytes
from trajinfer.data.columns import numbered
from trajinfer.data.parquet import PartialDataWarning, dataset_of, frame_of, row_groups, rows_of
from trajinfer.data.time_axis import TimeAxis, TimeUnit

logger = logging.getLogger(__name__)

# bytes that a fit or an answer holds for every number of the table while it is at work; the default
# forecaster takes about 460 of series of ten rows (`python -m tests.scale.opened`)
_WORK_PER_NUMBER = 64 * 8
Container = TypeVar("Container")


@dataclass(frozen=True, eq=False)
class OpenTable(Generic[Container]):
    """Series in parquet files, read when they are asked for.

    The index holds 24 bytes for every run of rows of one series that stand together: sort a file by
    series, and that is one run per series.

    Attributes:
        path: the file, or the folder of files.
        ids: names of the B series, sorted.
        lengths: (B,) rows of every series.
        axis: of their times.
        columns: those that are read.
        memory: bound in bytes on what a fit or an answer works in.
        make: from the rows of some series to their container.
    """

    path: Path
    ids: Array
    lengths: Array
    axis: TimeAxis
    columns: tuple[str, ...]
    memory: float
    make: Callable[[pd.DataFrame], Container]
    groups: tuple[Any, ...]
    runs: RowRuns

    @classmethod
    def of(
        cls,
        path: str | Path,
        id: str,
        time: str,
        columns: Sequence[str] | None,
        make: Callable[[pd.DataFrame, TimeAxis], Container],
        *,
        memory: float | str | None,
        time_unit: TimeUnit,
    ) -> OpenTable[Container]:
        """Index a table.

        Args:
            path: a parquet file, or a folder of them, partitioned (hive) or not.
            id: column that names the series.
            time: column of times.
            columns: those to read besides; None takes all.
            make: from rows and the axis of all rows to a container.
            memory: as for `memory_bytes`.
            time_unit: duration of 1.0 on the axis.

        Raises:
            InputError: for a missing file or column, or rows without a name of their series.
        """
        source, bound = Path(path).expanduser(), memory_bytes(memory)
        dataset = dataset_of(source)
        names = list(dataset.schema.names)
        wanted = [id, time, *(columns if columns is not None else names)]
        for name in wanted:
            if name not in names:
                raise InputError(f"{source} has no column {name!r}; {nearest(name, names)}")
        groups = row_groups(dataset, source)
        found, ends = [], []
        for group in groups:
            rows = frame_of(rows_of(group, source, [id, time], schema=dataset.schema), source)
            if rows[id].isna().any():
                raise InputError(f"{source} has rows without {id!r}; leave them out")
            found.append(numbered(rows[id], id))
            ends.append(_plain(rows[time]).agg(["min", "max"]))
        if not sum(len(codes) for codes, _ in found):
            raise InputError(f"{source} has no rows")
        axis = TimeAxis.of(pd.concat(ends).dropna().astype(ends[0].dtype), time_unit)
        ids, codes = np.unique(np.concatenate([names for _, names in found]), return_inverse=True)
        parts = np.split(codes, np.cumsum([len(names) for _, names in found])[:-1])
        runs = RowRuns.of([part[rows] for part, (rows, _) in zip(parts, found, strict=True)])
        return cls(
            source,
            ids,
            runs.lengths(len(ids)),
            axis,
            tuple(dict.fromkeys(wanted)),
            bound,
            lambda frame: make(frame, axis),
            groups,
            runs,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"OpenTable({self.path.name}, {len(self)} series, {self.lengths.sum()} rows)"

    def __getitem__(self, index: Any) -> Container:
        """Some series in memory, sorted by name; each is read once."""
        chosen = np.unique(np.atleast_1d(np.arange(len(self))[index]))
        if not len(chosen):
            raise InputError(f"the index {index!r} takes no series; index series by their number")
        parts = [
            frame_of(rows_of(self.groups[g], self.path, self.columns).take(rows), self.path)
            for g, rows in self.runs.rows(chosen)
        ]
        return self.make(_in_order(pd.concat(parts, ignore_index=True), *self.columns[:2]))

    def fingerprint(self) -> Any:
        """What the files are known by: names, sizes and times of their last change."""
        files = sorted(self.path.rglob("*.parquet")) if self.path.is_dir() else [self.path]
        stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        return [stats, self.columns]

    def work(self, lengths: Array) -> float:
        """Bytes that work on series of these lengths takes."""
        return float(lengths.sum()) * len(self.columns) * _WORK_PER_NUMBER

    def whole(self) -> Container:
        """All series in memory.

        Raises:
            InputError: if working on them takes more than the bound.
        """
        work = self.work(self.lengths)
        if work > self.memory:
            raise InputError(
                f"{self!r} takes about {in_words(work)} to work on, memory= allows "
                f"{in_words(self.memory)}; ask for part of it (series[:1000]), give out= where it "
                "is offered, or a larger memory="
            )
        return self[:]

    def to_learn(self, seed: int = 0) -> Container:
        """As many series, drawn at random, as a fit can hold within the bound.

        Warns:
            PartialDataWarning: if these are not all.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        work = np.cumsum(self.lengths[order]) * len(self.columns) * _WORK_PER_NUMBER
        count = max(1, int(np.searchsorted(work, self.memory, side="right")))
        taken = in_words(float(work[count - 1]))
        logger.info("%r: %d series, about %s of work", self, count, taken)
        if count < len(self):
            warnings.warn(
                f"{self!r} takes about {in_words(float(work[-1]))} to learn from, memory= allows "
                f"{in_words(self.memory)}: {count} series drawn at random are learned from",
                PartialDataWarning,
                stacklevel=4,
            )
        return self[order[:count]]

    def at_once(self, extra: float = 0.0) -> int:
        """How many series of average length can be worked on, with further bytes for each."""
        each = self.work(self.lengths) / len(self) + extra
        return max(1, int(self.memory / each))


@dataclass(frozen=True)
class RowRuns:
    """Runs of rows of one series, sorted by series: series, group, first row in it, length."""

    series: Array
    group: Array
    first: Array
    length: Array

    @classmethod
    def of(cls, codes: Sequence[Array]) -> RowRuns:
        """The runs of groups of rows, from the number of the series of every row."""
        parts = []
        for number, group in enumerate(codes):
            first = np.flatnonzero(np.diff(group, prepend=-1))
            length = np.diff(np.append(first, len(group)))
            parts.append((group[first], np.full(len(first), number), first, length))
        series, group, first, length = (np.concatenate(column) for column in zip(*parts))
        order = np.argsort(series, kind="stable")
        return cls(series[order], group[order], first[order], length[order])

    def lengths(self, n: int) -> Array:
        """(n,) rows of every series."""
        return np.bincount(self.series, self.length, n).astype(int)

    def rows(self, chosen: Array) -> Iterator[tuple[int, Array]]:
        """Rows of some series by the group that holds them."""
        bounds = np.searchsorted(self.series, [chosen, chosen + 1])
        runs = _ranges(bounds[0], bounds[1] - bounds[0])
        for group in np.unique(self.group[runs]):
            mine = runs[self.group[runs] == group]
            yield int(group), _ranges(self.first[mine], self.length[mine])


def _ranges(first: Array, length: Array) -> Array:
    """The numbers first, first + 1, ... of several ranges, one range after the other."""
    before = np.cumsum(length) - length
    numbers: Array = np.arange(length.sum()) + np.repeat(first - before, length)
    return numbers


def _plain(times: pd.Series[Any]) -> pd.Series[Any]:
    """What categories stand for; other times as they are."""
    categories = getattr(times, "cat", None)
    return times if categories is None else times.astype(categories.categories.dtype)


def _in_order(rows: pd.DataFrame, id: str, time: str) -> pd.DataFrame:
    """Rows sorted by series and time, which those of a sorted file are already."""
    owner, times = rows[id], rows[time].to_numpy()
    if owner.is_monotonic_increasing:
        names = owner.to_numpy()
        if ((names[1:] != names[:-1]) | (times[1:] >= times[:-1])).all():
            return rows
    return rows.sort_values([id, time], ignore_index=True)
