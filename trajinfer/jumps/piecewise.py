"""Rates that change at known times and are constant in between."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from trajinfer._core.checks import Array, as_array, require_finite, require_increasing
from trajinfer._core.errors import InputError
from trajinfer.data.input import as_jump_series
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.fit import counting_rates, require_possible
from trajinfer.jumps.hidden import HiddenData
from trajinfer.jumps.likelihood import transitions_of
from trajinfer.jumps.rate_map import FLOOR
from trajinfer.jumps.rates import with_diagonal
from trajinfer.jumps.setup import (
    resolve_emission,
    resolve_links,
    resolve_states,
    without_exits,
)


@dataclass(eq=False, repr=False)
class PiecewiseConstantJumpProcess(BaseEstimator):  # type: ignore[misc]
    r"""Rates $F(t) = F_r$ between change times: $P(s, t) = e^{F_1 (c - s)} e^{F_2 (t - c)}$.

    Fitted by EM; an interval across a change is split there, with nothing seen at the split. A
    state entered by an observed absorption is never left; rates out of a state that is never seen
    are held at the typical rate, as nothing is known of them.

    Args:
        n_states: S; None takes the labels that occur.
        changes: (R - 1,) increasing times at which the rates change, on the axis of the data.
        label_noise: as in `MarkovJumpProcess`.
        links: (S, S) bool, which jumps are possible; None for all.
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
        self.states_ = resolve_states(series, self.n_states)
        n = len(self.states_)
        series = series.recode(self.states_)
        emission = resolve_emission(self.label_noise, None, n)
        pairs = transitions_of(series)
        links = without_exits(resolve_links(self.links, n), pairs)
        if not len(pairs.gap):
            raise InputError("no path has two observations, so nothing is known of the rates")
        guess, scale = counting_rates(pairs, n, links)
        data = HiddenData(series, n, top=10 * float(-np.diag(guess).min()), changes=changes)
        rates = np.repeat(guess[None], len(changes) + 1, axis=0)
        initial = np.bincount(pairs.first, minlength=n) + 0.5
        initial = initial / initial.sum()
        known = np.ones(n, dtype=bool)
        if emission.noiseless and series.candidates is None:
            known = np.isin(np.arange(n), series.states)
        rates, initial, emission, history = self._em(
            data, rates, initial, emission, links & known[:, None], scale
        )
        self.rates_, self.initial_, self.changes_ = rates, initial, changes
        self._emission, self._axis = emission, series.axis
        self.label_noise_ = emission.error if emission.labels is None else emission.labels
        self.log_likelihood_ = data.log_likelihood(rates, initial, emission)
        self.history_ = [{"iteration": k, "objective": v} for k, v in enumerate(history)]
        self.n_iter_ = len(history)
        if not self.converged_:
            warnings.warn(
                f"no convergence in {self.max_iter} iterations; raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _em(
        self,
        data: HiddenData,
        rates: Array,
        initial: Array,
        emission: EmissionModel,
        free: Array,
        scale: float,
    ) -> tuple[Array, Array, EmissionModel, list[float]]:
        history: list[float] = []
        self.converged_ = False
        for _ in range(self.max_iter):
            expected = data.expectation(rates, initial, emission)
            require_possible(expected.log_likelihood, history)
            history.append(expected.log_likelihood)
            gain = history[-1] - history[-2] if len(history) > 1 else np.inf
            if gain < self.tol * (1 + abs(history[-1])) * 1e-2:
                self.converged_ = True
                break
            off = expected.jumps / np.maximum(expected.dwell, 1e-300)[:, :, None]
            off = np.where(expected.dwell[:, :, None] > 0, off, rates)
            rates = with_diagonal(np.where(free, np.maximum(off, FLOOR * scale), rates))
            initial = expected.first / expected.first.sum()
            if expected.labels is not None:
                emission = emission.updated(expected.labels, None)
        return rates, initial, emission, history

    def log_likelihood(self, X: Any) -> float:
        """Log-likelihood of data under the fitted rates."""
        check_is_fitted(self, "rates_")
        series = as_jump_series(X).recode(self.states_)
        top = 2 * float(-np.einsum("rii->ri", self.rates_).min())
        data = HiddenData(series, len(self.states_), top=top, changes=self.changes_)
        return data.log_likelihood(self.rates_, self.initial_, self._emission)

    def score(self, X: Any, y: Any = None) -> float:
        """Log-likelihood per observation; larger is better."""
        return self.log_likelihood(X) / max(as_jump_series(X).n_observations, 1)

    def rates_at(self, t: Any) -> Array:
        """(S, S) rates in force at time t; at a change, those that begin there."""
        check_is_fitted(self, "rates_")
        time = float(np.ravel(self._axis.encode([t]))[0])
        return np.asarray(self.rates_[np.searchsorted(self.changes_, time, side="right")])
