"""What drives the latent state: the path through the data, its slope, the clock, the age."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trajinfer.nn import TimeFeatures
from trajinfer.paths import Interpolation, Path, control_path, intensity
from trajinfer.series.series_batch import SeriesBatch

_CLOCK = TimeFeatures()


class Controls(Path):
    r"""$(X(t), \text{counts}(t), \tanh X'(t), \text{age}(t), \text{clock}(t))$ of a batch.

    X is the control path through the standardised values, which stands still beyond the
    observations; the age is how long ago the last observation was made; the counts are the shares
    of observations made so far, for each channel; the clock is time with its first harmonics.
    In the derivative (for a CDE) that of the slopes is left out.

    Args:
        batch: the series.
        interpolation: scheme of X.
        slope_scale: typical size of X', so that its tanh keeps what is typical apart.
        most_counts: number of observations that counts as 1, such as the largest of the training.
    """

    causal = False

    def __init__(
        self,
        batch: SeriesBatch,
        interpolation: Interpolation,
        slope_scale: float,
        most_counts: float,
    ) -> None:
        counts = intensity(batch.mask, most_counts)
        joined = torch.cat([batch.values, counts.to(batch.values)], dim=2)
        seen = torch.cat([batch.mask, torch.ones_like(batch.mask)], dim=2)
        self.n_channels = batch.values.shape[2]
        self.path = control_path(interpolation)(batch.times, joined, seen).held()
        self.slope_scale = slope_scale
        last = torch.where(batch.mask.any(2), batch.times, -torch.inf).amax(1)
        self.last = torch.where(last.isfinite(), last, batch.times[:, -1])
        self.t0, self.t1 = self.path.t0, self.path.t1

    @staticmethod
    def width(n_channels: int) -> int:
        """Number of controls for C channels."""
        return 3 * n_channels + 1 + _CLOCK.width

    def evaluate(self, t: Tensor) -> Tensor:
        """The controls (B, Q, 3 C + 10) at times (B, Q)."""
        slope = self.path.derivative(t)[..., : self.n_channels]
        clock = self.aligned(t)
        age = (clock - self.last[:, None]).clamp(min=0)
        value = self.path.evaluate(t)
        known = _CLOCK(clock[..., None]).to(value)
        slope = torch.tanh(slope / self.slope_scale)
        return torch.cat([value, slope, age[..., None].to(value), known], dim=-1)

    def derivative(self, t: Tensor) -> Tensor:
        """The derivative of the controls (B, Q, 3 C + 10)."""
        slope = self.path.derivative(t)
        clock = self.aligned(t)
        aging = (clock >= self.last[:, None]).to(slope)[..., None]
        still = torch.zeros_like(slope[..., : self.n_channels])
        passing = _CLOCK.derivative(clock[..., None]).to(slope)
        return torch.cat([slope, still, aging, passing], dim=-1)


def typical_slope(batches: Sequence[SeriesBatch]) -> float:
    """Root mean square slope between neighbouring times, over the channels seen at both."""
    squares = []
    for batch in batches:
        steps = batch.times.diff(dim=1)[:, :, None]
        both = batch.mask[:, 1:] & batch.mask[:, :-1] & (steps > 0)
        slopes = batch.values.diff(dim=1) / steps.where(steps > 0, 1.0)
        squares.append(slopes[both].square())
    joined = torch.cat(squares)
    return max(1e-6, float(joined.mean().sqrt())) if len(joined) else 1.0
