r"""Bounds that values come near and never reach: logarithms there, the values themselves elsewhere.

A value at a distance $d$ from its bound is modelled as if it were at

$$d \mapsto \delta\,(1 + \log(d / \delta)) \quad\text{for } d < \delta,$$

which joins $d$ smoothly at $\delta$, the distance that one value in ten stays below.
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_NEAR = 0.1
_LEAST = 1e-12


def margin_at(distance: Array) -> float:
    r"""$\delta$ of distances (N,) from a bound; 0, no spreading, where it is reached."""
    return 0.0 if distance.min() <= 0 else float(np.quantile(distance, _NEAR))


def spread(distance: Array, margin: float) -> Array:
    """Distances from a bound as they are modelled: any number; themselves where the margin is 0.

    >>> spread(np.array([0.1, 2.0]), 1.0).round(2)
    array([-1.3,  2. ])
    """
    if margin <= 0:
        return distance
    near = margin * (1 + np.log(np.clip(distance, _LEAST * margin, margin) / margin))
    return np.where(distance < margin, near, distance)


def gathered(modelled: Array, margin: float) -> Array:
    """The distances, all above 0, that `spread` takes to these."""
    if margin <= 0:
        return modelled
    near = margin * np.exp(np.minimum(modelled / margin, 1.0) - 1)
    return np.where(modelled < margin, np.maximum(near, _LEAST * margin), modelled)


def log_slope(distance: Array, margin: float) -> Array:
    """Logarithm of how much `spread` moves per unit of the distance."""
    if margin <= 0:
        return np.zeros_like(distance)
    return np.asarray(-np.log(np.clip(distance / margin, _LEAST, 1.0)))
