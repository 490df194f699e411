r"""Optimal weights of the Markov approximation of fractional Brownian motion.

$\hat B(t) = \sum_k \omega_k (Y_k(t) - Y_k(0))$ with $dY_k = -\gamma_k Y_k\,dt + dW$ and one W for
all. The weights minimise $\int_0^T E[(B(t) - \hat B(t))^2]\,dt$. Everything is computed on the unit
interval, since $\omega(T, \gamma) = T^{H-1/2}\,\omega(1, \gamma T)$, in float64, and is smooth in
H: the part that has to be factorised does not depend on H.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.special import roots_laguerre
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer.fractional.nodes import as_nodes
from trajinfer.fractional.normalization import (
    FbmType,
    Normalization,
    as_horizon,
    as_hurst,
    check_normalization,
    check_type,
    kernel_variance,
)

_SERIES_BELOW = 3.0
_SERIES_TERMS = 45
_LAGUERRE_POINTS = 100
_LEGENDRE_POINTS = 256
_LEGENDRE_POWER = 6


def weights(
    hurst: Any,
    nodes: Any,
    horizon: float,
    fbm_type: FbmType = 1,
    *,
    normalization: Normalization = "kernel",
) -> Any:
    r"""Weights $\omega$ of the best approximation of fractional Brownian motion on [0, T].

    Args:
        hurst: H in (0, 1): a number, or (D,) of them; a tensor gets its gradient.
        nodes: (J,) ascending rates $\gamma \ge 0$; see `default_nodes`.
        horizon: T, the longest duration of interest (also that of a forecast).
        fbm_type: 1 for stationary increments, 2 for Riemann-Liouville.
        normalization: "kernel" as in the literature, with variance $V_H t^{2H}$; "unit" divides by
            the standard deviation at $t = 1$.

    Returns:
        (J,), or (D, J) for several H: an array, or a float64 tensor where `hurst` is a tensor.

    Raises:
        InputError: for H outside (0, 1), a horizon that is not positive, or unusable nodes.

    References:
        Daems, Opper, Crevecoeur, Birdal, ICLR 2024, arXiv 2310.12975; Harms, Stefanovits, SPA 2019.

    Example:
        >>> weights(0.5, [0.0, 1.0, 10.0], horizon=2.0).round(12) + 0.0
        array([1., 0., 0.])
    """
    value, span, rates = _checked(hurst, nodes, horizon, fbm_type, normalization)
    omega = _weights(value, rates, span, fbm_type, normalization)
    return omega if isinstance(hurst, Tensor) else omega.numpy()


def weights_derivative(
    hurst: Any,
    nodes: Any,
    horizon: float,
    fbm_type: FbmType = 1,
    *,
    normalization: Normalization = "kernel",
) -> Array:
    r"""The derivative $d\omega / dH$ of `weights`, (J,) or (D, J).

    Args:
        hurst: H in (0, 1): a number, or (D,) of them.
        nodes: (J,) ascending rates.
        horizon: T.
        fbm_type: 1 or 2.
        normalization: "kernel" or "unit".

    Raises:
        InputError: as for `weights`.
    """
    value, span, rates = _checked(hurst, nodes, horizon, fbm_type, normalization)

    def of_hurst(h: Tensor) -> Tensor:
        return _weights(h, rates, span, fbm_type, normalization)

    along = (torch.ones_like(value),)
    return np.asarray(torch.func.jvp(of_hurst, (value.detach(),), along)[1].numpy())


def approximation_error(hurst: Any, nodes: Any, horizon: float, fbm_type: FbmType = 1) -> Any:
    r"""What the best weights leave: $\int_0^T E[(B - \hat B)^2]\,dt$ over $\int_0^T E[B^2]\,dt$.

    Args:
        hurst: H in (0, 1): a number, or (D,) of them.
        nodes: (J,) ascending rates.
        horizon: T.
        fbm_type: 1 or 2.

    Returns:
        A float, or (D,).

    Raises:
        InputError: as for `weights`.

    >>> from trajinfer.fractional import default_nodes
    >>> round(approximation_error(0.7, default_nodes(12, 3.0), 3.0), 6)
    0.000129
    """
    value, _, rates = _checked(hurst, nodes, horizon, fbm_type, "kernel")
    value = value.detach()
    size = kernel_variance(value, fbm_type) / (2 * value + 1)
    if fbm_type == 1:
        explained = (_projection_type_1(value, rates) * _projected_type_1(value, rates)).sum(-1)
        left = size - explained
    else:
        residual = _target(value) - _projected_type_2(value, rates) @ _rows(rates).T
        left = residual.square().sum(-1)
    share = left / size
    return float(share) if share.ndim == 0 else share.numpy()


def _checked(
    hurst: Any, nodes: Any, horizon: Any, fbm_type: FbmType, normalization: Normalization
) -> tuple[Tensor, float, Tensor]:
    """H, the horizon, and the rates on the unit interval."""
    check_type(fbm_type)
    check_normalization(normalization)
    value, span = as_hurst(hurst), as_horizon(horizon)
    return value, span, as_nodes(nodes) * span


def _weights(
    hurst: Tensor, rates: Tensor, span: float, fbm_type: FbmType, normalization: Normalization
) -> Tensor:
    """The weights from checked input."""
    solve = _projected_type_1 if fbm_type == 1 else _projected_type_2
    omega = solve(hurst, rates) * span ** (hurst.unsqueeze(-1) - 0.5)
    if normalization == "unit":
        omega = omega / kernel_variance(hurst, fbm_type).sqrt().unsqueeze(-1)
    return omega


def _projected_type_1(hurst: Tensor, rates: Tensor) -> Tensor:
    """Solution of the normal equations, which are well conditioned for type I."""
    factor = torch.as_tensor(_gram_factor(tuple(rates.tolist())))
    right = _projection_type_1(hurst, rates)
    solution: Tensor = torch.cholesky_solve(right.unsqueeze(-1), factor).squeeze(-1)
    return solution


@lru_cache(maxsize=32)
def _gram_factor(rates: tuple[float, ...]) -> Array:
    """Lower Cholesky factor of the Gram matrix: a search for H asks for one again and again."""
    return np.linalg.cholesky(_gram_type_1(np.array(rates)))


def _gram_type_1(rates: Array) -> Array:
    r"""$\int_0^1 E[(Y_i(t) - Y_i(0))(Y_j(t) - Y_j(0))]\,dt$, also where a rate is 0."""
    drop = _integrated_drop(rates)
    total = rates[:, None] + rates
    both_zero = total == 0
    ratio = (drop[:, None] + drop) / np.where(both_zero, 1.0, total)
    return np.where(both_zero, 0.5, ratio)


def _integrated_drop(rates: Array) -> Array:
    r"""$\int_0^1 (1 - e^{-g t})\,dt = 1 + (e^{-g} - 1)/g$, without cancellation near 0."""
    small = rates < 1e-2
    away = np.where(small, 1.0, rates)
    direct = 1 + np.expm1(-away) / away
    near = np.where(small, rates, 0.0)
    powers = range(1, 8)
    series = sum((-1) ** (n + 1) * near**n / math.factorial(n + 1) for n in powers)
    return np.where(small, series, direct)


def _projection_type_1(hurst: Tensor, rates: Tensor) -> Tensor:
    r"""$b_k = \int_0^1 E[B(t)(Y_k(t) - Y_k(0))]\,dt$, (..., J), in the kernel normalisation.

    $$b = \frac{2}{g^a} - \frac{1}{g\,\Gamma(a+1)} + \frac{e^{-g} - e^g Q(a, g)}{g^{a+1}},
      \qquad a = H + \tfrac12,$$

    with the regularised upper incomplete gamma function Q. For slow rates the three terms cancel;
    the series that is left is summed instead.
    """
    a = hurst.unsqueeze(-1) + 0.5
    n_slow = int((rates < _SERIES_BELOW).sum())
    below = _slow_projection(a, rates[:n_slow])
    above = _fast_projection(a, rates[n_slow:])
    return torch.cat([below, above], dim=-1)


def _slow_projection(a: Tensor, g: Tensor) -> Tensor:
    r"""$\sum_{n\ge1} g^{n-1}/\Gamma(a+n+1) - 2\,(\sinh g - g)/g^{a+1}$."""
    n = torch.arange(1, _SERIES_TERMS, dtype=torch.float64)
    history = (g[:, None] ** (n - 1) * torch.exp(-torch.lgamma(a[..., None] + n + 1))).sum(-1)
    odd = torch.exp(-torch.lgamma(2 * n + 2))
    cubic = (g[:, None] ** (2 * n - 2) * odd).sum(-1)
    power = torch.where(g > 0, torch.where(g > 0, g, 1.0) ** (2 - a), 0.0)
    return history - 2 * power * cubic


def _fast_projection(a: Tensor, g: Tensor) -> Tensor:
    r"""The closed form, with $e^g Q(a, g) = \frac{g^{a-1}}{\Gamma(a)}
    \int_0^\infty e^{-v} (1 + v/g)^{a-1} dv$ by Gauss-Laguerre quadrature.
    """
    v, w = _laguerre()
    tail = (w * (1 + v / g[:, None]) ** (a[..., None] - 1)).sum(-1)
    scaled = tail * g ** (a - 1) * torch.exp(-torch.lgamma(a))
    start = torch.exp(-torch.lgamma(a + 1)) / g
    return 2 * g**-a - start + (torch.exp(-g) - scaled) * g ** (-a - 1)


def _projected_type_2(hurst: Tensor, rates: Tensor) -> Tensor:
    """Weighted least squares: its condition number is the root of that of the normal equations."""
    q, r = torch.linalg.qr(_rows(rates))
    right = _target(hurst) @ q
    solution: Tensor = torch.linalg.solve_triangular(r, right.unsqueeze(-1), upper=True)
    return solution.squeeze(-1)


def _rows(rates: Tensor) -> Tensor:
    """Exponential kernels at the quadrature points, (Q, J), weighted by the time they are seen."""
    u, root = _legendre()
    return root[:, None] * torch.exp(-u[:, None] * rates)


def _target(hurst: Tensor) -> Tensor:
    r"""The kernel $u^{H-1/2}/\Gamma(H+1/2)$ at the quadrature points, (..., Q)."""
    u, root = _legendre()
    a = hurst.unsqueeze(-1) + 0.5
    return root * u ** (a - 1) * torch.exp(-torch.lgamma(a))


@lru_cache
def _legendre() -> tuple[Tensor, Tensor]:
    """Gauss-Legendre points of s with u = s^6, which resolves the singularity of the kernel at 0,
    and the square roots of their weights under the density 1 - u.
    """
    x, w = np.polynomial.legendre.leggauss(_LEGENDRE_POINTS)
    s, p = (x + 1) / 2, _LEGENDRE_POWER
    u = s**p
    root = np.sqrt(w / 2 * p * s ** (p - 1) * (1 - u))
    return torch.as_tensor(u), torch.as_tensor(root)


@lru_cache
def _laguerre() -> tuple[Tensor, Tensor]:
    v, w = roots_laguerre(_LAGUERRE_POINTS)
    return torch.as_tensor(v), torch.as_tensor(w)
