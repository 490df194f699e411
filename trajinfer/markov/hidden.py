"""Exact inference where states are hidden: noisy or partial labels, or a signal."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.markov.emission import EmissionModel
from trajinfer.markov.evidence import evidence_of
from trajinfer.markov.likelihood import Expectation
from trajinfer.markov.observed_rows import STILL, observed_rows
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.regime_table import RegimeTable
from trajinfer.markov.spectrum import FEW_GAPS

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

    Args:
        series: with codes of the S states.
        n_states: S.
        top: a bound on the exit rates, for the interpolation of transition matrices.
        changes: (R - 1,) times at which the rates change.
        regimes: (N,) regime in force from each entry on, in place of `changes`.
        n_regimes: R, with `regimes`.
        keep_unseen: whether entries without an observation stay.
        longest: see `observed_rows`.
        weights: (B,) weight of each path; None is 1.
    """

    def __init__(
        self,
        series: JumpSeries,
        n_states: int,
        *,
        top: float,
        changes: Array | None = None,
        regimes: Array | None = None,
        n_regimes: int = 1,
        keep_unseen: bool = False,
        longest: int | None = None,
        weights: Array | None = None,
    ) -> None:
        self.n_states = n_states
        keep = np.ones(series.layout.size, dtype=bool) if keep_unseen else series.seen
        if not keep.any():
            raise InputError("the data hold no observation at all; every state is missing")
        if regimes is not None:
            keep = keep | _changes_of(regimes, series.layout.series)
        times = np.zeros(0) if changes is None else changes
        rows = observed_rows(series, times, keep, longest, regimes)
        self.source, self.follows = rows.source, rows.follows
        self.labels, self.kinds, self.signal = rows.label, rows.kind, rows.signal
        self.sets = series.candidates
        self.counts, self.n_paths, self.n_pieces = rows.counts, rows.n_paths, len(rows.follows)
        self.offsets = np.concatenate([[0], np.cumsum(rows.counts)])
        self.generations = _generations(rows.follows)
        self.gaps = rows.gap[self.n_pieces :]
        self.regime = rows.regime[self.n_pieces :]
        n_regimes = n_regimes if regimes is not None else len(times) + 1
        self.top = top
        self.table = RegimeTable(self.gaps, self.regime, n_regimes, top)
        self.weights = None if weights is None else weights[rows.path]

    def quick(self) -> HiddenData:
        """The same data with statistics good to about nine digits; itself with few gaps."""
        if self.table.quick or len(self.table.nodes) <= FEW_GAPS:
            return self
        other = copy.copy(self)
        other.table = copy.copy(self.table)
        other.table.quick = True
        return other

    @property
    def n_observations(self) -> int:
        """Number of rows that are no copies."""
        return int((self.source >= 0).sum())

    def expectations(self, several: Sequence[Parameters]) -> list[Expectation]:
        """Expected statistics at several points."""
        return [self.expectation(point) for point in several]

    def log_likelihood(self, parameters: Parameters) -> float:
        """Log-likelihood by the forward recursion."""
        return self._forward(parameters).log_likelihood

    def _spreads(self, rates: Array, first: int, last: int) -> Array:
        """Transition matrices of the interval rows first .. last."""
        rows = np.arange(first, last)
        out = self.table.spread(self._matrices, rows)
        kinds = self.kinds[self.n_pieces + first : self.n_pieces + last]
        watched = np.flatnonzero((kinds == _JUMP) | (kinds == STILL))
        if len(watched):
            hold, kernel = self._watched_kernels(rates, rows[watched])
            out[watched] = hold[:, :, None] * kernel
        return out

    def _watched_kernels(self, rates: Array, rows: Array) -> tuple[Array, Array]:
        """(m, S) probabilities to stay over exactly watched intervals; (m, S, S) what ends them."""
        matrix = rates[self.regime[rows]]
        hold = np.exp(np.einsum("nii->ni", matrix) * self.gaps[rows, None])
        eye = np.eye(self.n_states)
        still = self.kinds[self.n_pieces + rows] == STILL
        return hold, np.where(still[:, None, None], eye, matrix * (1 - eye))

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

    def _evidence(self, emission: EmissionModel) -> tuple[Array, Array]:
        absorbed = np.flatnonzero(self.kinds == _ABSORPTION)
        return evidence_of(self.labels, self.sets, self.signal, absorbed, emission)

    def _entering(self, rates: Array) -> tuple[Array, Array, Array]:
        """Rows of absorptions, their targets, and the rates into them (n, S)."""
        rows = np.flatnonzero(self.kinds[self.n_pieces :] == _ABSORPTION)
        target = self.labels[self.n_pieces + rows]
        into = rates[self.regime[rows], :, target].copy()
        into[np.arange(len(rows)), target] = 0.0
        return rows, target, into

    def _forward(self, parameters: Parameters) -> _Pass:
        rates = parameters.stack
        if parameters.fastest > self.top:  # the panels of interpolation were made for slower rates
            self.top = 4 * parameters.fastest
            self.table = RegimeTable(self.gaps, self.regime, len(rates), self.top)
        self._matrices = self.table.matrices(rates)
        evidence, factors = self._evidence(parameters.emission)
        entries = self._entering(rates)
        filtered, scale = np.empty_like(evidence), np.ones(len(evidence))
        run = _Pass(0.0, filtered, scale, evidence, entries, {})
        fresh = np.flatnonzero(self.follows < 0)
        mass = parameters.initial * evidence[fresh]
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
            logs = np.log(scale) + factors
        value = float(logs.sum() if self.weights is None else logs @ self.weights)
        return replace(run, log_likelihood=value)

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
        mass *= run.evidence[low : low + len(mass), None]
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
        quotient = run.evidence / np.maximum(run.scale, _TINY)[:, None]
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

    def posterior(self, parameters: Parameters) -> Array:
        """(N, S) probabilities of the states given all observations, by path and time.

        Raises:
            InputError: if the observations have probability 0.
        """
        run = self._forward(parameters)
        self._require_possible(run)
        behind, _ = self._backward(parameters.stack, run)
        own = self.source >= 0
        product = (run.filtered * behind)[own]
        out = np.empty_like(product)
        out[self.source[own]] = product / np.maximum(product.sum(axis=1, keepdims=True), _TINY)
        return out

    def _require_possible(self, run: _Pass) -> None:
        if not np.isfinite(run.log_likelihood):
            raise InputError(
                "the observations have probability 0 in this model, so there is no law given them; "
                "allow for wrong labels by label_noise, or leave out the observation"
            )

    def expectation(self, parameters: Parameters) -> Expectation:
        """Statistics by forward-backward and Van Loan's integral."""
        stack = parameters.stack
        run = self._forward(parameters)
        if not np.isfinite(run.log_likelihood):
            return _nothing(stack)
        behind, right = self._backward(stack, run)
        left = run.filtered[self._previous()]
        if self.weights is not None:
            left = left * self.weights[self.n_pieces :, None]
        kinds = self.kinds[self.n_pieces :]
        watched = (kinds == _JUMP) | (kinds == STILL)
        moved = np.where(watched[:, None], 0.0, left)
        kernel = self.table.convolve(stack, self.table.collect(moved, right))
        direct, still = self._direct_terms(stack, left, right, run, behind)
        diagonal = np.arange(self.n_states)
        entering = stack.copy()
        entering[:, diagonal, diagonal] = 0.0
        dwell = kernel[:, diagonal, diagonal] + still
        score = kernel + direct - dwell[:, :, None]
        score[:, diagonal, diagonal] = 0.0
        smoothed = run.filtered * behind
        if self.weights is not None:
            smoothed = smoothed * self.weights[:, None]
        return Expectation(
            run.log_likelihood,
            np.maximum(entering * (kernel + direct), 0.0),
            dwell,
            score,
            smoothed[: self.n_pieces][self.follows < 0].sum(axis=0),
            self._label_counts(smoothed, parameters.emission),
            self._moments(parameters.emission.pooled(smoothed)),
        )

    def _previous(self) -> Array:
        """Row of the observation before each interval."""
        step = np.repeat(np.arange(1, len(self.counts)), self.counts[1:])
        place = np.arange(len(step)) + self.n_pieces - self.offsets[step]
        return np.asarray(self.offsets[step - 1] + place)

    def _direct_terms(
        self, rates: Array, left: Array, right: Array, run: _Pass, behind: Array
    ) -> tuple[Array, Array]:
        """Counts over rates (R, S, S) and dwell (R, S) from exact jump times and absorptions."""
        direct, still = np.zeros_like(rates), np.zeros(rates.shape[:2])
        kinds = self.kinds[self.n_pieces :]
        rows = np.flatnonzero((kinds == _JUMP) | (kinds == STILL))
        if len(rows):
            hold, kernel = self._watched_kernels(rates, rows)
            ends = np.einsum("nij,nj->ni", kernel, right[rows])
            np.add.at(still, self.regime[rows], left[rows] * hold * ends * self.gaps[rows, None])
            jumped = rows[kinds[rows] == _JUMP]
            stayed = (left[rows] * hold)[kinds[rows] == _JUMP]
            outer = stayed[:, :, None] * right[jumped][:, None, :]
            np.add.at(direct, self.regime[jumped], outer)
        rows, target, _ = run.entries
        if len(rows):
            matrices = self.table.spread(self._matrices, rows)
            before = np.matmul(left[rows][:, None], matrices)[:, 0]
            later = self.n_pieces + rows
            value = (run.evidence * behind)[later, target] / np.maximum(run.scale[later], _TINY)
            np.add.at(
                direct.transpose(0, 2, 1), (self.regime[rows], target), before * value[:, None]
            )
        return direct, still

    def _label_counts(self, smoothed: Array, emission: EmissionModel) -> Array:
        """(S, S) expected numbers of labels (columns) where others are right (rows)."""
        labelled = (self.labels >= 0) & (self.kinds != _ABSORPTION)
        counts = np.zeros((self.n_states, self.n_states))
        np.add.at(counts.T, self.labels[labelled], smoothed[labelled])
        return emission.pooled(emission.pooled(counts).T).T

    def _moments(self, smoothed: Array) -> Array | None:
        if self.signal is None:
            return None
        measured = np.isfinite(self.signal)
        weight, x = smoothed[measured], self.signal[measured][:, None]
        return np.stack([weight.sum(0), (weight * x).sum(0), (weight * x**2).sum(0)])


def is_hidden(series: JumpSeries, emission: EmissionModel) -> bool:
    """Whether states have to be inferred rather than read off."""
    signal = emission.gaussian is not None and series.flat_signal is not None
    return not emission.noiseless or signal or bool((series.flat_states <= -2).any())


@dataclass(frozen=True)
class _Pass:
    log_likelihood: float
    filtered: Array
    scale: Array
    evidence: Array
    entries: tuple[Array, Array, Array]
    kernels: dict[int, Array]
    products: Array = field(default_factory=lambda: np.zeros(0))


def _nothing(stack: Array) -> Expectation:
    """The statistics of data with probability 0; only that is to be read."""
    zeros, n = np.zeros_like(stack), stack.shape[1]
    return Expectation(
        -np.inf, zeros, zeros[:, 0], zeros, np.zeros(n), np.zeros((n, n)), np.zeros((3, n))
    )


def _changes_of(regimes: Array, path: Array) -> Array:
    """(N,) bool, entries from which on another regime of the path is in force."""
    later = (regimes[1:] != regimes[:-1]) & (path[1:] == path[:-1])
    return np.concatenate([[False], later])


def _generations(follows: Array) -> list[Array]:
    """Pieces that follow one another: those that follow the first of their paths, and so on."""
    now = np.flatnonzero(follows < 0)
    successor = np.full(len(follows) + 1, -1)
    successor[follows] = np.arange(len(follows))
    generations: list[Array] = []
    while len(now := successor[now][successor[now] >= 0]):
        generations.append(now)
    return generations
