"""Interpolation of functions of a gap on panels of Chebyshev nodes whose ends differ twofold.

A function that is smooth away from 0, evaluated at the nodes, is known at any number of gaps to
rounding; its values at gaps are weights times its values at the nodes of their panels.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

N_NODES = 24
_CHUNK = 100_000


def _panel_ends(low: float, high: float, top: float) -> Array:
    """Ends of the panels: a factor of 2, and shorter where a chain can turn over many times.

    An eigenvalue that has decayed to 1/e at a gap D has an imaginary part of at most
    sqrt(2 top / D), hence the width sqrt(D / top) that keeps the phase within a panel bounded.
    """
    ends = [low]
    while ends[-1] < high or len(ends) < 2:
        width = min(ends[-1], 6 * np.sqrt(ends[-1]) / np.sqrt(top) if top > 0 else np.inf)
        ends.append(ends[-1] + width)
    return np.array(ends)


def panels(gaps: Array, top: float) -> tuple[Array, Array, Array]:
    """Chebyshev nodes (24 per panel), the panel of each gap (n,) and its weights (n, 24).

    Args:
        gaps: (n,) positive.
        top: the largest exit rate expected.
    """
    ends = _panel_ends(float(gaps[gaps > 0].min(initial=np.inf)), float(gaps.max()), top)
    ends[0] = min(ends[0], float(gaps.min()))
    count = len(ends) - 1
    raw = np.clip(np.searchsorted(ends, gaps, side="right") - 1, 0, count - 1)
    used, panel = np.unique(raw, return_inverse=True)
    panel = panel.ravel()
    centre = (ends[1:] + ends[:-1])[used] / 2
    half = (ends[1:] - ends[:-1])[used] / 2
    angles = (np.arange(N_NODES) + 0.5) * np.pi / N_NODES
    nodes = (centre[:, None] + half[:, None] * np.cos(angles)).ravel()
    orders = np.arange(N_NODES)
    dual = np.cos(orders[:, None] * angles) * np.where(orders == 0, 1, 2)[:, None] / N_NODES
    place = np.arccos(np.clip((gaps - centre[panel]) / half[panel], -1, 1))
    weights = np.empty((len(gaps), N_NODES))
    for start in range(0, len(gaps), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        weights[chunk] = np.cos(place[chunk, None] * orders) @ dual
    return nodes, panel, weights
