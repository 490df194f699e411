"""Many paths of a diffusion, step by step, and what a functional pays along them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.functionals.exits import Covariance, Exits, Touch, onto_wall
from trajinfer.processes import affine_transition
from trajinfer.questions.functional import Functional, values_at
from trajinfer.questions.region import Region

Gradient = Callable[[float, Array], Array]
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(8)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


class Stepper:
    """One step of a diffusion, exact for affine drifts; otherwise Euler's.

    Args:
        diffusion: the process.
        step: the length.
        tilt: (t, x) -> (n, M) added to the noise, or None.
    """

    def __init__(self, diffusion: Diffusion, step: float, tilt: Gradient | None) -> None:
        self.diffusion, self.step, self.tilt = diffusion, step, tilt
        self.width = (
            diffusion.dim
            if diffusion.diagonal
            else int(diffusion.noise(0.0, np.zeros((1, diffusion.dim))).shape[-1])
        )
        self._flow = None
        if diffusion.affine is not None and tilt is None:
            matrix, offset, noise = (torch.as_tensor(part) for part in diffusion.affine)
            parts = affine_transition(
                matrix, offset, torch.diag(noise**2), torch.tensor([step], dtype=torch.float64)
            )
            flow, shift, rate = (part[0].numpy() for part in parts)
            self._flow = flow, shift, np.linalg.cholesky(rate * step)

    def move(self, t: float, x: Array, normals: Array) -> Array:
        """States after the step."""
        if self._flow is not None:
            return np.asarray(self.mean(t, x) + normals @ self._flow[2].T)
        if self.diffusion.exact is not None and self.tilt is None:
            return self.diffusion.exact(self.step, x, normals)
        kick = normals * np.sqrt(self.step)
        if self.tilt is not None:
            kick = kick + self.tilt(t, x) * self.step
        return self.mean(t, x) + self.product(t, x, kick)

    def mean(self, t: float, x: Array) -> Array:
        """Means of the states after the step, without a tilt."""
        if self._flow is not None:
            flow, shift, _ = self._flow
            return np.asarray(x @ flow.T + shift)
        if self.diffusion.exact is not None and self.tilt is None:
            ends = [self.diffusion.exact(self.step, x, np.full_like(x, z)) for z in _NODES]
            return np.asarray(np.tensordot(_NODE_WEIGHTS, np.stack(ends), axes=1))
        return x + self.diffusion.drift(t, x) * self.step

    def covariance(self, t: float, x: Array) -> Array:
        """Of the step, (n, D, D)."""
        return self.diffusion.covariance(t, x) * self.step

    def spread(self, t: float, x: Array) -> Covariance:
        """The covariance of a step from x (n, D): numbers where it is the same everywhere."""
        if not self.diffusion.constant_noise:
            return lambda z: self.covariance(t, z)
        same = self.covariance(t, x[:1])
        return np.broadcast_to(same, (len(x), *same.shape[1:]))

    def product(self, t: float, x: Array, v: Array) -> Array:
        """The product g v."""
        g = self.diffusion.noise(t, x)
        return np.asarray(g * v if self.diffusion.diagonal else np.einsum("ndm,nm->nd", g, v))

    def noise_of(self, t: float, x: Array, move: Array) -> Array:
        """The v (n, M) with g v = move, the smallest one where there are several."""
        g = self.diffusion.noise(t, x)
        if self.diffusion.diagonal:
            return np.asarray(np.divide(move, g, out=np.zeros_like(move), where=g != 0))
        return np.asarray(np.einsum("nmd,nd->nm", np.linalg.pinv(g), move))


@dataclass(eq=False)
class Walkers:
    """Paths under way.

    Attributes:
        x: (n, D) states.
        alive: (n,) bool, whether a path has not stopped.
        total: (n,) what was collected, less the control.
        survival: (n,) weight of not having stopped, for `exits="weights"`.
        discount: (n,) the discount factor.
        log_weight: (n,) of a tilted path.
    """

    x: Array
    alive: Array
    total: Array
    survival: Array
    discount: Array
    log_weight: Array

    @classmethod
    def at(cls, x: Array) -> Walkers:
        """Paths that begin."""
        n = len(x)
        return cls(x.copy(), np.ones(n, bool), np.zeros(n), np.ones(n), np.ones(n), np.zeros(n))

    def take(self, rows: Array) -> Walkers:
        """Some of the paths."""
        return Walkers(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def put(self, rows: Array, other: Walkers) -> None:
        """Write paths back."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(other, name)

    @property
    def payoff(self) -> Array:
        """What each path is worth."""
        return self.total * np.exp(self.log_weight)


@dataclass(frozen=True, eq=False)
class Rules:
    """How paths are walked and paid.

    Attributes:
        functional: the question.
        exits: how exits between steps are found.
        control: gradient of a control, or None.
    """

    functional: Functional
    exits: Exits
    control: Gradient | None = None

    @property
    def regions(self) -> Sequence[Region]:
        """The stopping regions."""
        return [region for region, _ in self.functional.stopping]

    def advance(
        self, paths: Walkers, stepper: Stepper, t: float, normals: Array, chance: Array, late: Array
    ) -> None:
        """Move the paths that are alive by one step, in place.

        Args:
            paths: of n rows.
            stepper: the step.
            t: the time before it.
            normals: (n, M) that drive it.
            chance: (n, 2 K) uniform draws, for touches and their times.
            late: (n, K) normal draws for the times of touches.
        """
        rows = np.flatnonzero(paths.alive)
        if not len(rows):
            return
        part = paths.take(rows)
        x = part.x
        y = stepper.move(t, x, normals[rows])
        spread = stepper.spread(t, x)
        touch = Touch.of(self.regions, x, y, spread, plain=self.exits == "plain")
        n_regions = len(self.regions)
        share, place, which = np.ones(len(rows)), y, np.full(len(rows), -1)
        if n_regions and self.exits != "weights":
            share, place, which = touch.first(self.regions, x, y, chance[rows], late[rows])
        kept = (1 - touch.chance).prod(axis=1) if self.exits == "weights" else np.ones(len(rows))
        before = part.discount
        self._pay_on_the_way(part, stepper, t, x, place, share, kept)
        if n_regions and self.exits == "weights":
            self._pay_by_weights(part, touch, t + stepper.step, place, (before + part.discount) / 2)
            part.survival = part.survival * kept
        for k, (_, paid) in enumerate(self.functional.stopping):
            mine = which == k
            if mine.any():
                value = values_at(paid, t + stepper.step, place[mine])
                part.total[mine] += part.discount[mine] * value
        part.alive = which < 0 if self.exits != "weights" else part.survival > 1e-12
        part.x = place
        paths.put(rows, part)

    def _pay_on_the_way(
        self,
        part: Walkers,
        stepper: Stepper,
        t: float,
        x: Array,
        place: Array,
        share: Array,
        kept: Array,
    ) -> None:
        functional, length = self.functional, share * stepper.step
        rate = values_at(functional.discount, t, x)
        if callable(functional.discount):
            rate = (rate + values_at(functional.discount, t, place)) / 2
        before, after = part.discount, part.discount * np.exp(-rate * length)
        if functional.running is not None:
            first = values_at(functional.running, t, x) * before
            last = values_at(functional.running, t + stepper.step, place) * after
            part.total += part.survival * length * (first + kept * last) / 2
        if self.control is not None or stepper.tilt is not None:
            noise = place - x - (stepper.mean(t, x) - x) * share[:, None]
        if self.control is not None:
            slope = self.control(t, x)
            part.total -= part.survival * before * (slope * noise).sum(axis=1)
        if stepper.tilt is not None:
            u = stepper.tilt(t, x)
            pushed = stepper.product(t, x, u * length[:, None])
            free = stepper.noise_of(t, x, noise - pushed)
            part.log_weight -= (u * free).sum(axis=1) + (u**2).sum(axis=1) * length / 2
        part.discount = after

    def _pay_by_weights(
        self, part: Walkers, touch: Touch, t: float, place: Array, discount: Array
    ) -> None:
        stopped = 1 - (1 - touch.chance).prod(axis=1)
        several = np.maximum(touch.chance.sum(axis=1), 1e-300)
        for k, (region, paid) in enumerate(self.functional.stopping):
            chance = stopped * touch.chance[:, k] / several
            value = values_at(paid, t, onto_wall(region, place))
            part.total += part.survival * discount * chance * value

    def conclude(self, paths: Walkers, t: float) -> None:
        """Pay the paths that reached the horizon."""
        rows = np.flatnonzero(paths.alive)
        value = values_at(self.functional.terminal, t, paths.x[rows])
        paths.total[rows] += paths.survival[rows] * paths.discount[rows] * value
