"""Sinkhorn divergence: entropic optimal transport without its bias."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from scipy.spatial.distance import cdist

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, NotConverged
from trajinfer.metrics.kernel import median_bandwidth
from trajinfer.metrics.samples import as_pair

Tensor = torch.Tensor


def sinkhorn_divergence(
    x: Any,
    y: Any,
    p: Literal[1, 2] = 2,
    weights: Any = None,
    *,
    reg: float | None = None,
    tol: float = 1e-4,
    max_iter: int = 10_000,
) -> float:
    r"""Debiased entropic transport cost between two weighted samples.

    .. math:: S_\varepsilon(x, y) = \mathrm{OT}_\varepsilon(x, y)
        - \tfrac12 \mathrm{OT}_\varepsilon(x, x) - \tfrac12 \mathrm{OT}_\varepsilon(y, y), \qquad
        \mathrm{OT}_\varepsilon = \min_\pi \langle \pi, C \rangle
        + \varepsilon\, \mathrm{KL}(\pi \,|\, a \otimes b), \quad C_{ij} = |x_i - y_j|^p

    The cost is the plain power (no factor 1/2 for p = 2) and no root is taken: as
    :math:`\varepsilon \to 0` the value tends to :math:`W_p^p`. A Brownian bridge of volatility
    sigma over a duration dt corresponds to `p=2, reg = 2 * sigma**2 * dt`. Computed in the log
    domain with a decreasing regularisation; O(n m) memory and O(n m) time per sweep.

    Args:
        x: (n, D), or (n,); the sample to be judged.
        y: (m, D), or (m,); the held-out sample, which sets the default of `reg`.
        p: 1 or 2.
        weights: as in `wasserstein`.
        reg: epsilon, in the unit of the cost; None takes 0.05 times the median cost within y.
        tol: largest total error of the row sums of the plan at which the sweeps stop; the error of
            the divergence is of second order in it.
        max_iter: largest number of sweeps at the final regularisation.

    Returns:
        The divergence, in the unit of x to the power p; 0 for equal samples.

    Raises:
        InputError: as for `wasserstein`; also if `reg` is not positive.
        NotConverged: if `tol` is not met within `max_iter` sweeps.

    References:
        Feydy, Sejourne, Vialard, Amari, Trouve, Peyre, "Interpolating between optimal transport
        and MMD using Sinkhorn divergences", AISTATS 2019, equations 1 and 3.
    """
    if p not in (1, 2):
        raise InputError(f"p must be 1 or 2, got {p!r}")
    first, second, a, b = as_pair(x, y, weights)
    epsilon = _default_reg(second, p) if reg is None else float(reg)
    if not (np.isfinite(epsilon) and epsilon > 0):
        raise InputError(f"reg must be positive and finite, got {epsilon:g}")
    across = _entropic_cost(first, second, a, b, p, epsilon, tol, max_iter)
    within_x = _symmetric_cost(first, a, p, epsilon, tol, max_iter)
    within_y = _symmetric_cost(second, b, p, epsilon, tol, max_iter)
    return max(across - (within_x + within_y) / 2, 0.0)


def _default_reg(y: Array, p: int) -> float:
    if len(y) < 2:
        raise InputError("one point in y sets no scale; give reg= in the unit of |x - y|^p")
    return float(0.05 * median_bandwidth(y) ** (p / 2))


def _cost(x: Array, y: Array, p: int) -> Tensor:
    return torch.from_numpy(cdist(x, y, "sqeuclidean" if p == 2 else "euclidean"))


def _schedule(largest: float, epsilon: float) -> list[float]:
    """Regularisations from the size of the costs down to `epsilon`, halving each time."""
    n = max(0, int(np.ceil(np.log2(max(largest, epsilon) / epsilon))))
    return [epsilon * 2.0**k for k in range(n, -1, -1)]


def _softmin(cost: Tensor, potential: Tensor, log_mass: Tensor, epsilon: float) -> Tensor:
    r"""The update :math:`-\varepsilon \log \sum_j b_j e^{(g_j - C_{ij}) / \varepsilon}`."""
    return -epsilon * torch.logsumexp(log_mass + (potential - cost) / epsilon, dim=1)


def _entropic_cost(
    x: Array, y: Array, a: Array, b: Array, p: int, epsilon: float, tol: float, max_iter: int
) -> float:
    cost = _cost(x, y, p)
    transposed = cost.T.contiguous()
    mass_x, mass_y = torch.from_numpy(a), torch.from_numpy(b)
    f, g = torch.zeros_like(mass_x), torch.zeros_like(mass_y)
    for level in _schedule(float(cost.max()), epsilon):
        f = _softmin(cost, g, mass_y.log(), level)
        g = _softmin(transposed, f, mass_x.log(), level)
    for _ in range(max_iter):
        updated = _softmin(cost, g, mass_y.log(), epsilon)
        if _row_error(f, updated, mass_x, epsilon) <= tol:
            return float(mass_x @ f + mass_y @ g)
        f = updated
        g = _softmin(transposed, f, mass_x.log(), epsilon)
    raise _not_converged(epsilon, tol, max_iter)


def _symmetric_cost(x: Array, a: Array, p: int, epsilon: float, tol: float, max_iter: int) -> float:
    """Cost of a sample to itself; averaging old and new potential converges in few sweeps."""
    cost, mass = _cost(x, x, p), torch.from_numpy(a)
    f = torch.zeros_like(mass)
    for level in _schedule(float(cost.max()), epsilon):
        f = (f + _softmin(cost, f, mass.log(), level)) / 2
    for _ in range(max_iter):
        updated = _softmin(cost, f, mass.log(), epsilon)
        if _row_error(f, updated, mass, epsilon) <= tol:
            return float(mass @ (f + updated))
        f = (f + updated) / 2
    raise _not_converged(epsilon, tol, max_iter)


def _row_error(f: Tensor, updated: Tensor, mass: Tensor, epsilon: float) -> float:
    """Total deviation of the row sums of the plan with potential f from the weights."""
    return float((mass * torch.expm1((f - updated) / epsilon).abs()).sum())


def _not_converged(epsilon: float, tol: float, max_iter: int) -> NotConverged:
    return NotConverged(
        f"the row sums of the plan are not within {tol:g} of the weights after {max_iter} sweeps "
        f"at reg={epsilon:g}; try a larger reg or tol"
    )
