"""A fitted interpolant as a value: it draws paths, follows points and gives velocity and score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer._core.seeding import torch_generator
from trajinfer.data.scaling import Standardisation
from trajinfer.diffusion.interpolant_mixture import MixtureInterpolant
from trajinfer.diffusion.normals import standard_normals
from trajinfer.diffusion.sde import InterpolantSDE
from trajinfer.references.stratified import draw_atoms
from trajinfer.scores.interpolant_field import FieldNetwork, InterpolantField
from trajinfer.sde import solve

Direction = Literal["forward", "backward"]

_DRAWS_OF_A_MEAN = 100


class Way(NamedTuple):
    """How paths are followed.

    Attributes:
        n_evaluations: of the field per segment.
        churn: noise in units of that of the reference; 0 is the ODE.
    """

    n_evaluations: int
    churn: float


@packable
@dataclass(frozen=True)
class InterpolantModel:
    """Laws between K snapshots of standardised points.

    Attributes:
        times: (K,).
        points: K arrays (N_k, D).
        masses: K arrays (N_k,) summing to 1.
        laws: closed forms of the K - 1 segments.
        network: that moves them, or None.
        scaling: centre and scale of every coordinate.
        volatility: (D,) of standardised points, per root of time.
        seed: of draws, unless another is given.
    """

    times: Array
    points: tuple[Array, ...]
    masses: tuple[Array, ...]
    laws: tuple[MixtureInterpolant, ...]
    network: FieldNetwork | None
    scaling: Standardisation
    volatility: Array
    seed: int

    def fields(self, network: FieldNetwork | None) -> list[InterpolantField]:
        """Fields of the segments."""
        shares = (self.times - self.times[0]) / (self.times[-1] - self.times[0])
        spans = zip(shares[:-1].tolist(), shares[1:].tolist(), strict=True)
        return [InterpolantField(l, network, s) for l, s in zip(self.laws, spans, strict=True)]

    def paths(self, times: Array, n: int, way: Way, seed: int) -> Array:
        """Paths (n, T, D) at rising times within the snapshots."""
        generator = torch_generator(seed)
        k = self._segment(times[0])
        start = self._atoms(k, n, generator)
        return self._units(self._follow(start, self.times[k], times, way, generator))

    def marginal(self, t: float, n: int, way: Way, seed: int) -> Array:
        """Positions (n, D) at time t, from the nearer of the two snapshots.

        Before the first snapshot they are its points; after the last one its points with the noise
        of the reference.
        """
        generator = torch_generator(seed)
        first, last = self.times[[0, -1]]
        if not first < t < last:
            k = 0 if t <= first else len(self.times) - 1
            points = self._atoms(k, n, generator)
            return self._units(self._diffused(points, max(t - last, 0.0), generator))
        k = self._segment(t)
        begin, end = self.times[k : k + 2]
        u = (t - begin) / (end - begin)
        direction: Direction = "forward" if u <= 0.5 else "backward"
        near, away = (k, u) if u <= 0.5 else (k + 1, 1 - u)
        points = self._atoms(near, n, generator)
        stops = np.unique([0.0, away])
        return self._units(self._within(k, points, stops, way, generator, direction))[:, -1]

    def expected(self, X: Array, t0: float, times: Array, way: Way) -> Array:
        """Mean positions (n, T, D) at rising times of what stands at X (n, D) at time t0."""
        n = len(X)
        copies = 1 if way.churn == 0 else _DRAWS_OF_A_MEAN
        start = torch.as_tensor(self.scaling.apply(X)).repeat_interleave(copies, 0)
        inside = np.minimum(times, self.times[-1])
        # the same noise for every point, so that the answer to one does not depend on the others
        paths = self._follow(start, t0, inside, way, torch_generator(self.seed), copies)
        return self._units(paths.reshape(n, copies, len(times), -1).mean(1))

    def velocity_and_score(self, X: Array, t: float, churn: float) -> tuple[Array, Array]:
        """Drift of the paths per unit of time, and the score, in the unit of the data."""
        k = self._segment(t)
        begin, end = self.times[k : k + 2]
        field = self.fields(self.network)[k]
        sde = InterpolantSDE(field, churn=self._churn(k, churn))
        x, u = torch.as_tensor(self.scaling.apply(X)), torch.tensor((t - begin) / (end - begin))
        with torch.no_grad():
            drift, score = sde.f(u, x), field.score(x, u)
        scale = self.scaling.scale
        return drift.numpy() * scale / (end - begin), score.numpy() / scale

    def log_density(self, X: Array, t: float) -> Array:
        """Log-density (n,) of the population at points X (n, D) and time t, unit of the data."""
        k = self._segment(t)
        begin, end = self.times[k : k + 2]
        x = torch.as_tensor(self.scaling.apply(X))
        found = self.fields(self.network)[k].log_density(x, float((t - begin) / (end - begin)))
        return np.asarray(found.numpy() - np.log(self.scaling.scale).sum())

    def _follow(
        self,
        start: Tensor,
        t0: float,
        times: Array,
        way: Way,
        generator: torch.Generator,
        alike: int | None = None,
    ) -> Tensor:
        """Positions (n, T, D) at rising times of points that start at t0, segment by segment."""
        now, x, pieces = t0, start, []
        for k in range(self._segment(t0), len(self.times) - 1):
            begin, end = self.times[k : k + 2]
            is_last = k == len(self.times) - 2
            asked = times[(times >= now) & ((times <= end) if is_last else (times < end))]
            ends = np.concatenate([[now], asked, [] if is_last else [end]])
            u = (ends - begin) / (end - begin)
            stops, places = np.unique(u, return_inverse=True)
            found = self._within(k, x, stops, way, generator, alike=alike)[:, places]
            pieces.append(found[:, 1 : 1 + len(asked)])
            x, now = found[:, -1], end
            if is_last or not (times >= end).any():
                break
        return torch.cat(pieces, 1)

    def _within(
        self,
        k: int,
        x: Tensor,
        stops: Array,
        way: Way,
        generator: torch.Generator,
        direction: Direction = "forward",
        alike: int | None = None,
    ) -> Tensor:
        """Positions (n, T, D) at rising places of segment k."""
        if len(stops) == 1:
            return x[:, None]
        field = self.fields(self.network)[k]
        sde = InterpolantSDE(field, churn=self._churn(k, way.churn), direction=direction)
        method, evaluations_a_step = ("sea", 1) if sde.is_noisy else ("heun_ode", 2)
        n_steps = max(1, way.n_evaluations // evaluations_a_step)
        grid, kept = angle_grid(np.asarray(stops), n_steps)
        numbers = np.arange(len(x)) if alike is None else np.arange(len(x)) % alike
        with torch.no_grad():
            paths: Tensor = solve(
                sde,
                x,
                torch.as_tensor(grid),
                method=method,
                random_state=generator,
                per_sample_seed=numbers.tolist() if sde.is_noisy else False,
            ).ys
        return paths[:, kept]

    def _churn(self, k: int, churn: float) -> Tensor:
        """(D,) noise e of segment k, per unit of u."""
        sigma = self.laws[k].volatility
        return churn * sigma.square() / 2

    def _segment(self, t: float) -> int:
        """The segment that holds t; at a snapshot the one that starts there."""
        k = int(np.searchsorted(self.times, t, side="right")) - 1
        return min(max(k, 0), len(self.times) - 2)

    def _atoms(self, k: int, n: int, generator: torch.Generator) -> Tensor:
        rows = draw_atoms(torch.as_tensor(np.array(self.masses[k])), n, generator)
        return torch.as_tensor(self.points[k][rows.numpy()])

    def _diffused(self, x: Tensor, duration: float, generator: torch.Generator) -> Tensor:
        z = standard_normals(x.shape, generator, x)
        return x + math.sqrt(duration) * torch.as_tensor(self.volatility) * z

    def _units(self, x: Tensor) -> Array:
        return self.scaling.invert(x.numpy())


def angle_grid(stops: Array, n_steps: int) -> tuple[Array, Array]:
    r"""Steps even in $\arcsin\sqrt u$, short at both ends, that land on all stops.

    Args:
        stops: rising places u.
        n_steps: from 0 to 1.

    Returns:
        The places, and which of them are the stops.
    """
    largest = math.pi / 2 / n_steps
    angles = np.arcsin(np.sqrt(np.clip(stops, 0.0, 1.0)))
    counts = np.maximum(1, np.ceil(np.diff(angles) / largest - 1e-9)).astype(int)
    pieces = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(angles, angles[1:], counts)]
    grid = np.sin(np.append(np.concatenate(pieces), angles[-1])) ** 2
    kept = np.concatenate([[0], np.cumsum(counts)])
    grid[kept] = stops
    return grid, kept
