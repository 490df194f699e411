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


@packable
@dataclass(frozen=True, eq=False)
class RateDraws:
    """The law of a rate matrix.

    Rates with a standard error are log-normal, with the correlations of the log-rates. Of rates
    with less than one expected jump only a limit is known, one jump in the time spent in the state
    for all of them together; they are drawn log-uniformly over six decades below it. Those from one
    group of states to another, between which no jump was observed, go up and down together, so
    that the weights of the groups may be anything. Other rates stay.

    Attributes:
        rates: (S, S) the estimate.
        links: (S, S) bool.
        deviations: (S, S) standard errors, NaN where there is none.
        root: (L, L) square root of the correlations of the log-rates of the links.
        limits: (S, S) upper limits of rates of which nothing else is known; NaN elsewhere.
        group: (S,) number of the group of each state.
    """

    rates: Array
    links: Array
    deviations: Array
    root: Array
    limits: Array
    group: Array

    @classmethod
    def of(
        cls,
        rates: Array,
        links: Array,
        deviations: Array,
        covariance: Array | None,
        weak: Array,
        dwell: Array,
    ) -> Self:
        """The law.

        Args:
            rates, links, deviations: as the attributes.
            covariance: (L, L) of the log-rates, NaN where it is not known; None for independence.
            weak: (S, S) bool, rates of which an upper limit is all that is known.
            dwell: (S,) expected time in each state, which gives that limit.
        """
        moving = links & (rates > 0) & np.isfinite(deviations) & ~weak
        size = int(links.sum())
        root = np.eye(size) if covariance is None else _correlation_root(covariance, moving[links])
        with np.errstate(divide="ignore"):
            ends = np.repeat(1 / (dwell * np.maximum(weak.sum(axis=1), 1))[:, None], len(dwell), 1)
        limits = np.where(weak & np.isfinite(ends), ends, np.nan)
        connected = np.where(links & ~weak, rates, 0.0)
        return cls(
            rates, links, np.where(moving, deviations, np.nan), root, limits, groups_of(connected)
        )

    def sample(self, n: int, generator: np.random.Generator) -> Array:
        """(n, S, S) rate matrices."""
        moving = np.isfinite(self.deviations)
        ratio = np.where(moving, self.deviations, 0.0) / np.where(moving, self.rates, 1.0)
        spread = np.sqrt(np.log1p(ratio[self.links] ** 2))
        noise = generator.standard_normal((n, len(spread))) @ self.root.T
        draws = np.zeros((n, *self.rates.shape))
        draws[:, self.links] = self.rates[self.links] * np.exp(noise * spread - spread**2 / 2)
        open_ended = np.isfinite(self.limits)
        if open_ended.any():
            count = int(self.group.max()) + 1
            shared = generator.uniform(-_DECADES, 0.0, (n, count, count))
            own = generator.uniform(-_DECADES, 0.0, (n, *self.rates.shape))
            apart = self.group[:, None] != self.group[None, :]
            power = np.where(apart, shared[:, self.group][:, :, self.group], own)
            values = np.nan_to_num(self.limits) * 10.0**power
            draws = np.where(open_ended, values, draws)
        return with_diagonal(draws)


def _correlation_root(covariance: Array, moving: Array) -> Array:
    """A square root of the correlations; rates that are not known or not moving have none."""
    variance = np.diag(covariance)
    joint = moving & (variance > 0)
    scale = np.sqrt(np.where(joint, variance, 1.0))
    both = joint[:, None] & joint[None, :]
    correlation = np.where(both, covariance / np.outer(scale, scale), np.eye(len(scale)))
    values, vectors = np.linalg.eigh(correlation)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
