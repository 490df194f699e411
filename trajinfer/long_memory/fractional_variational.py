"""Variational inference for SDEs with fractional noise: the model, its bound, its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.fractional.kalman import covariance_root
from trajinfer.fractional.ou_transition import stationary_covariance
from trajinfer.fractional.weights import weights
from trajinfer.long_memory.fractional_chain import Guide, Law, Steps, make_guide, make_steps
from trajinfer.long_memory.fractional_grid import FractionalGrid
from trajinfer.long_memory.fractional_linear import (
    HIGHEST_HURST,
    LOWEST_HURST,
    LinearInference,
    LinearParameters,
)
from trajinfer.nn import MLP
from trajinfer.training import Loss, Recipe, Report

_PATHS_OF_BOUND = 32
_CLIP = 10.0
_FLOOR = 1e-4


@dataclass(frozen=True)
class Settings:
    """What the estimator was asked for; see `FractionalSDE`."""

    drift: str
    likelihood: str
    latent_dim: int | None
    hidden: int
    max_epochs: int
    batch_size: int
    lr: float
    seed: int
    verbose: int


@dataclass(frozen=True)
class VariationalReport:
    """How a fit ended.

    Attributes:
        elbo: bound on the log-evidence of all series.
        interval: (D, 2) of H in the linear model it started from.
        converged: whether no step had to be skipped and the search before it ended.
        history: of the training.
    """

    elbo: float
    interval: Array
    converged: bool
    history: list[dict[str, Any]]


class FractionalModel(nn.Module):
    """D processes, what is learned about them, and the correction of their guide.

    Args:
        inference: nodes and type.
        settings: networks and likelihood.
        start: parameters (D,) to begin with.
        loading: (C, D) of a linear decoder, or None where processes are channels.
        noise: (C,) standard deviations of the observations to begin with.
        hurst_fixed: whether H stays.
    """

    def __init__(
        self,
        inference: LinearInference,
        settings: Settings,
        start: LinearParameters,
        loading: Tensor | None,
        noise: Tensor,
        *,
        hurst_fixed: bool,
    ) -> None:
        super().__init__()
        self.inference, self.settings = inference, settings
        self.dim, self.size = len(start.hurst), len(inference.nodes) + 1
        share = (start.hurst - LOWEST_HURST) / (HIGHEST_HURST - LOWEST_HURST)
        index = torch.logit(share.clamp(1e-6, 1 - 1e-6))
        self.raw_hurst = nn.Parameter(index, requires_grad=not hurst_fixed)
        self.log_theta = nn.Parameter(start.theta.log())
        self.mean = nn.Parameter(start.mean.clone())
        self.log_volatility = nn.Parameter(start.volatility.log())
        self.log_noise = nn.Parameter(noise.clamp_min(_FLOOR).log())
        self.raw_freedom = nn.Parameter(torch.full_like(noise, 1.0))
        self.loading = None if loading is None else nn.Parameter(loading.clone())
        self.stationary = start.start_sd.isnan()
        root, with_y, own = self._initial(start)
        self.register_buffer("root", root)
        self.with_y, self.log_own = nn.Parameter(with_y), nn.Parameter(own.log())
        drift_seed, guide_seed = spawn(settings.seed, 2)
        self.network = (
            self._mlp(self.dim, self.dim, drift_seed) if settings.drift == "mlp" else None
        )
        n_guide = self.dim * self.size
        self.correction = self._mlp(self.dim + n_guide, n_guide, guide_seed)

    def _mlp(self, dim_in: int, dim_out: int, seed: int) -> MLP:
        """A network that is 0 at first: the model starts as the linear one."""
        hidden = (self.settings.hidden, self.settings.hidden)
        network = MLP(dim_in, dim_out, hidden, dtype=torch.float64, random_state=seed)
        last = network.layers[-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        return network

    def _initial(self, start: LinearParameters) -> tuple[Tensor, Tensor, Tensor]:
        """Root of the law of Y, and X given it, as in the linear model."""
        inference = self.inference
        model = start.model(inference.nodes, inference.fbm_type, inference.horizon)
        law = model.initial()[:, 0]
        among = stationary_covariance(inference.nodes) * (inference.fbm_type == 1)
        root = covariance_root(among)
        with_y = law[:, 0, 1:] @ torch.linalg.pinv(root, rtol=1e-10).mT
        left = law[:, 0, 0] - with_y.square().sum(-1)
        return root, with_y, left.clamp_min(_FLOOR**2).sqrt()

    @property
    def hurst(self) -> Tensor:
        """(D,)."""
        return LOWEST_HURST + (HIGHEST_HURST - LOWEST_HURST) * torch.sigmoid(self.raw_hurst)

    def law(self) -> Law:
        """The linear part at the present parameters."""
        inference = self.inference
        omega = weights(
            self.hurst, inference.nodes, inference.horizon, inference.fbm_type, normalization="unit"
        )
        top = torch.cat([self.with_y, self.log_own.exp()[:, None]], dim=-1)
        root = self.root.expand(self.dim, -1, -1)  # type: ignore[operator]
        below = torch.cat([root, torch.zeros_like(root[..., :1])], dim=-1)
        start = torch.cat([top[:, None], below], dim=1)
        volatility = self.log_volatility.exp()
        return Law(omega, self.log_theta.exp(), self.mean, volatility, start)

    def guide(self, steps: Steps, scores: Tensor, noise: Tensor) -> Guide:
        """The guide of the linear part.

        Gradients flow through it: paths that did not follow the index would leave the observations
        at once, and nothing could be learned of it.
        """
        return make_guide(self.law(), steps, scores, noise)

    def rollout(
        self,
        steps: Steps,
        guide: Guide,
        n_paths: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Posterior paths of X (P, B, N, D) and the KL divergence from the prior (P, B)."""
        n, length = guide.offset.shape[:2]
        shape = (length, n_paths, n, self.dim, self.size)
        normal = torch.randn(shape, generator=generator, dtype=torch.float64)
        z = torch.zeros(shape[1:], dtype=torch.float64)
        chain = (part.unbind(1) for part in self.law().chain(steps))
        guided = (part.unbind(1) for part in (guide.offset, guide.gain, guide.root, guide.narrowed))
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
        return torch.stack(path, dim=2) + self.mean, square + guide.divergence.sum((1, 2))

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
        seen = ~values.isnan()
        error = torch.where(seen, values, 0.0) - self.decoded(x)
        law: torch.distributions.Distribution
        if self.settings.likelihood == "gaussian":
            law = torch.distributions.Normal(0.0, self.log_noise.exp(), validate_args=False)
        else:
            law = torch.distributions.StudentT(
                self.freedom, 0.0, self.log_noise.exp(), validate_args=False
            )
        density: Tensor = law.log_prob(error)  # type: ignore[no-untyped-call]
        total: Tensor = torch.where(seen, density, 0.0).sum((-2, -1))
        return total

    @property
    def freedom(self) -> Tensor:
        """(C,) degrees of freedom of Student noise, above 2."""
        return 2 + self.raw_freedom.exp()

    def observed(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Observations drawn around paths (..., D), (..., C)."""
        mean = self.decoded(x)
        normal = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
        if self.settings.likelihood == "student_t":
            rng = np.random.default_rng(generator.initial_seed())
            chi = rng.chisquare(np.broadcast_to(self.freedom.detach().numpy(), mean.shape))
            normal = normal / (torch.as_tensor(chi) / self.freedom).sqrt()
        return mean + self.log_noise.exp() * normal


class VariationalInference:
    """Fits a `FractionalModel` and draws from its posterior.

    Args:
        linear: exact inference on the linear part, where the fit starts.
        settings: of the training.
    """

    def __init__(self, linear: LinearInference, settings: Settings) -> None:
        self.linear, self.settings = linear, settings

    def fit(self, grid: FractionalGrid, hurst: Array | None) -> VariationalReport:
        """Start from the exact likelihood of the linear model, then raise the bound.

        Args:
            grid: standardised observations with a regular grid between them.
            hurst: (D,) fixed indices, or None.
        """
        loading, scores, noise = self._decoder(grid.values)
        first = self.linear.fit(FractionalGrid(grid.times, scores, grid.queries), hurst)
        start = first.parameters
        self.model = FractionalModel(
            self.linear,
            self.settings,
            start,
            loading,
            start.noise if noise is None else noise,
            hurst_fixed=hurst is not None,
        )
        self._pseudo_noise = start.noise.clamp_min(_FLOOR)
        steps = make_steps(grid, self.linear.nodes)
        report = self._train(grid, scores, steps)
        with torch.no_grad():
            guide = self._guide(steps, scores)
            generator = torch_generator(self.settings.seed)
            paths, divergence = self.model.rollout(steps, guide, _PATHS_OF_BOUND, generator)
            bound = self.model.log_likelihood(paths, grid.values) - divergence
        settled = report.n_skipped == 0 and first.converged
        return VariationalReport(
            float(bound.mean(0).sum()), first.interval, settled, report.history
        )

    def _train(self, grid: FractionalGrid, scores: Tensor, steps: Steps) -> Report:
        count = grid.observed.sum() / len(grid.values)

        def objective(index: Tensor, _: int) -> Loss:
            part = steps.rows(index)
            paths, divergence = self.model.rollout(part, self._guide(part, scores[index]), 1)
            fit = self.model.log_likelihood(paths, grid.values[index])
            total = (divergence - fit).mean() / count
            return Loss(total, {"kl": divergence.detach().mean(), "fit": fit.detach().mean()})

        recipe = Recipe(
            seed=self.settings.seed,
            epochs=self.settings.max_epochs,
            batch_size=self.settings.batch_size,
            lr=self.settings.lr,
            floor=0.05,
            clip=_CLIP,
            verbose=self.settings.verbose,
        )
        return recipe.fit(self.model, objective, len(grid.values))

    def _guide(self, steps: Steps, scores: Tensor) -> Guide:
        noise = self._pseudo_noise
        if self.model.loading is None:
            noise = self.model.log_noise.exp()
        return self.model.guide(steps, scores, noise)

    def _decoder(self, values: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Principal components as a first decoder, their scores, and what they leave."""
        dim = self.settings.latent_dim
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
        left = (whole - whole @ back.T @ loading.T).std(0).clamp_min(0.05)
        return loading, values @ back.T, left

    def linear_parameters(self) -> LinearParameters:
        """The linear part of the fitted model; the noise is that of the guide."""
        with torch.no_grad():
            law = self.model.law()
            noise = self._pseudo_noise
            if self.model.loading is None:
                noise = self.model.log_noise.exp()
            start_sd = torch.where(self.model.stationary, torch.nan, law.start[:, 0, -1])
            values = (self.model.hurst, law.theta, law.mean, law.volatility, noise, start_sd)
            return LinearParameters(*(value.clone() for value in values))

    def draws(self, grid: FractionalGrid, n: int, seed: int) -> Tensor:
        """N draws of observations at the queries, (B, n, Q, C)."""
        generator = torch_generator(seed)
        scores = grid.values
        if self.model.loading is not None:
            scores = grid.values @ torch.linalg.pinv(self.model.loading.detach()).T
        steps = make_steps(grid, self.linear.nodes)
        with torch.no_grad():
            guide = self._guide(steps, scores)
            paths, _ = self.model.rollout(steps, guide, n, generator)
            index = grid.queries[None, :, :, None].expand(n, -1, -1, paths.shape[-1])
            drawn = self.model.observed(torch.gather(paths, 2, index), generator)
        return drawn.transpose(0, 1)

    def prior(self, times: Tensor, parameters: LinearParameters, n: int, seed: int) -> Tensor:
        """N paths without observations and their noise, decoded, (n, T, C)."""
        empty = torch.full((1, len(times), self.model.dim), torch.nan, dtype=torch.float64)
        grid = FractionalGrid(times[None], empty, torch.arange(len(times))[None])
        steps = make_steps(grid, self.linear.nodes)
        with torch.no_grad():
            guide = self._guide(steps, empty)
            paths, _ = self.model.rollout(steps, guide, n, torch_generator(seed))
            return self.model.decoded(paths)[:, 0]

    def tensors(self) -> dict[str, Tensor]:
        """What saving keeps beside the linear parameters."""
        kept = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        return {**kept, "pseudo_noise": self._pseudo_noise}

    def restore(
        self, n_channels: int, parameters: LinearParameters, tensors: dict[str, Tensor]
    ) -> None:
        """Take back what `tensors` gave."""
        loading = tensors.get("model.loading")
        noise = torch.ones(n_channels, dtype=torch.float64)
        self.model = FractionalModel(
            self.linear, self.settings, parameters, loading, noise, hurst_fixed=False
        )
        start = len("model.")
        state = {k[start:]: v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(state)
        self._pseudo_noise = tensors["pseudo_noise"]
