"""Observations of paths arranged for recursions over all of them at once, long ones in pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data.jump_series import JumpSeries

_JUMP = 1
STILL = 4
_SHORTEST_PIECE = 256
_MANY_PATHS = 64


@dataclass(frozen=True)
class ObservedRows:
    """The observations of all pieces, the first of every piece first, longer pieces before shorter.

    A piece is a path, or a stretch of a long one. A stretch starts with a copy of the last row of
    the stretch before, at which nothing is seen.

    Attributes:
        label: (N,) code, or what `JumpSeries` says of sets; -1 where nothing is seen.
        kind: (N,) as in `JumpSeries.observation`; 4 says that nothing happened in the interval
            before, nor at its end.
        signal: (N,) or None.
        gap: (N,) since the row before in the piece, 0 at its start.
        regime: (N,) regime of that interval, 0 at the start of a piece.
        counts: (T,) pieces that have a t-th row.
        source: (N,) observation of the series, -1 for copies.
        path: (N,) path of the row.
        follows: (P,) piece that comes before in the same path, or -1.
        n_paths: number of paths.
    """

    label: Array
    kind: Array
    signal: Array | None
    gap: Array
    regime: Array
    counts: Array
    source: Array
    path: Array
    follows: Array
    n_paths: int


def observed_rows(
    series: JumpSeries,
    changes: Array,
    keep: Array,
    longest: int | None = None,
    regimes: Array | None = None,
) -> ObservedRows:
    """Arrange observations (and change points of the rates) by step.

    Args:
        series: the paths.
        changes: (R - 1,) times at which rates change.
        keep: (N,) bool, the entries to take.
        longest: intervals in a piece; None cuts a few long paths into many pieces of equal length
            and leaves many paths whole.
        regimes: (N,) the regime in force from each entry on, in place of `changes`.
    """
    path = series.layout.series[keep]
    times, label = series.flat_times[keep], series.flat_states[keep].astype(np.int64)
    kinds, signal = series.flat_observation, series.flat_signal
    kind = np.zeros(len(path), np.int8) if kinds is None else kinds[keep]
    signal = None if signal is None else signal[keep]
    if len(changes):
        path, times, label, kind, signal = _with_changes(path, times, label, kind, signal, changes)
    regime = np.searchsorted(changes, times, side="right") if regimes is None else regimes[keep]
    kind = _with_stills(path, label, kind, signal)
    source, piece, follows = _pieces(path, _piece_length(path) if longest is None else longest)
    copied = np.concatenate([[False], source[1:] == source[:-1]])
    sizes = np.bincount(piece)
    starts = np.cumsum(sizes) - sizes
    step = np.arange(len(piece)) - starts[piece]
    by_size = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[by_size] = np.arange(len(sizes))
    order = np.lexsort((rank[piece], step))
    times, regime = times[source], regime[source]
    gap = np.where(step > 0, times - np.concatenate([times[:1], times[:-1]]), 0.0)
    regime = np.where(step > 0, np.concatenate([regime[:1], regime[:-1]]), 0)
    kind = np.where((step == 0) | copied, 0, kind[source])
    label = np.where(copied, -1, label[source])
    if signal is not None:
        signal = np.where(copied, np.nan, signal[source])[order]
    path = path[source]
    source = np.where(copied, -1, source)
    before = np.where(follows >= 0, rank[follows], -1)
    return ObservedRows(
        label[order],
        kind[order],
        signal,
        gap[order],
        regime[order],
        np.bincount(step),
        source[order],
        path[order],
        before[by_size],
        int((follows < 0).sum()),
    )


def _with_stills(path: Array, label: Array, kind: Array, signal: Array | None) -> Array:
    """Kinds of rows, with those marked at which an exactly watched path stands still.

    A "jump" with the label before it says that nothing happened until then. Whether a jump took
    place is thus known from the labels as they were written down, even if these may be wrong, and
    the likelihood is a density in as many times as there are jumps, in any unit of time. A row
    without an observation in a watched interval splits it.
    """
    if not (kind == _JUMP).any():
        return kind
    row = np.arange(len(label))
    measured = label != -1
    if signal is not None:
        measured = measured | np.isfinite(signal)
    known = np.maximum.accumulate(np.where(measured, row, -1))
    last = np.concatenate([[-1], known[:-1]])
    same = (last >= 0) & (path[last] == path) & (label[last] == label) & (label >= 0)
    kind = np.where((kind == _JUMP) & same, STILL, kind)
    following = np.minimum.accumulate(np.where(measured, row, len(row))[::-1])[::-1]
    after = np.minimum(following, len(row) - 1)
    watched = (path[after] == path) & np.isin(kind[after], (_JUMP, STILL)) & (following < len(row))
    return np.asarray(np.where(~measured & watched, STILL, kind))


def _piece_length(path: Array) -> int:
    """Intervals in a piece: the square root of the number of rows where few paths are long."""
    sizes = np.bincount(path)
    longest = int(sizes.max(initial=0))
    length = max(_SHORTEST_PIECE, int(np.sqrt(len(path))))
    few = len(path) < _MANY_PATHS * longest
    return length if few and longest > 4 * length else max(longest, 1)


def _pieces(path: Array, length: int) -> tuple[Array, Array, Array]:
    """Rows with copies at the cuts (N,), the piece of each, and the piece each follows, or -1."""
    sizes = np.bincount(path)
    place = np.arange(len(path)) - (np.cumsum(sizes) - sizes)[path]
    last = place == sizes[path] - 1
    cuts = np.flatnonzero((place % length == 0) & (place > 0) & ~last)
    source = np.sort(np.concatenate([np.arange(len(path)), cuts]), kind="stable")
    copied = np.concatenate([[False], source[1:] == source[:-1]])
    fresh = copied | (place[source] == 0)
    piece = np.cumsum(fresh) - 1
    follows = np.where(copied[fresh], np.arange(piece[-1] + 1 if len(piece) else 0) - 1, -1)
    return source, piece, follows


def _with_changes(
    path: Array, times: Array, label: Array, kind: Array, signal: Array | None, changes: Array
) -> tuple[Array, Array, Array, Array, Array | None]:
    """Insert unseen rows where an interval of a path crosses a change of the rates."""
    inside = np.concatenate([path[1:] == path[:-1], [False]])
    after = np.concatenate([times[1:], times[-1:]])
    crossed = (changes > times[:, None]) & (changes < after[:, None]) & inside[:, None]
    row, which = np.nonzero(crossed)
    times = np.concatenate([times, changes[which]])
    path = np.concatenate([path, path[row]])
    order = np.lexsort((times, path))
    label = np.concatenate([label, np.full(len(row), -1)])[order]
    kind = np.concatenate([kind, np.zeros(len(row), kind.dtype)])[order]
    if signal is not None:
        signal = np.concatenate([signal, np.full(len(row), np.nan)])[order]
    return path[order], times[order], label, kind, signal
