"""The size of the increments of a channel as a function of the lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable

_BINS = 24
_PULL = 1e-6
_FEWEST = 8
_FEWEST_IN_BIN = 3


@packable
@dataclass(frozen=True)
class Variogram:
    r"""Mean square of increments, $v(h) = E[(y(t + h) - y(t))^2]$, as a sum of known shapes.

    $$v(h) = \nu + \sum_k a_k (1 - e^{-h / \tau_k}) + \sum_k b_k (1 - e^{-(h / \tau_k)^2}) + c\,h$$

    with weights >= 0, so that v grows with the lead. The nugget $\nu$ is twice the variance of the
    noise of measurement; v tends to it as h tends to 0, as h for rough paths and as $h^2$ for
    smooth ones.

    Attributes:
        nugget: $\nu$.
        rough, smooth: (K,) a and b.
        scales: (K,) $\tau$.
        slope: c.
    """

    nugget: float
    rough: Array
    smooth: Array
    scales: Array
    slope: float

    @classmethod
    def fit(cls, lead: Array, increments: Array) -> Variogram:
        """Non-negative least squares on the mean squares in bins of the lead.

        Args:
            lead: (P,) positive.
            increments: (P,).
        """
        square = increments**2
        if len(lead) < _FEWEST or not square.any():
            total = float(square.mean()) if len(lead) else 0.0
            top = float(lead.max()) if len(lead) else 1.0
            empty = np.zeros(1)
            return cls(0.0, empty, empty, np.array([top]), max(total, 1e-24) / top)
        centre, mean, count = _binned(lead, square)
        low, high = centre.min(), 4 * centre.max()
        scales = np.geomspace(low / 2, high, max(2, int(np.log2(2 * high / low)) + 1))
        x = centre[:, None] / scales
        shapes = np.column_stack(
            [np.ones(len(centre)), -np.expm1(-x), -np.expm1(-(x**2)), centre / high]
        )
        weight = np.sqrt(count) / np.maximum(mean, 1e-3 * mean.max())
        rows = shapes * weight[:, None]
        # shapes that few bins cannot tell apart share, whichever way nnls solves
        pull = _PULL * np.diag(np.linalg.norm(rows, axis=0))
        found, _ = nnls(np.vstack([rows, pull]), np.append(mean * weight, np.zeros(len(pull))))
        k = len(scales)
        return cls(
            float(found[0]), found[1 : k + 1], found[k + 1 : 2 * k + 1], scales, found[-1] / high
        )

    def __call__(self, lead: Array) -> Array:
        """V at leads >= 0 of any shape."""
        x = np.asarray(lead, dtype=np.float64)[..., None] / self.scales
        rough, smooth = -np.expm1(-x) @ self.rough, -np.expm1(-(x**2)) @ self.smooth
        return np.asarray(self.nugget + rough + smooth + self.slope * np.asarray(lead))


def _binned(lead: Array, square: Array) -> tuple[Array, Array, Array]:
    """Mean leads, mean squares and counts in bins of about even counts over distinct leads."""
    order = np.argsort(lead, kind="stable")
    lead, square = lead[order], square[order]
    # half of the edges split the counts, half the logarithm of the lead: short leads are few
    edges = np.union1d(
        np.linspace(0, len(lead), _BINS // 2 + 1).astype(int),
        np.searchsorted(lead, np.geomspace(lead[0], lead[-1], _BINS // 2 + 1)[1:-1]),
    )
    inner = np.unique(np.searchsorted(lead, lead[np.minimum(edges, len(lead) - 1)]))
    kept = [0]
    for edge in inner:
        if edge - kept[-1] >= _FEWEST_IN_BIN and len(lead) - edge >= _FEWEST_IN_BIN:
            kept.append(int(edge))
    edges = np.array([*kept, len(lead)])
    count = np.diff(edges)
    return (
        np.add.reduceat(lead, edges[:-1]) / count,
        np.add.reduceat(square, edges[:-1]) / count,
        count,
    )
