"""Posterior draws of the rates: Hamiltonian Monte Carlo on the exact likelihood."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.jumps.fit import FitResult, Search
from trajinfer.jumps.information import information
from trajinfer.jumps.problem import Problem
from trajinfer.markov.emission import logistic, logit
from trajinfer.markov.parameters import GammaPrior, Parameters

_ERROR_PRIOR = (0.5, 20.0)


@dataclass(frozen=True)
class Draws:
    """Posterior draws.

    Attributes:
        rates: (n, S, S).
        error: (n,) label error.
        r_hat: (S, S) split R-hat of the log-rates; near 1 where chains agree.
        ess: (S, S) effective number of draws.
        acceptance: mean probability of acceptance.
    """

    rates: Array
    error: Array
    r_hat: Array
    ess: Array
    acceptance: float


def sample_posterior(
    problem: Problem,
    starts: list[Parameters],
    seed: int,
    *,
    n_draws: int = 250,
    n_warmup: int = 60,
    n_chains: int = 4,
    n_leaps: int = 3,
) -> tuple[FitResult, Draws]:
    r"""Draw from the posterior of the log-rates (and of the logit of the label error).

    Rates have the Gamma prior of `problem`; the error has a Beta(1/2, 20) prior where it is
    learned; the initial law is held at its estimate. Leaps are taken in coordinates whitened by the
    curvature at the mode, their length is tuned in the warm-up, and chains start at draws from the
    Gaussian approximation.

    Returns:
        The fit at the mode of the log-rates, and the draws of all chains.
    """
    prior = problem.prior
    if prior is None:
        raise ValueError("a prior is needed")
    mode = replace(problem, prior=GammaPrior(prior.shape + 1, prior.rate))
    top = Search(max_iter=200, tol=1e-8).best_of(mode, starts)
    whitening = _whitening(mode, top)
    target = _Target(replace(mode, data=mode.data.quick()), top)
    order = _canonical_order(problem, starts[0])
    chains = [
        _chain(target, whitening, order, np.random.default_rng(s), n_draws, n_warmup, n_leaps)
        for s in spawn(seed, n_chains)
    ]
    draws = np.stack([c for c, _ in chains])
    links = mode.rate_map.links
    size = len(top.p)
    rates = np.stack([mode.rate_map.rates(p) for p in draws[:, :, :size].reshape(-1, size)])
    logs = np.log(np.maximum(rates[:, links], 1e-300)).reshape(*draws.shape[:2], -1)
    r_hat, ess = np.full(links.shape, np.nan), np.full(links.shape, np.nan)
    r_hat[links], ess[links] = split_r_hat(logs), effective_size(logs)
    error = np.full(len(rates), top.parameters.emission.error or 0.0)
    if top.parameters.emission.learn_error:
        error = 1 / (1 + np.exp(-draws[:, :, -1].ravel()))
    return top, Draws(rates, error, r_hat, ess, float(np.mean([a for _, a in chains])))


class _Target:
    """Log posterior density of x = (log-rates, logit of the error) and its gradient."""

    def __init__(self, problem: Problem, top: FitResult) -> None:
        self.problem, self.now = problem, top.parameters
        self.learned = top.parameters.emission.learn_error
        tail = [logit(max(top.parameters.emission.error or 0.0, 1e-3))] if self.learned else []
        self.mode = np.concatenate([top.p, tail])

    def __call__(self, x: Array) -> tuple[float, Array]:
        p = x[:-1] if self.learned else x
        if np.abs(p - self.mode[: len(p)]).max() > 40:
            return -np.inf, np.zeros(len(x))
        emission = self.now.emission
        if self.learned:
            emission = replace(emission, error=logistic(min(x[-1], 5.0)))
        rates = self.problem.rate_map.rates(p)
        there = replace(self.now, rates=rates, emission=emission)
        expected = self.problem.data.expectation(there)
        value = self.problem.objective(expected, rates)
        gradient = self.problem.gradient(expected, p, rates)
        if self.learned and expected.labels is not None and emission.error is not None:
            a, b = _ERROR_PRIOR
            wrong = float(expected.labels.sum() - np.trace(expected.labels))
            slope = wrong + a - emission.error * (float(expected.labels.sum()) + a + b)
            value += a * np.log(emission.error) + b * np.log1p(-emission.error)
            gradient = np.append(gradient, slope)
        return value, gradient


def _whitening(problem: Problem, top: FitResult) -> Array:
    """(P, P) matrix that maps standard normal draws to the Gaussian approximation."""
    known = information(problem, top, np.zeros(len(top.p), dtype=bool))
    prior = problem.prior
    curvature = np.zeros(len(top.p))
    if prior is not None:
        curvature = (prior.rate * problem.rate_map.rates(top.p))[problem.rate_map.links]
    usable = np.nan_to_num(known.covariance, nan=0.0)
    variance = np.diag(usable)
    usable[np.diag_indices_from(usable)] = np.where(variance > 0, variance, 1e4)
    precision = np.linalg.inv(usable) + np.diag(curvature)
    values, vectors = np.linalg.eigh((precision + precision.T) / 2)
    root = (vectors / np.sqrt(np.clip(values, 0.1, None))) @ vectors.T
    if not top.parameters.emission.learn_error:
        return np.asarray(root)
    out = np.zeros((len(root) + 1, len(root) + 1))
    out[:-1, :-1] = root
    deviation = known.error_deviation
    out[-1, -1] = 1.5 if deviation is None or not np.isfinite(deviation) else min(deviation, 1.5)
    return out


def _canonical_order(problem: Problem, start: Parameters) -> Array:
    """Which random number goes to which link, so that relabelled states see the same ones."""
    rank = np.argsort(np.argsort(np.diag(start.rates), kind="stable"), kind="stable")
    links = np.argwhere(problem.rate_map.links)
    key = rank[links[:, 0]] * len(rank) + rank[links[:, 1]]
    return np.argsort(np.argsort(key))


def _chain(
    target: _Target,
    whitening: Array,
    order: Array,
    generator: np.random.Generator,
    n_draws: int,
    n_warmup: int,
    n_leaps: int,
) -> tuple[Array, float]:
    size = len(target.mode)
    place = np.append(order, size - 1)[:size]
    x = target.mode + whitening @ generator.standard_normal(size)[place] * 0.7
    value, gradient = target(x)
    length, accepted = 0.7, []
    draws = np.empty((n_draws, size))
    for k in range(-n_warmup, n_draws):
        momentum = generator.standard_normal(size)[place]
        step = length * generator.uniform(0.7, 1.2)
        y, v, slope, goal = x, momentum, gradient, value
        for _ in range(n_leaps):
            v = v + step / 2 * (whitening.T @ slope)
            y = y + step * (whitening @ v)
            goal, slope = target(y)
            if not np.isfinite(goal):
                break
            v = v + step / 2 * (whitening.T @ slope)
        gain = goal - value + (momentum @ momentum - v @ v) / 2
        chance = float(np.exp(min(0.0, float(gain)))) if np.isfinite(gain) else 0.0
        if generator.random() < chance:
            x, value, gradient = y, goal, slope
        if k < 0:
            length *= np.exp(0.3 * (chance - 0.8) / np.sqrt(1 + (k + n_warmup) / 10))
        else:
            draws[k] = x
            accepted.append(chance)
    return draws, float(np.mean(accepted))


def split_r_hat(draws: Array) -> Array:
    r"""Split R-hat of draws (chains, n, P): root of pooled over within-chain variance.

    References:
        Gelman et al., Bayesian Data Analysis, 3rd ed., section 11.4.
    """
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    return np.asarray(np.sqrt((half - 1) / half + between / np.maximum(within, 1e-300)))


def effective_size(draws: Array) -> Array:
    """Effective number of draws (chains, n, P), by the initial positive sequence of Geyer."""
    chains, n, _ = draws.shape
    centred = draws - draws.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, 2 * n, axis=1)) ** 2
    covariance = np.fft.irfft(power, axis=1)[:, :n].mean(axis=0) / n
    within = covariance[0] * n / (n - 1)
    between = draws.mean(axis=1).var(axis=0, ddof=1) if chains > 1 else np.zeros_like(within)
    total = np.maximum((n - 1) / n * within + between, 1e-300)
    rho = 1 - (within - covariance) / total
    pairs = rho[: n // 2 * 2].reshape(-1, 2, rho.shape[1]).sum(axis=1)
    positive = np.cumprod(pairs > 0, axis=0)
    time = np.maximum(2 * (np.minimum.accumulate(pairs, axis=0) * positive).sum(axis=0) - 1, 1e-2)
    return np.asarray(np.minimum(chains * n / time, chains * n * 1.5))
