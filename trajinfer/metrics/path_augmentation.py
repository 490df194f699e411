"""Augmentations of a path before its signature is taken: time, a base point, a lag."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer._core.checks import check_shape
from trajinfer._core.errors import InputError


def with_time(paths: Tensor, ts: Tensor) -> Tensor:
    """Paths with the time as channel 0, so that speed is visible to a signature.

    Args:
        paths: (B, T, D).
        ts: (T,) shared times or (B, T).

    Returns:
        (B, T, 1 + D).

    Raises:
        InputError: if the times fit neither shape.
    """
    sizes = check_shape(paths, "B T D")
    if tuple(ts.shape) not in {(sizes["T"],), (sizes["B"], sizes["T"])}:
        raise InputError(
            f"ts must be (T,) or (B, T) for paths {tuple(paths.shape)}, got {tuple(ts.shape)}"
        )
    clock = ts.to(paths).expand(sizes["B"], sizes["T"])
    return torch.cat([clock.unsqueeze(-1), paths], dim=-1)


def from_zero(paths: Tensor) -> Tensor:
    """Paths (B, T, D) that first jump from the origin, so that a signature sees where they start.

    Example:
        >>> from_zero(torch.tensor([[[2.0], [3.0]]])).ravel().tolist()
        [0.0, 2.0, 3.0]
    """
    check_shape(paths, "B T D")
    return torch.cat([torch.zeros_like(paths[:, :1]), paths], dim=1)


def lead_lag(paths: Tensor) -> Tensor:
    r"""The path (B, 2 T - 1, 2 D) of leading and lagging values, whose area is the variation.

    .. math:: (x_1, x_1), (x_2, x_1), (x_2, x_2), (x_3, x_2), \dots

    Its level-2 signature holds the quadratic variation of the path, which the signature of the
    piecewise linear path itself does not see.

    Example:
        >>> lead_lag(torch.tensor([[[1.0], [2.0]]])).tolist()
        [[[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]]]
    """
    check_shape(paths, "B T D")
    doubled = paths.repeat_interleave(2, dim=1)
    return torch.cat([doubled[:, 1:], doubled[:, :-1]], dim=-1)
