"""Processes with fractional noise as a network: linear part, drift, and a proposal for paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.seeding import spawn
from trajinfer.fractional.kalman import covariance_root
from trajinfer.fractional.ou_transition import stationary_covariance
from trajinfer.long_memory.chain import GuidedProposal, Law, Steps, guided_proposal
from trajinfer.long_memory.linear import (
    HIGHEST_HURST,
    LOWEST_HURST,
    LinearParameters,
    NoiseBasis,
)
from trajinfer.nn import MLP

SMALLEST_NOISE = 1e-4


class GuidedProcess(nn.Module):
    """D processes, what is learned about them, and the correction of their proposal.

    Args:
        basis: of the noise.
        start: parameters (D,) to begin with.
        noise: (C,) standard deviations of the observations to begin with.
        loading: (C, D) of a linear decoder, or None where processes are channels.
        drift: "linear", or "mlp" for a network added to it.
        likelihood: "gaussian" or "student_t" noise.
        hidden: widths of the networks.
        hurst_fixed: whether H stays.
        seed: of the first weights.
    """

    def __init__(
        self,
        basis: NoiseBasis,
        start: LinearParameters,
        noise: Tensor,
        *,
        loading: Tensor | None = None,
        drift: str = "linear",
        likelihood: str = "gaussian",
        hidden: Sequence[int] = (32, 32),
        hurst_fixed: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.basis, self.likelihood, self.hidden = basis, likelihood, tuple(hidden)
        self.dim, self.size = len(start.hurst), len(basis.nodes) + 1
        share = (start.hurst - LOWEST_HURST) / (HIGHEST_HURST - LOWEST_HURST)
        index = torch.logit(share.clamp(1e-6, 1 - 1e-6))
        self.raw_hurst = nn.Parameter(index, requires_grad=not hurst_fixed)
        self.log_theta = nn.Parameter(start.theta.log())
        self.mean = nn.Parameter(start.mean.clone())
        self.log_volatility = nn.Parameter(start.volatility.log())
        self.log_noise = nn.Parameter(noise.clamp_min(SMALLEST_NOISE).log())
        self.raw_freedom = nn.Parameter(torch.full_like(noise, 1.0))
        self.loading = None if loading is None else nn.Parameter(loading.clone())
        self.stationary = start.start_sd.isnan()
        root, with_y, own = self._initial(start)
        self.register_buffer("root", root)
        self.with_y, self.log_own = nn.Parameter(with_y), nn.Parameter(own.log())
        drift_seed, proposal_seed = spawn(seed, 2)
        self.network = self._mlp(self.dim, self.dim, drift_seed) if drift == "mlp" else None
        n_shifts = self.dim * self.size
        self.correction = self._mlp(self.dim + n_shifts, n_shifts, proposal_seed)

    def _mlp(self, dim_in: int, dim_out: int, seed: int) -> MLP:
        """A network that is 0 at first: the model starts as the linear one."""
        network = MLP(dim_in, dim_out, self.hidden, dtype=torch.float64, random_state=seed)
        last = network.layers[-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        return network

    def _initial(self, start: LinearParameters) -> tuple[Tensor, Tensor, Tensor]:
        """Root of the law of Y, and X given it, as in the linear model."""
        law = start.model(self.basis).initial()[:, 0]
        among = stationary_covariance(self.basis.nodes) * (self.basis.fbm_type == 1)
        root = covariance_root(among)
        with_y = law[:, 0, 1:] @ torch.linalg.pinv(root, rtol=1e-10).mT
        left = law[:, 0, 0] - with_y.square().sum(-1)
        return root, with_y, left.clamp_min(SMALLEST_NOISE**2).sqrt()

    @property
    def hurst(self) -> Tensor:
        """(D,)."""
        return LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) * torch.sigmoid(self.raw_hurst)

    def law(self) -> Law:
        """The linear part at the present parameters."""
        omega = self.basis.weights(self.hurst)
        top = torch.cat([self.with_y, self.log_own.exp()[:, None]], dim=-1)
        root = self.root.expand(self.dim, -1, -1)  # type: ignore[operator]
        below = torch.cat([root, torch.zeros_like(root[..., :1])], dim=-1)
        start = torch.cat([top[:, None], below], dim=1)
        volatility = self.log_volatility.exp()
        return Law(omega, self.log_theta.exp(), self.mean, volatility, start)

    def proposal(self, steps: Steps, scores: Tensor, noise: Tensor) -> GuidedProposal:
        """The proposal of the linear part.

        Gradients flow through it: paths that did not follow the index would leave the observations
        at once, and nothing could be learned of it.
        """
        return guided_proposal(self.law(), steps, scores, noise)

    def rollout(
        self,
        steps: Steps,
        proposal: GuidedProposal,
        n_paths: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Posterior paths of X (P, B, N, D) and the KL divergence from the prior (P, B)."""
        n, length = proposal.offset.shape[:2]
        shape = (length, n_paths, n, self.dim, self.size)
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        z = torch.zeros(shape[1:], dtype=torch.float64)
        chain = (part.unbind(1) for part in self.law().chain(steps))
        guided = (
            part.unbind(1)
            for part in (proposal.offset, proposal.gain, proposal.root, proposal.narrowed)
        )
        path, shifts = [], []
        for flow, gain, offset, back, root, narrowed, h, e in zip(
            *chain, *guided, steps.lengths.unbind(1), normal
        ):
            ahead = flow @ z.unsqueeze(-1)
            if self.network is not None:
                pulled = h[:, None] * self.network(z[..., 0] + self.mean)
                ahead = ahead + nn.functional.pad(pulled[..., None, None], (0, 0, 0, self.size - 1))
            shift = offset - (back @ ahead).squeeze(-1)
            # in units of the root: what is known well is corrected a little
            added = self._corrected(z[..., 0], shift, narrowed)
            moves = root @ torch.stack([added, e], dim=-1)
            shift = shift + moves[..., 0]
            xi = shift + moves[..., 1]
            z = (ahead + gain @ xi.unsqueeze(-1)).squeeze(-1)
            path.append(z[..., 0])
            shifts.append(shift)
        square = 0.5 * torch.stack(shifts).square().sum((0, -2, -1))
        return torch.stack(path, dim=2) + self.mean, square + proposal.divergence.sum((1, 2))

    def _corrected(self, x: Tensor, shift: Tensor, narrowed: Tensor) -> Tensor:
        """What the network adds to the shift while observations are still to come."""
        inputs = torch.cat([x, torch.tanh(shift.flatten(-2))], dim=-1)
        added: Tensor = self.correction(inputs).unflatten(-1, shift.shape[-2:])
        return added * narrowed[:, None, None]

    def decoded(self, x: Tensor) -> Tensor:
        """Means of the observations, (..., C)."""
        return x if self.loading is None else x @ self.loading.T

    def log_likelihood(self, x: Tensor, values: Tensor) -> Tensor:
        """Log-density of the observations (B, N, C) given paths (P, B, N, D), (P, B)."""
        observed = ~values.isnan()
        error = torch.where(observed, values, 0.0) - self.decoded(x)
        law: torch.distributions.Distribution
        if self.likelihood == "gaussian":
            law = torch.distributions.Normal(0.0, self.log_noise.exp(), validate_args=False)
        else:
            law = torch.distributions.StudentT(
                self.freedom, 0.0, self.log_noise.exp(), validate_args=False
            )
        density: Tensor = law.log_prob(error)  # type: ignore[no-untyped-call]
        total: Tensor = torch.where(observed, density, 0.0).sum((-2, -1))
        return total

    @property
    def freedom(self) -> Tensor:
        """(C,) degrees of freedom of Student noise, above 2."""
        return 2 + self.raw_freedom.exp()

    def observed(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Observations drawn around paths (..., D), (..., C)."""
        mean = self.decoded(x)
        normal = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
        if self.likelihood == "student_t":
            rng = np.random.default_rng(generator.initial_seed())
            chi = rng.chisquare(np.broadcast_to(self.freedom.detach().numpy(), mean.shape))
            normal = normal / (torch.as_tensor(chi) / self.freedom).sqrt()
        return mean + self.log_noise.exp() * normal

    def linear_parameters(self, noise: Tensor) -> LinearParameters:
        """The linear part (D,); `noise` is the standard deviation of observations."""
        with torch.no_grad():
            law = self.law()
            start_sd = torch.where(self.stationary, torch.nan, law.start[:, 0, -1])
            values = (self.hurst, law.theta, law.mean, law.volatility, noise, start_sd)
            return LinearParameters(*(value.detach().clone() for value in values))
