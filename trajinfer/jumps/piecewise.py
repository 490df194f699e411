"""Rates that change at known times and are constant in between."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array, as_array, require_finite, require_increasing
from trajinfer._core.errors import IdentifiabilityWarning, InputError
from trajinfer._core.estimator import Estimator
from trajinfer.data.input import as_jump_series
from trajinfer.jumps.absorbing import Absorbing, followed
from trajinfer.jumps.fit import require_possible
from trajinfer.jumps.rate_map import Range
from trajinfer.jumps.settings import (
    resolve_emission,
    resolve_links,
    resolve_states,
)
from trajinfer.jumps.starts import counting_rates, typical_rate
from trajinfer.markov.hidden import HiddenData, is_hidden
from trajinfer.markov.likelihood import transitions_of
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import with_diagonal


@dataclass(eq=False, repr=False)
class PiecewiseConstantJumpProcess(Estimator):
    r"""Rates $F(t) = F_r$ between change times: $P(s, t) = e^{F_1 (c - s)} e^{F_2 (t - c)}$.

    Fitted by EM; an interval across a change is split there, with nothing seen at the split. A
    state entered by an observed absorption is never left, nor one that the data show to be an end;
    rates out of a state that is never seen are held at the typical rate, as nothing is known of
    them.

    Args:
        n_states: S; None takes the labels that occur.
        changes: (R - 1,) increasing times at which the rates change, on the axis of the data.
        label_noise: as in `MarkovJumpProcess`.
        links: (S, S) bool, which jumps are possible; None for all, except out of absorbing states.
        absorbing: label or labels of states that are never left; None goes by the data, as
            `MarkovJumpProcess` does.
        max_iter: bound on EM iterations.
        tol: relative change of the log-likelihood at which EM stops.

    Attributes:
        rates_: (R, S, S).
        initial_, states_, label_noise_, log_likelihood_, n_iter_, converged_, history_: as in
            `MarkovJumpProcess`.

    Example:
        >>> from trajinfer import jumps
        >>> data = jumps.simulate([[-1, 1], [2, -2]], [1, 0], 200, [0, 0.4, 0.8], random_state=0)
        >>> PiecewiseConstantJumpProcess(2, changes=[0.5]).fit(data).rates_.shape
        (2, 2, 2)
    """

    n_states: int | None = None
    _: KW_ONLY
    changes: Sequence[float] = ()
    label_noise: Any = 0.0
    links: Array | None = None
    absorbing: Hashable | Sequence[Hashable] | None = None
    max_iter: int = 500
    tol: float = 1e-8

    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate the rates of every regime.

        Raises:
            InputError: if the changes do not increase, or the data cannot be used.
        """
        if isinstance(self.links, str):
            raise InputError(f"links must be a mask of possible jumps here, got {self.links!r}")
        series = as_jump_series(X)
        times = [self.changes] if np.ndim(self.changes) == 0 else list(self.changes)
        changes = series.axis.encode(times) if times else np.zeros(0)
        changes = as_array(changes, "changes", ndim=1)
        require_finite(changes, "changes")
        require_increasing(changes, "changes")
        states = resolve_states(series, self.n_states)
        n = len(states)
        series = series.recode(states)
        emission = resolve_emission(self.label_noise, None, n)
        pairs = transitions_of(series)
        if not len(pairs.gap):
            raise InputError("no path has two observations, so nothing is known of the rates")
        hidden = is_hidden(series, emission)
        again, readable = followed(series, n), self.links is None
        ends = Absorbing.of(self.absorbing, states, pairs, again, hidden=hidden, readable=readable)
        self._say(ends.by_data, states)
        links = ends.without_exits(resolve_links(self.links, n))
        guess = counting_rates(pairs, n, links)
        data = HiddenData(series, n, top=10 * float(-np.diag(guess).min()), changes=changes)
        initial = np.bincount(pairs.first, minlength=n) + 0.5
        known = np.ones(n, dtype=bool)
        if emission.noiseless and series.candidates is None:
            known = np.isin(np.arange(n), series.flat_states)
        guess[~known] = with_diagonal(np.where(links, typical_rate(pairs, n) / max(n - 1, 1), 0.0))[
            ~known
        ]
        start = Parameters(
            np.repeat(guess[None], len(changes) + 1, axis=0), initial / initial.sum(), emission
        )
        floor = Range.of(pairs.gap).low
        end, history, converged = self._em(data, start, links & known[:, None], floor)
        self.states_, self.changes_, self.axis_ = states, changes, series.axis
        self.rates_, self.initial_, self.emission_model_ = end.rates, end.initial, end.emission
        noise = end.emission
        self.label_noise_ = noise.error if noise.labels is None else noise.labels
        self.n_features_in_ = n
        self.log_likelihood_ = data.log_likelihood(end)
        records = [{"iteration": k, "objective": v} for k, v in enumerate(history)]
        self._conclude(seed=0, n_iter=len(records), converged=converged, history=records)
        return self

    def _say(self, by_data: Array, states: tuple[Hashable, ...]) -> None:
        if by_data.any():
            names = [states[k] for k in np.flatnonzero(by_data).tolist()]
            warnings.warn(
                f"never left, and taken for absorbing: {names}; give absorbing= to say so, or "
                "absorbing=() to allow exits",
                IdentifiabilityWarning,
                stacklevel=5,
            )

    def _em(
        self, data: HiddenData, now: Parameters, free: Array, floor: float
    ) -> tuple[Parameters, list[float], bool]:
        """EM over all regimes; rates of links that are not `free` (S, S) stay."""
        history: list[float] = []
        for _ in range(self.max_iter):
            expected = data.expectation(now)
            require_possible(expected.log_likelihood, history)
            history.append(expected.log_likelihood)
            gain = history[-1] - history[-2] if len(history) > 1 else np.inf
            if gain < self.tol * (1 + abs(history[-1])) * 1e-2:
                return now, history, True
            off = expected.jumps / np.maximum(expected.dwell, 1e-300)[:, :, None]
            off = np.where(expected.dwell[:, :, None] > 0, off, now.rates)
            rates = with_diagonal(np.where(free, np.maximum(off, floor), now.rates))
            emission = now.emission
            if expected.labels is not None:
                emission = emission.updated(expected.labels, None)
            now = Parameters(rates, expected.first / expected.first.sum(), emission)
        return now, history, False

    def _parameters(self) -> Parameters:
        return Parameters(self.rates_, self.initial_, self.emission_model_)

    def log_likelihood(self, X: Any) -> float:
        """Log-likelihood of data under the fitted rates."""
        check_is_fitted(self, "rates_")
        series = as_jump_series(X).recode(self.states_)
        here = self._parameters()
        data = HiddenData(series, len(self.states_), top=2 * here.fastest, changes=self.changes_)
        return data.log_likelihood(here)

    def score(self, X: Any, y: Any = None) -> float:
        """Log-likelihood per observation, in nats; larger is better."""
        return self.log_likelihood(X) / max(as_jump_series(X).n_observations, 1)

    def rates_at(self, t: Any) -> Array:
        """(S, S) rates in force at time t; at a change, those that begin there."""
        check_is_fitted(self, "rates_")
        time = float(np.ravel(self.axis_.encode([t]))[0])
        return np.asarray(self.rates_[np.searchsorted(self.changes_, time, side="right")])
