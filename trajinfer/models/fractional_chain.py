r"""The state of an SDE with fractional noise as a chain of Gaussian innovations, and its guide.

Per channel the state is $z = (X - m, Y_1, \dots, Y_J)$. Over a step of length h

$$Y' = e^{-\gamma h} Y + L \xi, \qquad X' - m = e^{-\theta h} (X - m) + h\,n(X)
  + e^{-\theta h / 2} \sigma \sum_k \omega_k (Y_k' - Y_k), \qquad \xi \sim N(0, I),$$

the first exact for any h, the second by exponential and midpoint rules; n is a network or 0.
Without n the law of $\xi$ given all observations is Gaussian and known: the *guide*. It shifts the
innovations, the discrete form of a control of the Brownian motion (which enters X and Y alike), and
narrows them, so that a bound on the evidence is tight for a linear drift at any step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from trajinfer.fractional.ou_transition import ou_transition
from trajinfer.models.fractional_grid import FractionalGrid


class Steps(NamedTuple):
    """Transitions of Y into every time of a grid; they do not depend on what is learned.

    Attributes:
        lengths: (B, N).
        decay: (B, N, J) factors on Y.
        change: (B, N, J), decay - 1.
        factor: (B, N, J, S), S = J + 1 innovations, the last unused.
    """

    lengths: Tensor
    decay: Tensor
    change: Tensor
    factor: Tensor

    def rows(self, index: Tensor) -> Steps:
        """Those of some series."""
        return Steps(*(part[index] for part in self))


def make_steps(grid: FractionalGrid, nodes: Tensor) -> Steps:
    """The transitions, computed once for every distinct step."""
    lengths = grid.steps
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

    def move(self, z: Tensor, xi: Tensor, steps: Steps, i: int, extra: Tensor | None) -> Tensor:
        """The state after step i, (P, B, D, S)."""
        x, y = z[..., :1], z[..., 1:]
        kick = (steps.factor[:, i].unsqueeze(1) @ xi.unsqueeze(-1)).squeeze(-1)
        h = steps.lengths[:, i, None, None]
        noise = (self.omega * (steps.change[:, i, None] * y + kick)).sum(-1, keepdim=True)
        theta, volatility = self.theta[:, None], self.volatility[:, None]
        x = torch.exp(-theta * h) * x + torch.exp(-0.5 * theta * h) * volatility * noise
        if extra is not None:
            x = x + h * extra.unsqueeze(-1)
        return torch.cat([x, steps.decay[:, i, None] * y + kick], dim=-1)

    def matrices(self, steps: Steps, i: int) -> tuple[Tensor, Tensor]:
        """F and G (B, D, S, S) of the linear step i, z' = F z + G xi."""
        size = self.start.shape[-1]
        eye = torch.eye(size, dtype=torch.float64)
        shape = (size, len(steps.lengths), len(self.theta), size)
        none = torch.zeros(shape, dtype=torch.float64)
        basis = eye[:, None, None, :].expand(shape)
        columns = self.move(basis, none, steps, i, None), self.move(none, basis, steps, i, None)
        return columns[0].permute(1, 2, 3, 0), columns[1].permute(1, 2, 3, 0)


class Guide(NamedTuple):
    """Law of the innovations given all observations: xi = offset - gain z + root e.

    Attributes:
        offset: (B, N, D, S).
        gain: (B, N, D, S, S), 0 at the first time.
        root: (B, N, D, S, S).
        divergence: (B, N, D), the part of the KL divergence that does not depend on the shift.
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

    def rows(self, index: Tensor) -> Guide:
        """That of some series."""
        return Guide(*(part[index] for part in self))


def make_guide(law: Law, steps: Steps, values: Tensor, noise: Tensor) -> Guide:
    """The backward information filter.

    Args:
        law: of the linear part.
        steps: of the grid.
        values: (B, N, D) observations of X, NaN where there is none.
        noise: (D,) their standard deviation.
    """
    n, length, dim = values.shape
    size = law.start.shape[-1]
    eye = torch.eye(size, dtype=torch.float64)
    precision = torch.zeros(n, dim, size, size, dtype=torch.float64)
    pull = torch.zeros(n, dim, size, dtype=torch.float64)
    seen = (~values.isnan()).to(torch.float64) / noise.square()
    push = torch.nan_to_num(values - law.mean) / noise.square()
    kept: list[tuple[Tensor, ...]] = []
    for i in range(length - 1, -1, -1):
        precision = precision + seen[:, i, :, None, None] * (eye[:1] * eye[:, :1])
        pull = pull + push[:, i, :, None] * eye[0]
        if i > 0:
            flow, gain = law.matrices(steps, i)
        else:
            flow, gain = torch.zeros_like(precision), law.start.expand_as(precision)
        weighted = precision @ gain
        factor = torch.linalg.cholesky(eye + gain.mT @ weighted)
        offset = torch.cholesky_solve((gain.mT @ pull[..., None]), factor)
        back = torch.cholesky_solve(weighted.mT @ flow, factor)
        inverse = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        spare = 0.5 * (inverse.square().sum((-2, -1)) - size + log_det)
        kept.append((offset.squeeze(-1), back, inverse.mT, spare))
        pull = (flow.mT @ (pull[..., None] - weighted @ offset)).squeeze(-1)
        precision = flow.mT @ (precision @ flow - weighted @ back)
        precision = 0.5 * (precision + precision.mT)
    return Guide(*(torch.stack(part[::-1], dim=1) for part in zip(*kept)))
