"""The fitted model of series with fractional noise, in units of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries, TimeAxis
from trajinfer.data.grouping import by_group
from trajinfer.data.scaling import Standardisation
from trajinfer.data.time_order import TimeOrder
from trajinfer.long_memory.grid import ObservationGrid, merged_grid
from trajinfer.long_memory.process import Process


@packable
@dataclass(frozen=True, eq=False)
class FractionalModel:
    """A fitted process and the units of its data.

    Attributes:
        process: of standardised series, at times in units of the span.
        scaling: of the channels.
        span: longest duration from the start of a series that the noise covers.
        longest: duration of the longest series of the fit; forecasts reach the rest of the span.
        n_series: number of series of the fit.
        axis: of the times.
        channels: names of the C channels.
        interval: (D, 2) of the Hurst indices.
        elbo: log-evidence of the observations of the fit, or a bound on it, in units of the data.
    """

    process: Process
    scaling: Standardisation
    span: float
    longest: float
    n_series: int
    axis: TimeAxis
    channels: tuple[str, ...]
    interval: Array
    elbo: float

    @property
    def hurst(self) -> Array:
        """(D,) Hurst indices."""
        return self._parameters["hurst"]

    @property
    def theta(self) -> Array:
        """(D,) rates of return."""
        return np.asarray(self._parameters["theta"] / self.span)

    @property
    def mean(self) -> Array:
        """(D,) long-run means."""
        center, scale = self._units
        return np.asarray(center + scale * self._parameters["mean"])

    @property
    def volatility(self) -> Array:
        """(D,) of unit-variance fractional noise."""
        p = self._parameters
        return np.asarray(self._units[1] * p["volatility"] * self.span ** -p["hurst"])

    @property
    def noise(self) -> Array:
        """(D,) standard deviations of observations."""
        return np.asarray(self._units[1] * self._parameters["noise"])

    @property
    def stationary(self) -> Array:
        """(D,) bool, whether the process was taken for stationary from the first time on."""
        return np.isnan(self._parameters["start_sd"])

    @property
    def largest_step(self) -> float | None:
        """Of the grids of the process; None where any grid will do."""
        return self.process.largest_step

    @property
    def _parameters(self) -> dict[str, Array]:
        return self.process.parameters.arrays()

    @property
    def _units(self) -> tuple[Array, Array]:
        """Centres and scales of the processes, (D,)."""
        if self.process.is_latent:
            n = len(self.process.parameters.hurst)
            return np.zeros(n), np.ones(n)
        return self.scaling.center, self.scaling.scale

    def draws(
        self, series: IrregularSeries, asked: Array, n: int, seed: int, *, noisy: bool = True
    ) -> Array:
        """N draws at times (B, Q) given the series, (B, n, Q, C).

        Of observations, whose noise is drawn anew at each time, or of X alone, which are paths.
        """
        order, seeds = TimeOrder.of(asked), self.process.seeds(seed, series.ids)

        def drawn(rows: Array) -> Array:
            grid = self._grid(series[rows], order.times[rows])
            return self.process.draws(grid, n, [seeds[i] for i in rows], noisy=noisy).numpy()

        return order.restore(self.scaling.invert(by_group(series.lengths, drawn)), axis=2)

    def means(self, series: IrregularSeries, asked: Array) -> Array:
        """Means of the observations at times (B, Q) given the series, (B, Q, C)."""

        def means(rows: Array) -> Array:
            return self.process.means(self._grid(series[rows], asked[rows])).numpy()

        return self.scaling.invert(by_group(series.lengths, means))

    def sample(self, times: Array, n: int, seed: int) -> Array:
        """N new series of X at times (T,) since the start, (n, T, C)."""
        at = torch.as_tensor(times / self.span)
        return self.scaling.invert(self.process.prior(at, n, seed).numpy())

    def _grid(self, series: IrregularSeries, asked: Array) -> ObservationGrid:
        return standardised_grid(series, self.scaling, self.span, self.largest_step, asked)


def standardised_grid(
    series: IrregularSeries,
    scaling: Standardisation,
    span: float,
    largest_step: float | None,
    asked: Array | None = None,
) -> ObservationGrid:
    """Standardised values at times since the start of each series, in units of the span.

    Args:
        series: the observations.
        scaling: of the channels.
        span: unit of time.
        largest_step: bound on the steps of the grid, in units of the data.
        asked: (B, Q) query times.
    """
    start = series.first_times[:, None]
    return merged_grid(
        (series.times - start) / span,
        scaling.apply(series.values),
        None if asked is None else (asked - start) / span,
        None if largest_step is None else largest_step / span,
    )
