"""Paths of discrete states seen at irregular times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data import jump_input
from trajinfer.data.jump_labels import MISSING, OBSERVATION_KINDS, decode
from trajinfer.data.open_table import OpenTable
from trajinfer.data.ragged import RaggedLayout
from trajinfer.data.ragged_series import RaggedSeries
from trajinfer.data.time_axis import TimeAxis, TimeUnit

__all__ = ["MISSING", "OBSERVATION_KINDS", "JumpSeries"]


@dataclass(frozen=True, eq=False)
class JumpSeries(RaggedSeries):
    """B paths of labels from a finite set, each path with its own observation times.

    Memory follows the number N of entries; the padded arrays `times`, `states`, `observation` and
    `signal` are made when they are first asked for.

    Args:
        flat_times: (N,) path after path, increasing along each of them.
        flat_states: (N,) codes: k >= 0 is `categories[k]`, -1 is missing, -2 - m means that the
            state lies in the set `candidates[m]`.
        lengths: (B,) number of observations of each path.
        categories: the S labels, in the order of their codes.
        flat_observation: (N,) codes of how the state was seen, an index into "snapshot", "jump" (it
            jumped at this very time and stood still before), "absorption" (it entered at this very
            time, from an unknown state), "censored"; None means all snapshots.
        candidates: (M, S) the sets of states of censored observations.
        flat_signal: (N,) a real-valued measurement beside or in place of the label; NaN where none.
        flat_covariates: (N, P) numbers that hold from an entry to the next one of its path.
        covariate_names: their P names.
        ids: one identifier per path.
        axis: how times map to numbers.

    Build it with `from_arrays` or `from_frame`, which check what they are given.

    Example:
        >>> series = JumpSeries.from_arrays([[0.0, 1.0, 2.5]], [["open", "shut", "shut"]])
        >>> len(series), series.categories, series.states.tolist()
        (1, ('open', 'shut'), [[0, 1, 1]])
    """

    flat_times: Array
    flat_states: Array
    lengths: Array
    categories: tuple[Hashable, ...]
    flat_observation: Array | None = None
    candidates: Array | None = None
    flat_signal: Array | None = None
    ids: tuple[Hashable, ...] = ()
    axis: TimeAxis = field(default_factory=TimeAxis, repr=False)
    flat_covariates: Array | None = None
    covariate_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = int(self.lengths.sum())
        if self.flat_times.shape != (n,) or self.flat_states.shape != (n,):
            raise InputError(
                f"times {self.flat_times.shape} and states {self.flat_states.shape} must be (N,), "
                f"path after path, with N = {n}, the sum of lengths; use JumpSeries.from_arrays"
            )
        if not len(self.lengths) or self.lengths.min() < 1:
            raise InputError("at least one path, and an observation of each, are needed")
        object.__setattr__(self, "ids", self.ids or tuple(range(len(self.lengths))))
        for array in (
            self.flat_times,
            self.flat_states,
            self.lengths,
            self.flat_observation,
            self.flat_signal,
            self.flat_covariates,
        ):
            if array is not None:
                array.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"JumpSeries({len(self)} paths, {self.n_observations} observations, "
            f"{len(self.categories)} states)"
        )

    def __getitem__(self, index: Any) -> JumpSeries:
        """Some of the paths, by a number, a slice, numbers or a bool each."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        layout, entries = self.layout.take(rows)
        return replace(
            self,
            flat_times=self.flat_times[entries],
            flat_states=self.flat_states[entries],
            flat_observation=_some(self.flat_observation, entries),
            flat_signal=_some(self.flat_signal, entries),
            flat_covariates=_some(self.flat_covariates, entries),
            lengths=layout.lengths,
            ids=tuple(self.ids[i] for i in rows),
        )

    @cached_property
    def states(self) -> Array:
        """(B, T) codes, -1 on the padding."""
        return self.layout.pad(self.flat_states, MISSING)

    @cached_property
    def observation(self) -> Array | None:
        """(B, T) codes of how the state was seen, 0 on the padding; None means all snapshots."""
        return None if self.flat_observation is None else self.layout.pad(self.flat_observation, 0)

    @cached_property
    def signal(self) -> Array | None:
        """(B, T), NaN where nothing was measured."""
        return None if self.flat_signal is None else self.layout.pad(self.flat_signal, np.nan)

    @cached_property
    def covariates(self) -> Array | None:
        """(B, T, P), padded by repeating the last ones of each path."""
        return None if self.flat_covariates is None else self.layout.pad(self.flat_covariates)

    @property
    def seen(self) -> Array:
        """(N,) bool, True where something was seen: a label, a set of labels or a signal."""
        labelled: Array = self.flat_states != MISSING
        return labelled if self.flat_signal is None else labelled | np.isfinite(self.flat_signal)

    @property
    def mask(self) -> Array:
        """(B, T) bool, True where something was seen."""
        return self.layout.pad(self.seen, False)

    @property
    def n_observations(self) -> int:
        """Number of observed values over all paths."""
        return int(self.seen.sum())

    @classmethod
    def from_arrays(
        cls,
        times: Any,
        states: Any,
        *,
        observation: Any = None,
        signal: Any = None,
        categories: Sequence[Hashable] | None = None,
        ids: Sequence[Hashable] | None = None,
        time_unit: TimeUnit = "D",
    ) -> JumpSeries:
        """Take paths from arrays or from lists of arrays of unequal length.

        Args:
            times: (T,) shared by all paths or (B, T), or a list of B arrays.
            states: (B, T) or (T,) for one path, or a list of B arrays: integers from 0 or labels;
                None or NaN is missing; a list of labels is a censored observation. None as a
                whole: nothing but the signal was seen.
            observation: as `states`, of "snapshot", "jump", "absorption", "censored".
            signal: as `states`, real numbers.
            categories: the labels in the order wanted; None takes those that occur, sorted.
            ids: one identifier per path.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: if times do not increase strictly, are not finite, shapes disagree, a label
                is negative, not a whole number, a date or unknown, categories repeat, or an
                observation kind is unknown.
        """
        return cls(
            **jump_input.from_arrays(times, states, observation, signal, categories, ids, time_unit)
        )

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        id: str,
        time: str,
        state: str,
        categories: Sequence[Hashable] | None = None,
        memory: float | str | None = None,
        time_unit: TimeUnit = "D",
    ) -> OpenTable[JumpSeries]:
        """Paths in parquet files that may be larger than memory; taken wherever paths are.

        Args:
            path: a parquet file, or a folder of them, partitioned or not; best sorted by `id`.
            id, time, state, categories, time_unit: as for `from_frame`.
            memory: bound on what a fit or an answer works in, in bytes or as "2 GiB"; None takes a
                quarter of what is free. A fit learns from as many paths, drawn at random, as that
                allows, and says so.

        Raises:
            InputError: for a missing file or column.
        """

        def read(rows: pd.DataFrame, _axis: TimeAxis) -> JumpSeries:
            return cls.from_frame(
                rows, id=id, time=time, state=state, categories=categories, time_unit=time_unit
            )

        return OpenTable.of(path, id, time, [state], read, memory=memory, time_unit=time_unit)

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        id: str | None,
        time: str,
        state: str | None = None,
        observation: str | None = None,
        signal: str | None = None,
        covariates: Sequence[str] = (),
        categories: Sequence[Hashable] | None = None,
        time_unit: TimeUnit = "D",
    ) -> JumpSeries:
        """Read a long table with one row per observation.

        Args:
            df: the table; rows of a path are put in order of time.
            id: column that names the path; None for a table that is one path.
            time: column of times: numbers, datetimes or durations.
            state: column of labels; a categorical column brings its categories along.
            observation: column of "snapshot", "jump", "absorption" or "censored"; rows without an
                entry, and tables without the column, are snapshots.
            signal: column of a real-valued measurement.
            covariates: columns of numbers or True and False that the rates may depend on; the
                values of a row hold until the next row of its path.
            categories: the labels in the order wanted.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: as for `from_arrays`; also for a missing column, a repeated time, or a
                covariate that is missing or no number.

        Example:
            >>> df = pd.DataFrame({"who": [1, 1, 2], "t": [0, 2, 1], "s": ["well", "ill", "well"]})
            >>> JumpSeries.from_frame(df, id="who", time="t", state="s").to_frame()
               id  time state
            0   1     0  well
            1   1     2   ill
            2   2     1  well
        """
        return cls(
            **jump_input.from_frame(
                df,
                id=id,
                time=time,
                state=state,
                observation=observation,
                signal=signal,
                covariates=covariates,
                categories=categories,
                time_unit=time_unit,
            )
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per observation, with columns id, time, state (and observation, signal)."""
        columns: dict[str, Any] = {
            "id": pd.Index(list(self.ids)).take(self.layout.series),
            "time": self.axis.decode(self.flat_times),
            "state": decode(self.flat_states, self.categories, self.candidates),
        }
        if self.flat_observation is not None:
            columns["observation"] = np.array(OBSERVATION_KINDS)[self.flat_observation]
        if self.flat_signal is not None:
            columns["signal"] = self.flat_signal
        if self.flat_covariates is not None:
            columns |= dict(zip(self.covariate_names, self.flat_covariates.T))
        return pd.DataFrame(columns)

    def with_states(self, states: Array) -> Self:
        """The same times with other states (N,), all of them snapshots, and no signal."""
        return replace(
            self,
            flat_states=states,
            flat_observation=None,
            candidates=None,
            flat_signal=None,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[JumpSeries]) -> JumpSeries:
        """One container with the paths of several, which must share their labels.

        Raises:
            InputError: if there is nothing to join, or labels or sets of labels differ.
        """
        if not parts:
            raise InputError("give at least one JumpSeries")
        first = parts[0]
        for part in parts[1:]:
            mine, other = first.candidates, part.candidates
            same = mine is other or (
                mine is not None and other is not None and np.array_equal(mine, other)
            )
            if part.categories != first.categories or not same:
                raise InputError("the parts have different labels; recode them to the same states")
            if part.covariate_names != first.covariate_names:
                raise InputError(
                    f"the parts have different covariates: {first.covariate_names} and "
                    f"{part.covariate_names}"
                )
        layout = RaggedLayout.join([part.layout for part in parts])
        return replace(
            first,
            flat_times=np.concatenate([part.flat_times for part in parts]),
            flat_states=np.concatenate([part.flat_states for part in parts]),
            lengths=layout.lengths,
            flat_observation=_joined([part.flat_observation for part in parts], parts, np.int8(0)),
            flat_signal=_joined([part.flat_signal for part in parts], parts, np.float64(np.nan)),
            flat_covariates=_joined(
                [part.flat_covariates for part in parts], parts, np.float64(np.nan)
            ),
            ids=tuple(name for part in parts for name in part.ids),
        )

    def recode(self, categories: Sequence[Hashable]) -> JumpSeries:
        """The same paths with codes that refer to another list of labels.

        Raises:
            InputError: if a label that occurs is not in the list.
        """
        wanted = {label: k for k, label in enumerate(categories)}
        used = np.unique(self.flat_states[self.flat_states >= 0])
        if self.candidates is not None:
            used = np.union1d(used, np.flatnonzero(self.candidates.any(axis=0)))
        for code in used:
            if self.categories[int(code)] not in wanted:
                raise InputError(
                    f"label {self.categories[int(code)]!r} is not among the {len(wanted)} states "
                    f"{tuple(categories)[:8]}; raise n_states or correct the label"
                )
        table = np.array([wanted.get(label, MISSING) for label in self.categories] or [MISSING])
        states = np.where(
            self.flat_states >= 0, table[np.maximum(self.flat_states, 0)], self.flat_states
        )
        candidates = None
        if self.candidates is not None:
            candidates = np.zeros((len(self.candidates), len(wanted)), dtype=bool)
            valid = table >= 0
            candidates[:, table[valid]] = self.candidates[:, valid]
        return replace(
            self, flat_states=states, categories=tuple(categories), candidates=candidates
        )


def _some(flat: Array | None, entries: Array) -> Array | None:
    return None if flat is None else flat[entries]


def _joined(
    arrays: Sequence[Array | None], parts: Sequence[JumpSeries], empty: np.generic
) -> Array | None:
    """The entries of all parts; those of a part that has none are `empty`."""
    if all(array is None for array in arrays):
        return None
    return np.concatenate(
        [
            np.full(part.layout.size, empty) if array is None else array
            for part, array in zip(parts, arrays)
        ]
    )
