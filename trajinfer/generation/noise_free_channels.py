"""Channels without noise: found after the likelihood, and then followed exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trajinfer.generation.directed_chain import DirectedChainSDE
from trajinfer.generation.observed import Transitions

_QUIET = 1.5
_CUTOFF = 1e-7


def silence_noise_free_channels(
    sde: DirectedChainSDE, pairs: Transitions, seen: Tensor | None
) -> None:
    """Set the diffusion of channels to zero whose fitted sd sits on the floor.

    The likelihood, which is floored, knows the drift of such a channel no better than the floor. As
    there is no noise, least squares in the last layer find what is left, often to rounding.

    Args:
        sde: is changed.
        pairs: some of the transitions it was fitted to.
        seen: what was seen of the neighbours there.
    """
    if isinstance(sde.noise, int):
        return
    with torch.no_grad():
        _, sigma = sde.coefficients(pairs.t, pairs.x, seen)
        deviation = sigma if sigma.ndim == 2 else sigma.diagonal(dim1=1, dim2=2)
        quiet = deviation.median(0).values < _QUIET * sde.floor
        if sigma.ndim == 3:
            quiet &= (deviation.median(0).values / sigma.norm(dim=2).median(0).values) > 0.9
        sde.noisy.copy_((~quiet).float())
        for channel in quiet.nonzero()[:, 0].tolist():
            _refit_drift(sde, channel, pairs, seen)


def _refit_drift(
    sde: DirectedChainSDE, channel: int, pairs: Transitions, seen: Tensor | None
) -> None:
    """Least squares of the last layer, and of the linear map beside it, for one channel."""
    features = sde.features(pairs.t, pairs.x, seen)
    *below, last = sde.net.layers
    linear = sde.linear.layers[-1]
    hidden = nn.Sequential(*below)(features)
    design = torch.cat([features, torch.ones_like(features[:, :1]), hidden], dim=1).double()
    target = pairs.change[:, channel] / sde.increment[channel] / (pairs.gap[:, 0] / sde.step)
    # only the CPU has a driver that copes with a design of low rank
    rule = torch.linalg.lstsq(
        design.cpu(), target.double()[:, None].cpu(), rcond=_CUTOFF, driver="gelsd"
    ).solution[:, 0]
    n = features.shape[1]
    _put(linear.weight, channel, rule[:n])
    _put(last.bias, channel, rule[n])
    _put(last.weight, channel, rule[n + 1 :])


def _put(parameter: Any, channel: int, value: Tensor) -> None:
    parameter[channel] = value.to(parameter)
