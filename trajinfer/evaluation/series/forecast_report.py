"""What is said of forecasts: how they meet what came, where it is known, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.text import table_text
from trajinfer.data import Forecast, IrregularSeries
from trajinfer.evaluation.series.calibration import calibration, figures_beside_the_last_value
from trajinfer.plot.later import MOST_CHANNELS, figure_by_channel, figure_of
from trajinfer.plot.observations import channels
from trajinfer.plot.progress import forecasts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_FIGURES = 6


@dataclass(frozen=True)
class ForecastReport:
    """Forecasts as tables, plain data, text and figures.

    Attributes:
        forecast: of B series.
        series: all that is known of them.
        past: what the forecast was made from.
        horizon: longest distance ahead.
        truth: (B, T, C) what came; None where it is not known.
    """

    forecast: Forecast
    series: IrregularSeries
    past: IrregularSeries
    horizon: float
    truth: Array | None

    @cached_property
    def scores(self) -> Mapping[str, float] | None:
        """Errors and widths beside those of the last value; None without the truth."""
        if self.truth is None:
            return None
        return figures_beside_the_last_value(self.forecast, self.past, self.truth)

    @cached_property
    def calibration(self) -> pd.DataFrame | None:
        """Coverage of the intervals; None without the truth."""
        return None if self.truth is None else calibration(self.forecast, self.truth)

    def _drawn(self) -> dict[str, tuple[int, int]]:
        """How many series and channels there are, and how many of them figures show at most."""
        return {
            "series": (len(self.past), _MOST_FIGURES),
            "channels": (len(self.past.channels), MOST_CHANNELS),
        }

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "series": len(self.past),
            "channels": self.past.channels,
            "horizon": self.horizon,
            "unit": self.past.axis.unit,
            "scores": self.scores,
        }

    def text(self) -> str:
        """The same in a few lines, for people."""
        length = self.past.axis.in_words(self.horizon)
        lines = [f"{len(self.past)} series forecast, up to {length} ahead"]
        for word, (count, drawn) in self._drawn().items():
            lines += [f"  figures show the first {drawn} of {count} {word}"] * (count > drawn)
        if self.scores is not None and self.calibration is not None:
            lines += [f"  {name} = {score:.5g}" for name, score in self.scores.items()]
            lines += ["", table_text(self.calibration)]
        return "\n".join([*lines, ""])

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name."""
        table = self.calibration
        more = {} if table is None else {"calibration": table}
        return {"forecast": self.forecast.to_frame(), **more}

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Functions that make the figures, by name: the first series, the data, the coverage."""
        drawn, n = self.forecast, len(self.forecast.channels)
        figures = {
            f"forecast_{i}": figure_by_channel(
                forecasts, drawn, series=i, observed=self.series[i], n_channels=n
            )
            for i in range(min(len(drawn), _MOST_FIGURES))
        }
        figures["data"] = figure_by_channel(channels, self.series, n_channels=n)
        if self.calibration is not None:
            table = self.calibration
            figures["calibration"] = figure_of(plot.calibration, table, size=(4.0, 4.0))
        return figures
