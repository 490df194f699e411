r"""The control that pins a linear SDE with fractional noise to one observation, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from trajinfer.fractional.linear_model import LinearFractionalModel


def optimal_bridge_control(
    model: LinearFractionalModel, left: Tensor, x: Tensor, y: Tensor, observation: Tensor
) -> Tensor:
    r"""$u^*(t, z) = \kappa(T - t)\,(o - m_{T|t}(z)) / (\sigma^2 + V_{T|t})$.

    Under $dW \to u^*\,dt + dW$ the process has the law of the prior given $o = X(T) + \sigma e$.

    Args:
        model: the prior, with `noise` $\sigma$; one channel, parameters ().
        left: T - t, a 0-d tensor, positive.
        x: (B,) present X.
        y: (B, J) present states of the nodes.
        observation: o, (B,) or ().

    Returns:
        (B,).

    References:
        Nobis et al., "Fractional diffusion bridge models", NeurIPS 2025.
    """
    move = model.transition(left)
    row = move.flow[0]
    mean = x * row[0] + y @ row[1:]
    gain = model.response(left[None])[0]
    return gain * (observation - mean) / (model.noise.square() + move.spread[0, 0])


def conditioned_start(
    model: LinearFractionalModel, time: Tensor, observation: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean (J,) and covariance (J, J) of Y(0) given one observation at `time`, X(0) = 0.

    Args:
        model: with X(0) = 0; one channel, parameters ().
        time: T, a 0-d tensor.
        observation: o, a 0-d tensor.
    """
    law = model.initial()[1:, 1:]
    move = model.transition(time)
    row = move.flow[0, 1:]
    shared = law @ row
    size = row @ shared + move.spread[0, 0] + model.noise.square()
    return shared * observation / size, law - torch.outer(shared, shared) / size
