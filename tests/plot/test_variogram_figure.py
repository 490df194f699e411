"""The variogram draws the data and the law of the estimate."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.fractional import estimate_hurst, simulate_fbm, variogram

plt = pytest.importorskip("matplotlib.figure")


def test_data_law_and_interval_are_drawn():
    from trajinfer import plot

    path = simulate_fbm(0.7, np.arange(200.0), 1, random_state=0).values[0, :, 0]
    estimate = estimate_hurst(path)
    axes = plot.variogram(path, ax=plt.Figure().subplots(), estimate=estimate)
    points, law = axes.lines
    lags = points.get_xdata().astype(int)
    np.testing.assert_allclose(points.get_ydata(), variogram(path, lags.tolist()))
    slope = np.polyfit(np.log(lags), np.log(law.get_ydata()), 1)[0]
    assert slope == pytest.approx(2 * estimate.hurst)
    assert len(axes.collections) == 1
    bare = plot.variogram(path, ax=plt.Figure().subplots())
    assert (len(bare.lines), len(bare.collections)) == (1, 0)


def test_short_paths_and_holes_are_refused():
    from trajinfer import plot

    for data, message in ((np.arange(5.0), "at least 10"), (np.r_[np.nan, np.ones(20)], "finite")):
        with pytest.raises(InputError, match=message):
            plot.variogram(data)
