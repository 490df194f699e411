"""How far the data determine the rates: information, intervals, limits, warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from trajinfer._core.checks import Array
from trajinfer.jumps.fit import FitResult, Parameters, Problem, fit
from trajinfer.jumps.hidden import HiddenData
from trajinfer.jumps.likelihood import CountData
from trajinfer.jumps.rate_map import LogLinear

_STEP = 1e-4


class IdentifiabilityWarning(UserWarning):
    """Some rates are hardly determined by the data."""


@dataclass(frozen=True)
class Information:
    """Curvature of the log-likelihood in the free parameters.

    Attributes:
        covariance: (P, P) of the free parameters of the rates; those not determined are NaN.
        error_deviation: standard error of the logit of the label error, None if it is not learned.
        error_correlation: (P,) correlation of that logit with the parameters.
    """

    covariance: Array
    error_deviation: float | None
    error_correlation: Array | None


def information(problem: Problem, found: FitResult, fixed: Array) -> Information:
    """Observed information by central differences of the exact gradient.

    Args:
        problem: data and rate map; its prior is left out.
        found: the fit.
        fixed: (P,) bool, parameters at a boundary, which are held there.
    """
    learned = found.parameters.emission.learn_error
    plain = replace(problem, prior=None)

    def gradient(p: Array, logit: float) -> Array:
        now = found.parameters
        if learned:
            error = float(1 / (1 + np.exp(-logit)))
            now = replace(now, emission=replace(now.emission, error=error))
        rates = plain.rate_map.rates(p)
        expected = plain.data.expectation(rates, now.initial, now.emission)
        out = plain.rate_map.pull(p, plain.slope(expected, rates))
        if learned and expected.labels is not None:
            total = float(expected.labels.sum())
            wrong = total - float(np.trace(expected.labels))
            out = np.append(out, wrong - (now.emission.error or 0.0) * total)
        return out

    error = found.parameters.emission.error if learned else None
    logit = 0.0 if error is None else float(np.log(error) - np.log1p(-error))
    free = np.flatnonzero(~fixed)
    size = len(free) + int(learned)
    hessian = np.empty((size, size))
    rows = np.append(free, len(fixed)) if learned else free
    for k, row in enumerate(rows):
        up, down = found.p.copy(), found.p.copy()
        shift = 0.0
        width = _STEP if isinstance(problem.rate_map, LogLinear) else _STEP * 10
        if row < len(fixed):
            up[row] += width
            down[row] -= width
        else:
            shift = width
        slope = (gradient(up, logit + shift) - gradient(down, logit - shift)) / (2 * width)
        hessian[k] = -slope[rows]
    inverse = _inverse((hessian + hessian.T) / 2)
    covariance = np.full((len(fixed), len(fixed)), np.nan)
    covariance[np.ix_(free, free)] = inverse[: len(free), : len(free)]
    if not learned:
        return Information(covariance, None, None)
    deviation = float(np.sqrt(inverse[-1, -1]))
    correlation = np.zeros(len(fixed))
    correlation[free] = inverse[-1, :-1] / (
        deviation * np.sqrt(np.maximum(np.diag(inverse)[:-1], 1e-300))
    )
    return Information(covariance, deviation, correlation)


def _inverse(matrix: Array) -> Array:
    """Inverse of a positive definite matrix; directions without curvature become NaN."""
    values, vectors = np.linalg.eigh(matrix)
    flat = values <= 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    inverse = (vectors[:, ~flat] / values[~flat]) @ vectors[:, ~flat].T
    lost = (vectors[:, flat] ** 2).sum(axis=1) > 1e-3
    inverse[lost, :] = np.nan
    inverse[:, lost] = np.nan
    return np.asarray(inverse)


def log_rate_covariance(problem: Problem, p: Array, covariance: Array) -> Array:
    """(L, L) covariance of the log-rates of the L links, by the delta method; NaN if not known."""
    links = problem.rate_map.links
    rates = problem.rate_map.rates(p)
    rows = np.argwhere(links)
    jacobian = np.empty((len(rows), len(p)))
    for k, (i, j) in enumerate(rows):
        unit = np.zeros_like(rates)
        unit[i, j] = 1 / max(rates[i, j], 1e-300)
        jacobian[k] = problem.rate_map.pull(p, unit)
    known = ~np.isnan(np.diag(covariance))
    lost = (np.abs(jacobian[:, ~known]) > 1e-12).any(axis=1)
    part = jacobian[:, known]
    out = part @ covariance[np.ix_(known, known)] @ part.T
    out[lost, :] = np.nan
    out[:, lost] = np.nan
    return np.asarray(out)


def profile_limit(
    problem: Problem, found: FitResult, link: tuple[int, int], level: float, *, upper: bool = True
) -> float:
    r"""One end of the profile-likelihood interval of a rate.

    The rate $F_{ab}$ at which $2(\ell_{max} - \max_{others} \ell)$ reaches the quantile of
    $\chi^2_1$ that gives a one-sided limit of probability `level`; inf (or 0 for the lower end) if
    the likelihood does not fall that far.
    """
    if not isinstance(problem.rate_map, LogLinear) or problem.rate_map.design is not None:
        return float("nan")
    place = int(np.flatnonzero((np.argwhere(problem.rate_map.links) == link).all(axis=1))[0])
    drop = float(chi2.ppf(2 * level - 1, 1)) / 2
    plain = replace(problem, prior=None)
    top = fit(plain, found.parameters, max_iter=100, tol=1e-8, finish=True)
    start = float(top.parameters.rates[link])
    state = [top.parameters]

    def excess(log_rate: float) -> float:
        pinned = problem.rate_map.pinned(place, float(np.exp(log_rate)))  # type: ignore[attr-defined]
        there = fit(replace(plain, rate_map=pinned), state[0], max_iter=60, tol=1e-7, finish=True)
        return top.log_likelihood - there.log_likelihood - drop

    sign = 1.0 if upper else -1.0
    scale = float(np.exp(problem.rate_map.high[place])) if upper else start * 1e-8
    far, near = np.log(max(start, 1e-12)), np.log(max(start, 1e-12))
    for _ in range(60):
        near, far = far, far + sign * 0.7
        if (far > np.log(scale)) if upper else (far < np.log(max(scale, 1e-300))):
            return float("inf") if upper else 0.0
        if excess(far) > 0:
            return float(np.exp(brentq(excess, near, far, xtol=1e-3)))
    return float("inf") if upper else 0.0


@dataclass(frozen=True)
class Intervals:
    """Standard errors and interval ends of the rates.

    Attributes:
        deviations: (S, S), NaN where nothing is known.
        lower, upper: (S, S) ends, likewise.
        covariance: (L, L) of the log-rates of the L links in the order of `np.argwhere`, NaN where
            the curvature of the likelihood tells nothing; None if it was not asked.
    """

    deviations: Array
    lower: Array
    upper: Array
    covariance: Array | None = None


def wald_intervals(
    problem: Problem,
    found: FitResult,
    jumps: Array,
    level: float,
    limit: Callable[[tuple[int, int]], float] | None,
) -> Intervals:
    """Intervals on the log scale; links with less than one expected jump get 0 and `limit`."""
    links = problem.rate_map.links
    weak = links & (jumps < 1.0)
    if isinstance(problem.rate_map, LogLinear) and problem.rate_map.design is None:
        held = np.zeros_like(weak)
        held[links] = problem.rate_map.low == problem.rate_map.high
        weak = weak & ~held
    free = isinstance(problem.rate_map, LogLinear) and problem.rate_map.design is None
    fixed = weak[links] if free else np.zeros(len(found.p), dtype=bool)
    covariance = information(problem, found, fixed).covariance
    joint = log_rate_covariance(problem, found.p, covariance)
    log_deviation = np.full(links.shape, np.nan)
    log_deviation[links] = np.sqrt(np.maximum(np.diag(joint), 0.0))
    rates = problem.rate_map.rates(found.p)
    z = float(norm.ppf((1 + level) / 2))
    with np.errstate(over="ignore"):
        lower = rates * np.exp(-z * log_deviation)
        upper = rates * np.exp(z * log_deviation)
    for i, j in np.argwhere(weak) if free else []:
        lower[i, j] = 0.0
        upper[i, j] = np.nan if limit is None else limit((int(i), int(j)))
    return Intervals(np.where(links, rates * log_deviation, np.nan), lower, upper, joint)


def log_normal_draws(
    rates: Array, links: Array, found: Intervals, n: int, generator: np.random.Generator
) -> Array:
    """(n, S, S) off-diagonal rates around `rates`, with their standard errors and correlations.

    Rates whose standard error does not come from the curvature are drawn on their own; those
    without one are kept.
    """
    moving = links & (rates > 0) & np.isfinite(found.deviations)
    ratio = np.where(moving, found.deviations, 0.0)[links] / np.where(moving, rates, 1.0)[links]
    spread = np.sqrt(np.log1p(ratio**2))
    noise = generator.standard_normal((n, len(spread)))
    if found.covariance is not None:
        noise = noise @ _correlation_root(found.covariance, moving[links]).T
    draws = np.zeros((n, *rates.shape))
    draws[:, links] = rates[links] * np.exp(noise * spread - spread**2 / 2)
    return draws


def _correlation_root(covariance: Array, moving: Array) -> Array:
    """A square root of the correlations; rates that are not known or not moving have none."""
    variance = np.diag(covariance)
    joint = moving & (variance > 0)
    scale = np.sqrt(np.where(joint, variance, 1.0))
    both = joint[:, None] & joint[None, :]
    correlation = np.where(both, covariance / np.outer(scale, scale), np.eye(len(scale)))
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def findings(
    data: CountData | HiddenData, now: Parameters, jumps: Array, links: Array
) -> list[str]:
    """What the data cannot tell, in words; empty if nothing was found."""
    notes = []
    exits = -np.diag(now.rates)
    visits = now.initial * data.n_paths + jumps.sum(axis=0)
    if isinstance(data, CountData):
        seen = np.concatenate([data.pairs.first, data.pairs.end])
        visits = np.bincount(seen, minlength=len(links)).astype(float)
    absent = visits < 1e-3
    if absent.any():
        names = np.flatnonzero(absent).tolist()
        notes.append(f"states {names} are never visited; their rates are not determined")
    stuck = (jumps.sum(axis=1) < 1e-3) & ~absent & links.any(axis=1)
    if stuck.any():
        names = np.flatnonzero(stuck).tolist()
        notes.append(f"states {names} are never left; only an upper limit of their rates is known")
    gaps = data.pairs.gap[data.pairs.kind == 0] if isinstance(data, CountData) else data.gaps
    gaps = gaps[gaps > 0]
    turnover = float(np.median(gaps)) * float(exits[~absent].max(initial=0.0)) if len(gaps) else 0.0
    if turnover > 20 or (isinstance(data, CountData) and _forgetful(data)):
        notes.append(
            f"the median gap spans {turnover:.3g} sojourns of the fastest state and what is seen "
            "next hardly depends on what was seen; rates are not identifiable at this observation "
            "interval"
        )
    if now.emission.learn_error and turnover > 1:
        notes.append(
            "label errors and quick returns look alike at gaps this long; give label_noise if it "
            "is known"
        )
    return notes


def _forgetful(data: CountData) -> bool:
    """Whether consecutive labels look independent, by a likelihood-ratio test at level 1e-3."""
    rows = data.pairs.kind == 0
    n = data.n_states
    key = data.pairs.start[rows] * n + data.pairs.end[rows]
    table = np.bincount(key, minlength=n * n).reshape(n, n).astype(float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if table.sum() < 50 or min(table.shape) < 2:
        return False
    product = table.sum(axis=1)[:, None] * table.sum(axis=0) / table.sum()
    ratio = np.where(table > 0, table, 1.0) / np.where(table > 0, product, 1.0)
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return bool(2 * (table * np.log(ratio)).sum() < chi2.ppf(0.999, freedom))
