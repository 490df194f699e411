r"""Exact conditional splitting and joining of Brownian increments with their space-time Levy area.

Over an interval of length h, $W \sim N(0, h)$ and $H \sim N(0, h/12)$ are independent.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Length = float | Tensor


def split(
    W: Tensor, H: Tensor, left: Length, right: Length, Z1: Tensor, Z2: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""W and H of the two parts of an interval, given those of the whole.

    $$W_l = \tfrac{l}{h} W + \tfrac{6 l r}{h^2} H + \tfrac{2 (a l + b r)}{h} Z_1, \quad
      H_l = \tfrac{l^2}{h^2} H - a Z_1 + c r Z_2, \quad
      H_r = \tfrac{r^2}{h^2} H - b Z_1 - c l Z_2$$

    and $W_r = W - W_l$, with $v = \tfrac12 \sqrt{l r / (l^3 + r^3)}$, $a = v l^2/h$, $b = v r^2/h$,
    $c = v/\sqrt3$. The four results have the law of Brownian motion and join to (W, H) again.

    Args:
        W: increment of the whole, any shape.
        H: its space-time area.
        left: length l of the left part.
        right: length r of the right part, l + r > 0.
        Z1: standard normal numbers of the shape of W.
        Z2: others, independent of `Z1`.

    Returns:
        W_left, H_left, W_right, H_right.

    References:
        Foster, thesis (Oxford 2020), theorem 6.1.4.
    """
    whole = left + right
    ratio = left * right / (left**3 + right**3)
    v = 0.5 * (ratio.sqrt() if isinstance(ratio, Tensor) else math.sqrt(ratio))
    a, b, c = v * left**2 / whole, v * right**2 / whole, v / math.sqrt(3)
    share_left, share_right = left / whole, right / whole
    w_left = share_left * W + 6 * share_left * share_right * H
    w_left = w_left + (2 * (a * left + b * right) / whole) * Z1
    h_left = share_left**2 * H - a * Z1 + c * right * Z2
    h_right = share_right**2 * H - b * Z1 - c * left * Z2
    return w_left, h_left, W - w_left, h_right


def join(
    left: Length, W1: Tensor, H1: Tensor, right: Length, W2: Tensor, H2: Tensor
) -> tuple[Tensor, Tensor]:
    """W and H over two neighbouring intervals of lengths `left` and `right` (Chen's relation)."""
    share = left / (left + right)
    return W1 + W2, (1 - share) * (H2 + 0.5 * W1) + share * (H1 - 0.5 * W2)


def draw(
    shape: tuple[int, ...],
    length: float,
    generator: torch.Generator,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Fresh W and H over an interval of the given length."""
    z = torch.randn((2, *shape), generator=generator, dtype=dtype, device=device)
    return z[0] * math.sqrt(length), z[1] * math.sqrt(length / 12)
