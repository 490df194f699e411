"""Rates as functions of free parameters: a log-rate per link, detailed balance, or a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.markov.rates import with_diagonal

FLOOR, CEILING = 1e-6, 1e3


@dataclass(frozen=True)
class Range:
    """The rates between which a search looks: far outside of what the data can tell.

    Attributes:
        low: a rate with a millionth of a jump in all the time watched.
        high: a rate with a thousand jumps in the shortest gap.
    """

    low: float
    high: float

    @classmethod
    def of(cls, gaps: Array) -> Range:
        """The range for intervals of these lengths."""
        positive = gaps[gaps > 0]
        if not len(positive):
            return cls(FLOOR, CEILING)
        return cls(FLOOR / float(positive.sum()), CEILING / float(positive.min()))


class RateMap(Protocol):
    """Rates as a function of free parameters p."""

    @property
    def links(self) -> Array:
        """(S, S) bool, the rates that may be positive."""
        ...

    @property
    def free(self) -> bool:
        """Whether every link has a log-rate of its own as its parameter."""
        ...

    @property
    def separable(self) -> bool:
        """Whether every link has a log-rate of its own among its parameters, these first."""
        ...

    @property
    def held(self) -> Array:
        """(L,) bool, links whose rate is not estimated."""
        ...

    def start(self, rates: Array) -> Array:
        """Parameters near the given rates."""
        ...

    def rates(self, p: Array) -> Array:
        """(S, S) or (R, S, S) rates; InputError where p is out of its domain."""
        ...

    def vjp(self, p: Array, slope: Array) -> Array:
        """Gradient by p of a function whose derivative by the rates is `slope` (R, S, S)."""
        ...

    def bounds(self, p: Array) -> list[tuple[float, float]] | None:
        """Bounds of the parameters for a search from p; None for none."""
        ...

    def sizes(self, p: Array, jumps: Array) -> Array:
        """(P,) rough information on the parameters in expected jumps (R, S, S)."""
        ...

    def reference(self, p: Array) -> Array:
        """(S, S) the rates that are reported; those at mean covariates where there are any."""
        ...

    def log_jacobian(self, p: Array) -> Array:
        """(L, P) derivative of the logarithms of these rates, link by link, by p."""
        ...


@dataclass(frozen=True)
class LogLinear:
    """Log-rates of the links are a linear function of p, kept between `low` and `high`.

    Free rates have the identity as `design`; detailed balance F_ij = x_ij / pi_i with symmetric x
    is linear in the logarithms of x and pi.
    """

    links: Array
    design: Array | None
    low: Array
    high: Array

    @property
    def free(self) -> bool:
        """Whether every link has a log-rate of its own as its parameter."""
        return self.design is None

    @property
    def separable(self) -> bool:
        """As `free`."""
        return self.free

    @classmethod
    def of_links(cls, links: Array, limits: Range) -> LogLinear:
        """One parameter per link."""
        ends = np.ones(int(links.sum()))
        return cls(links, None, np.log(limits.low) * ends, np.log(limits.high) * ends)

    @classmethod
    def reversible(cls, links: Array, limits: Range) -> LogLinear:
        """Detailed balance.

        Raises:
            InputError: if the links are not symmetric.
        """
        if (links != links.T).any():
            raise InputError("reversible=True needs symmetric links: every jump has its reverse")
        n = len(links)
        start, end = np.nonzero(links)
        upper = np.argwhere(np.triu(links))
        place = {(int(i), int(j)): k for k, (i, j) in enumerate(upper)}
        design = np.zeros((len(start), len(upper) + n))
        for row, (i, j) in enumerate(zip(start.tolist(), end.tolist())):
            design[row, place[min(i, j), max(i, j)]] = 1.0
            design[row, len(upper) + i] = -1.0
        design = np.delete(design, len(upper), axis=1)
        ends = np.ones(len(start))
        return cls(links, design, np.log(limits.low) * ends, np.log(limits.high) * ends)

    def pinned(self, link: int, value: float) -> LogLinear:
        """The same with the rate of one link held at a value."""
        low, high = self.low.copy(), self.high.copy()
        low[link] = high[link] = np.log(value)
        return replace(self, low=low, high=high)

    def holding(self, states: Array, rate: float) -> LogLinear:
        """The same with the rates out of some states, (S,) bool, held at a value."""
        held = states[np.nonzero(self.links)[0]]
        low, high = np.where(held, np.log(rate), self.low), np.where(held, np.log(rate), self.high)
        return self if self.design is not None else replace(self, low=low, high=high)

    @property
    def held(self) -> Array:
        """(L,) bool, links whose rate is not estimated."""
        return np.asarray(self.low == self.high)

    def start(self, rates: Array) -> Array:
        """Log-rates, or their least-squares projection."""
        logs = np.clip(np.log(np.maximum(rates[self.links], 1e-300)), self.low, self.high)
        if self.design is None:
            return np.asarray(logs)
        return np.asarray(np.linalg.lstsq(self.design, logs, rcond=None)[0])

    def rates(self, p: Array) -> Array:
        """Rate matrix of the parameters."""
        logs = p if self.design is None else self.design @ p
        matrix = np.zeros(self.links.shape)
        matrix[self.links] = np.exp(np.clip(logs, self.low - 2, self.high + 2))
        return with_diagonal(matrix)

    def sizes(self, p: Array, jumps: Array) -> Array:
        """Jumps per parameter."""
        return np.abs(self.vjp(p, jumps / np.maximum(self.rates(p), 1e-300)))

    def reference(self, p: Array) -> Array:
        """The rates themselves."""
        return self.rates(p)

    def log_jacobian(self, p: Array) -> Array:
        """The design."""
        return np.eye(int(self.links.sum())) if self.design is None else self.design

    def vjp(self, p: Array, slope: Array) -> Array:
        """Chain rule through the exponential."""
        gradient = (slope.sum(axis=0) * self.rates(p))[self.links]
        return np.asarray(gradient if self.design is None else self.design.T @ gradient)

    def bounds(self, p: Array) -> list[tuple[float, float]] | None:
        """Those of the log-rates."""
        return list(zip(self.low.tolist(), self.high.tolist())) if self.free else None


@dataclass(frozen=True)
class ThetaMap:
    """Rates given by a function of a parameter vector.

    Args:
        function: theta (P,) to rates (S, S); the diagonal is ignored.
        theta: where to start.
        links: rates that are positive at the start.
    """

    function: Callable[[Array], Any]
    theta: Array
    links: Array

    @property
    def free(self) -> bool:
        """False: rates follow from theta."""
        return False

    @property
    def separable(self) -> bool:
        """False as well."""
        return False

    @property
    def held(self) -> Array:
        """(L,) all False."""
        return np.zeros(int(self.links.sum()), dtype=bool)

    @classmethod
    def of(cls, function: Callable[[Array], Any], theta: Array | None, n_states: int) -> ThetaMap:
        """Find the length of theta if no start is given: the smallest that the function takes.

        Raises:
            InputError: if no length up to S^2 gives an (S, S) matrix.
        """
        starts = [theta] if theta is not None else [np.ones(k) for k in range(1, n_states**2 + 1)]
        for start in starts:
            value = _try_rates(function, start, n_states)
            if value is not None:
                return cls(function, start, value > 0)
        raise InputError(
            f"model must map a vector theta to ({n_states}, {n_states}) non-negative rates; give a "
            "valid start as theta0="
        )

    def start(self, rates: Array) -> Array:
        """The given theta."""
        return self.theta

    def rates(self, p: Array) -> Array:
        """Rate matrix at p."""
        value = _try_rates(self.function, p, len(self.links))
        if value is None:
            raise InputError(f"model gives no valid rate matrix at theta = {p.tolist()}")
        return with_diagonal(value)

    def bounds(self, p: Array) -> list[tuple[float, float]] | None:
        """None: theta is not bounded."""
        return None

    def sizes(self, p: Array, jumps: Array) -> Array:
        """Jumps per parameter."""
        return np.abs(self.vjp(p, jumps / np.maximum(self.rates(p), 1e-300)))

    def reference(self, p: Array) -> Array:
        """The rates themselves."""
        return self.rates(p)

    def log_jacobian(self, p: Array) -> Array:
        """By central differences."""
        rates = np.maximum(self.rates(p)[self.links], 1e-300)
        return np.stack([change[self.links] / rates for change in self._changes(p)], axis=1)

    def vjp(self, p: Array, slope: Array) -> Array:
        """Chain rule with central differences of the rates."""
        total = np.where(np.eye(len(self.links), dtype=bool), 0.0, slope.sum(axis=0))
        return np.array([(total * change).sum() for change in self._changes(p)])

    def _changes(self, p: Array) -> list[Array]:
        """(S, S) derivatives of the rates by every parameter."""
        changes = []
        for k in range(len(p)):
            h = 1e-5 * max(1.0, abs(p[k]))
            up, down = p.copy(), p.copy()
            up[k] += h
            down[k] -= h
            changes.append((self.rates(up) - self.rates(down)) / (2 * h))
        return changes


def _try_rates(function: Callable[[Array], Any], theta: Array, n_states: int) -> Array | None:
    try:
        value = function(theta.copy())
    except (IndexError, ValueError, TypeError):
        return None
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    matrix = np.array(value, dtype=np.float64)
    if matrix.shape != (n_states, n_states):
        return None
    np.fill_diagonal(matrix, 0.0)
    return matrix if np.isfinite(matrix).all() and (matrix >= 0).all() else None
