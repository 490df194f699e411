"""Encoders: from observations to latent states, by a driven SDE or a recurrent network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from trajinfer.paths import Interpolation
from trajinfer.sde import SolverRegularization, solve
from trajinfer.series.controls import Controls
from trajinfer.series.dynamics import LatentDynamics
from trajinfer.series.series_batch import SeriesBatch


@dataclass(frozen=True)
class Encoding:
    """Latent states of a batch, as read by heads.

    Attributes:
        states: (B, N, H) along each series, up to its end.
        weights: (B, N) shares of time that sum to 1 for each series.
        last: (B, H) at the end.
        asked: (B, Q, H) at the query times.
        penalty: what the steps of the solver cost, where that is asked for.
        kl: divergence of the posterior from the prior, where the dynamics have one.
    """

    states: Tensor
    weights: Tensor
    last: Tensor
    asked: Tensor
    penalty: Tensor
    kl: Tensor


class Encoder(nn.Module, ABC):
    """A module from a batch of series to latent states.

    Attributes:
        dim: H.
    """

    dim: int

    @abstractmethod
    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Encode.

        Args:
            batch: the series.
            queries: (B, Q) times at or after the end of each series, ascending.
            seed: of the noise.
            regularization: penalty on what the steps of the solver cost.
        """


@dataclass(frozen=True)
class Grid:
    """Steps of a batch from the first time of each series to its end, then through its queries.

    Attributes:
        times: (B, N + 1).
        n_past: index of the end of each series; queries lie behind it.
        asked: indices of the queries.
    """

    times: Tensor
    n_past: int
    asked: list[int] = field(default_factory=list)


def step_grid(start: Tensor, end: Tensor, queries: Tensor | None, step: float) -> Grid:
    """Steps no longer than `step` to the end of each series, and on to each of its queries.

    Every series divides its own span evenly and then waits, with steps of length zero, for the
    one that needs most steps, so that a batch costs its longest series.
    """
    span = (end - start).clamp(min=0)
    needed = (span / step - 1e-9).ceil().clamp(min=1)
    n_past = int(needed.max())
    share = (torch.arange(n_past + 1) / needed[:, None]).clamp(max=1)
    times = start[:, None] + share * span[:, None]
    times[share >= 1] = end[:, None].expand_as(times)[share >= 1]
    if queries is None:
        return Grid(times, n_past)
    whole = torch.cat([end[:, None], queries], dim=1)
    pieces = max(1, int((whole.diff(dim=1).amax() / step - 1e-9).ceil()))
    parts = torch.arange(1, pieces + 1) / pieces
    between = whole[:, :-1, None] + parts * whole.diff(dim=1)[:, :, None]
    between[:, :, -1] = queries
    asked = [n_past + pieces * (k + 1) for k in range(queries.shape[1])]
    return Grid(torch.cat([times, between.flatten(1)], dim=1), n_past, asked)


class SDEEncoder(Encoder):
    r"""The state starts at an affine map of X(t_1) and the statics, and is driven along the series.

    Args:
        dynamics: of the latent state.
        n_channels: C.
        n_statics: S.
        interpolation: scheme of the control path.
        step: largest step, in rescaled time.
        slope_scale, most_counts: see `Controls`.
        method: of `solve`; "euler" evaluates the drives of all steps at once.
    """

    def __init__(
        self,
        dynamics: LatentDynamics,
        n_channels: int,
        n_statics: int,
        *,
        interpolation: Interpolation,
        step: float,
        slope_scale: float,
        most_counts: float,
        method: str = "euler",
    ) -> None:
        super().__init__()
        self.dynamics, self.dim = dynamics, dynamics.dim
        self.start = nn.Linear(Controls.width(n_channels) + n_statics, dynamics.dim)
        self.interpolation, self.step, self.method = interpolation, step, method
        self.slope_scale, self.most_counts = slope_scale, most_counts

    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Solve the dynamics along every series; see `Encoder`."""
        controls = Controls(batch, self.interpolation, self.slope_scale, self.most_counts)
        grid = step_grid(batch.times[:, 0], batch.end, queries, self.step)
        first = controls.evaluate(grid.times[:, :1])[:, 0]
        y0 = self.dynamics.from_start(self.start(torch.cat([first, batch.statics], dim=1)))
        latent = hasattr(self.dynamics, "control")
        at_once = self.method == "euler" and regularization is None and not latent
        solution = solve(
            self.dynamics,
            y0,
            grid.times,
            method=self.method,
            context=self.dynamics.prepare(controls, grid.times) if at_once else controls,
            random_state=None if self.dynamics.noise_type == "none" else seed,
            regularization=regularization,
            log_ratio="kl" if latent and self.training else None,
        )
        states = self.dynamics.readable(solution.ys)
        lengths = grid.times[:, : grid.n_past + 1].diff(dim=1).to(states)
        total = lengths.sum(1, keepdim=True)
        even = torch.full_like(lengths, 1 / grid.n_past)
        weights = torch.where(total > 0, lengths / total.where(total > 0, 1.0), even)
        kl = (
            states.new_zeros(()) if solution.log_ratio is None else solution.log_ratio.sum(1).mean()
        )
        return Encoding(
            states[:, 1 : grid.n_past + 1],
            weights,
            states[:, grid.n_past],
            states[:, grid.asked],
            solution.penalty if solution.penalty is not None else states.new_zeros(()),
            kl,
        )


class RecurrentEncoder(Encoder):
    r"""A gated recurrent network over the observations, between which the state may flow.

    It is told values (the mean where missing), masks and the time since the previous observation.
    With `flow`, $dz = N(z)\,dt$ carries the state from one observation to the next (ODE-RNN).

    Args:
        dim: H.
        n_channels: C.
        n_statics: S.
        flow: move between the observations.
        layers: hidden layers of N.

    References:
        Cho et al., arXiv 1406.1078. Rubanova, Chen and Duvenaud, arXiv 1907.03907.
    """

    def __init__(
        self, dim: int, n_channels: int, n_statics: int, *, flow: bool, layers: int = 2
    ) -> None:
        super().__init__()
        self.dim = dim
        self.cell = nn.GRUCell(2 * n_channels + 2, dim)
        self.start = nn.Linear(max(1, n_statics), dim)
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [nn.Linear(dim, dim), nn.Tanh()]
        self.field = nn.Sequential(*parts, nn.Linear(dim, dim)) if flow else None

    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Run over the observations; see `Encoder`. Nothing is random here."""
        seen = batch.mask
        gaps = batch.times.diff(dim=1, prepend=batch.times[:, :1]).to(batch.values)[:, :, None]
        clock = batch.times.to(batch.values)[:, :, None]
        told = torch.cat([torch.nan_to_num(batch.values), seen.to(batch.values), gaps, clock], 2)
        given = batch.statics if batch.statics.shape[1] else batch.values.new_zeros(len(batch), 1)
        z, states = self.start(given), []
        real = seen.any(2, keepdim=True)
        for k in range(told.shape[1]):
            z = torch.where(real[:, k], self.cell(told[:, k], self._flown(z, gaps[:, k])), z)
            states.append(z)
        present = real.to(told)[:, :, 0]
        asked = z[:, None].expand(-1, 0 if queries is None else queries.shape[1], -1)
        if queries is not None and self.field is not None:
            asked = self._along(z, queries - batch.end[:, None])
        weights = present / present.sum(1, keepdim=True).clamp(min=1)
        nothing = told.new_zeros(())
        return Encoding(torch.stack(states, 1), weights, z, asked, nothing, nothing)

    def _flown(self, z: Tensor, duration: Tensor, n_steps: int = 2) -> Tensor:
        if self.field is None:
            return z
        for _ in range(n_steps):
            z = z + duration / n_steps * self.field(z)
        return z

    def _along(self, z: Tensor, later: Tensor) -> Tensor:
        steps = later.diff(dim=1, prepend=torch.zeros_like(later[:, :1])).to(z)
        states = []
        for k in range(later.shape[1]):
            z = self._flown(z, steps[:, k : k + 1])
            states.append(z)
        return torch.stack(states, 1)
