"""Rates that depend on covariates, as a function of base log-rates and effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.jumps.covariates import CovariateDesign, CovariateEffects
from trajinfer.jumps.rate_map import LogLinear
from trajinfer.markov.rates import with_diagonal

_MOST = 14.0


@dataclass(frozen=True, eq=False)
class CovariateMap:
    """Parameters p: log-rates at mean covariates (L,), then effects per standard deviation (K,).

    An effect may change a rate by a factor of up to e^14 over the values that occur: where no such
    jump was observed under one value of a covariate, the likelihood sends it there.

    Args:
        base: free rates.
        design: covariates of the R regimes.
    """

    base: LogLinear
    design: CovariateDesign

    @property
    def links(self) -> Array:
        """(S, S) bool, the rates that may be positive."""
        return self.base.links

    @property
    def free(self) -> bool:
        """False: rates differ by covariates."""
        return False

    @property
    def separable(self) -> bool:
        """True: the log-rates come first."""
        return True

    @property
    def held(self) -> Array:
        """(L,) bool, links whose rate is not estimated."""
        return self.base.held

    @property
    def n_links(self) -> int:
        """L."""
        return int(self.links.sum())

    def _slopes(self, p: Array) -> Array:
        """(P, L) effects on the log-rates, per standard deviation."""
        owner = self.design.owner
        return np.where(owner >= 0, p[self.n_links :][owner], 0.0)

    def start(self, rates: Array) -> Array:
        """No effects."""
        reference = rates if rates.ndim == 2 else rates.mean(axis=0)
        return np.concatenate([self.base.start(reference), np.zeros(self.design.n_effects)])

    def rates(self, p: Array) -> Array:
        """(R, S, S) rates of the regimes."""
        logs = p[: self.n_links] + self.design.z @ self._slopes(p)
        matrix = np.zeros((len(logs), *self.links.shape))
        matrix[:, self.links] = np.exp(np.clip(logs, -600, 300))
        return with_diagonal(matrix)

    def reference(self, p: Array) -> Array:
        """(S, S) rates at mean covariates."""
        return self.base.rates(p[: self.n_links])

    def log_jacobian(self, p: Array) -> Array:
        """The identity for the log-rates, 0 for the effects."""
        return np.eye(self.n_links, len(p))

    def vjp(self, p: Array, slope: Array) -> Array:
        """Chain rule through exponential and design."""
        by_log = (slope * self.rates(p))[:, self.links]
        return np.concatenate([by_log.sum(axis=0), self._collect(self.design.z.T @ by_log)])

    def sizes(self, p: Array, jumps: Array) -> Array:
        """Expected information: jumps, and jumps times squared covariates."""
        counts = jumps[:, self.links]
        return np.concatenate([counts.sum(axis=0), self._collect((self.design.z**2).T @ counts)])

    def _collect(self, by_slope: Array) -> Array:
        """(K,) sums over the links and covariates of every effect."""
        owner = self.design.owner
        used = owner >= 0
        return np.bincount(owner[used], by_slope[used], minlength=self.design.n_effects)

    def bounds(self, p: Array) -> list[tuple[float, float]] | None:
        """Those of the log-rates, widened, and of the effects."""
        ends = _MOST / self.design.spread
        low, high = self.base.low, self.base.high
        wide = np.where(self.base.held, 0.0, _MOST)
        rates = list(zip((low - wide).tolist(), (high + wide).tolist()))
        return rates + [(-float(end), float(end)) for end in ends]

    def pinned(self, link: int, value: float) -> CovariateMap:
        """The same with the rate of one link at mean covariates held at a value."""
        return replace(self, base=self.base.pinned(link, value))

    def at_bound(self, p: Array) -> Array:
        """(K,) bool, effects that the likelihood sends to infinity."""
        return np.asarray(np.abs(p[self.n_links :]) * self.design.spread > _MOST - 2.5)

    def effects(self, p: Array) -> CovariateEffects:
        """The effects per unit of the covariates."""
        design = self.design
        out = np.zeros((len(design.names), *self.links.shape))
        out[:, self.links] = self._slopes(p) / design.scale[:, None]
        return CovariateEffects(design.names, design.mean, out)
