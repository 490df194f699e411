"""Variational inference for SDEs with fractional noise: the fit, and the process it gives."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.long_memory.chain import GuidedProposal, Steps, make_steps
from trajinfer.long_memory.grid import ObservationGrid
from trajinfer.long_memory.linear import LinearParameters, NoiseBasis, fit_linear
from trajinfer.long_memory.network import SMALLEST_NOISE, GuidedProcess
from trajinfer.long_memory.process import FitReport
from trajinfer.training import Loss, Recipe, Report

_PATHS_OF_BOUND = 32
_PATHS_OF_MEAN = 200


@packable
@dataclass(frozen=True, eq=False)
class VariationalProcess:
    """A fitted process whose posterior paths are drawn from a guided proposal.

    Attributes:
        network: the processes and the correction of their proposal.
        proposal_noise: (D,) standard deviation of observations of the processes, as the proposal
            takes it; used where the processes are latent.
        largest_step: bound on the steps of a grid.
        seed: of the paths that means are taken over.
    """

    network: GuidedProcess
    proposal_noise: Tensor
    largest_step: float
    seed: int

    @property
    def is_latent(self) -> bool:
        """Whether the processes stand behind a decoder."""
        return self.network.loading is not None

    @property
    def parameters(self) -> LinearParameters:
        """Of the linear part, (D,); the noise is that of the proposal."""
        return self.network.linear_parameters(self._noise())

    def seeds(self, seed: int, ids: Sequence[Hashable]) -> list[int]:
        """By the place of each series, whatever it is called."""
        return [seed, *spawn(seed, len(ids) - 1)]

    def draws(
        self, grid: ObservationGrid, n: int, seeds: Sequence[int], *, noisy: bool = True
    ) -> Tensor:
        """N draws at the queries, (B, n, Q, C), all by the seed of the first series."""
        generator = torch_generator(spawn(seeds[0], 2)[0])
        with torch.no_grad():
            paths = self._paths(grid, n, generator)
            drawn = (
                self.network.observed(paths, generator) if noisy else self.network.decoded(paths)
            )
            return drawn.transpose(0, 1)

    def means(self, grid: ObservationGrid) -> Tensor:
        """Means of the observations at the queries over 200 paths, (B, Q, C), the same ones always.

        Series go one by one, so that none changes the paths of another.
        """
        with torch.no_grad():
            each = [
                self.network.decoded(
                    self._paths(grid.alone(i), _PATHS_OF_MEAN, torch_generator(self.seed))
                )
                for i in range(len(grid.times))
            ]
        return torch.stack([paths.mean(0)[0] for paths in each])

    def prior(self, times: Tensor, n: int, seed: int) -> Tensor:
        """N paths without observations and their noise, decoded, (n, T, C)."""
        empty = torch.full((1, len(times), self.network.dim), torch.nan, dtype=torch.float64)
        steps = make_steps(
            ObservationGrid(times[None], empty, torch.arange(len(times))[None]),
            self.network.basis.nodes,
        )
        with torch.no_grad():
            proposal = self.network.proposal(steps, empty, self._noise())
            paths, _ = self.network.rollout(steps, proposal, n, torch_generator(seed))
            return self.network.decoded(paths)[:, 0]

    def _paths(self, grid: ObservationGrid, n: int, generator: torch.Generator) -> Tensor:
        """Posterior paths of the processes at the queries, (n, B, Q, D)."""
        steps = make_steps(grid, self.network.basis.nodes)
        scores = grid.values
        if self.network.loading is not None:
            scores = grid.values @ torch.linalg.pinv(self.network.loading.detach()).T
        proposal = self.network.proposal(steps, scores, self._noise())
        paths, _ = self.network.rollout(steps, proposal, n, generator)
        index = grid.queries[None, :, :, None].expand(n, -1, -1, paths.shape[-1])
        return torch.gather(paths, 2, index)

    def _noise(self) -> Tensor:
        noise = self.proposal_noise if self.is_latent else self.network.log_noise.exp()
        return noise.detach()

    def to_state(self) -> dict[str, Any]:
        """Everything that `from_state` needs."""
        network = self.network
        return {
            "basis": network.basis,
            "parameters": self.parameters,
            "drift": "linear" if network.network is None else "mlp",
            "likelihood": network.likelihood,
            "hidden": network.hidden,
            "weights": dict(network.state_dict()),
            "proposal_noise": self.proposal_noise,
            "largest_step": self.largest_step,
            "seed": self.seed,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The process that `to_state` described."""
        weights: dict[str, Tensor] = state["weights"]
        network = GuidedProcess(
            state["basis"],
            state["parameters"],
            weights["log_noise"].exp(),
            loading=weights.get("loading"),
            drift=state["drift"],
            likelihood=state["likelihood"],
            hidden=state["hidden"],
        )
        network.load_state_dict(weights)
        return cls(network, state["proposal_noise"], state["largest_step"], state["seed"])


@dataclass(frozen=True)
class VariationalInference:
    """How a `VariationalProcess` is fitted.

    Attributes:
        recipe: of the training.
        drift: "linear", or "mlp" for a network added to it.
        likelihood: "gaussian" or "student_t" noise.
        latent_dim: D, or None where processes are channels.
        hidden: widths of the networks.
    """

    recipe: Recipe
    drift: str
    likelihood: str
    latent_dim: int | None
    hidden: tuple[int, ...]
    clip: ClassVar[float] = 10.0
    floor: ClassVar[float] = 0.05

    def fit(
        self,
        grid: ObservationGrid,
        basis: NoiseBasis,
        hurst: Array | None,
        seed: int,
        largest_step: float,
    ) -> tuple[VariationalProcess, FitReport]:
        """Start from the exact likelihood of the linear model, then raise the bound.

        Args:
            grid: standardised observations with a regular grid between them.
            basis: of the noise.
            hurst: (D,) fixed indices, or None.
            seed: of first weights and paths.
            largest_step: bound on the steps of the grid.
        """
        loading, scores, noise = _decoder(grid.values, self.latent_dim)
        linear = fit_linear([ObservationGrid(grid.times, scores, grid.queries)], basis, hurst)
        start = linear.parameters
        network = GuidedProcess(
            basis,
            start,
            start.noise if noise is None else noise,
            loading=loading,
            drift=self.drift,
            likelihood=self.likelihood,
            hidden=self.hidden,
            hurst_fixed=hurst is not None,
            seed=seed,
        )
        proposal_noise = start.noise.clamp_min(SMALLEST_NOISE)
        bound = _Bound(network, grid, scores, make_steps(grid, basis.nodes), proposal_noise)
        training: Report = self.recipe.fit(network, bound.loss, len(grid.values))
        report = FitReport(
            bound.of_all(torch_generator(seed)),
            linear.interval,
            training.n_skipped == 0 and linear.converged,
            len(training.history),
            training.history,
        )
        return VariationalProcess(network, proposal_noise, largest_step, seed), report


@dataclass(frozen=True, eq=False)
class _Bound:
    """The bound on the evidence of observations, which is raised."""

    network: GuidedProcess
    grid: ObservationGrid
    scores: Tensor
    steps: Steps
    proposal_noise: Tensor

    def loss(self, index: Tensor, _: int) -> Loss:
        """Minus the bound of some series by one path of each, per observation."""
        part, values = self.steps.rows(index), self.grid.values[index]
        paths, divergence = self.network.rollout(part, self._proposal(part, self.scores[index]), 1)
        fit = self.network.log_likelihood(paths, values)
        count = self.grid.observed.sum() / len(self.grid.values)
        terms = {"kl": divergence.detach().mean(), "fit": fit.detach().mean()}
        return Loss((divergence - fit).mean() / count, terms)

    def of_all(self, generator: torch.Generator) -> float:
        """The bound of all series."""
        with torch.no_grad():
            proposal = self._proposal(self.steps, self.scores)
            paths, divergence = self.network.rollout(
                self.steps, proposal, _PATHS_OF_BOUND, generator
            )
            bound = self.network.log_likelihood(paths, self.grid.values) - divergence
        return float(bound.mean(0).sum())

    def _proposal(self, steps: Steps, scores: Tensor) -> GuidedProposal:
        noise = self.proposal_noise
        if self.network.loading is None:
            noise = self.network.log_noise.exp()
        return self.network.proposal(steps, scores, noise)


def _decoder(values: Tensor, dim: int | None) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Principal components as a first decoder, their scores, and what they leave."""
    if dim is None:
        return None, values, None
    if dim > values.shape[2]:
        raise InputError(
            f"latent_dim={dim} is more than the {values.shape[2]} channels; take fewer"
        )
    whole = values[~values.isnan().any(-1)]
    if len(whole) < 2 * dim:
        raise InputError("too few times at which every channel was observed for a latent_dim")
    _, size, axes = torch.linalg.svd(whole, full_matrices=False)
    loading = axes[:dim].T * size[:dim] / len(whole) ** 0.5
    back = torch.linalg.pinv(loading)
    residual = (whole - whole @ back.T @ loading.T).std(0).clamp_min(0.05)
    return loading, values @ back.T, residual
