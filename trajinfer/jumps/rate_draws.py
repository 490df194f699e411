"""Draws of rate matrices from what is known of each rate and of their correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.markov.groups import groups_of
from trajinfer.markov.rates import with_diagonal

_DECADES = 6.0
WEAK = 1.0  # expected jumps below which of a rate only an upper limit is known


@packable
@dataclass(frozen=True, eq=False)
class OpenLinks:
    """Rates of which an upper limit is all that is known.

    They are drawn log-uniformly over six decades below it. Those from one group of states to
    another, between which no jump was observed, go up and down together, so that the weights of the
    groups may be anything.

    Attributes:
        limits: (S, S) upper limits; NaN for other rates.
        group: (S,) number of the group of each state.
    """

    limits: Array
    group: Array

    @classmethod
    def of(cls, links: Array, dwell: Array, group: Array) -> Self:
        """With one jump in the time spent in a state as the limit of all its rates together.

        Args:
            links: (S, S) bool, the rates concerned.
            dwell: (S,) expected time in each state.
            group: (S,).
        """
        with np.errstate(divide="ignore"):
            ends = 1 / (dwell * np.maximum(links.sum(axis=1), 1))[:, None]
        return cls(np.where(links & np.isfinite(ends), ends, np.nan), group)

    def drawn(self, draws: Array, generator: np.random.Generator) -> Array:
        """Draws (n, S, S) of rates with these rates drawn anew; the diagonal is left as it is."""
        open_ended = np.isfinite(self.limits)
        if not open_ended.any():
            return draws
        n, count = len(draws), int(self.group.max()) + 1
        shared = generator.uniform(-_DECADES, 0.0, (n, count, count))
        own = generator.uniform(-_DECADES, 0.0, draws.shape)
        apart = self.group[:, None] != self.group[None, :]
        power = np.where(apart, shared[:, self.group][:, :, self.group], own)
        return np.where(open_ended, np.nan_to_num(self.limits) * 10.0**power, draws)


def between_groups(links: Array, jumps: Array) -> Array:
    """(S, S) bool, links between groups that were seen to move within, and never to mix.

    What a prior says of them is all there is, and would settle the weights of the groups.

    Args:
        links: (S, S) bool.
        jumps: (S, S) expected numbers of jumps.
    """
    seen = jumps >= WEAK
    group = groups_of(np.where(seen, jumps, 0.0))
    moves = np.isin(group, group[seen.any(axis=1)])
    across = group[:, None] != group[None, :]
    return np.asarray(links & ~seen & across & moves[:, None] & moves[None, :])


@packable
@dataclass(frozen=True, eq=False)
class FastLinks:
    """Rates that may go to infinity together, of which the data tell the ratios.

    Attributes:
        links: (S, S) bool.
        low, high: ends of the logarithm of their common factor, which is drawn uniformly.
    """

    links: Array
    low: float
    high: float

    def drawn(self, draws: Array, generator: np.random.Generator) -> Array:
        """Draws (n, S, S) of rates with a common factor for these ones."""
        factor = np.exp(generator.uniform(self.low, self.high, len(draws)))
        return np.where(self.links, draws * factor[:, None, None], draws)


@packable
@dataclass(frozen=True, eq=False)
class RateDraws:
    """The law of a rate matrix.

    Rates with a standard error are log-normal, with the correlations of the log-rates. Rates with
    less than one expected jump are those of `OpenLinks`, those that may go to infinity together
    are `FastLinks`. Other rates stay.

    Attributes:
        rates: (S, S) the estimate.
        links: (S, S) bool.
        deviations: (S, S) standard errors, NaN where there is none.
        root: (L, L) square root of the correlations of the log-rates of the links.
        limits: (S, S) upper limits of rates of which nothing else is known; NaN elsewhere.
        group: (S,) number of the group of each state.
        fast: None where every rate has an upper end.
    """

    rates: Array
    links: Array
    deviations: Array
    root: Array
    limits: Array
    group: Array
    fast: FastLinks | None = None

    @classmethod
    def of(
        cls,
        rates: Array,
        links: Array,
        deviations: Array,
        covariance: Array | None,
        weak: Array,
        dwell: Array,
        fast: FastLinks | None = None,
    ) -> Self:
        """The law.

        Args:
            rates, links, deviations, fast: as the attributes.
            covariance: (L, L) of the log-rates, NaN where it is not known; None for independence.
            weak: (S, S) bool, rates of which an upper limit is all that is known.
            dwell: (S,) expected time in each state, which gives that limit.
        """
        moving = links & (rates > 0) & np.isfinite(deviations) & ~weak
        size = int(links.sum())
        root = np.eye(size) if covariance is None else _correlation_root(covariance, moving[links])
        group = groups_of(np.where(links & ~weak, rates, 0.0))
        limits = OpenLinks.of(weak, dwell, group).limits
        return cls(rates, links, np.where(moving, deviations, np.nan), root, limits, group, fast)

    def sample(self, n: int, generator: np.random.Generator) -> Array:
        """(n, S, S) rate matrices."""
        moving = np.isfinite(self.deviations)
        ratio = np.where(moving, self.deviations, 0.0) / np.where(moving, self.rates, 1.0)
        spread = np.sqrt(np.log1p(ratio[self.links] ** 2))
        noise = generator.standard_normal((n, len(spread))) @ self.root.T
        draws = np.zeros((n, *self.rates.shape))
        draws[:, self.links] = self.rates[self.links] * np.exp(noise * spread - spread**2 / 2)
        if self.fast is not None:
            draws = self.fast.drawn(draws, generator)
        return with_diagonal(OpenLinks(self.limits, self.group).drawn(draws, generator))


def _correlation_root(covariance: Array, moving: Array) -> Array:
    """A square root of the correlations; rates that are not known or not moving have none."""
    variance = np.diag(covariance)
    joint = moving & (variance > 0)
    scale = np.sqrt(np.where(joint, variance, 1.0))
    both = joint[:, None] & joint[None, :]
    correlation = np.where(both, covariance / np.outer(scale, scale), np.eye(len(scale)))
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
