"""Where the rates of the Ornstein-Uhlenbeck processes stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array, as_array, require_finite, require_integer
from trajinfer._core.errors import InputError
from trajinfer.fractional.normalization import FbmType, as_horizon, check_type

_SLOWEST = {1: 1e-5, 2: 0.3}
_FASTEST = 1e4


def default_nodes(n_ou: int, horizon: float, fbm_type: FbmType = 1) -> Array:
    r"""A node at 0 and a wide geometric grid, scaled with the horizon.

    The node at 0 is Brownian motion itself, which makes H = 1/2 exact. The others reach from
    $10^{-5}/T$ (type II: $0.3/T$) to $10^4/T$: slow ones carry the memory, fast ones the roughness,
    and an approximation behaves like fractional Brownian motion between the lags that are the
    inverses of the two ends. The grid does not depend on H, which may then be learned.

    Args:
        n_ou: J, number of nodes.
        horizon: T, the longest duration of interest.
        fbm_type: 1 or 2.

    Returns:
        (J,) rates per unit of time, ascending.

    Raises:
        InputError: for n_ou < 1, a horizon that is not positive, or another type.

    >>> default_nodes(4, 10.0)
    array([0.00000000e+00, 1.00000000e-06, 3.16227766e-02, 1.00000000e+03])
    """
    check_type(fbm_type)
    n, span = require_integer(n_ou, "n_ou", least=1), as_horizon(horizon)
    if n == 1:
        return np.zeros(1)
    ends = _SLOWEST[fbm_type], _FASTEST
    grid = np.geomspace(*ends, n - 1) if n > 2 else np.sqrt([ends[0] * ends[1]])
    return np.concatenate([[0.0], grid]) / span


def symmetric_nodes(n_ou: int, fastest: float = 20.0) -> Array:
    r"""The published grid: geometric and symmetric about 1, from 1/fastest to fastest.

    It does not scale with the horizon, and is far too narrow for type I; it is here for comparison.

    Args:
        n_ou: J.
        fastest: largest rate.

    References:
        Daems, Opper, Crevecoeur, Birdal, ICLR 2024, arXiv 2310.12975.

    >>> symmetric_nodes(3).tolist()
    [0.05, 1.0, 20.0]
    """
    n = require_integer(n_ou, "n_ou", least=2)
    powers = np.linspace(-1.0, 1.0, n)
    return np.asarray(float(fastest) ** powers)


def as_nodes(nodes: Any) -> Tensor:
    """A float64 tensor (J,) of ascending, non-negative rates.

    Raises:
        InputError: if they are negative, repeated, out of order or not finite.
    """
    array = as_array(nodes, "nodes", ndim=1)
    require_finite(array, "nodes")
    if len(array) == 0 or (array < 0).any() or (np.diff(array) <= 0).any():
        raise InputError(
            f"nodes must be non-negative, ascending rates without repetition, got "
            f"{array.tolist()}; try fractional.default_nodes(12, horizon)"
        )
    return torch.as_tensor(array)
