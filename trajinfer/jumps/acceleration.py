"""Squared extrapolation of EM."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear, RateMap
from trajinfer.markov.emission import logistic, logit
from trajinfer.markov.likelihood import Expectation
from trajinfer.markov.parameters import Parameters


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
        once, p1 = self.problem.m_step(now, p, expected)
        middle = self.problem.data.expectation(once)
        twice, p2 = self.problem.m_step(once, p1, middle)
        if not self.problem.rate_map.free:
            return twice, p2
        x0, x1, x2 = (_pack(v, q) for v, q in ((now, p), (once, p1), (twice, p2)))
        step, bend = x1 - x0, (x2 - x1) - (x1 - x0)
        if not np.abs(bend).max() > 0:
            return twice, p2
        length = max(1.0, min(float(np.linalg.norm(step) / np.linalg.norm(bend)), 30.0))
        far, q = _unpack(x0 + 2 * length * step + length**2 * bend, twice, self.problem.rate_map)
        value = self.problem.data.expectation(far)
        new, q_new = self.problem.m_step(far, q, value)
        bar = self.problem.objective(middle, once.rates)
        return (new, q_new) if self.problem.objective(value, far.rates) > bar else (twice, p2)


def _pack(v: Parameters, p: Array) -> Array:
    parts = [p, np.log(np.maximum(v.initial, 1e-12))]
    emission = v.emission
    if emission.learn_error and emission.error is not None:
        parts.append(np.array([logit(emission.error)]))
    if emission.learn_labels and emission.labels is not None:
        parts.append(np.log(np.maximum(emission.labels, 1e-300)).ravel())
    if emission.gaussian is not None and emission.gaussian.learn:
        sends = ~np.isnan(emission.gaussian.means)
        parts += [emission.gaussian.means[sends], np.log(emission.gaussian.stds[sends])]
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
        emission = replace(emission, error=float(np.clip(logistic(x[0]), 1e-12, 0.999)))
        x = x[1:]
    if emission.learn_labels and emission.labels is not None:
        old = emission.labels
        shares = np.exp(np.clip(x[: old.size], -200, 1)).reshape(old.shape)
        table = np.where(old > 0, shares, 0)
        emission = replace(emission, labels=table / table.sum(axis=1, keepdims=True))
        x = x[old.size :]
    if emission.gaussian is not None and emission.gaussian.learn:
        sends = ~np.isnan(emission.gaussian.means)
        means, stds = emission.gaussian.means.copy(), emission.gaussian.stds.copy()
        means[sends], stds[sends] = x[: sends.sum()], np.exp(x[sends.sum() :])
        emission = replace(emission, gaussian=replace(emission.gaussian, means=means, stds=stds))
    return Parameters(rate_map.rates(p), initial / initial.sum(), emission), p
