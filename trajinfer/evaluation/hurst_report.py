"""The Hurst index of every column of a table, with intervals and variograms."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer import plot
from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.text import table_text
from trajinfer.fractional import HurstEstimate, estimate_hurst
from trajinfer.plot.later import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class HurstReport:
    """Estimates of columns as a table, plain data, text and figures.

    Attributes:
        values: (T,) values by column.
        estimates: by column.
        settings: arguments of `estimate_hurst`.
    """

    values: Mapping[str, Array]
    estimates: Mapping[str, HurstEstimate]
    settings: Mapping[str, Any]

    @classmethod
    def make(
        cls,
        frame: pd.DataFrame,
        columns: Sequence[str],
        times: Array | None,
        settings: Mapping[str, Any],
    ) -> HurstReport:
        """Estimate the index of columns of a table.

        Raises:
            InputError: as for `estimate_hurst`, naming the column.

        Warns:
            UserWarning: likewise.
        """
        values = {name: frame[name].to_numpy(dtype=float) for name in columns}
        estimates = {name: _estimate(name, x, times, settings) for name, x in values.items()}
        return cls(values, estimates, settings)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One line per column."""
        rows = [
            {
                "column": name,
                "hurst": e.hurst,
                "lower": e.interval[0],
                "upper": e.interval[1],
                "method": e.method,
                "at_boundary": e.at_boundary,
            }
            for name, e in self.estimates.items()
        ]
        return pd.DataFrame(rows)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The table by its name."""
        return {"hurst": self.table}

    def summary(self) -> dict[str, Any]:
        """Plain data."""
        return {"settings": self.settings, "estimates": self.table}

    def text(self) -> str:
        """The table, for people."""
        return f"{table_text(self.table)}\n"

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Functions that draw the variogram of every column without holes, by name."""
        figures = {}
        for name, x in self.values.items():
            if not np.isnan(x).any():
                path = np.cumsum(x - x.mean()) if self.settings["increments"] else x
                figures[f"variogram_{name}"] = figure_of(
                    plot.variogram, path, estimate=self.estimates[name], size=(5.0, 3.8)
                )
        return figures


def _estimate(
    name: str, x: Array, times: Array | None, settings: Mapping[str, Any]
) -> HurstEstimate:
    """The index of one column; what is refused or doubted about it bears its name."""
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        try:
            found = estimate_hurst(x, times, **settings)
        except InputError as error:
            raise InputError(f"column {name!r}: {error}") from error
    for doubt in doubts:
        warnings.warn(f"column {name!r}: {doubt.message}", doubt.category, stacklevel=4)
    return found
