r"""Transitions of a stationary process with inertia, in a clock u.

$$m Z'' + Z' + Z = \sqrt 2\, \dot B$$

is a particle of mass m on a spring, in units in which friction, stiffness and temperature are 1;
without mass it is the Ornstein-Uhlenbeck process. Its state is $(Z, \sqrt m\,Z')$, whose two parts
are standard normal and independent at one time, so that the noise of a step has the covariance
$1 - \Phi \Phi^T$ with the transition $\Phi$ (Doob 1942; closed form by the two roots of
$m r^2 + r + 1$).
"""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array

_APART = 1e-7


def transition(gap: Array, mass: Array, orders: int) -> Array:
    r"""$\Phi$ (..., k, k) over gaps (...) >= 0 of the clock.

    Args:
        gap: time on the clock.
        mass: m >= 0, of a shape that fits; without mass the second part of the state is noise that
            nothing depends on.
        orders: k, 1 without the second part or 2 with it.
    """
    if orders == 1:
        return np.asarray(np.exp(-gap)[..., None, None])
    gap, mass = np.broadcast_arrays(gap, mass)
    light = mass == 0
    m = np.where(light, 1.0, mass)
    even, odd = _waves(gap, m)
    turn = odd / np.sqrt(m)
    lean = odd / (2 * m)
    rows = [[even + lean, turn], [-turn, even - lean]]
    plain = [[np.exp(-gap), 0.0], [0.0, np.where(gap > 0, 0.0, 1.0)]]
    return np.stack(
        [
            np.stack([np.where(light, p, h) for p, h in zip(*pair, strict=True)], axis=-1)
            for pair in zip(plain, rows, strict=True)
        ],
        axis=-2,
    )


def response(gap: Array, mass: Array, orders: int) -> Array:
    r"""Weights (..., k) with which the noise $\dot B$ of a gap ago stands in the state."""
    if orders == 1:
        return np.asarray(np.sqrt(2) * np.exp(-gap)[..., None])
    light = mass == 0
    size = np.sqrt(2 / np.where(light, 1.0, mass))
    heavy = transition(gap, mass, 2)[..., 1] * size[..., None]
    plain = np.stack([np.sqrt(2) * np.exp(-gap), np.zeros_like(gap)], axis=-1)
    return np.where(np.asarray(light)[..., None], plain, heavy)


def correlation(gap: Array, mass: float) -> Array:
    """Correlation of Z with itself over gaps (...) of the clock."""
    if mass == 0:
        return np.asarray(np.exp(-gap))
    even, odd = _waves(gap, np.asarray(mass))
    return np.asarray(even + odd / (2 * mass))


def slope(gap: Array, mass: float) -> Array:
    """Derivative of `correlation` by the gap."""
    if mass == 0:
        return np.asarray(-np.exp(-gap))
    return -_waves(gap, np.asarray(mass))[1] / mass


def overlap(rate: Array, mass: Array) -> Array:
    r"""Correlations (C, C) of processes that one noise drives, on clocks $u_c = \gamma_c x$.

    $\sqrt{\gamma_c \gamma_d} \int_0^\infty R_c(\gamma_c x) R_d(\gamma_d x)\,dx$ with the responses
    R of Z, sums of two exponentials each.

    Args:
        rate: (C,) $\gamma$.
        mass: (C,) m.
    """
    root = _root(mass)
    decay = -np.stack([-2 / (1 + root), -(1 + root) / (2 * np.where(mass == 0, 1.0, mass))])
    decay, size = decay * rate, np.stack([1 / root, np.where(mass == 0, 0.0, -1 / root)])
    terms = size[:, None, :, None] * size[None, :, None, :]
    total = (terms / (decay[:, None, :, None] + decay[None, :, None, :])).sum(axis=(0, 1)).real
    return np.asarray(2 * np.sqrt(rate[:, None] * rate) * total)


def _root(mass: Array) -> Array:
    root = np.sqrt(1.0 + 0j - 4 * mass)
    return np.where(np.abs(root) < _APART, _APART, root)


def _waves(gap: Array, mass: Array) -> tuple[Array, Array]:
    r"""$e^{-u / 2m} \cosh(D u)$ and $e^{-u / 2m} \sinh(D u) / D$, with $4 m^2 D^2 = 1 - 4 m$."""
    root = _root(mass)
    slow, fast = -2 / (1 + root), -(1 + root) / (2 * mass)
    slow, fast = np.exp(slow * gap), np.exp(fast * gap)
    return 0.5 * (slow + fast).real, ((slow - fast) * (mass / root)).real
