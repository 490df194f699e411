"""Paths of discrete states seen at irregular times."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, require_finite
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.time_axis import TimeAxis, TimeUnit

ObservationKind = Literal["snapshot", "jump", "absorption", "censored"]
OBSERVATION_KINDS: tuple[str, ...] = get_args(ObservationKind)
MISSING = -1


@dataclass(frozen=True, eq=False)
class JumpSeries:
    """B paths of labels from a finite set, each path with its own observation times.

    Args:
        times: (B, T) increasing along each path, padded by repeating the last time.
        states: (B, T) codes: k >= 0 is `categories[k]`, -1 is missing (and padding), -2 - m means
            that the state lies in the set `candidates[m]`.
        lengths: (B,) number of observations of each path.
        categories: the S labels, in the order of their codes.
        observation: (B, T) codes of how the state was seen, an index into "snapshot", "jump" (it
            jumped at this very time and stood still before), "absorption" (it entered at this very
            time, from an unknown state), "censored"; None means all snapshots.
        candidates: (M, S) the sets of states of censored observations.
        signal: (B, T) a real-valued measurement beside or in place of the label; NaN where none.
        ids: one identifier per path.
        axis: how times map to numbers.

    Build it with `from_arrays` or `from_frame`, which check what they are given.

    Example:
        >>> series = JumpSeries.from_arrays([[0.0, 1.0, 2.5]], [["open", "shut", "shut"]])
        >>> len(series), series.categories, series.states.tolist()
        (1, ('open', 'shut'), [[0, 1, 1]])
    """

    times: Array
    states: Array
    lengths: Array
    categories: tuple[Hashable, ...]
    observation: Array | None = None
    candidates: Array | None = None
    signal: Array | None = None
    ids: tuple[Hashable, ...] = ()
    axis: TimeAxis = field(default_factory=TimeAxis, repr=False)

    def __post_init__(self) -> None:
        if self.times.ndim != 2 or self.times.shape != self.states.shape:
            raise InputError(
                f"times {self.times.shape} and states {self.states.shape} must both be (B, T)"
            )
        if len(self.lengths) != len(self.times) or not len(self.times):
            raise InputError(
                f"{len(self.lengths)} lengths for {len(self.times)} paths; give one per path and "
                "at least one path"
            )
        object.__setattr__(self, "ids", self.ids or tuple(range(len(self.times))))
        for array in (self.times, self.states, self.lengths, self.observation, self.signal):
            if array is not None:
                array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return (
            f"JumpSeries({len(self)} paths, {self.n_observations} observations, "
            f"{len(self.categories)} states)"
        )

    def __getitem__(self, index: Any) -> JumpSeries:
        rows = np.atleast_1d(np.arange(len(self))[index])
        longest = max(int(self.lengths[rows].max(initial=1)), 1)

        def cut(value: Array) -> Array:
            return np.array(value[rows, :longest])

        return replace(
            self,
            times=cut(self.times),
            states=cut(self.states),
            observation=None if self.observation is None else cut(self.observation),
            signal=None if self.signal is None else cut(self.signal),
            lengths=self.lengths[rows].copy(),
            ids=tuple(self.ids[i] for i in rows),
        )

    @property
    def present(self) -> Array:
        """(B, T) bool, False on the padding."""
        return np.asarray(np.arange(self.times.shape[1]) < self.lengths[:, None])

    @property
    def mask(self) -> Array:
        """(B, T) bool, True where something was seen: a label, a set of labels or a signal."""
        seen = self.states != MISSING
        if self.signal is not None:
            seen = seen | np.isfinite(self.signal)
        return np.asarray(seen & self.present)

    @property
    def n_observations(self) -> int:
        """Number of observed values over all paths."""
        return int(self.mask.sum())

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
                is negative, not a whole number or unknown, or an observation kind is unknown.
        """
        if states is None and signal is None:
            raise InputError("give states or a signal; got neither")
        leading = signal if states is None else states
        rows, lengths = _as_rows(leading, "states" if states is not None else "signal")
        flat_times, axis = _flat_times(times, lengths, time_unit)
        given = {"observation": observation, "signal": signal}
        flat = {name: _flat_like(v, lengths, name) for name, v in given.items() if v is not None}
        labels = rows if states is not None else np.full(int(lengths.sum()), None, dtype=object)
        return _build(labels, flat_times, lengths, flat, categories, ids, axis)

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        id: str,
        time: str,
        state: str | None = None,
        observation: str | None = None,
        signal: str | None = None,
        categories: Sequence[Hashable] | None = None,
        time_unit: TimeUnit = "D",
    ) -> JumpSeries:
        """Read a long table with one row per observation.

        Args:
            df: the table; rows of a path are put in order of time.
            id: column that names the path.
            time: column of times: numbers, datetimes or durations.
            state: column of labels; a categorical column brings its categories along.
            observation: column of "snapshot", "jump", "absorption" or "censored"; rows without an
                entry, and tables without the column, are snapshots.
            signal: column of a real-valued measurement.
            categories: the labels in the order wanted.
            time_unit: duration of 1.0 where times are datetimes or durations.

        Raises:
            InputError: as for `from_arrays`; also for a missing column or a repeated time.

        Example:
            >>> df = pd.DataFrame({"who": [1, 1, 2], "t": [0, 2, 1], "s": ["well", "ill", "well"]})
            >>> JumpSeries.from_frame(df, id="who", time="t", state="s").to_frame()
               id  time state
            0   1     0  well
            1   1     2   ill
            2   2     1  well
        """
        for name in filter(None, (id, time, state, observation, signal)):
            if name not in df.columns:
                raise InputError(f"no column '{name}' in the table; {nearest(name, df.columns)}")
        if state is None and signal is None:
            raise InputError("name the column of states= or of signal=")
        if not len(df):
            raise InputError("the table has no rows")
        if df[id].isna().any():
            raise InputError(f"column '{id}' has missing entries; drop these rows")
        axis = TimeAxis.of(df[time], time_unit)
        codes, ids = pd.factorize(df[id], sort=False)
        numbers = axis.encode(df[time])
        order = np.lexsort((numbers, codes))
        if state is not None and isinstance(df[state].dtype, pd.CategoricalDtype):
            categories = list(df[state].cat.categories) if categories is None else categories
        labels = np.full(len(df), None, dtype=object) if state is None else df[state].to_numpy()
        flat = {
            name: df[column].to_numpy()[order]
            for name, column in (("observation", observation), ("signal", signal))
            if column is not None
        }
        return _build(
            labels[order], numbers[order], np.bincount(codes), flat, categories, list(ids), axis
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per observation, with columns id, time, state (and observation, signal)."""
        keep = self.present
        rows = np.repeat(np.arange(len(self)), self.lengths)
        columns: dict[str, Any] = {
            "id": pd.Index(list(self.ids)).take(rows),
            "time": self.axis.decode(self.times[keep]),
            "state": self._labels(self.states[keep]),
        }
        if self.observation is not None:
            columns["observation"] = np.array(OBSERVATION_KINDS)[self.observation[keep]]
        if self.signal is not None:
            columns["signal"] = self.signal[keep]
        return pd.DataFrame(columns)

    def _labels(self, codes: Array) -> Any:
        if (codes >= 0).all():
            return pd.Index(list(self.categories)).take(codes)
        table: list[Any] = list(self.categories)
        if self.candidates is not None:
            names = _object_array(list(self.categories))
            table += [list(names[row]) for row in self.candidates][::-1]
        table.append(None)
        lookup = np.empty(len(table), dtype=object)
        lookup[:] = table
        return lookup[codes]

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
        longest = max(part.times.shape[1] for part in parts)

        def join(name: str, empty: float) -> Array | None:
            if all(getattr(part, name) is None for part in parts):
                return None
            rows = []
            for part in parts:
                value = getattr(part, name)
                value = np.full(part.times.shape, empty) if value is None else value
                pad = longest - part.times.shape[1]
                mode = {"mode": "edge"} if name == "times" else {"constant_values": empty}
                rows.append(np.pad(value, ((0, 0), (0, pad)), **mode))
            return np.concatenate(rows)

        times, states, kinds = join("times", 0.0), join("states", MISSING), join("observation", 0)
        return replace(
            first,
            times=np.zeros(0) if times is None else times,
            states=np.zeros(0) if states is None else states,
            lengths=np.concatenate([part.lengths for part in parts]),
            observation=None if kinds is None else kinds.astype(np.int8),
            signal=join("signal", np.nan),
            ids=tuple(name for part in parts for name in part.ids),
        )

    def recode(self, categories: Sequence[Hashable]) -> JumpSeries:
        """The same paths with codes that refer to another list of labels.

        Raises:
            InputError: if a label that occurs is not in the list.
        """
        wanted = {label: k for k, label in enumerate(categories)}
        used = np.unique(self.states[self.states >= 0])
        if self.candidates is not None:
            used = np.union1d(used, np.flatnonzero(self.candidates.any(axis=0)))
        for code in used:
            if self.categories[int(code)] not in wanted:
                raise InputError(
                    f"label {self.categories[int(code)]!r} is not among the {len(wanted)} states "
                    f"{tuple(categories)[:8]}; raise n_states or correct the label"
                )
        table = np.array([wanted.get(label, MISSING) for label in self.categories] or [MISSING])
        states = np.where(self.states >= 0, table[np.maximum(self.states, 0)], self.states)
        candidates = None
        if self.candidates is not None:
            candidates = np.zeros((len(self.candidates), len(wanted)), dtype=bool)
            valid = table >= 0
            candidates[:, table[valid]] = self.candidates[:, valid]
        return replace(self, states=states, categories=tuple(categories), candidates=candidates)


def _as_rows(values: Any, name: str) -> tuple[Array, Array]:
    """Flatten paths to one array and the length of each; censored lists stay single entries."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.ndim not in (1, 2):
            raise InputError(f"{name} must be (B, T) or (T,), got shape {values.shape}")
        array = np.atleast_2d(values)
        return array.ravel(), np.full(len(array), array.shape[1])
    rows = list(values)
    if not rows:
        raise InputError(f"{name} holds no path")
    nested = [hasattr(row, "__len__") and not isinstance(row, str) for row in rows]
    paths = rows if all(nested) else [rows]
    flat = [_flat_path(path) for path in paths]
    lengths = np.array([len(path) for path in flat])
    plain = all(path.dtype != object for path in flat)
    joined = np.concatenate(flat) if plain else _object_array([x for p in flat for x in p])
    return joined, lengths


def _flat_path(path: Any) -> Array:
    if isinstance(path, np.ndarray) or not any(isinstance(x, (list, set, tuple)) for x in path):
        array = np.asarray(path)
        if array.dtype.kind in "biuf" or array.dtype == object:
            return array
    return _object_array(list(path))


def _object_array(values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _flat_times(times: Any, lengths: Array, unit: TimeUnit) -> tuple[Array, TimeAxis]:
    if hasattr(times, "detach"):
        times = times.detach().cpu().numpy()
    ragged = isinstance(times, list) and bool(times) and hasattr(times[0], "__len__")
    if ragged:
        if len(times) != len(lengths):
            raise InputError(f"{len(times)} rows of times for {len(lengths)} paths; give one each")
        sizes = np.array([len(row) for row in times])
        labels = np.concatenate([np.asarray(row) for row in times])
    else:
        array = np.asarray(times)
        if array.ndim == 1:
            array = np.broadcast_to(array, (len(lengths), len(array)))
        sizes = np.full(len(array), array.shape[-1])
        labels = array.reshape(-1)
    if len(sizes) != len(lengths) or (sizes != lengths).any():
        raise InputError(
            f"times and states disagree: {sizes.tolist()[:5]} times for {lengths.tolist()[:5]} "
            "states per path"
        )
    axis = TimeAxis.of(labels, unit)
    return axis.encode(labels), axis


def _flat_like(values: Any, lengths: Array, name: str) -> Array:
    if isinstance(values, str):
        return np.full(int(lengths.sum()), values, dtype=object)
    flat, sizes = _as_rows(values, name)
    if len(sizes) != len(lengths) or (sizes != lengths).any():
        raise InputError(f"{name} has {sizes.tolist()[:5]} entries per path, expected as states")
    return flat


def _build(
    labels: Array,
    times: Array,
    lengths: Array,
    extra: dict[str, Array],
    categories: Sequence[Hashable] | None,
    ids: Sequence[Hashable] | None,
    axis: TimeAxis,
) -> JumpSeries:
    if (lengths < 1).any():
        raise InputError(f"path {int(np.argmin(lengths))} has no observation; leave it out")
    if ids is not None and len(ids) != len(lengths):
        raise InputError(f"{len(ids)} ids for {len(lengths)} paths; give one each")
    require_finite(times, "times")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    _require_order(times, lengths, ids)
    kinds = _kind_codes(extra["observation"]) if "observation" in extra else None
    codes, names, candidates = _encode(labels, categories)
    if kinds is not None and ((codes <= -2) != (kinds == 3)).any():
        row = int(np.argmax((codes <= -2) != (kinds == 3)))
        raise InputError(
            f"row {row}: a censored observation needs a list of labels, and only that has one; got "
            f"{labels[row]!r} as {OBSERVATION_KINDS[kinds[row]]!r}"
        )
    if candidates is not None and kinds is None:
        kinds = np.where(codes <= -2, 3, 0).astype(np.int8)
    inside = np.arange(int(lengths.max())) < lengths[:, None]
    index = starts[:, None] + np.minimum(np.arange(inside.shape[1]), lengths[:, None] - 1)
    signal = None
    if "signal" in extra:
        raw = as_array(extra["signal"], "signal")
        if np.isinf(raw).any():
            raise InputError("the signal holds infinite values; drop them or make them NaN")
        signal = np.where(inside, raw[index], np.nan)
    return JumpSeries(
        times[index],
        np.where(inside, codes[index], MISSING),
        np.asarray(lengths),
        names,
        None if kinds is None else np.where(inside, kinds[index], 0).astype(np.int8),
        candidates,
        signal,
        tuple(ids) if ids is not None else (),
        axis,
    )


def _require_order(times: Array, lengths: Array, ids: Sequence[Hashable] | None) -> None:
    path = np.repeat(np.arange(len(lengths)), lengths)
    bad = (np.diff(times) <= 0) & (path[1:] == path[:-1])
    if bad.any():
        k = int(np.argmax(bad))
        name = path[k] if ids is None else ids[path[k]]
        kind = "is repeated" if times[k] == times[k + 1] else f"is followed by {times[k + 1]:g}"
        raise InputError(
            f"times must increase strictly along a path, but in path {name} time {times[k]:g} "
            f"{kind}; sort the observations and merge those at equal times"
        )


def _kind_codes(kinds: Array) -> Array:
    names = ["snapshot" if pd.isna(k) else str(k) for k in kinds]
    table = {name: k for k, name in enumerate(OBSERVATION_KINDS)}
    unknown = [name for name in dict.fromkeys(names) if name not in table]
    if unknown:
        raise InputError(
            f"unknown observation kind {unknown[0]!r}; {nearest(unknown[0], OBSERVATION_KINDS)}"
        )
    return np.array([table[name] for name in names], dtype=np.int8)


def _encode(
    labels: Array, categories: Sequence[Hashable] | None
) -> tuple[Array, tuple[Hashable, ...], Array | None]:
    """Codes of labels, the names behind the codes, and the sets of censored observations."""
    if labels.dtype.kind in "iub" and categories is None:
        names, codes = np.unique(labels, return_inverse=True)
        _require_label(names[0])
        return codes.astype(np.int64).ravel(), tuple(names.tolist()), None
    sets: dict[int, tuple[Hashable, ...]] = {}
    if labels.dtype == object:
        sets = {
            k: tuple(map(_plain, v))
            for k, v in enumerate(labels)
            if isinstance(v, (list, tuple, set, frozenset, np.ndarray))
        }
        single = labels.copy()
        for k in sets:
            single[k] = None
    else:
        single = labels
    codes, found = pd.factorize(single, use_na_sentinel=True)
    found_names = [_plain(label) for label in found]
    known = list(dict.fromkeys([*found_names, *(x for s in sets.values() for x in s)]))
    order = _ordered(known) if categories is None else tuple(map(_plain, categories))
    table = {label: k for k, label in enumerate(order)}
    unknown = [label for label in known if label not in table]
    if unknown:
        raise InputError(f"label {unknown[0]!r} is not in categories {order[:8]}")
    lookup = np.array([*(table[label] for label in found_names), MISSING], dtype=np.int64)
    codes = lookup[codes]
    if not sets:
        return codes, order, None
    distinct = {key: m for m, key in enumerate(dict.fromkeys(sets.values()))}
    candidates = np.zeros((len(distinct), len(order)), dtype=bool)
    for key, m in distinct.items():
        if not key:
            raise InputError("a censored observation lists no label; name the possible states")
        candidates[m, [table[label] for label in key]] = True
    for row, key in sets.items():
        codes[row] = -2 - distinct[key]
    return codes, order, candidates


def _plain(label: Any) -> Hashable:
    """Whole floats as integers, numpy scalars as Python ones."""
    value = label.item() if isinstance(label, np.generic) else label
    _require_label(value)
    return int(value) if isinstance(value, float) else value


def _require_label(value: Any) -> None:
    if isinstance(value, float) and not value.is_integer():
        raise InputError(
            f"label {value} is not a whole number; for a real-valued measurement give signal="
        )
    if isinstance(value, (int, float, np.integer)) and value < 0:
        raise InputError(f"label {value} is negative; mark a missing state by None or NaN")


def _ordered(known: list[Hashable]) -> tuple[Hashable, ...]:
    kinds = {isinstance(label, (int, bool)) for label in known}
    if len(kinds) > 1:
        raise InputError(f"labels mix numbers and text: {known[:6]}; use one kind")
    return tuple(sorted(known, key=lambda label: label))  # type: ignore[arg-type,return-value]
