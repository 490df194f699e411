"""Forecasts: sample paths of several series at their query times, and what follows from them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_array, require_finite, require_fraction
from trajinfer._core.errors import InputError
from trajinfer.data.irregular_series import IrregularSeries
from trajinfer.data.time_axis import TimeAxis
from trajinfer.data.trajectories import Trajectories

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Forecast:
    """n sample paths of each of B series, at T times, of C channels.

    Args:
        samples: (B, n, T, C).
        ts: (T,) times shared by all series or (B, T), in any order; numbers, datetimes or
            durations.
        channels: names of the C channels.
        ids: one identifier per series.
        axis: how times map to numbers; found from `ts` where it is not given.
        history: the series the forecast is of, up to their cutoff, drawn by `plot`.

    Raises:
        InputError: if shapes disagree, or times are not finite.

    Example:
        >>> forecast = Forecast([[[[1.0], [2.0]], [[3.0], [6.0]]]], [0.0, 1.0])
        >>> forecast.mean().ravel().tolist()
        [2.0, 4.0]
    """

    samples: Array
    ts: Array
    channels: tuple[str, ...] = ()
    ids: tuple[Hashable, ...] = ()
    axis: TimeAxis = field(default=None, repr=False)  # type: ignore[assignment]
    history: IrregularSeries | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        samples = as_array(self.samples, "samples", ndim=4)
        n, _, steps, n_channels = samples.shape
        if not samples.size:
            raise InputError(
                f"samples must be (B, n, T, C) with no empty axis, got {samples.shape}"
            )
        axis = self.axis if self.axis is not None else TimeAxis.of(np.ravel(self.ts))
        ts = axis.encode(np.ravel(self.ts)).reshape(np.shape(self.ts))
        if ts.shape not in {(steps,), (n, steps)}:
            raise InputError(
                f"ts must be (T,) or (B, T) for samples (B, n, T, C) = {samples.shape}, got "
                f"{ts.shape}"
            )
        require_finite(ts, "ts")
        channels = tuple(map(str, self.channels)) or tuple(f"x{c}" for c in range(n_channels))
        ids = tuple(self.ids) or tuple(range(n))
        if len(channels) != n_channels or len(ids) != n:
            raise InputError(
                f"{len(channels)} channel names and {len(ids)} ids do not fit samples "
                f"{samples.shape}"
            )
        samples.flags.writeable = False
        for name, value in {
            "samples": samples,
            "ts": ts,
            "channels": channels,
            "ids": ids,
            "axis": axis,
        }.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.samples)

    def __repr__(self) -> str:
        n, paths, steps, channels = self.samples.shape
        return f"Forecast({n} series, {paths} paths, {steps} times, {channels} channels)"

    def __getitem__(self, index: Any) -> Forecast:
        """Some of the series, by a number, a slice, numbers or a bool each."""
        rows = np.atleast_1d(np.arange(len(self))[index])
        return Forecast(
            self.samples[rows],
            self.ts if self.ts.ndim == 1 else self.ts[rows],
            self.channels,
            tuple(self.ids[i] for i in rows),
            self.axis,
            None if self.history is None else self.history[rows],
        )

    def in_order(self) -> Forecast:
        """The same forecast with ascending times."""
        if (np.diff(self.ts, axis=-1) >= 0).all():
            return self
        order = np.argsort(self.ts, axis=-1, kind="stable")
        columns = np.broadcast_to(order, (len(self), self.ts.shape[-1]))[:, None, :, None]
        return replace(
            self,
            ts=np.take_along_axis(self.ts, order, axis=-1),
            samples=np.take_along_axis(self.samples, columns, axis=2),
        )

    @property
    def time_labels(self) -> Any:
        """The times as the user gave them, flattened if each series has its own."""
        return self.axis.decode(self.ts.ravel())

    def mean(self) -> Array:
        """Mean over the paths, (B, T, C)."""
        return np.asarray(self.samples.mean(axis=1))

    def std(self) -> Array:
        """Standard deviation over the paths, (B, T, C)."""
        return np.asarray(self.samples.std(axis=1))

    def quantile(self, q: float | Sequence[float]) -> Array:
        """Quantiles over the paths, (B, T, C) for one q, else (Q, B, T, C).

        A new path lies below with probability q, for any number of paths (Weibull's positions);
        where the paths are too few for that, the smallest or the largest of them is given.

        Raises:
            InputError: if a q lies outside [0, 1].
        """
        levels = np.asarray(q, dtype=np.float64)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise InputError(f"quantiles must lie in [0, 1], got {q}")
        return np.asarray(np.quantile(self.samples, levels, axis=1, method="weibull"))

    def interval(self, level: float = 0.9) -> tuple[Array, Array]:
        """Central interval of the given probability: lower and upper end, (B, T, C) each.

        Raises:
            InputError: if `level` does not lie strictly between 0 and 1.
        """
        require_fraction(level, "level")
        lower, upper = self.quantile([(1 - level) / 2, (1 + level) / 2])
        return lower, upper

    def trajectories(self, series: int = 0) -> Trajectories:
        """The paths of one series."""
        ts = self.ts if self.ts.ndim == 1 else self.ts[series]
        return Trajectories(ts, self.samples[series], features=self.channels, axis=self.axis)

    def to_frame(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> pd.DataFrame:
        """One row per series, time and channel: id, time, channel, mean, and q5, q50, ...

        Args:
            quantiles: which quantiles to give; 0.05 becomes column `q5`.
        """
        n, _, steps, channels = self.samples.shape
        columns: dict[str, Any] = {
            "id": pd.Index(list(self.ids)).repeat(steps * channels),
            "time": self.axis.decode(
                np.repeat(np.broadcast_to(self.ts, (n, steps)).ravel(), channels)
            ),
            "channel": np.tile(np.array(self.channels, dtype=object), n * steps),
            "mean": self.mean().ravel(),
        }
        for level, value in zip(quantiles, self.quantile(list(quantiles))):
            columns[f"q{100 * level:g}"] = value.ravel()
        return pd.DataFrame(columns)

    def plot(self, series: int = 0, **options: Any) -> Axes:
        """Draw the bands of one series; see `trajinfer.plot.forecast`."""
        from trajinfer import plot

        return plot.forecast(self, series=series, **options)
