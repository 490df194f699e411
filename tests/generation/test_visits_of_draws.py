"""Irregular visits: how far draws reach, within a window of observation and without one."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from trajinfer import DirectedChainGenerator, IrregularSeries

N, END = 150, 40.0


def visits(kind, seed):
    rng = np.random.default_rng(seed)
    for n in rng.integers(4, 18, N):
        if kind == "window":
            yield np.sort(rng.uniform(0, END, n))
        else:
            yield np.cumsum(rng.exponential(1.0, n))


@pytest.mark.parametrize(
    ("kind", "most"),
    # .13 is the 5 % limit of 150 and 400 ends; a law of gaps alone has .30 to .35 in a window
    [("window", 0.22), ("no window", 0.13)],
)
def test_ends_follow_those_of_the_data(kind, most):
    times = list(visits(kind, 1))
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(len(t), 1)).cumsum(axis=0) for t in times]
    series = IrregularSeries.from_arrays(times, values)
    drawn = DirectedChainGenerator(random_state=0).fit(series).sample(400)
    ends = np.asarray(drawn.ts).max(axis=1)
    real = np.array([t[-1] for t in times])
    assert ks_2samp(ends, real).statistic < most
    counts = [np.array([len(t) for t in times]), np.isfinite(drawn.values[..., 0]).sum(axis=1)]
    together = [np.corrcoef(n, end)[0, 1] for n, end in zip(counts, (real, ends), strict=True)]
    assert together[1] == pytest.approx(together[0], abs=0.25)  # 3 x .08
