"""Maximum likelihood and maximum a posteriori: EM, its acceleration, and a quasi-Newton finish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.jumps.emission import EmissionModel
from trajinfer.jumps.likelihood import Expectation, JumpData, Transitions
from trajinfer.jumps.rate_map import LogLinear, RateMap
from trajinfer.jumps.rates import with_diagonal

_MANY = 600


@dataclass(frozen=True)
class Parameters:
    """A point of the model: rates (S, S), initial law (S,), what is seen of the states."""

    rates: Array
    initial: Array
    emission: EmissionModel


@dataclass(frozen=True)
class GammaPrior:
    """Independent Gamma priors of the rates: shape (S, S) and rate (S, S) in units of time."""

    shape: Array
    rate: Array

    def log_density(self, rates: Array, links: Array) -> float:
        """Log density up to a constant."""
        used = np.maximum(rates[links], 1e-300)
        return float(((self.shape[links] - 1) * np.log(used) - self.rate[links] * used).sum())


@dataclass(frozen=True)
class FitResult:
    """Where a fit ended.

    Attributes:
        parameters: rates, initial law, emission.
        p: the free parameters of the rate map.
        log_likelihood: without the prior.
        history: objective per iteration of EM and of the finish.
        converged: whether the tolerance was met.
    """

    parameters: Parameters
    p: Array
    log_likelihood: float
    history: list[float]
    converged: bool


@dataclass(frozen=True)
class Problem:
    """Data, rate map, prior and what is held fixed."""

    data: JumpData
    rate_map: RateMap
    prior: GammaPrior | None = None
    learn_initial: bool = True

    def objective(self, expected: Expectation, rates: Array) -> float:
        """Log-likelihood plus log prior."""
        value = expected.log_likelihood
        if self.prior is not None:
            value += self.prior.log_density(rates, self.rate_map.links)
        return value

    def slope(self, expected: Expectation, rates: Array) -> Array:
        """Derivative of the objective by the rates, (S, S)."""
        slope = expected.score[0]
        if self.prior is not None:
            safe = np.maximum(rates, 1e-300)
            slope = slope + np.where(
                self.rate_map.links, (self.prior.shape - 1) / safe - self.prior.rate, 0.0
            )
        return np.asarray(slope)

    def m_step(self, now: Parameters, p: Array, expected: Expectation) -> tuple[Parameters, Array]:
        """The next parameters of EM."""
        jumps, dwell = expected.jumps[0], np.repeat(expected.dwell[0][:, None], len(now.rates), 1)
        if self.prior is not None:
            jumps, dwell = jumps + self.prior.shape - 1, dwell + self.prior.rate
        if isinstance(self.rate_map, LogLinear) and self.rate_map.design is None:
            seen = np.maximum(dwell, 1e-300)
            off = np.where(dwell > 0, np.maximum(jumps, 1e-300) / seen, now.rates)
            logs = np.log(off[self.rate_map.links])
            p = np.clip(logs, self.rate_map.low, self.rate_map.high)
            rates = self.rate_map.rates(p)
        else:
            p = self._maximise_complete(p, jumps, dwell)
            rates = self.rate_map.rates(p)
        initial = expected.first / expected.first.sum() if self.learn_initial else now.initial
        emission = now.emission
        if expected.labels is not None:
            emission = emission.updated(expected.labels, expected.moments)
        return Parameters(rates, initial, emission), p

    def _maximise_complete(self, p: Array, jumps: Array, dwell: Array) -> Array:
        """The M-step of constrained rates, by a quasi-Newton search."""
        links = self.rate_map.links
        scale = max(float(jumps[links].sum()), 1.0)

        def cost(q: Array) -> tuple[float, Array]:
            rates = np.maximum(self.rate_map.rates(q), 0.0)
            safe = np.where(links, np.maximum(rates, 1e-300), 1.0)
            value = (jumps * np.log(safe) - dwell * rates)[links].sum()
            slope = np.where(links, jumps / safe - dwell, 0.0)
            return -value / scale, -self.rate_map.pull(q, slope) / scale

        return np.asarray(_quasi_newton(cost, p, np.ones(len(p)), 50, 1e-10).x)


def fit(
    problem: Problem, start: Parameters, *, max_iter: int, tol: float, finish: bool
) -> FitResult:
    """EM from `start`; with `finish` a few steps only, followed by a quasi-Newton search.

    With more than 600 free rates accelerated EM is the faster of the two and goes to the end.

    Raises:
        InputError: if the data are impossible at the start.
    """
    p = problem.rate_map.start(start.rates)
    free = isinstance(problem.rate_map, LogLinear) and problem.rate_map.design is None
    finish = finish and not (free and len(p) > _MANY)
    now = replace(start, rates=problem.rate_map.rates(p))
    history: list[float] = []
    accelerate = Accelerator(problem)
    converged = False
    for _ in range(min(max_iter, 10) if finish else max_iter):
        expected = problem.data.expectation(now.rates, now.initial, now.emission)
        value = problem.objective(expected, now.rates)
        require_possible(value, history)
        history.append(value)
        if len(history) > 1 and history[-1] - history[-2] < tol * (1 + abs(value)) * 1e-2:
            converged = True
            break
        now, p = problem.m_step(now, p, expected) if finish else accelerate(now, p, expected)
    if finish:
        now, p, values, converged = _finish(problem, now, p, max_iter, tol)
        history += values
    final = problem.data.log_likelihood(now.rates, now.initial, now.emission)
    return FitResult(now, p, final, history, converged)


def require_possible(value: float, history: list[float]) -> None:
    """Refuse data that are impossible where a search starts.

    Raises:
        InputError: if the first objective is not finite.
    """
    if not history and not np.isfinite(value):
        raise InputError(
            "the data have probability 0 in the model at its start: a transition that was seen is "
            "ruled out by links, by zeros in label_noise or by an absorbing state"
        )


@dataclass
class Accelerator:
    """Squared extrapolation of EM in log-parameters; a step that loses is not taken.

    References:
        Varadhan and Roland, Simple and globally convergent methods for accelerating the convergence
        of any EM algorithm, Scand. J. Stat. 2008.
    """

    problem: Problem

    def __call__(
        self, now: Parameters, p: Array, expected: Expectation
    ) -> tuple[Parameters, Array]:
        """Two EM steps and the extrapolation through them."""
        free = isinstance(self.problem.rate_map, LogLinear) and self.problem.rate_map.design is None
        once, p1 = self.problem.m_step(now, p, expected)
        middle = self.problem.data.expectation(once.rates, once.initial, once.emission)
        twice, p2 = self.problem.m_step(once, p1, middle)
        if not free:
            return twice, p2
        x0, x1, x2 = (_pack(v, q) for v, q in ((now, p), (once, p1), (twice, p2)))
        step, bend = x1 - x0, (x2 - x1) - (x1 - x0)
        if not np.abs(bend).max() > 0:
            return twice, p2
        length = max(1.0, min(float(np.linalg.norm(step) / np.linalg.norm(bend)), 30.0))
        far, q = _unpack(x0 + 2 * length * step + length**2 * bend, twice, self.problem.rate_map)
        value = self.problem.data.expectation(far.rates, far.initial, far.emission)
        new, q_new = self.problem.m_step(far, q, value)
        bar = self.problem.objective(middle, once.rates)
        return (new, q_new) if self.problem.objective(value, far.rates) > bar else (twice, p2)


def _pack(v: Parameters, p: Array) -> Array:
    parts = [p, np.log(np.maximum(v.initial, 1e-12))]
    emission = v.emission
    if emission.learn_error and emission.error is not None:
        parts.append(np.array([np.log(emission.error) - np.log1p(-emission.error)]))
    if emission.learn_labels and emission.labels is not None:
        parts.append(np.log(np.maximum(emission.labels, 1e-300)).ravel())
    if emission.gaussian is not None and emission.gaussian.learn:
        seen = ~np.isnan(emission.gaussian.means)
        parts += [emission.gaussian.means[seen], np.log(emission.gaussian.stds[seen])]
    return np.concatenate(parts)


def _unpack(x: Array, like: Parameters, rate_map: RateMap) -> tuple[Parameters, Array]:
    n = len(like.initial)
    size = int(rate_map.links.sum())
    p, x = x[:size], x[size:]
    if isinstance(rate_map, LogLinear):
        p = np.clip(p, rate_map.low, rate_map.high)
    initial = np.where(like.initial > 0, np.exp(np.clip(x[:n], -30, 1)), 0.0)
    x = x[n:]
    emission = like.emission
    if emission.learn_error:
        emission = replace(emission, error=float(np.clip(_logistic(x[0]), 1e-12, 0.999)))
        x = x[1:]
    if emission.learn_labels and emission.labels is not None:
        table = np.where(emission.labels > 0, np.exp(np.clip(x[: n * n], -200, 1)).reshape(n, n), 0)
        emission = replace(emission, labels=table / table.sum(axis=1, keepdims=True))
        x = x[n * n :]
    if emission.gaussian is not None and emission.gaussian.learn:
        seen = ~np.isnan(emission.gaussian.means)
        means, stds = emission.gaussian.means.copy(), emission.gaussian.stds.copy()
        means[seen], stds[seen] = x[: seen.sum()], np.exp(x[seen.sum() :])
        emission = replace(emission, gaussian=replace(emission.gaussian, means=means, stds=stds))
    return Parameters(rate_map.rates(p), initial / initial.sum(), emission), p


def _logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -40, 40))))


def _finish(
    problem: Problem, now: Parameters, p: Array, max_iter: int, tol: float
) -> tuple[Parameters, Array, list[float], bool]:
    """Quasi-Newton search over rates, the error probability and the initial law together."""
    hidden = problem.data.expectation(now.rates, now.initial, now.emission)
    searched = hidden.labels is not None and problem.learn_initial
    pull = problem.rate_map.pull(p, np.abs(hidden.jumps[0]) / np.maximum(now.rates, 1e-300))
    widths = 1 / np.sqrt(np.maximum(np.abs(pull), 1.0))
    tail = [] if not now.emission.learn_error else [_logit(now.emission.error or 1e-3)]
    logits = np.log(np.maximum(now.initial, 1e-6)) if searched else np.zeros(0)
    start = np.concatenate([p, tail, logits])
    scale = np.concatenate([widths, np.full(len(start) - len(p), 0.1)])
    values: list[float] = []

    def place(x: Array) -> Parameters:
        emission, initial = now.emission, now.initial
        if tail:
            emission = replace(emission, error=_logistic(x[len(p)]))
        if searched:
            z = np.exp(x[len(p) + len(tail) :] - x[len(p) + len(tail) :].max())
            initial = z / z.sum()
        return Parameters(problem.rate_map.rates(x[: len(p)]), initial, emission)

    def cost(x: Array) -> tuple[float, Array]:
        at = place(x)
        expected = problem.data.expectation(at.rates, at.initial, at.emission)
        gradient = [problem.rate_map.pull(x[: len(p)], problem.slope(expected, at.rates))]
        if tail and expected.labels is not None:
            wrong = float(expected.labels.sum() - np.trace(expected.labels))
            gradient.append(np.array([wrong - (at.emission.error or 0) * expected.labels.sum()]))
        if searched:
            gradient.append(expected.first - expected.first.sum() * at.initial)
        value = problem.objective(expected, at.rates)
        values.append(value)
        return -value, -np.concatenate(gradient)

    bounds = None
    if isinstance(problem.rate_map, LogLinear) and problem.rate_map.design is None:
        bounds = list(zip(problem.rate_map.low.tolist(), problem.rate_map.high.tolist()))
        bounds += [(-30.0, 30.0)] * (len(start) - len(p))
    result = _quasi_newton(cost, start, scale, max_iter, tol, bounds)
    best = place(result.x)
    if not searched and problem.learn_initial:
        best = replace(best, initial=hidden.first / hidden.first.sum())
    return best, result.x[: len(p)], values, bool(result.success)


def _quasi_newton(
    cost: Callable[[Array], tuple[float, Array]],
    start: Array,
    scale: Array,
    max_iter: int,
    tol: float,
    bounds: list[tuple[float, float]] | None = None,
) -> Any:
    """L-BFGS in scaled variables; points out of the domain count as very bad."""
    worst = [abs(cost(start)[0]) * 10 + 1e3]

    def scaled(z: Array) -> tuple[float, Array]:
        try:
            value, gradient = cost(z * scale)
        except InputError:
            return worst[0], np.zeros(len(z))
        if not np.isfinite(value):
            return worst[0], np.zeros(len(z))
        return value, gradient * scale

    box = None if bounds is None else [(a / s, b / s) for (a, b), s in zip(bounds, scale)]
    options = {"maxiter": max_iter, "ftol": tol * 1e-4, "gtol": 1e-7, "maxcor": 30}
    result = minimize(
        scaled, start / scale, jac=True, method="L-BFGS-B", bounds=box, options=options
    )
    result.x = result.x * scale
    return result


def _logit(x: float) -> float:
    return float(np.log(x) - np.log1p(-x))


def counting_rates(
    pairs: Transitions, n_states: int, links: Array | None = None
) -> tuple[Array, float]:
    """A first guess, (observed changes + 1/2) / (dwell + S/2 of the smallest gap), and 1 / tau.

    The time between two observations is attributed half to each of the states seen; tau is the
    total time over one plus the number of changes. States never seen get the typical rate.
    """
    changes = np.bincount(pairs.start * n_states + pairs.end, minlength=n_states**2).astype(float)
    changes = changes.reshape(n_states, n_states)
    np.fill_diagonal(changes, 0.0)
    half = pairs.gap / 2
    dwell = np.bincount(pairs.start, half, minlength=n_states)
    dwell += np.bincount(pairs.end, half, minlength=n_states)
    total = float(dwell.sum())
    if not len(pairs.gap) or total <= 0:
        return with_diagonal(np.ones((n_states, n_states))), 1.0
    scale = (changes.sum() + 1) / total
    rates = (changes + 0.5) / (dwell + 0.5 * n_states * pairs.gap.min())[:, None]
    rates[dwell == 0] = scale / max(n_states - 1, 1)
    if links is not None:
        rates = np.where(links, rates, 0.0)
    return with_diagonal(rates), scale
