"""Curvature of the log-likelihood at its maximum, and what follows for the log-rates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.jumps.fit import FitResult
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import ThetaMap
from trajinfer.markov.emission import logistic, logit

_STEP = 1e-4


@dataclass(frozen=True, eq=False)
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


def information(
    problem: Problem, result: FitResult, fixed: Array, flat: Array | None = None
) -> Information:
    """Observed information by central differences of the exact gradient.

    Args:
        problem: data and rate map; its prior is left out.
        result: the fit.
        fixed: (P,) bool, parameters at a boundary, which are held there.
        flat: (P,) bool, parameters whose sum is held, as the likelihood hardly depends on it.
    """
    emission = result.parameters.emission
    learned = emission.learn_error
    plain = replace(problem, prior=None)

    def gradient(p: Array, error_logit: float) -> Array:
        now = replace(result.parameters, rates=plain.rate_map.rates(p))
        if learned:
            now = replace(now, emission=replace(now.emission, error=logistic(error_logit)))
        expected = plain.data.expectation(now)
        out = plain.gradient(expected, p, now.rates)
        if learned and expected.labels is not None:
            total = float(expected.labels.sum())
            wrong = total - float(np.trace(expected.labels))
            out = np.append(out, wrong - (now.emission.error or 0.0) * total)
        return out

    place = logit(emission.error) if learned and emission.error is not None else 0.0
    free = np.flatnonzero(~fixed)
    size = len(free) + int(learned)
    hessian = np.empty((size, size))
    rows = np.append(free, len(fixed)) if learned else free
    width = _STEP * 10 if isinstance(problem.rate_map, ThetaMap) else _STEP
    for k, row in enumerate(rows):
        up, down = result.p.copy(), result.p.copy()
        shift = 0.0
        if row < len(fixed):
            up[row] += width
            down[row] -= width
        else:
            shift = width
        slope = (gradient(up, place + shift) - gradient(down, place - shift)) / (2 * width)
        hessian[k] = -slope[rows]
    together = np.zeros(size, dtype=bool)
    if flat is not None:
        together[: len(free)] = flat[free]
    inverse = _inverse_with_held_sum((hessian + hessian.T) / 2, together)
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
    if not len(matrix):
        return matrix
    scale = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    flat = values <= 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    inverse = (vectors[:, ~flat] / values[~flat]) @ vectors[:, ~flat].T / np.outer(scale, scale)
    lost = (vectors[:, flat] ** 2).sum(axis=1) > 1e-3
    inverse[lost, :] = np.nan
    inverse[:, lost] = np.nan
    return np.asarray(inverse)


def _inverse_with_held_sum(matrix: Array, together: Array) -> Array:
    """Inverse on the directions that keep the sum of the chosen parameters."""
    members = np.flatnonzero(together)
    if not len(members):
        return _inverse(matrix)
    normal = together / np.sqrt(len(members))
    contrasts = np.linalg.svd(normal[members][None])[2][1:]
    basis = np.zeros((len(matrix), len(matrix) - 1))
    others = np.flatnonzero(~together)
    basis[others, np.arange(len(others))] = 1.0
    basis[members[:, None], len(others) + np.arange(len(contrasts))] = contrasts.T
    inner = _inverse(basis.T @ matrix @ basis)
    lost = (np.abs(basis[:, np.isnan(np.diag(inner))]) > 1e-12).any(axis=1)
    inverse = basis @ np.nan_to_num(inner) @ basis.T
    if len(members) == 1:
        lost |= together
    inverse[lost, :] = np.nan
    inverse[:, lost] = np.nan
    return np.asarray(inverse)


def log_rate_covariance(problem: Problem, p: Array, covariance: Array) -> Array:
    """(L, L) covariance of the log-rates of the L links, by the delta method; NaN if not known."""
    jacobian = problem.rate_map.log_jacobian(p)
    known = ~np.isnan(np.diag(covariance))
    lost = (np.abs(jacobian[:, ~known]) > 1e-12).any(axis=1)
    part = jacobian[:, known]
    out = part @ covariance[np.ix_(known, known)] @ part.T
    out[lost, :] = np.nan
    out[:, lost] = np.nan
    return np.asarray(out)
