"""Gauss-Legendre panels on the line: cumulative integrals in logarithms, and interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

ORDER = 16


def _reference() -> tuple[Array, Array, Array, Array]:
    """Nodes, weights, cumulative-integration and differentiation matrix on [-1, 1]."""
    nodes, weights = legendre.leggauss(ORDER)
    degrees = np.arange(ORDER)
    to_coefficients = legendre.legvander(nodes, ORDER - 1).T * weights * (degrees[:, None] + 0.5)
    integrals = np.stack(
        [legendre.legval(nodes, legendre.legint(np.eye(ORDER)[k], lbnd=-1)) for k in degrees], 1
    )
    slopes = np.stack(
        [legendre.legval(nodes, legendre.legder(np.eye(ORDER)[k])) for k in degrees], 1
    )
    return nodes, weights, integrals @ to_coefficients, slopes @ to_coefficients


NODES, WEIGHTS, CUMULATIVE, DERIVATIVE = _reference()


@packable
@dataclass(frozen=True, eq=False)
class Panels:
    """Panels between neighbouring edges, with 16 Gauss-Legendre nodes each.

    Attributes:
        edges: (P + 1,) increasing.
    """

    edges: Array

    @property
    def half(self) -> Array:
        """(P,) half widths."""
        return np.diff(self.edges) / 2

    @property
    def nodes(self) -> Array:
        """(P, 16)."""
        return np.asarray(self.edges[:-1, None] + self.half[:, None] * (NODES + 1))

    def integral(self, values: Array) -> tuple[Array, Array]:
        """From the first edge to every node (P, 16), and to every edge (P + 1,)."""
        inside = self.half[:, None] * (values @ CUMULATIVE.T)
        whole = np.concatenate([[0.0], np.cumsum(self.half * (values @ WEIGHTS))])
        return whole[:-1, None] + inside, whole

    def log_integral(self, logs: Array, factor: Array | None = None) -> tuple[Array, Array]:
        """The same for exp(logs), or factor exp(logs) with factor >= 0, in logarithms."""
        top = logs.max(axis=1, keepdims=True)
        values = np.exp(logs - top) if factor is None else np.exp(logs - top) * factor
        with np.errstate(divide="ignore"):
            inside = np.log(np.maximum(self.half[:, None] * (values @ CUMULATIVE.T), 0.0)) + top
            pieces = np.log(self.half * (values @ WEIGHTS)) + top[:, 0]
        whole = np.concatenate([[-np.inf], np.logaddexp.accumulate(pieces)])
        return np.logaddexp(whole[:-1, None], inside), whole

    def derivative(self, values: Array) -> Array:
        """The derivative at the nodes of what has these values there."""
        return np.asarray((values @ DERIVATIVE.T) / self.half[:, None])

    def reversed(self) -> Panels:
        """The same panels seen from the other end."""
        return Panels(-self.edges[::-1])

    def interpolate(self, values: Array, x: Array) -> Array:
        """Values (n,) at x inside the edges of what has the values (P, 16) at the nodes."""
        at = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.edges) - 2)
        z = (x - self.edges[at]) / self.half[at] - 1
        basis = legendre.legvander(z, ORDER - 1)
        degrees = np.arange(ORDER)
        coefficients = (values * WEIGHTS) @ legendre.legvander(NODES, ORDER - 1) * (degrees + 0.5)
        return np.asarray((basis * coefficients[at]).sum(axis=1))


def refined(edges: Array, slope: Callable[[Array], Array], most: float) -> Panels:
    """Panels between the edges, halved until an integral changes by at most `most` in each.

    Args:
        edges: (P + 1,) increasing.
        slope: the integrand, x (n,) -> (n,).
        most: the change allowed within a panel.
    """
    for _ in range(40):
        panels = Panels(edges)
        rate = np.abs(slope(panels.nodes.ravel()).reshape(-1, ORDER)).max(axis=1)
        wide = rate * 2 * panels.half > most
        if not wide.any() or len(edges) > 50_000:
            return panels
        middle = (edges[:-1] + edges[1:])[wide] / 2
        edges = np.sort(np.concatenate([edges, middle]))
    return Panels(edges)
