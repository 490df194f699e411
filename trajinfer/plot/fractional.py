"""Long memory: the variogram of a path beside the power law of a Hurst index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trajinfer._core.checks import as_array, require_finite
from trajinfer._core.errors import InputError
from trajinfer.fractional import HurstEstimate
from trajinfer.fractional import variogram as mean_squares
from trajinfer.plot.style import BLUE, GREY, VERMILION, legend_above, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_N_LAGS = 20
_LARGEST_SHARE = 5


def variogram(data: Any, *, ax: Axes | None = None, estimate: HurstEstimate | None = None) -> Axes:
    r"""Mean squared increments of a path against the lag, on logarithmic axes.

    Args:
        data: (T,) an equally spaced path.
        ax: axes to draw into; None makes a figure.
        estimate: of one channel, whose law $\propto \text{lag}^{2H}$ is drawn with its interval.

    Raises:
        InputError: if the path is too short or has holes.
        MissingExtra: if matplotlib is not installed.
    """
    path = as_array(data, "data", ndim=1)
    require_finite(path, "data")
    if len(path) < 2 * _LARGEST_SHARE:
        raise InputError(f"a variogram needs at least {2 * _LARGEST_SHARE} points, got {len(path)}")
    largest = len(path) // _LARGEST_SHARE
    lags = np.unique(np.geomspace(1, largest, _N_LAGS).round().astype(int))
    values = mean_squares(path, lags.tolist())
    axes = new_axes(ax)
    axes.loglog(lags, values, "o", color=BLUE, ms=4, label="data")
    if estimate is not None:
        low, high = (float(end) for end in estimate.interval)
        middle = float(estimate.hurst)
        level = np.exp(np.mean(np.log(values) - 2 * middle * np.log(lags)))
        centre = np.exp(np.mean(np.log(lags)))
        turned = [
            level * lags ** (2 * middle) * (lags / centre) ** (2 * (h - middle))
            for h in (low, high)
        ]
        axes.fill_between(lags, *turned, color=GREY, alpha=0.3, lw=0)
        law = level * lags ** (2 * middle)
        axes.loglog(lags, law, color=VERMILION, label=f"H = {middle:.2f} [{low:.2f}, {high:.2f}]")
    axes.set_xlabel("lag (steps)")
    axes.set_ylabel("mean squared increment")
    legend_above(axes)
    return axes
