r"""The state of an SDE with fractional noise as a chain of Gaussian innovations, and its proposal.

Per channel the state is $z = (X - m, Y_1, \dots, Y_J)$. Over a step of length h

$$Y' = e^{-\gamma h} Y + L \xi, \qquad X' - m = e^{-\theta h} (X - m) + h\,n(X)
  + e^{-\theta h / 2} \sigma \sum_k \omega_k (Y_k' - Y_k), \qquad \xi \sim N(0, I),$$

the first exact for any h, the second by exponential and midpoint rules; n is a network or 0.
Without n the law of $\xi$ given all observations is Gaussian and known: the *guided proposal*. It
shifts the innovations, the discrete form of a control of the Brownian motion (which enters X and Y
alike), and narrows them, so that a bound on the evidence is tight for a linear drift at any step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer.fractional.ou_transition import ou_transition
from trajinfer.long_memory.grid import ObservationGrid


class Steps(NamedTuple):
    """Transitions of Y into every time of a grid; they do not depend on what is learned.

    One row stands for all series where they have the same times.

    Attributes:
        lengths: (B or 1, N).
        decay: (B or 1, N, J) factors on Y.
        change: (B or 1, N, J), decay - 1.
        factor: (B or 1, N, J, S), S = J + 1 innovations, the last unused.
    """

    lengths: Tensor
    decay: Tensor
    change: Tensor
    factor: Tensor

    def rows(self, index: Tensor) -> Steps:
        """Those of some series."""
        return self if len(self.lengths) == 1 else Steps(*(part[index] for part in self))


def make_steps(grid: ObservationGrid, nodes: Tensor) -> Steps:
    """The transitions, computed once for every distinct step."""
    lengths = grid.steps[:1] if grid.shared else grid.steps
    unit = lengths.max() * 1e-12
    distinct, which = torch.unique(torch.round(lengths / unit), return_inverse=True)
    moves = ou_transition(nodes, distinct * unit)
    factor = torch.zeros(*moves.factor.shape[:-1], len(nodes) + 1, dtype=torch.float64)
    factor[..., : moves.factor.shape[-1]] = moves.factor
    return Steps(lengths, moves.decay[which], moves.change[which], factor[which])


class Law(NamedTuple):
    """The learned numbers of the linear part, (D,) each, and the initial law.

    Attributes:
        omega: (D, J) weights of unit-variance noise.
        theta: rate of return.
        mean: m.
        volatility: sigma.
        start: (D, S, S), z = start xi at the first time.
    """

    omega: Tensor
    theta: Tensor
    mean: Tensor
    volatility: Tensor
    start: Tensor

    def chain(self, steps: Steps) -> tuple[Tensor, Tensor]:
        """F and G (B or 1, N, D, S, S) of every linear step, z' = F z + G xi; F is 0 at first."""
        h = steps.lengths[..., None]
        decay = torch.exp(-self.theta * h)
        size = torch.exp(-0.5 * self.theta * h) * self.volatility
        weights = size[..., None] * self.omega
        shape = (*weights.shape, self.start.shape[-1])
        top = torch.cat([decay[..., None], weights * steps.change.unsqueeze(-2)], dim=-1)
        below = torch.nn.functional.pad(torch.diag_embed(steps.decay), (1, 0))
        flow = torch.cat([top.unsqueeze(-2), below.unsqueeze(-3).expand(shape)], dim=-2)
        factor = steps.factor.unsqueeze(-3).expand(shape)
        gain = torch.cat([weights.unsqueeze(-2) @ factor, factor], dim=-2)
        start = self.start.expand_as(gain[:, :1])
        flow = torch.cat([torch.zeros_like(start), flow[:, 1:]], dim=1)
        return flow, torch.cat([start, gain[:, 1:]], dim=1)


class GuidedProposal(NamedTuple):
    """Law of the innovations given all observations: xi = offset - gain (F z) + root e.

    F z is where the step would lead without noise, so that a drift of the model that the proposal
    does not know is met by the step it acts in.

    Attributes:
        offset: (B, N, D, S).
        gain: (B or 1, N, D, S, S).
        root: (B or 1, N, D, S, S).
        divergence: (B or 1, N, D), the part of the KL divergence that does not depend on the shift.
    """

    offset: Tensor
    gain: Tensor
    root: Tensor
    divergence: Tensor

    @property
    def narrowed(self) -> Tensor:
        """(B, N), 1 where observations are still to come, 0 where the prior is left as it is."""
        informed = self.gain.flatten(2).abs().sum(-1) + self.offset.flatten(2).abs().sum(-1)
        return (informed > 0).to(torch.float64)


def guided_proposal(law: Law, steps: Steps, values: Tensor, noise: Tensor) -> GuidedProposal:
    """The backward information filter; gradients flow through it.

    What depends on times alone is computed once where all series were seen at the same ones.

    Args:
        law: of the linear part.
        steps: of the grid.
        values: (B, N, D) observations of X, NaN where there is none.
        noise: (D,) their standard deviation.
    """
    size = law.start.shape[-1]
    eye = torch.eye(size, dtype=torch.float64)
    flows, gains = law.chain(steps)
    observed = (~values.isnan()).to(torch.float64)
    if len(flows) == 1 and (observed == observed[:1]).all():
        observed = observed[:1]
    weight = observed[..., None, None] / noise.square()[:, None, None] * (eye[:1] * eye[:, :1])
    push = torch.nan_to_num(values - law.mean) / noise.square()
    push = torch.nn.functional.pad(push[..., None], (0, size - 1))
    precision, pull = torch.zeros_like(weight[:, 0]), torch.zeros_like(push[:, 0])
    laws: list[tuple[Tensor, ...]] = []
    # unbound, because the gradient of an index is a tensor of zeros as large as the whole
    for flow, gain, weight_here, push_here in reversed(
        list(zip(flows.unbind(1), gains.unbind(1), weight.unbind(1), push.unbind(1)))
    ):
        precision, pull = precision + weight_here, pull + push_here
        weighted = precision @ gain
        factor = torch.linalg.cholesky(eye + gain.mT @ weighted)
        inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        root = inverse.mT
        offset = root @ (inverse @ (gain.mT @ pull[..., None]))
        back = root @ (inverse @ weighted.mT)
        laws.append((offset.squeeze(-1), back, root))
        pull = (flow.mT @ (pull[..., None] - weighted @ offset)).squeeze(-1)
        precision = flow.mT @ (precision - weighted @ back) @ flow
        precision = 0.5 * (precision + precision.mT)
    offset, back, root = (torch.stack(part[::-1], dim=1) for part in zip(*laws))
    log_det = -2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    spare = 0.5 * (root.square().sum((-2, -1)) - size + log_det)
    return GuidedProposal(offset, back, root, spare)
