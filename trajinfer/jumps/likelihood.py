"""Exact log-likelihoods and the expected statistics that EM and gradients are made of.

Two kinds of data: `CountData`, where every state is known and the paths collapse to counts per
gap, and `HiddenData`, where labels are noisy, partial or replaced by a signal and a scaled forward
recursion runs over all paths at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.transitions import (
    N_NODES,
    GapTable,
    convolution,
    panels,
    transition_matrices,
)

_JUMP, _ABSORPTION = 1, 2
_COLLAPSE_LIMIT = 400
_CHUNK = 100_000
_SPREAD_LIMIT = 20_000_000
_TINY = 1e-300
_IMPOSSIBLE = 1e-290


@dataclass(frozen=True)
class Expectation:
    r"""Expected statistics given the data, for R regimes of rates (R = 1 if rates are constant).

    Attributes:
        log_likelihood: of the data.
        jumps: (R, S, S) expected numbers of jumps.
        dwell: (R, S) expected times spent.
        score: (R, S, S) derivative of the log-likelihood by the off-diagonal rates,
            $G_{ab} - G_{aa}$ plus what exact jump times add.
        first: (S,) expected number of paths starting in each state.
        labels: (S, S) expected counts of (state, label); None for count data.
        moments: (3, S) expected count, sum and sum of squares of the signal.
    """

    log_likelihood: float
    jumps: Array
    dwell: Array
    score: Array
    first: Array
    labels: Array | None = None
    moments: Array | None = None


class JumpData(Protocol):
    """What the estimators need of data."""

    n_states: int

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics at the given parameters; rates (S, S)."""
        ...

    def log_likelihood(self, rates: Array, initial: Array, emission: EmissionModel) -> float:
        """Log-likelihood at the given parameters."""
        ...


@dataclass(frozen=True)
class Transitions:
    """All pairs of consecutive known states, (n,) each; `kind` as in `JumpSeries.observation`."""

    gap: Array
    start: Array
    end: Array
    kind: Array
    first: Array
    path: Array


def transitions_of(series: JumpSeries) -> Transitions:
    """Pairs of consecutive known states, with missing observations skipped."""
    keep = series.states >= 0
    path = np.nonzero(keep)[0]
    states, times = series.states[keep], series.times[keep]
    kinds = np.zeros(len(states), dtype=np.int8)
    if series.observation is not None:
        kinds = series.observation[keep]
    inside = path[1:] == path[:-1]
    fresh = np.concatenate([[True], ~inside]) if len(path) else np.zeros(0, dtype=bool)
    return Transitions(
        (times[1:] - times[:-1])[inside],
        states[:-1][inside],
        states[1:][inside],
        kinds[1:][inside],
        states[fresh],
        path[1:][inside],
    )


class CountData:
    r"""Known states: the likelihood needs counts per gap only.

    $\log L = \sum_i n_i \log \pi_i + \sum_\Delta \sum_{ij} C_\Delta[i,j] \log P_\Delta[i,j]$, plus
    $-F_{..}$ terms for exact jump times and $\log \sum_{k \ne d} P_{ik} F_{kd}$ for absorptions.

    With more than 400 distinct gaps the counts are moved to Chebyshev nodes in the gap, on which
    the smooth function $\log P_\Delta[i,j]$ is summed: work per evaluation then does not depend on
    the number of observations. `exact` tells whether that was done; memory is O(24 n) in chunks.
    """

    def __init__(self, series: JumpSeries, n_states: int, *, compress: bool = True) -> None:
        pairs = transitions_of(series)
        self.n_states = n_states
        self.pairs = pairs
        self.first = np.bincount(pairs.first, minlength=n_states).astype(float)
        self.n_paths = len(pairs.first)
        jump = pairs.kind == _JUMP
        self.jump_dwell = np.bincount(pairs.start[jump], pairs.gap[jump], minlength=n_states)
        self.jump_counts = self._square(pairs.start[jump], pairs.end[jump])
        np.fill_diagonal(self.jump_counts, 0.0)
        absorbed = pairs.kind == _ABSORPTION
        plain = ~jump & ~absorbed
        unique = np.unique(pairs.gap[~jump])
        self.exact = not compress or len(unique) <= _COLLAPSE_LIMIT
        self.nodes, self.counts = self._collapse(pairs, plain)
        self.end_nodes, self.end_counts = self._collapse(pairs, absorbed)

    def _square(self, start: Array, end: Array) -> Array:
        n = self.n_states
        return np.bincount(start * n + end, minlength=n * n).astype(float).reshape(n, n)

    def _collapse(self, pairs: Transitions, rows: Array) -> tuple[Array, Array]:
        n = self.n_states
        gaps = pairs.gap[rows]
        key = pairs.start[rows] * n + pairs.end[rows]
        if not len(gaps):
            return np.zeros(0), np.zeros((0, n, n))
        if self.exact or len(gaps) <= _COLLAPSE_LIMIT:
            table = GapTable.of(gaps, 0.0) if len(gaps) <= _COLLAPSE_LIMIT else _direct(gaps)
            flat = np.bincount(
                table.index * n * n + key, minlength=len(table.nodes) * n * n
            ).astype(float)
            return table.nodes, flat.reshape(-1, n, n)
        nodes, panel, weights = panels(gaps, 0.0)
        counts = np.zeros((len(nodes) // N_NODES, n * n, N_NODES))
        order = np.argsort(panel, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(panel[order])) + 1):
            for start in range(0, len(members), _CHUNK):
                part = members[start : start + _CHUNK]
                where = (key[part], np.arange(len(part)))
                once = sparse.csr_matrix((np.ones(len(part)), where), shape=(n * n, len(part)))
                counts[panel[part[0]]] += once @ weights[part]
        return nodes, counts.transpose(0, 2, 1).reshape(-1, n, n)

    def log_likelihood(
        self, rates: Array, initial: Array | None, emission: EmissionModel | None = None
    ) -> float:
        """Exact value whether or not counts were compressed; None conditions on first states."""
        value = self._closed_terms(rates, initial)
        if self.exact:
            return value + self._node_terms(rates)[0]
        pairs = self.pairs
        rows = np.flatnonzero(pairs.kind != _JUMP)
        table = GapTable.of(pairs.gap[rows], float(-np.diag(rates).min()))
        matrices = transition_matrices(rates, table.nodes)
        entering = _off_diagonal(rates)
        size = max(1, _SPREAD_LIMIT // self.n_states**2)
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            spread = table.spread(matrices, slice(begin, begin + size))
            start, end = pairs.start[part], pairs.end[part]
            seen = spread[np.arange(len(part)), start, end]
            absorbed = pairs.kind[part] == _ABSORPTION
            if absorbed.any():
                before = spread[absorbed, start[absorbed]]
                seen[absorbed] = (before * entering[:, end[absorbed]].T).sum(axis=1)
            with np.errstate(divide="ignore"):
                value += float(np.log(np.where(seen <= _IMPOSSIBLE, 0.0, seen)).sum())
        return value

    def _closed_terms(self, rates: Array, initial: Array | None) -> float:
        value = -float(self.jump_dwell @ -np.diag(rates))
        value += _sum_logs(self.jump_counts, rates)
        if initial is not None:
            value += _sum_logs(self.first, initial)
        return value

    def _node_terms(self, rates: Array) -> tuple[float, Array, Array, Array, Array]:
        matrices = transition_matrices(rates, self.nodes)
        value = _sum_logs(self.counts, matrices)
        before = transition_matrices(rates, self.end_nodes)
        arrived = before @ _off_diagonal(rates)
        value += _sum_logs(self.end_counts, arrived)
        return value, matrices, before, arrived, _off_diagonal(rates)

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics by Van Loan's integral over the (collapsed) gaps."""
        value, matrices, before, arrived, entering = self._node_terms(rates)
        weights = _quotient(self.counts, matrices)
        ends = _quotient(self.end_counts, arrived)
        into = np.einsum("gid,gik->kd", ends, before)
        gaps = np.concatenate([self.nodes, self.end_nodes])
        stacked = np.concatenate([weights, ends @ entering.T])
        kernel = convolution(rates, gaps, stacked) if len(gaps) else np.zeros_like(rates)
        direct = into + _quotient(self.jump_counts, np.maximum(entering, 0.0))
        dwell = np.diag(kernel) + self.jump_dwell
        score = kernel + direct - dwell[:, None]
        jumps = entering * (kernel + into) + self.jump_counts
        np.fill_diagonal(score, 0.0)
        np.fill_diagonal(jumps, 0.0)
        total = value + self._closed_terms(rates, initial)
        return Expectation(
            total, np.maximum(jumps, 0.0)[None], dwell[None], score[None], self.first
        )


def _direct(gaps: Array) -> GapTable:
    unique, index = np.unique(gaps, return_inverse=True)
    return GapTable(unique, index.ravel())


def _off_diagonal(rates: Array) -> Array:
    return np.where(np.eye(len(rates), dtype=bool), 0.0, rates)


def _sum_logs(counts: Array, values: Array) -> float:
    used = counts != 0
    if (values[used] <= _IMPOSSIBLE).any():
        return -np.inf
    return float((counts[used] * np.log(np.maximum(values[used], _TINY))).sum())


def _quotient(counts: Array, values: Array) -> Array:
    return np.where(counts != 0, counts / np.maximum(values, _TINY), 0.0)


class HiddenData:
    """Noisy, partial or continuous observations: a scaled forward-backward over all paths at once.

    Paths are put in order of their length, so that those still running at a step are the first
    ones; rows of the flat arrays are ordered by step. Rates may change at `changes` (R - 1 times):
    an interval across one is split by a step at which nothing is seen.

    Memory is O(n (S + 24)) numbers for n observations, plus at most 20 million for transitions.
    """

    def __init__(
        self,
        series: JumpSeries,
        n_states: int,
        *,
        top: float,
        changes: Array | None = None,
        keep_unseen: bool = False,
    ) -> None:
        self.n_states = n_states
        self.changes = np.zeros(0) if changes is None else changes
        rows = _observed_rows(series, self.changes, series.present if keep_unseen else series.mask)
        self.order = rows.order
        if not len(rows.path):
            raise InputError("the data hold no observation at all; every state is missing")
        self.labels, self.kinds, self.signal = rows.label, rows.kind, rows.signal
        self.sets = series.candidates
        self.counts = rows.counts
        self.offsets = np.concatenate([[0], np.cumsum(rows.counts)])
        self.n_paths = int(rows.counts[0])
        gaps = rows.gap[self.n_paths :]
        self.gaps = gaps
        self.regime = np.searchsorted(self.changes, rows.middle[self.n_paths :], side="right")
        self.members = [np.flatnonzero(self.regime == r) for r in range(len(self.changes) + 1)]
        self.tables = [GapTable.of(gaps[m], top) if len(m) else None for m in self.members]

    def log_likelihood(self, rates: Array, initial: Array, emission: EmissionModel) -> float:
        """Log-likelihood by the forward recursion; rates (S, S) or (R, S, S)."""
        return self._forward(_stack(rates), initial, emission).log_likelihood

    def _spreads(self, rates: Array, first: int, last: int) -> Array:
        """Transition matrices of the interval rows first .. last."""
        out = np.empty((last - first, self.n_states, self.n_states))
        for r, (members, table) in enumerate(zip(self.members, self.tables)):
            low, high = np.searchsorted(members, [first, last])
            if low < high and table is not None:
                out[members[low:high] - first] = table.spread(self._matrices[r], slice(low, high))
        still = np.flatnonzero(self.kinds[self.n_paths + first : self.n_paths + last] == _JUMP)
        if len(still):
            which = self.regime[first + still]
            matrix = rates[which]
            stay = -np.einsum("nii->ni", matrix)
            kernel = np.where(np.eye(self.n_states, dtype=bool), 1.0, matrix)
            out[still] = np.exp(-stay * self.gaps[first + still, None])[:, :, None] * kernel
        return out

    def _chunks(self) -> list[tuple[int, int]]:
        """Ranges of steps whose transition matrices fit the memory limit."""
        limit = max(1, _SPREAD_LIMIT // self.n_states**2)
        chunks, begin = [], 1
        for step in range(1, len(self.counts) + 1):
            if step == len(self.counts) or self.offsets[step + 1] - self.offsets[begin] > limit:
                if begin < step:
                    chunks.append((begin, step))
                begin = step
        if begin < len(self.counts):
            chunks.append((begin, len(self.counts)))
        return chunks

    def _emissions(self, emission: EmissionModel) -> Array:
        """(N, S) probability of what was seen in each state."""
        matrix = emission.label_matrix()
        table = [matrix.T]
        if self.sets is not None:
            table.append(self.sets[::-1].astype(float))
        out = np.concatenate([*table, np.ones((1, self.n_states))])[self.labels]
        absorbed = np.flatnonzero(self.kinds == _ABSORPTION)
        if len(absorbed):
            out[absorbed] = np.eye(self.n_states)[self.labels[absorbed]]
        if emission.gaussian is not None and self.signal is not None:
            out = out * emission.gaussian.density(self.signal)
        return np.asarray(out)

    def _entering(self, rates: Array) -> tuple[Array, Array, Array]:
        """Rows of absorptions, their targets, and the rates into them (n, S)."""
        rows = np.flatnonzero(self.kinds[self.n_paths :] == _ABSORPTION)
        target = self.labels[self.n_paths + rows]
        into = rates[self.regime[rows], :, target].copy()
        into[np.arange(len(rows)), target] = 0.0
        return rows, target, into

    def _forward(self, rates: Array, initial: Array, emission: EmissionModel) -> _Pass:
        self._matrices = [
            transition_matrices(f, t.nodes) if t is not None else np.zeros((0, *f.shape))
            for f, t in zip(rates, self.tables)
        ]
        seen = self._emissions(emission)
        entries = self._entering(rates)
        filtered = np.empty_like(seen)
        scale = np.empty(len(seen))
        mass = initial * seen[: self.n_paths]
        scale[: self.n_paths] = mass.sum(axis=1)
        filtered[: self.n_paths] = mass / np.maximum(scale[: self.n_paths], _TINY)[:, None]
        for begin, end in self._chunks():
            first = self.offsets[begin] - self.n_paths
            kernels = self._spreads(rates, first, self.offsets[end] - self.n_paths)
            for step in range(begin, end):
                low, high = self.offsets[step], self.offsets[step + 1]
                local = slice(low - self.n_paths - first, high - self.n_paths - first)
                before = filtered[self.offsets[step - 1] :][: high - low]
                mass = np.matmul(before[:, None], kernels[local])[:, 0]
                mass = self._absorb(mass, entries, low - self.n_paths)
                mass *= seen[low:high]
                total = mass.sum(axis=1)
                scale[low:high] = total
                filtered[low:high] = mass / np.maximum(total, _TINY)[:, None]
        with np.errstate(divide="ignore"):
            value = float(np.log(scale).sum())
        return _Pass(value, filtered, scale, seen, entries)

    def _absorb(self, mass: Array, entries: tuple[Array, Array, Array], first: int) -> Array:
        rows, target, into = entries
        low, high = np.searchsorted(rows, [first, first + len(mass)])
        if low < high:
            local = rows[low:high] - first
            arrived = (mass[local] * into[low:high]).sum(axis=1)
            mass[local] = 0.0
            mass[local, target[low:high]] = arrived
        return mass

    def _backward(self, rates: Array, run: _Pass) -> tuple[Array, Array]:
        """(N, S) backward variables and, per interval, what multiplies the transition matrix."""
        behind = np.ones_like(run.filtered)
        right = np.empty((len(self.gaps), self.n_states))
        rows, target, into = run.entries
        quotient = run.seen / np.maximum(run.scale, _TINY)[:, None]
        for begin, end in reversed(self._chunks()):
            first = self.offsets[begin] - self.n_paths
            kernels = self._spreads(rates, first, self.offsets[end] - self.n_paths)
            for step in range(end - 1, begin - 1, -1):
                low, high = self.offsets[step] - self.n_paths, self.offsets[step + 1] - self.n_paths
                value = (
                    quotient[self.offsets[step] : self.offsets[step + 1]]
                    * (behind[self.offsets[step] : self.offsets[step + 1]])
                )
                a, b = np.searchsorted(rows, [low, high])
                if a < b:
                    local = rows[a:b] - low
                    value[local] = into[a:b] * value[local, target[a:b]][:, None]
                right[low:high] = value
                back = np.matmul(kernels[low - first : high - first], value[:, :, None])[:, :, 0]
                behind[self.offsets[step - 1] :][: high - low] = back
        return behind, right

    def posterior(self, rates: Array, initial: Array, emission: EmissionModel) -> Array:
        """(N, S) probabilities of the states given everything seen, by path and time."""
        run = self._forward(_stack(rates), initial, emission)
        behind, _ = self._backward(_stack(rates), run)
        product = run.filtered * behind
        out = np.empty_like(product)
        out[self.order] = product / np.maximum(product.sum(axis=1, keepdims=True), _TINY)
        return out

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics by forward-backward and Van Loan's integral; rates (S, S) or (R, S, S)."""
        stack = _stack(rates)
        run = self._forward(stack, initial, emission)
        behind, right = self._backward(stack, run)
        left = run.filtered[self._previous()]
        shape = stack.shape
        jumps, dwell, score = np.zeros(shape), np.zeros(shape[:2]), np.zeros(shape)
        known = self.kinds[self.n_paths :] == _JUMP
        for r, (members, table) in enumerate(zip(self.members, self.tables)):
            if table is None:
                continue
            moved = np.where(known[members][:, None], 0.0, left[members])
            kernel = convolution(stack[r], table.nodes, table.collect(moved, right[members]))
            entering = _off_diagonal(stack[r])
            direct, still = self._direct_terms(r, stack[r], left, right, run, behind)
            dwell[r] = np.diag(kernel) + still
            score[r] = kernel + direct - dwell[r][:, None]
            jumps[r] = np.maximum(entering * (kernel + direct), 0.0)
        diagonal = np.arange(shape[1])
        score[:, diagonal, diagonal] = 0.0
        jumps[:, diagonal, diagonal] = 0.0
        smoothed = run.filtered * behind
        return Expectation(
            run.log_likelihood,
            jumps,
            dwell,
            score,
            smoothed[: self.n_paths].sum(axis=0),
            self._label_counts(smoothed),
            self._moments(smoothed),
        )

    def _previous(self) -> Array:
        """Row of the observation before each interval."""
        step = np.repeat(np.arange(1, len(self.counts)), self.counts[1:])
        place = np.arange(len(step)) + self.n_paths - self.offsets[step]
        return np.asarray(self.offsets[step - 1] + place)

    def _direct_terms(
        self, r: int, rates: Array, left: Array, right: Array, run: _Pass, behind: Array
    ) -> tuple[Array, Array]:
        """Counts over rates (S, S) and dwell (S,) from exact jump times and absorptions."""
        n = self.n_states
        direct, still = np.zeros((n, n)), np.zeros(n)
        here = self.regime == r
        rows = np.flatnonzero((self.kinds[self.n_paths :] == _JUMP) & here)
        if len(rows):
            hold = np.exp(np.diag(rates) * self.gaps[rows, None])
            direct += (left[rows] * hold).T @ right[rows]
            kernel = np.where(np.eye(n, dtype=bool), 1.0, rates)
            still += (left[rows] * hold * (right[rows] @ kernel.T) * self.gaps[rows, None]).sum(0)
        entry_rows, target, _ = run.entries
        chosen = np.flatnonzero(here[entry_rows])
        if len(chosen):
            rows = entry_rows[chosen]
            table, members = self.tables[r], self.members[r]
            where = np.searchsorted(members, rows)
            matrices = np.concatenate(
                [table.spread(self._matrices[r], slice(k, k + 1)) for k in where]  # type: ignore[union-attr]
            )
            before = np.matmul(left[rows][:, None], matrices)[:, 0]
            later = self.n_paths + rows
            goal = target[chosen]
            value = (run.seen * behind)[later, goal] / np.maximum(run.scale[later], _TINY)
            np.add.at(direct.T, goal, before * value[:, None])
        return direct, still

    def _label_counts(self, smoothed: Array) -> Array:
        seen = (self.labels >= 0) & (self.kinds != _ABSORPTION)
        counts = np.zeros((self.n_states, self.n_states))
        np.add.at(counts.T, self.labels[seen], smoothed[seen])
        return counts

    def _moments(self, smoothed: Array) -> Array | None:
        if self.signal is None:
            return None
        seen = np.isfinite(self.signal)
        weight, x = smoothed[seen], self.signal[seen][:, None]
        return np.stack([weight.sum(0), (weight * x).sum(0), (weight * x**2).sum(0)])


@dataclass(frozen=True)
class _Pass:
    log_likelihood: float
    filtered: Array
    scale: Array
    seen: Array
    entries: tuple[Array, Array, Array]


@dataclass(frozen=True)
class _Rows:
    path: Array
    label: Array
    kind: Array
    signal: Array | None
    gap: Array
    middle: Array
    counts: Array
    order: Array


def _stack(rates: Array) -> Array:
    return rates if rates.ndim == 3 else rates[None]


def _observed_rows(series: JumpSeries, changes: Array, keep: Array) -> _Rows:
    """Observed entries (and change points of the rates), longest path first, ordered by step."""
    path = np.nonzero(keep)[0]
    times, label = series.times[keep], series.states[keep].astype(np.int64)
    kind = np.zeros(len(path), np.int8) if series.observation is None else series.observation[keep]
    signal = None if series.signal is None else series.signal[keep]
    if len(changes):
        path, times, label, kind, signal = _with_changes(path, times, label, kind, signal, changes)
    sizes = np.bincount(path, minlength=len(series))
    starts = np.cumsum(sizes) - sizes
    step = np.arange(len(path)) - starts[path]
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    order = np.lexsort((rank[path], step))
    previous = np.where(step > 0, np.concatenate([[0.0], times[:-1]]), times)
    gap, middle = times - previous, (times + previous) / 2
    kind = np.where(step == 0, 0, kind)
    return _Rows(
        path[order],
        label[order],
        kind[order],
        None if signal is None else signal[order],
        gap[order],
        middle[order],
        np.bincount(step),
        order,
    )


def _with_changes(
    path: Array, times: Array, label: Array, kind: Array, signal: Array | None, changes: Array
) -> tuple[Array, Array, Array, Array, Array | None]:
    """Insert unseen rows where an interval of a path crosses a change of the rates."""
    inside = np.concatenate([path[1:] == path[:-1], [False]])
    after = np.concatenate([times[1:], times[-1:]])
    crossed = (changes > times[:, None]) & (changes < after[:, None]) & inside[:, None]
    row, which = np.nonzero(crossed)
    if ((kind == _JUMP)[np.minimum(row + 1, len(kind) - 1)]).any():
        raise InputError(
            "an exactly seen jump follows an interval across a change of the rates; "
            "observe the state at the change, or give the jump as a snapshot"
        )
    times = np.concatenate([times, changes[which]])
    path = np.concatenate([path, path[row]])
    order = np.lexsort((times, path))
    label = np.concatenate([label, np.full(len(row), -1)])[order]
    kind = np.concatenate([kind, np.zeros(len(row), kind.dtype)])[order]
    if signal is not None:
        signal = np.concatenate([signal, np.full(len(row), np.nan)])[order]
    return path[order], times[order], label, kind, signal
