"""Exact inference where states are hidden: noisy or partial labels, or a signal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.likelihood import Expectation
from trajinfer.jumps.observed_rows import observed_rows
from trajinfer.jumps.rates import off_diagonal
from trajinfer.jumps.transitions import GapTable, convolution, transition_matrices

_JUMP, _ABSORPTION = 1, 2
_SPREAD_LIMIT = 40_000_000
_TINY = 1e-300


class HiddenData:
    """Noisy, partial or continuous observations: a scaled forward-backward over all paths at once.

    Pieces (see `ObservedRows`) are put in order of their length, so that those still running at a
    step are the first ones; rows of the flat arrays are ordered by step. What each stretch of a
    long path multiplies a law by is found for all stretches at once, then carried from one to the
    next, so that a recording of a million observations takes thousands of steps. Rates may change
    at `changes` (R - 1 times): an interval across one is split by a step at which nothing is seen.

    Memory is O(n (S + 24)) numbers for n observations, plus at most 40 million for transitions.
    """

    def __init__(
        self,
        series: JumpSeries,
        n_states: int,
        *,
        top: float,
        changes: Array | None = None,
        keep_unseen: bool = False,
        longest: int | None = None,
    ) -> None:
        self.n_states = n_states
        self.changes = np.zeros(0) if changes is None else changes
        keep = series.present if keep_unseen else series.mask
        if not keep.any():
            raise InputError("the data hold no observation at all; every state is missing")
        rows = observed_rows(series, self.changes, keep, longest)
        self.source, self.follows = rows.source, rows.follows
        self.labels, self.kinds, self.signal = rows.label, rows.kind, rows.signal
        self.sets = series.candidates
        self.counts, self.n_paths, self.n_pieces = rows.counts, rows.n_paths, len(rows.follows)
        self.offsets = np.concatenate([[0], np.cumsum(rows.counts)])
        self.generations = _generations(rows.follows)
        gaps = rows.gap[self.n_pieces :]
        self.gaps = gaps
        self.regime = np.searchsorted(self.changes, rows.middle[self.n_pieces :], side="right")
        self.members = [np.flatnonzero(self.regime == r) for r in range(len(self.changes) + 1)]
        self.tables = [GapTable.of(gaps[m], top) if len(m) else None for m in self.members]

    @property
    def n_observations(self) -> int:
        """Number of rows that are no copies."""
        return int((self.source >= 0).sum())

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
        still = np.flatnonzero(self.kinds[self.n_pieces + first : self.n_pieces + last] == _JUMP)
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

    def _emissions(self, emission: EmissionModel) -> tuple[Array, float]:
        """(N, S) what was seen in each state, up to factors, and the logarithm of these factors.

        The density of a signal is taken relative to the most likely state of its row, so that a
        value far from all means does not underflow.
        """
        matrix = emission.label_matrix()
        table = [matrix.T]
        if self.sets is not None:
            table.append(self.sets[::-1].astype(float))
        out = np.concatenate([*table, np.ones((1, self.n_states))])[self.labels]
        absorbed = np.flatnonzero(self.kinds == _ABSORPTION)
        if len(absorbed):
            out[absorbed] = np.eye(self.n_states)[self.labels[absorbed]]
        if emission.gaussian is None or self.signal is None:
            return np.asarray(out), 0.0
        logs = np.where(out > 0, emission.gaussian.log_density(self.signal), -np.inf)
        top = logs.max(axis=1)
        top = np.where(np.isfinite(top), top, 0.0)
        return np.asarray(out * np.exp(logs - top[:, None])), float(top.sum())

    def _entering(self, rates: Array) -> tuple[Array, Array, Array]:
        """Rows of absorptions, their targets, and the rates into them (n, S)."""
        rows = np.flatnonzero(self.kinds[self.n_pieces :] == _ABSORPTION)
        target = self.labels[self.n_pieces + rows]
        into = rates[self.regime[rows], :, target].copy()
        into[np.arange(len(rows)), target] = 0.0
        return rows, target, into

    def _forward(self, rates: Array, initial: Array, emission: EmissionModel) -> _Pass:
        self._matrices = [
            transition_matrices(f, t.nodes) if t is not None else np.zeros((0, *f.shape))
            for f, t in zip(rates, self.tables)
        ]
        (seen, factor), entries = self._emissions(emission), self._entering(rates)
        filtered, scale = np.empty_like(seen), np.ones(len(seen))
        run = _Pass(0.0, filtered, scale, seen, entries, {})
        fresh = np.flatnonzero(self.follows < 0)
        mass = initial * seen[fresh]
        scale[fresh] = mass.sum(axis=1)
        filtered[fresh] = mass / np.maximum(scale[fresh], _TINY)[:, None]
        if self.generations:
            run = replace(run, products=self._products(rates, run))
            for members in self.generations:
                before = self.follows[members]
                law = np.matmul(filtered[before][:, None], run.products[before])[:, 0]
                filtered[members] = law / np.maximum(law.sum(axis=1), _TINY)[:, None]
        for step, kernels in self._steps(rates, run):
            low, high = self.offsets[step], self.offsets[step + 1]
            before = filtered[self.offsets[step - 1] :][: high - low, None]
            mass = self._moved(before, kernels, low, run)[:, 0]
            total = mass.sum(axis=1)
            scale[low:high] = total
            filtered[low:high] = mass / np.maximum(total, _TINY)[:, None]
        with np.errstate(divide="ignore"):
            return replace(run, log_likelihood=factor + float(np.log(scale).sum()))

    def _steps(
        self, rates: Array, run: _Pass, *, backwards: bool = False
    ) -> Iterator[tuple[int, Array]]:
        """Steps and the transition matrices of their intervals; kept where they fit at once."""
        chunks = self._chunks()
        turn = -1 if backwards else 1
        for begin, end in chunks[::turn]:
            first = self.offsets[begin] - self.n_pieces
            kernels = run.kernels.get(begin)
            if kernels is None:
                kernels = self._spreads(rates, first, self.offsets[end] - self.n_pieces)
                if len(chunks) == 1:
                    run.kernels[begin] = kernels
            for step in range(begin, end)[::turn]:
                low, high = self.offsets[step] - self.n_pieces, self.offsets[step + 1]
                yield step, kernels[low - first : high - self.n_pieces - first]

    def _moved(self, before: Array, kernels: Array, low: int, run: _Pass) -> Array:
        """Laws (m, R, S) over one interval, times what is seen at its end, row `low` on."""
        mass: Array = np.matmul(before, kernels)
        rows, target, into = run.entries
        first = low - self.n_pieces
        a, b = np.searchsorted(rows, [first, first + len(mass)])
        if a < b:
            local = rows[a:b] - first
            arrived = np.matmul(mass[local], into[a:b, :, None])[..., 0]
            mass[local] = 0.0
            mass[local, :, target[a:b]] = arrived
        mass *= run.seen[low : low + len(mass), None]
        return mass

    def _products(self, rates: Array, run: _Pass) -> Array:
        """(P, S, S) what each piece multiplies a law at its start by, up to a factor."""
        shape = (self.n_pieces, self.n_states, self.n_states)
        state = np.broadcast_to(np.eye(self.n_states), shape).copy()
        for step, kernels in self._steps(rates, run):
            low, size = self.offsets[step], self.counts[step]
            mass = self._moved(state[:size], kernels, low, run)
            state[:size] = mass / np.maximum(mass.max(axis=(1, 2)), _TINY)[:, None, None]
        return state

    def _backward(self, rates: Array, run: _Pass) -> tuple[Array, Array]:
        """(N, S) backward variables and, per interval, what multiplies the transition matrix."""
        behind = np.ones_like(run.filtered)
        self._carry_back(behind, run)
        right = np.empty((len(self.gaps), self.n_states))
        rows, target, into = run.entries
        quotient = run.seen / np.maximum(run.scale, _TINY)[:, None]
        for step, kernels in self._steps(rates, run, backwards=True):
            here = slice(self.offsets[step], self.offsets[step + 1])
            low, high = here.start - self.n_pieces, here.stop - self.n_pieces
            value = quotient[here] * behind[here]
            a, b = np.searchsorted(rows, [low, high])
            if a < b:
                local = rows[a:b] - low
                value[local] = into[a:b] * value[local, target[a:b]][:, None]
            right[low:high] = value
            back = np.matmul(kernels, value[:, :, None])[:, :, 0]
            behind[self.offsets[step - 1] :][: high - low] = back
        return behind, right

    def _carry_back(self, behind: Array, run: _Pass) -> None:
        """Set the backward variables at the ends of pieces that others follow."""
        if not self.generations:
            return
        sizes = np.searchsorted(-self.counts, -np.arange(self.n_pieces), side="left")
        last = self.offsets[sizes - 1] + np.arange(self.n_pieces)
        for members in reversed(self.generations):
            value = np.matmul(run.products[members], behind[last[members]][:, :, None])[:, :, 0]
            share = (run.filtered[members] * value).sum(axis=1)
            behind[last[self.follows[members]]] = value / np.maximum(share, _TINY)[:, None]

    def posterior(self, rates: Array, initial: Array, emission: EmissionModel) -> Array:
        """(N, S) probabilities of the states given everything seen, by path and time.

        Raises:
            InputError: if what was seen has probability 0.
        """
        run = self._forward(_stack(rates), initial, emission)
        self._require_possible(run)
        behind, _ = self._backward(_stack(rates), run)
        own = self.source >= 0
        product = (run.filtered * behind)[own]
        out = np.empty_like(product)
        out[self.source[own]] = product / np.maximum(product.sum(axis=1, keepdims=True), _TINY)
        return out

    def _require_possible(self, run: _Pass) -> None:
        if not np.isfinite(run.log_likelihood):
            raise InputError(
                "what was seen has probability 0 in this model, so there is no law given it; allow "
                "for wrong labels by label_noise, or leave out the observation"
            )

    def expectation(self, rates: Array, initial: Array, emission: EmissionModel) -> Expectation:
        """Statistics by forward-backward and Van Loan's integral; rates (S, S) or (R, S, S)."""
        stack = _stack(rates)
        run = self._forward(stack, initial, emission)
        if not np.isfinite(run.log_likelihood):
            return _nothing(stack)
        behind, right = self._backward(stack, run)
        left = run.filtered[self._previous()]
        shape = stack.shape
        jumps, dwell, score = np.zeros(shape), np.zeros(shape[:2]), np.zeros(shape)
        known = self.kinds[self.n_pieces :] == _JUMP
        for r, (members, table) in enumerate(zip(self.members, self.tables)):
            if table is None:
                continue
            moved = np.where(known[members][:, None], 0.0, left[members])
            kernel = convolution(stack[r], table.nodes, table.collect(moved, right[members]))
            entering = off_diagonal(stack[r])
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
            smoothed[: self.n_pieces][self.follows < 0].sum(axis=0),
            self._label_counts(smoothed),
            self._moments(smoothed),
        )

    def _previous(self) -> Array:
        """Row of the observation before each interval."""
        step = np.repeat(np.arange(1, len(self.counts)), self.counts[1:])
        place = np.arange(len(step)) + self.n_pieces - self.offsets[step]
        return np.asarray(self.offsets[step - 1] + place)

    def _direct_terms(
        self, r: int, rates: Array, left: Array, right: Array, run: _Pass, behind: Array
    ) -> tuple[Array, Array]:
        """Counts over rates (S, S) and dwell (S,) from exact jump times and absorptions."""
        n = self.n_states
        direct, still = np.zeros((n, n)), np.zeros(n)
        here = self.regime == r
        rows = np.flatnonzero((self.kinds[self.n_pieces :] == _JUMP) & here)
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
            later = self.n_pieces + rows
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
    kernels: dict[int, Array]
    products: Array = field(default_factory=lambda: np.zeros(0))


def _nothing(stack: Array) -> Expectation:
    """The statistics of data with probability 0; only that is to be read."""
    zeros, n = np.zeros_like(stack), stack.shape[1]
    return Expectation(
        -np.inf, zeros, zeros[:, 0], zeros, np.zeros(n), np.zeros((n, n)), np.zeros((3, n))
    )


def _stack(rates: Array) -> Array:
    return rates if rates.ndim == 3 else rates[None]


def _generations(follows: Array) -> list[Array]:
    """Pieces that follow one another: those that follow the first of their paths, and so on."""
    now = np.flatnonzero(follows < 0)
    successor = np.full(len(follows) + 1, -1)
    successor[follows] = np.arange(len(follows))
    found: list[Array] = []
    while len(now := successor[now][successor[now] >= 0]):
        found.append(now)
    return found
