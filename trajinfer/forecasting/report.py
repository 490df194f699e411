"""Held-out errors of a fit, by channel, horizon and age of the series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.held_out import HeldOut, Judged
from trajinfer.forecasting.law import ForecastLaw
from trajinfer.forecasting.observations import Observations

_FEWEST_STRETCHES = 30.0
_THIRDS = ("near", "middle", "far")


@packable
@dataclass(frozen=True)
class Report:
    """What held-out series say of a forecaster.

    Attributes:
        rows: one per channel and third of the horizon, of the age, or, where series share their
            shocks, of the horizon on what came later than all that was learned from ("later"); with
            the root mean square of the errors of the mixture and of each expert, and the coverage
            of 90 %.
        stretches: number of stretches of a horizon that stand for independent errors.
    """

    rows: list[dict[str, Any]]
    stretches: float

    @property
    def is_rough(self) -> bool:
        """Whether the intervals rest on fewer than 30 independent stretches."""
        return self.stretches < _FEWEST_STRETCHES

    def table(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)


def held_out_report(
    within: Judged, beyond: Judged | None, data: Observations, channels: tuple[str, ...]
) -> Report:
    """Errors on pairs, each predicted by a part that has not seen it.

    Args:
        within: the law within the times of the fit and the pairs that chose it.
        beyond: those after them, where the law is another one.
        data: the series.
        channels: their names.
    """
    asked = within.held_out.asked
    age = asked.history.time - data.times[data.starts[within.held_out.pairs.series]]
    groups = {"horizon": _third_of_horizon(within), "age": _third(age)}
    rows = _rows(within, groups, channels)
    if beyond is not None:
        rows += _rows(beyond, {"later": _third_of_horizon(beyond)}, channels)
    return Report(rows, within.stretches)


def _third_of_horizon(judged: Judged) -> Array:
    share = 3 * judged.held_out.asked.lead / judged.law.units.horizon
    return np.asarray(np.clip(share.astype(int), 0, 2))


def _rows(
    judged: Judged, groups: dict[str, Array], channels: tuple[str, ...]
) -> list[dict[str, Any]]:
    """A row per channel, group of pairs and third of it."""
    law, held_out = judged.law, judged.held_out
    asked = held_out.asked
    share = np.minimum(asked.own_lead / law.units.horizon, 1.0)
    scale = held_out.scale
    low, high = (law.quantiles(np.full(scale.shape, z), share) for z in (-1.6449, 1.6449))
    mean = held_out.mean
    error = held_out.truth - mean
    inside = (low * scale <= error) & (error <= high * scale)
    error = law.scale.back(held_out.truth) - law.scale.back(mean)
    rows = []
    for c, channel in enumerate(channels):
        known = ~np.isnan(error[:, c])
        experts = _errors_of_experts(law, held_out, c)
        for by, third in groups.items():
            for k, name in enumerate(_THIRDS):
                part = known & (third == k)
                if part.any():
                    errors = _root_mean_square(experts[part])
                    rows.append(
                        {"channel": channel, "by": by, "third": name, "values": int(part.sum())}
                        | {
                            "error": float(_root_mean_square(error[part, c])),
                            "coverage_90": float(inside[part, c].mean()),
                        }
                        | dict(zip(law.mixture.names, errors.tolist(), strict=True))
                    )
    return rows


def _errors_of_experts(law: ForecastLaw, held_out: HeldOut, channel: int) -> Array:
    """(P, E) on the scale that the values came in."""
    asked = held_out.asked
    found = asked.history.last + asked.size * held_out.increments.transpose(2, 0, 1)
    error = law.scale.back(held_out.truth) - law.scale.back(found)
    return np.asarray(error[:, :, channel].T)


def _root_mean_square(errors: Array) -> Array:
    """Over the rows that are known; NaN where there are none."""
    known = ~np.isnan(errors)
    total = np.where(known, errors, 0.0) ** 2
    count = known.sum(axis=0)
    return np.asarray(
        np.sqrt(np.where(count > 0, total.sum(axis=0) / np.maximum(count, 1), np.nan))
    )


def _third(age: Array) -> Array:
    return np.searchsorted(np.quantile(age, [1 / 3, 2 / 3]), age)
