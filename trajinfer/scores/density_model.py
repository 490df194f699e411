"""A fitted density as a value: it draws, scores, fills in and answers observations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer._core.seeding import spawn, torch_generator
from trajinfer.data.scaling import Standardisation
from trajinfer.diffusion.condition import Conditioned, condition
from trajinfer.diffusion.likelihood import log_likelihood
from trajinfer.diffusion.mixture import GaussianMixture
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.diffusion.plans import SolverPlan
from trajinfer.diffusion.samplers import Method, sample
from trajinfer.scores.corrected import Corrected
from trajinfer.scores.exact_draws import drawn_rows
from trajinfer.scores.networks import PointNetwork
from trajinfer.scores.point_examples import PointLaw
from trajinfer.scores.transform import LogTransform


@packable
@dataclass(frozen=True)
class DensityModel:
    """A law of points (D,).

    Attributes:
        mixture: in closed form, of standardised points.
        network: that moves it, or None.
        levels: (rho_max, rho_min) in standard deviations.
        scaling: centre and scale of every coordinate.
        transform: what is standardised, or None for the points themselves.
        plan: of the sampler, or None.
        n_points: number of training points.
        seed: of draws, unless another is given.
    """

    mixture: GaussianMixture
    network: PointNetwork | None
    levels: tuple[float, float]
    scaling: Standardisation
    transform: LogTransform | None
    plan: SolverPlan | None
    n_points: int
    seed: int

    @property
    def law(self) -> PointLaw:
        """Of standardised points."""
        return PointLaw(self.mixture, self.network, self.levels)

    def sample(self, n: int, seed: int, n_evaluations: int, method: Method, churn: float) -> Array:
        """Draw n points, (n, D)."""
        if self.network is None:
            return self._points(self.mixture.sample(n, random_state=seed))
        if self.plan is not None:
            n_evaluations, method = self.plan.n_evaluations, "multistep"
        drawn = denoised_draws(
            self.law.whole(),
            n,
            n_evaluations=n_evaluations,
            method=method,
            churn=churn,
            plan=self.plan,
            random_state=seed,
        )
        return self._points(drawn)

    def log_density(self, X: Array) -> Array:
        """Nats per point, (N,), in the unit of the data."""
        z = torch.as_tensor(self._standard(X))
        if self.network is None:
            log_p = self.mixture.log_prob(z).numpy()
        else:
            parts = [log_likelihood(self.law.whole(), part).numpy() for part in z.split(2000)]
            log_p = np.concatenate(parts)
        log_p = log_p - np.log(self.scaling.scale).sum()
        return log_p if self.transform is None else self.transform.log_density(log_p, X)

    def impute(self, X: Array, n: int, seed: int, n_evaluations: int, churn: float) -> Array:
        """Draws (n, N, D) of points of which some coordinates, NaN, are not known."""
        z = self._standard(X)
        filled = np.repeat(z[None], n, axis=0)
        for i, one in enumerate(spawn(seed, len(X))):
            known = ~np.isnan(z[i])
            if known.all():
                continue
            values = torch.as_tensor(np.where(known, z[i], 0.0))[None]
            given = self.law.given(torch.as_tensor(known), values)
            drawn = denoised_draws(
                given, n, n_evaluations=n_evaluations, churn=churn, random_state=one
            )
            filled[:, i, ~known] = drawn.numpy()[:, ~known]
        points = self._points(torch.as_tensor(filled))
        return np.where(np.isnan(X), points, X)

    def given(
        self,
        observation: LinearObservation | Reward,
        n: int,
        seed: int,
        method: Literal["smc", "guidance"],
    ) -> Conditioned:
        """Weighted draws given an observation or a reward of points in the unit of the data."""
        asked = self._standard_question(observation)
        found = condition(
            self.law.whole(),
            asked,
            n_particles=n,
            method=method,
            levels=self.levels,
            random_state=seed,
        )
        return replace(found, particles=torch.as_tensor(self._points(found.particles)))

    def _standard_question(
        self, observation: LinearObservation | Reward
    ) -> LinearObservation | Reward:
        if isinstance(observation, Reward):
            return Reward(
                lambda z: observation.function(self._point_tensor(z)), observation.strength
            )
        if not isinstance(observation, LinearObservation):
            raise InputError(
                "observation must be a LinearObservation(H, y, R) or a Reward(function), got "
                f"{type(observation).__name__}"
            )
        observation.require_width(self.mixture.dim)
        if self.transform is not None:
            raise InputError(
                "with transform='log' an observation of points is not linear in what is modelled; "
                "give Reward(log-likelihood of the observation) instead"
            )
        H = observation.H
        center, scale = (torch.as_tensor(v) for v in (self.scaling.center, self.scaling.scale))
        return LinearObservation(H * scale, observation.y - H @ center, observation.R)

    def _standard(self, X: Array) -> Array:
        return self.scaling.apply(X if self.transform is None else self.transform.apply(X))

    def _points(self, z: Tensor) -> Array:
        points = self.scaling.invert(z.detach().numpy())
        return points if self.transform is None else self.transform.invert(points)

    def _point_tensor(self, z: Tensor) -> Tensor:
        points = z * torch.as_tensor(self.scaling.scale) + torch.as_tensor(self.scaling.center)
        return points if self.transform is None else points.exp()


def denoised_draws(denoiser: Corrected, n: int, **settings: Any) -> Tensor:
    """Draws of a denoiser without the noise that the last level leaves, (n, D)."""
    if denoiser.network is None:
        generator = torch_generator(settings["random_state"])
        return drawn_rows(denoiser.law.expanded(n), generator)
    with torch.no_grad():
        drawn = sample(denoiser, n, levels=denoiser.levels, **settings)
        result: Tensor = denoiser.denoise(drawn, denoiser.levels[1])
    return result
