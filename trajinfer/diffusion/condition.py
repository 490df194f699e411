"""Draws given observations or a reward, without training: sequential Monte Carlo, guidance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError, NotConverged
from trajinfer._core.seeding import RandomState, seed_from, torch_generator
from trajinfer.diffusion.base_law import levels_of, matched_law
from trajinfer.diffusion.denoiser import as_denoiser
from trajinfer.diffusion.gaussian import WienerDenoiser
from trajinfer.diffusion.grids import level_grid
from trajinfer.diffusion.noise import White
from trajinfer.diffusion.normals import standard_normals
from trajinfer.diffusion.observation import LinearObservation, Reward
from trajinfer.diffusion.resampling import effective_size, systematic
from trajinfer.diffusion.twists import Twist, gradient_and_value, twist_of

_CLIP = 3.0
_COLLAPSE = 0.02


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Draws given what was asked.

    Attributes:
        particles: (n, D).
        weights: (n,), sum 1.
        log_evidence: log-density of the observation under the model, or log of the mean of
            exp(reward); NaN for guidance, which has none.
        ess: effective sample size over n, before resampling, per level.
        rhos: the levels.
    """

    particles: Tensor
    weights: Tensor
    log_evidence: float
    ess: Tensor
    rhos: Tensor

    def mean(self) -> Tensor:
        """Weighted mean, (D,)."""
        return self.weights @ self.particles

    def covariance(self) -> Tensor:
        """Weighted covariance, (D, D)."""
        off = self.particles - self.mean()
        return (self.weights[:, None] * off).T @ off

    def sample(self, n: int, random_state: RandomState = None) -> Tensor:
        """N rows drawn by their weights, (n, D)."""
        generator = torch_generator(seed_from(random_state))
        rows = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        return self.particles[rows]


def condition(
    denoiser: Any,
    observation: LinearObservation | Reward,
    *,
    n_particles: int = 1000,
    n_steps: int = 80,
    method: Literal["smc", "guidance"] = "smc",
    twist: Twist | Callable[[Tensor, float], Tensor] = "projected",
    levels: tuple[float, float] | None = None,
    random_state: RandomState = None,
) -> Conditioned:
    r"""Draws of the data given a linear observation, or tilted by a reward.

    "smc" moves particles by the guided SDE (churn 1), weighs them by what the guide gets wrong, and
    resamples them; the evidence is unbiased up to the steps, whose error halves with them. The
    method "guidance" moves without weights: it is biased and overconfident, its covariance can be
    off by more than its size.

    Args:
        denoiser: with `denoise(y, rho)` and the moments `mean` and `covariance`.
        observation: a `LinearObservation` or a `Reward`.
        n_particles: n.
        n_steps: levels, one evaluation and one gradient each.
        method: "smc" or "guidance".
        twist: "projected" (error widened by what noise hides), "tweedie" (not widened), or a
            function (y, rho) -> log h, (B,).
        levels: (rho_max, rho_min), from the moments by default.
        random_state: seed.

    Raises:
        InputError: for arguments that cannot be used.
        NotConverged: if the particles collapse: the observation contradicts the model or is too
            sharp for their number.

    Example:
        >>> from trajinfer.scores import GaussianMixture, LinearObservation
        >>> law = GaussianMixture([1.0], [[0.0]], [[[1.0]]])
        >>> given = condition(law, LinearObservation([[1.0]], [1.0], 1.0), random_state=0)
        >>> round(given.mean().item(), 1)
        0.5
    """
    model = as_denoiser(denoiser)
    _check(observation, n_particles, n_steps, method)
    law = matched_law(model, White())
    if law is None:
        raise InputError("condition needs a denoiser with mean and covariance, for its start")
    if isinstance(observation, LinearObservation):
        observation.require_width(law.mean.shape[0])
    ends = levels_of(model, law, levels)
    rhos = level_grid("edm", n_steps, ends)
    log_h = twist_of(twist, observation, model, law)
    generator = torch_generator(seed_from(random_state))
    cloud = _Cloud.start(law, n_particles, float(rhos[0]), generator)
    if method == "guidance":
        return _guided(log_h, cloud.y, rhos, generator)
    return _smc(observation, log_h, cloud, rhos, generator)


class _Cloud:
    """Particles with log-weights, and the evidence so far."""

    def __init__(self, y: Tensor) -> None:
        self.y, self.log_w = y, torch.zeros(len(y), dtype=y.dtype)
        self.log_evidence, self.ess = 0.0, []  # type: float, list[float]

    @classmethod
    def start(cls, law: WienerDenoiser, n: int, rho: float, generator: torch.Generator) -> _Cloud:
        return cls(law.draw(n, rho, generator))

    def weigh(self, log_w: Tensor) -> None:
        """Multiply the weights; take their mean into the evidence."""
        total = self.log_w + log_w
        if bool(torch.isnan(total).any()):
            raise NotConverged("weights are NaN; use a smaller strength or more steps")
        self.log_evidence += float(total.logsumexp(0) - math.log(len(total)))
        self.log_w = total - total.logsumexp(0) + math.log(len(total))
        self.ess.append(effective_size(self.log_w) / len(total))
        if len(self.ess) > 1 and max(self.ess[-2:]) < _COLLAPSE:
            raise NotConverged(
                "observations contradict the model or are too sharp for "
                f"n_particles={len(total)}: the effective share of particles per level was "
                f"{[round(e, 3) for e in self.ess]}; use more particles or a larger R"
            )

    def rest(self, generator: torch.Generator, *parts: Tensor) -> list[Tensor]:
        """Resample where half of the particles count no more; `parts` go with the particles."""
        if self.ess[-1] >= 0.5:
            return [self.y, *parts]
        rows = systematic(self.log_w, generator)
        self.log_w = torch.zeros_like(self.log_w)
        self.y = self.y[rows]
        return [self.y, *(part[rows] for part in parts)]


def _smc(
    observation: LinearObservation | Reward,
    log_h: Callable[[Tensor, float], tuple[Tensor, Tensor]],
    cloud: _Cloud,
    rhos: Array,
    generator: torch.Generator,
) -> Conditioned:
    value, clean, slope = _guide(log_h, cloud.y, float(rhos[0]))
    cloud.weigh(value)
    for high, low in pairwise(rhos):
        y, value, clean, slope = cloud.rest(generator, value, clean, slope)
        cloud.y, correction = _propose(y, clean, slope, float(high), float(low), generator)
        before = value
        value, clean, slope = _guide(log_h, cloud.y, float(low))
        cloud.weigh(value - before + correction)
    with torch.no_grad():
        cloud.weigh(observation.log_likelihood(cloud.y) - value)
    weights = torch.softmax(cloud.log_w, 0)
    ess = torch.tensor(cloud.ess, dtype=torch.float64)
    return Conditioned(cloud.y, weights, cloud.log_evidence, ess, torch.as_tensor(rhos))


def _guided(
    log_h: Callable[[Tensor, float], tuple[Tensor, Tensor]],
    y: Tensor,
    rhos: Array,
    generator: torch.Generator,
) -> Conditioned:
    for high, low in pairwise(rhos):
        _, clean, slope = _guide(log_h, y, float(high))
        y, _ = _propose(y, clean, slope, float(high), float(low), generator)
    n = len(y)
    weights = torch.full((n,), 1 / n, dtype=y.dtype)
    ess = torch.full((len(rhos),), math.nan, dtype=torch.float64)
    return Conditioned(y, weights, math.nan, ess, torch.as_tensor(rhos))


def _guide(
    log_h: Callable[[Tensor, float], tuple[Tensor, Tensor]], y: Tensor, rho: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Log h (B,), the denoiser's value and the gradient of log h, clipped to 3/rho."""
    value, clean, slope = gradient_and_value(log_h, y, rho)
    norm = slope.norm(dim=1, keepdim=True)
    return value, clean, slope * (_CLIP / rho / norm.clamp(min=1e-300)).clamp(max=1.0)


def _propose(
    y: Tensor, clean: Tensor, slope: Tensor, high: float, low: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One guided step of the SDE, and the log ratio of the unguided kernel to it, (B,)."""
    share = 1 - (low / high) ** 2
    sd = low * math.sqrt(share)
    plain = y + share * (clean - y)
    shift = share * high**2 * slope
    z = standard_normals(y.shape, generator, y)
    log_ratio = 0.5 * z.square().sum(1) - 0.5 * (z + shift / sd).square().sum(1)
    return plain + shift + sd * z, log_ratio


def _check(observation: Any, n_particles: int, n_steps: int, method: str) -> None:
    if not isinstance(observation, (LinearObservation, Reward)):
        raise InputError(
            "observation must be a LinearObservation(H, y, R) or a Reward(function), got "
            f"{type(observation).__name__}"
        )
    require_integer(n_particles, "n_particles", least=2)
    require_integer(n_steps, "n_steps", least=1)
    if method not in ("smc", "guidance"):
        raise InputError(f"method must be 'smc' or 'guidance', got {method!r}")
