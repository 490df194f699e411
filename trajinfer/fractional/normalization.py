r"""The two types of fractional Brownian motion and their size.

With the kernel $(t-s)^{H-1/2}/\Gamma(H+1/2)$, type I (Mandelbrot and Van Ness, 1968) has stationary
increments and variance $V_H t^{2H}$; type II (Riemann-Liouville) starts fresh at time 0 and has
variance $t^{2H} / (2H\,\Gamma(H+1/2)^2)$. The "unit" normalisation divides by the standard
deviation at $t = 1$.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from trajinfer._core.checks import as_array, require_finite
from trajinfer._core.errors import InputError

FbmType = Literal[1, 2]
Normalization = Literal["kernel", "unit"]


def kernel_variance(hurst: Tensor, fbm_type: FbmType) -> Tensor:
    r"""Variance at time 1 under the kernel normalisation, differentiable in H.

    $$V_H = \frac{1}{\Gamma(2H+1) \sin \pi H} \quad\text{or}\quad \frac{1}{2H\,\Gamma(H+1/2)^2}.$$

    >>> kernel_variance(torch.tensor([0.5, 0.9], dtype=torch.float64), 1)
    tensor([1.0000, 1.9303], dtype=torch.float64)
    """
    if fbm_type == 1:
        return torch.exp(-torch.lgamma(2 * hurst + 1)) / torch.sin(math.pi * hurst)
    return torch.exp(-2 * torch.lgamma(hurst + 0.5)) / (2 * hurst)


def as_hurst(value: Any, name: str = "hurst") -> Tensor:
    """A float64 tensor of Hurst indices; a tensor that needs a gradient keeps its graph.

    Raises:
        InputError: if one lies outside (0, 1).
    """
    if isinstance(value, Tensor) and value.is_floating_point():
        hurst = value.to(torch.float64)
        require_finite(hurst.detach().cpu().numpy(), name)
    else:
        array = as_array(value, name)
        require_finite(array, name)
        hurst = torch.as_tensor(array)
    if not bool(((hurst > 0) & (hurst < 1)).all()):
        raise InputError(
            f"{name} must lie strictly between 0 and 1, got {hurst.detach().tolist()}; 1/2 is "
            "Brownian motion, below is rough, above has long memory"
        )
    return hurst


def check_type(fbm_type: int) -> None:
    """Refuse anything but type 1 and type 2.

    Raises:
        InputError: naming what came.
    """
    if fbm_type not in (1, 2):
        raise InputError(
            f"fbm_type must be 1 (stationary increments) or 2 (Riemann-Liouville), got {fbm_type!r}"
        )


def check_normalization(normalization: str) -> None:
    """Refuse anything but "kernel" and "unit".

    Raises:
        InputError: naming what came.
    """
    if normalization not in ("kernel", "unit"):
        raise InputError(
            f"normalization must be 'kernel' or 'unit' (variance 1 at time 1), got "
            f"{normalization!r}"
        )


def as_horizon(horizon: Any) -> float:
    """A positive duration.

    Raises:
        InputError: if it is not positive and finite.
    """
    try:
        value = float(horizon)
    except (TypeError, ValueError) as error:
        raise InputError(f"horizon must be a positive duration, got {horizon!r}") from error
    if not 0 < value < math.inf:
        raise InputError(f"horizon must be a positive, finite duration, got {horizon!r}")
    return value
