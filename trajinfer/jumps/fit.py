"""Searches for the maximum: EM, its acceleration, and a quasi-Newton polish."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.minimise import minimise
from trajinfer._core.packing import packable
from trajinfer.jumps.acceleration import Accelerator
from trajinfer.jumps.problem import Problem
from trajinfer.markov.emission import logistic, logit
from trajinfer.markov.parameters import Parameters

_MANY = 600
_TRIAL_STEPS = 4
_EM_STEPS = 10
_LOGIT_BOUND = 30.0
_LINE_SEARCH = 20  # evaluations after which it gives up


@packable
@dataclass(frozen=True, eq=False)
class FitResult:
    """The end of a search.

    Attributes:
        parameters: rates, initial law, emission.
        p: the parameters of the rate map.
        log_likelihood: without the prior.
        objective: with the prior.
        history: objective per iteration of EM and of the polish.
        converged: whether the tolerance was met.
    """

    parameters: Parameters
    p: Array
    log_likelihood: float
    objective: float
    history: list[float]
    converged: bool


@dataclass(frozen=True)
class Search:
    """Maximises the objective of a problem from one start or several.

    Attributes:
        max_iter: bound on iterations.
        tol: relative change of the objective at which it stops.
        polish: whether a quasi-Newton search follows a few steps of EM. With more than 600 free
            rates accelerated EM is the faster of the two and goes to the end.
    """

    max_iter: int = 500
    tol: float = 1e-8
    polish: bool = True

    def best_of(self, problem: Problem, starts: Iterable[Parameters]) -> FitResult:
        """The search from the start that is ahead after a few steps of EM.

        Raises:
            InputError: if the data are impossible at every start.
        """
        several = list(starts)
        if len(several) == 1:
            return once("search", self.maximise, problem, several[0])
        ends: list[FitResult] = []
        for start in several:
            with suppress(InputError):
                ends.append(_few_steps(problem, start))
        if not ends:
            return once("search", self.maximise, problem, several[0])
        ends.sort(key=lambda end: -end.objective)
        leaders = _distinct(ends)
        results = [once("search", self.maximise, problem, e.parameters, e.p) for e in leaders]
        return max(results, key=lambda result: result.objective)

    def maximise(self, problem: Problem, start: Parameters, p: Array | None = None) -> FitResult:
        """The maximum that is reached from `start`.

        Args:
            problem: what is maximised.
            start: parameters.
            p: parameters of the rate map; None takes those nearest to the rates of `start`.

        Raises:
            InputError: if the data are impossible at the start.
        """
        p = problem.rate_map.start(start.rates) if p is None else p
        polish = self.polish and not (problem.rate_map.free and len(p) > _MANY)
        now = replace(start, rates=problem.rate_map.rates(p))
        accelerate = Accelerator(problem)
        history: list[float] = []
        converged = False
        for _ in range(min(self.max_iter, _EM_STEPS) if polish else self.max_iter):
            expected = problem.data.expectation(now)
            value = problem.objective(expected, now.rates)
            require_possible(value, history)
            history.append(value)
            if len(history) > 1 and value - history[-2] < self.tol * (1 + abs(value)) * 1e-2:
                converged = True
                break
            if polish:
                now, p = problem.m_step(now, p, expected)
            else:
                now, p = accelerate(now, p, expected)
        if polish:
            quick = problem.quick()
            for step in (problem,) if quick is problem else (quick, problem):
                now, p, values, converged = _polished(step, now, p, self)
                history += values
        final = problem.data.log_likelihood(now)
        prior = problem.prior
        density = 0.0 if prior is None else prior.log_density(now.rates, problem.rate_map.links)
        return FitResult(now, p, final, final + density, history, converged)


def _few_steps(problem: Problem, start: Parameters) -> FitResult:
    """A few steps of plain EM."""
    p = problem.rate_map.start(start.rates)
    now, values = replace(start, rates=problem.rate_map.rates(p)), []
    for _ in range(_TRIAL_STEPS):
        expected = problem.data.expectation(now)
        values.append(problem.objective(expected, now.rates))
        require_possible(values[-1], values[:-1])
        now, p = problem.m_step(now, p, expected)
    return FitResult(now, p, values[-1], values[-1], values, converged=False)


def _distinct(ends: list[FitResult]) -> list[FitResult]:
    """The leader, and the next one that lies elsewhere and is not far behind."""
    first = ends[0]
    for other in ends[1:]:
        if first.objective - other.objective > 10 + 0.01 * abs(first.objective):
            break
        if len(first.p) and np.abs(other.p - first.p).max() > 1.0:
            return [first, other]
    return [first]


def require_possible(value: float, history: list[float]) -> None:
    """Refuse data that are impossible where a search starts.

    Raises:
        InputError: if the first objective is not finite.
    """
    if not history and not np.isfinite(value):
        raise InputError(
            "the data have probability 0 in the model at its start: a transition that was observed "
            "is ruled out by links, by absorbing=, by zeros in label_noise or by an absorbing "
            "state; allow it, or allow for wrong labels by label_noise="
        )


@dataclass(frozen=True, eq=False)
class _Coordinates:
    """Rates, logit of the error and logits of the initial law as one vector."""

    problem: Problem
    at: Parameters
    size: int
    learns_error: bool
    learns_initial: bool

    def vector(self, p: Array) -> Array:
        """(P,) the point `at`."""
        tail = [logit(self.at.emission.error or 1e-3)] if self.learns_error else []
        law = np.log(np.maximum(self.at.initial, 1e-6)) if self.learns_initial else np.zeros(0)
        return np.concatenate([p, tail, law])

    def parameters(self, x: Array) -> Parameters:
        """The point of a vector."""
        emission, initial = self.at.emission, self.at.initial
        if self.learns_error:
            emission = replace(emission, error=logistic(x[self.size]))
        if self.learns_initial:
            logits = x[self.size + self.learns_error :]
            weights = np.exp(logits - logits.max())
            initial = weights / weights.sum()
        return Parameters(self.problem.rate_map.rates(x[: self.size]), initial, emission)

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """The objective and its gradient (P,)."""
        there = self.parameters(x)
        expected = self.problem.data.expectation(there)
        gradient = [self.problem.gradient(expected, x[: self.size], there.rates)]
        if self.learns_error and expected.labels is not None:
            wrong = float(expected.labels.sum() - np.trace(expected.labels))
            total = float(expected.labels.sum())
            gradient.append(np.array([wrong - (there.emission.error or 0) * total]))
        if self.learns_initial:
            gradient.append(expected.first - expected.first.sum() * there.initial)
        return self.problem.objective(expected, there.rates), np.concatenate(gradient)

    def bounds(self, x: Array) -> list[tuple[float, float]] | None:
        """Those of the rates, and wide ones of the logits."""
        of_rates = self.problem.rate_map.bounds(x[: self.size])
        if of_rates is None:
            return None
        return of_rates + [(-_LOGIT_BOUND, _LOGIT_BOUND)] * (len(x) - self.size)


def _polished(
    problem: Problem, now: Parameters, p: Array, search: Search
) -> tuple[Parameters, Array, list[float], bool]:
    """Quasi-Newton search over rates, the error probability and the initial law together."""
    expected = problem.data.expectation(now)
    hidden = expected.labels is not None
    place = _Coordinates(problem, now, len(p), now.emission.learn_error, hidden)
    start = place.vector(p)
    widths = 1 / np.sqrt(np.maximum(problem.rate_map.sizes(p, expected.jumps), 1.0))
    scale = np.concatenate([widths, np.full(len(start) - len(p), 0.1)])
    values: list[float] = []

    def cost(x: Array) -> tuple[float, Array]:
        value, gradient = place.value_and_gradient(x)
        values.append(value)
        return -value, -gradient

    options = {"maxiter": search.max_iter, "ftol": search.tol * 1e-4, "gtol": 1e-7, "maxcor": 30}
    bounds = place.bounds(start)
    result = minimise(cost, start, stretch=scale, bounds=bounds, options=options)
    best = place.parameters(result.x)
    if not hidden:
        best = replace(best, initial=expected.first / expected.first.sum())
    rest = result.converged or _at_rest(values, search.tol)
    return best, result.x[: len(p)], values, rest


def _at_rest(values: list[float], tol: float) -> bool:
    """Whether a whole line search gained nothing, as happens at a maximum known to rounding."""
    if len(values) <= _LINE_SEARCH:
        return False
    top = max(values)
    return top - max(values[:-_LINE_SEARCH]) < tol * (1 + abs(top))
