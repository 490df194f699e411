"""Opinion dynamics: agents who listen to those whose opinion is not too far from their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trajinfer._core.checks import require_integer
from trajinfer.nn import Parameter
from trajinfer.processes.base import Process, Values, Volatility

_EDGE = 0.01


class OpinionDynamics(Process):
    r"""N agents on a line who attract each other within a bounded range,

    $$dX_i = -\frac1N \sum_j \varphi(|X_i - X_j|)\,(X_i - X_j)\,dt + \sigma\,dW_i$$
    $$\varphi(r) = \theta_1 \exp\left(-\frac{0.01}{1 - (r - \theta_2)^2}\right), \quad
      r < 1 + \theta_2.$$

    The state holds all agents, D = N, so that one row is one population; their mean opinion is a
    Brownian motion with variance $\sigma^2 t / N$. The agents of one row are exchangeable, not
    independent.

    Args:
        n_agents: N.
        strength: $\theta_1$; neutral start 6.
        reach: $\theta_2$, in the unit of opinions that is built into the model; neutral start 0.2.
        volatility: $\sigma$, see `Process`.
        n_grid: None evaluates all pairs, N^2 of them; a number shares the agents out to that many
            equally spaced places, evaluates the drift there by a fast convolution and interpolates:
            the cost is then linear in N.

    References:
        Motsch and Tadmor, SIAM Review 56(4), 2014.
    """

    settings = ("n_agents", "n_grid")

    def __init__(
        self,
        n_agents: int,
        strength: Any = None,
        reach: Any = None,
        *,
        volatility: Volatility = None,
        n_grid: int | None = None,
    ) -> None:
        declared = {
            "strength": Parameter(strength, 6.0, positive=True, time_power=-1),
            "reach": Parameter(reach, 0.2),
        }
        self.n_agents = require_integer(n_agents, "n_agents", least=1)
        self.n_grid = None if n_grid is None else require_integer(n_grid, "n_grid", least=2)
        super().__init__(self.n_agents, volatility, declared)

    def drift(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """The mean pull of all agents."""
        if self.n_grid is None:
            return self._pull(y, y, p)
        low, high = y.amin(1, keepdim=True), y.amax(1, keepdim=True)
        spacing = ((high - low) / (self.n_grid - 1)).clamp_min(torch.finfo(y.dtype).tiny)
        position = ((y - low) / spacing).clamp(0, self.n_grid - 1)
        left = position.detach().floor().clamp(0, self.n_grid - 2).long()
        share = position - left
        at_places = self._pull_of_crowds(left, share, spacing, p)
        pulled = torch.lerp(at_places.gather(1, left), at_places.gather(1, left + 1), share)
        # The convolution leaves a rounding error where all agents are at one place.
        return torch.where(high > low, pulled, 0.0)

    def jacobian(self, t: Tensor, y: Tensor, p: Values) -> Tensor:
        """Derivatives of the drift of all pairs, written out."""
        apart = y[:, :, None] - y[:, None, :]
        slope = _slope(apart.abs(), p) / self.n_agents
        return slope - torch.diag_embed(slope.sum(2))

    def _pull_of_crowds(self, left: Tensor, share: Tensor, spacing: Tensor, p: Values) -> Tensor:
        """Mean pull at the places of the grid (B, G), every agent shared out to its two nearest.

        On an equally spaced grid the pull depends on the difference of two places alone, so the sum
        over all agents is a convolution.
        """
        n = require_integer(self.n_grid, "n_grid", least=2)
        crowd = share.new_zeros(len(share), n)
        crowd = crowd.scatter_add(1, left, 1 - share).scatter_add(1, left + 1, share)
        apart = spacing * torch.arange(1 - n, n, dtype=share.dtype, device=share.device)
        pull = -_influence(apart.abs(), p) * apart / self.n_agents
        spectrum = torch.fft.rfft(crowd, 3 * n) * torch.fft.rfft(pull, 3 * n)
        everywhere: Tensor = torch.fft.irfft(spectrum, 3 * n)
        return everywhere[:, n - 1 : 2 * n - 1]

    def _pull(self, places: Tensor, agents: Tensor, p: Values) -> Tensor:
        """Mean pull of the agents (B, N) at places (B, G)."""
        apart = places[:, :, None] - agents[:, None, :]
        return -(_influence(apart.abs(), p) * apart).mean(2)


def _influence(r: Tensor, p: Values) -> Tensor:
    """Weight of an individual at distance r."""
    beyond = r - p["reach"]
    heard = beyond.abs() < 1
    gap = torch.where(heard, 1 - beyond.square(), 1.0)
    return torch.where(heard, p["strength"] * torch.exp(-_EDGE / gap), 0.0)


def _slope(r: Tensor, p: Values) -> Tensor:
    """Derivative of r times the influence."""
    beyond = r - p["reach"]
    gap = torch.where(beyond.abs() < 1, 1 - beyond.square(), 1.0)
    return _influence(r, p) * (1 - r * 2 * _EDGE * beyond / gap.square())
