"""The encoder that drives a neural SDE along the series."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trajinfer.paths import Interpolation
from trajinfer.sde import SolverRegularization, solve
from trajinfer.series.controls import Controls
from trajinfer.series.dynamics import LatentDynamics
from trajinfer.series.encoder import Encoder, Encoding
from trajinfer.series.series_batch import SeriesBatch
from trajinfer.series.step_grid import batch_grid, common_increments, step_grid


class SDEEncoder(Encoder):
    r"""The state starts at an affine map of X(t_1) and the statics, and is driven along the series.

    Args:
        dynamics: of the latent state.
        n_channels: C.
        n_statics: S.
        interpolation: scheme of the control path.
        step: largest step, in rescaled time.
        most_steps: bound on the steps from the start to the end of a series; None: no bound.
        slope_scale, most_counts: see `Controls`.
        method: of `solve`; "euler" evaluates the drives of all steps at once.
        by_batch: take steps and noise by the place in the batch, as version 0.1 did.
    """

    def __init__(
        self,
        dynamics: LatentDynamics,
        n_channels: int,
        n_statics: int,
        *,
        interpolation: Interpolation,
        step: float,
        most_steps: int | None = None,
        slope_scale: float,
        most_counts: float,
        method: str = "euler",
        by_batch: bool = False,
    ) -> None:
        super().__init__()
        self.dynamics, self.dim = dynamics, dynamics.dim
        self.start = nn.Linear(Controls.width(n_channels) + n_statics, dynamics.dim)
        self.interpolation, self.step, self.method = interpolation, step, method
        self.slope_scale, self.most_counts = slope_scale, most_counts
        self.by_batch, self.most_steps = by_batch, most_steps

    def forward(
        self,
        batch: SeriesBatch,
        queries: Tensor | None = None,
        *,
        seed: int = 0,
        common_noise: bool = False,
        regularization: SolverRegularization | None = None,
    ) -> Encoding:
        """Solve the dynamics along every series; see `Encoder`."""
        controls = Controls(batch, self.interpolation, self.slope_scale, self.most_counts)
        start = batch.times[:, 0]
        if self.by_batch:
            grid = batch_grid(start, batch.end, queries, self.step)
        else:
            grid = step_grid(start, batch.end, queries, self.step, self.most_steps)
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
            **self._noise(grid.times, seed, common_noise),
            regularization=regularization,
            log_ratio="kl" if latent and self.training else None,
        )
        states = self.dynamics.readable(solution.ys)
        kl = (
            states.new_zeros(()) if solution.log_ratio is None else solution.log_ratio.sum(1).mean()
        )
        return Encoding(
            states[:, 1:],
            _shares_of_time(grid.times, grid.n_past).to(states),
            states[torch.arange(len(states)), grid.n_past],
            states.gather(1, grid.asked[:, :, None].expand(-1, -1, self.dim)),
            solution.penalty if solution.penalty is not None else states.new_zeros(()),
            kl,
        )

    def _noise(self, times: Tensor, seed: int, common: bool) -> dict[str, Any]:
        """Arguments of `solve` that say which noise drives the states."""
        if self.dynamics.noise_type == "none":
            return {}
        if not common or self.by_batch:
            return {"random_state": seed}
        increments, areas = common_increments(times, self.dim, seed)
        return {"noise": increments if self.method == "euler" else (increments, areas)}


def _shares_of_time(times: Tensor, n_past: Tensor) -> Tensor:
    """(B, N) lengths of the steps to the end of each series as shares; even if all are zero."""
    past = torch.arange(times.shape[1] - 1, device=times.device) < n_past[:, None]
    lengths = torch.where(past, times.diff(dim=1), 0.0)
    total = lengths.sum(1, keepdim=True)
    even = past / past.sum(1, keepdim=True)
    return torch.where(total > 0, lengths / total.where(total > 0, 1.0), even)
