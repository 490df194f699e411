"""Posterior draws of the rates: Hamiltonian Monte Carlo on the exact likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.jumps.fit import FitResult, Search
from trajinfer.jumps.information import information
from trajinfer.jumps.problem import Problem
from trajinfer.markov.emission import logistic, logit
from trajinfer.markov.likelihood import Expectation
from trajinfer.markov.parameters import GammaPrior, Parameters

_ERROR_PRIOR = (0.5, 20.0)
_MIXED, _ENOUGH = 1.015, 300.0
_PLACE_OF_CHAINS = ("x", "values", "gradients", "length", "chances", "generators")
N_CHAINS = 4
_FARTHEST = 40.0  # of a log-rate from the mode


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
    n_draws: int = 125,
    n_blocks: int = 4,
    n_warmup: int = 60,
    n_chains: int = N_CHAINS,
    n_leaps: int = 3,
) -> tuple[FitResult, Draws]:
    r"""Draw from the posterior of the log-rates (and of the logit of the label error).

    Rates have the Gamma prior of `problem`; the error has a Beta(1/2, 20) prior where it is
    learned; the initial law is held at its estimate. Leaps are taken in coordinates whitened by the
    curvature at the mode, their length is tuned in the warm-up, and chains start at draws from the
    Gaussian approximation. Blocks of `n_draws` draws per chain follow until R-hat is below 1.015
    and every log-rate has 300 effective draws, `n_blocks` at most.

    Returns:
        The fit at the mode of the log-rates, and the draws of all chains.
    """
    prior = problem.prior
    if prior is None:
        raise ValueError("a prior is needed")
    mode = replace(problem, prior=GammaPrior(prior.shape + 1, prior.rate))
    top = Search(max_iter=200, tol=1e-8).best_of(mode, starts)
    whitening = _whitening(mode, top)
    target = CubeRoots(Target(mode.quick(), top))
    order = _canonical_order(problem, starts[0])
    generators = [np.random.default_rng(s) for s in spawn(seed, n_chains)]
    chains = _Chains(target, whitening, order, generators, n_leaps)
    chains.kept("warm-up", chains.warm_up, n_warmup)
    links = mode.rate_map.links
    size = len(top.p)
    r_hat, ess = np.full(links.shape, np.nan), np.full(links.shape, np.nan)
    blocks: list[Array] = []
    for _ in range(n_blocks):
        blocks.append(chains.kept("block of draws", chains.draw, n_draws))
        draws = target.logs(np.concatenate(blocks, axis=1))
        r_hat[links] = split_r_hat(draws[:, :, :size])
        ess[links] = effective_size(draws[:, :, :size])
        if r_hat[links].max(initial=1.0) < _MIXED and ess[links].min(initial=np.inf) > _ENOUGH:
            break
    rates = np.stack([mode.rate_map.rates(p) for p in draws[:, :, :size].reshape(-1, size)])
    error = np.full(len(rates), top.parameters.emission.error or 0.0)
    if top.parameters.emission.learn_error:
        error = 1 / (1 + np.exp(-draws[:, :, -1].ravel()))
    return top, Draws(rates, error, r_hat, ess, chains.acceptance)


class Target:
    """Log posterior density of x = (log-rates, logit of the error) and its gradient."""

    def __init__(self, problem: Problem, top: FitResult) -> None:
        self.problem, self.now = problem, top.parameters
        self.learned = top.parameters.emission.learn_error
        tail = [logit(max(top.parameters.emission.error or 0.0, 1e-3))] if self.learned else []
        self.mode = np.concatenate([top.p, tail])

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Values (C,) and gradients (C, P) at C points x (C, P); -inf far from the mode."""
        size = len(self.mode) - int(self.learned)
        values, gradients = np.full(len(x), -np.inf), np.zeros(x.shape)
        far = np.abs(x[:, :size] - self.mode[:size]).max(axis=1, initial=0.0) > _FARTHEST
        near = np.flatnonzero(~far & np.isfinite(x).all(axis=1))
        if len(near):
            points = [self._parameters(x[c]) for c in near]
            for c, point, expected in zip(near, points, self.problem.data.expectations(points)):
                values[c], gradients[c] = self._density(x[c], point, expected)
        return values, gradients

    def _parameters(self, x: Array) -> Parameters:
        emission, p = self.now.emission, x
        if self.learned:
            emission, p = replace(emission, error=logistic(min(x[-1], 5.0))), x[:-1]
        return replace(self.now, rates=self.problem.rate_map.rates(p), emission=emission)

    def _density(self, x: Array, there: Parameters, expected: Expectation) -> tuple[float, Array]:
        p = x[:-1] if self.learned else x
        value = self.problem.objective(expected, there.rates)
        gradient = self.problem.gradient(expected, p, there.rates)
        error = there.emission.error
        if self.learned and expected.labels is not None and error is not None:
            a, b = _ERROR_PRIOR
            wrong = float(expected.labels.sum() - np.trace(expected.labels))
            slope = wrong + a - error * (float(expected.labels.sum()) + a + b)
            value += a * np.log(error) + b * np.log1p(-error)
            gradient = np.append(gradient, slope)
        return value, gradient


class CubeRoots:
    r"""The same density in $u = 3 e^{(p - m) / 3}$, where p are the log-rates and m their mode.

    Cube roots of Gamma variates are nearly normal, while their logarithms have a long tail to the
    left; near the mode u moves as p does. The density is the same at u and -u.

    References:
        Wilson and Hilferty, The distribution of chi-square, PNAS 1931.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.size = target, len(target.mode) - int(target.learned)
        self.mode = target.mode.copy()
        self.mode[: self.size] = 3.0

    def logs(self, x: Array) -> Array:
        """Log-rates (..., P), and the logit of the error, of points (..., P)."""
        out = x.copy()
        with np.errstate(divide="ignore"):
            moved = 3 * np.log(np.abs(x[..., : self.size]) / 3)
        out[..., : self.size] = self.target.mode[: self.size] + moved
        return out

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Values (C,) and gradients (C, P) at C points x (C, P)."""
        values, gradients = self.target(self.logs(x))
        u = np.where(x[:, : self.size] == 0, 1.0, x[:, : self.size])
        gradients[:, : self.size] = (3 * gradients[:, : self.size] - 1) / u
        return values - np.log(np.abs(u)).sum(axis=1), gradients


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


class _Chains:
    """Hamiltonian chains that leap side by side, each with its own generator."""

    def __init__(
        self,
        target: CubeRoots,
        whitening: Array,
        order: Array,
        generators: list[np.random.Generator],
        n_leaps: int,
    ) -> None:
        self.target, self.whitening = target, whitening
        self.generators, self.n_leaps = generators, n_leaps
        size = len(target.mode)
        self.place = np.append(order, size - 1)[:size]
        self.x = target.mode + self._normal() @ whitening.T * 0.7
        self.values, self.gradients = target(self.x)
        self.length = np.full(len(generators), 0.7)
        self.chances: list[float] = []

    @property
    def acceptance(self) -> float:
        """Mean probability of acceptance after the warm-up."""
        return float(np.mean(self.chances))

    def _normal(self) -> Array:
        size = len(self.place)
        return np.stack([g.standard_normal(size)[self.place] for g in self.generators])

    def kept(self, kind: str, move: Callable[[int], Array], n: int) -> Array:
        """What a move of n steps draws; the chains stand behind it, made now or before."""

        def moved() -> tuple[Array, dict[str, Any]]:
            return move(n), {name: getattr(self, name) for name in _PLACE_OF_CHAINS}

        draws, place = once(kind, moved)
        vars(self).update(place)
        return draws

    def warm_up(self, n: int) -> Array:
        """Steps that tune the length of the leaps; the lengths (C,)."""
        for k in range(n):
            self.length *= np.exp(0.3 * (self._step() - 0.8) / np.sqrt(1 + k / 10))
        return self.length

    def draw(self, n: int) -> Array:
        """(C, n, P) the next points."""
        draws = np.empty((len(self.x), n, self.x.shape[1]))
        for k in range(n):
            self.chances.append(float(self._step().mean()))
            draws[:, k] = self.x
        return draws

    def _step(self) -> Array:
        """One proposal per chain; the probabilities (C,) that they are accepted."""
        momentum = self._normal()
        step = self.length * [g.uniform(0.7, 1.2) for g in self.generators]
        y, v, goals, slopes = self.x, momentum, self.values, self.gradients
        for _ in range(self.n_leaps):
            v = v + step[:, None] / 2 * (slopes @ self.whitening)
            y = y + step[:, None] * (v @ self.whitening.T)
            goals, slopes = self.target(y)
            v = v + step[:, None] / 2 * (slopes @ self.whitening)
        gain = goals - self.values + ((momentum**2).sum(axis=1) - (v**2).sum(axis=1)) / 2
        chance = np.where(np.isfinite(gain), np.exp(np.minimum(0.0, gain)), 0.0)
        taken = np.array([g.random() for g in self.generators]) < chance
        self.x = np.where(taken[:, None], y, self.x)
        self.gradients = np.where(taken[:, None], slopes, self.gradients)
        self.values = np.where(taken, goals, self.values)
        return chance


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
