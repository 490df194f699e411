"""Intervals of fates and growth, against the spread of independent data sets."""

import numpy as np
import pytest

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer._core.errors import InputError
from trajinfer.evaluation import cell_intervals
from trajinfer.processes import Brownian

PROBE = np.linspace(-2, 2, 5)[:, None]


def right_of_middle(x):
    return x[:, 0] > 0.0


def share_from_probe(bridge):
    return bridge.fates({"right": right_of_middle}, t0=0, t1=1).to_numpy()[:5]


def clouds(rng, n=80):
    start = np.concatenate([PROBE, rng.normal(0, 1, (n, 1))])
    end = rng.normal(0, np.sqrt(2.0), (n, 1))
    return Snapshots([0.0, 1.0], [start, end])


def fitted(data, **words):
    return SchrodingerBridge(Brownian(dim=1, volatility=1.0), random_state=0, **words).fit(data)


def test_intervals_are_as_wide_as_other_cells_would_have_made_them():
    rng = np.random.default_rng(0)
    others = np.stack([share_from_probe(fitted(clouds(rng))) for _ in range(30)])[..., 0]
    low, high = cell_intervals(
        fitted(clouds(rng)), share_from_probe, n=30, level=0.8, random_state=1
    )
    widths = (high - low)[:, 0]
    expected = np.subtract(*np.quantile(others, [0.9, 0.1], axis=0))
    # quantiles of thirty numbers on both sides: a standard error of about a sixth
    np.testing.assert_allclose(widths.mean() / expected.mean(), 1.0, atol=0.35)


def test_growth_has_intervals_and_tables_stay_tables():
    rng = np.random.default_rng(2)
    data = clouds(rng, 20)
    bridge = fitted(Snapshots(data.times, data.points, sizes=[1.0, 2.0]), growth="counts")
    low, high = cell_intervals(bridge, lambda b: np.concatenate(b.growth_), n=3, random_state=0)
    # the sizes of the populations are not drawn again
    np.testing.assert_allclose(low, np.log(2.0))
    np.testing.assert_allclose(high, np.log(2.0))


@pytest.mark.parametrize(
    ("words", "message"), [({"n": 1}, "n must"), ({"level": 1.0}, "level must")]
)
def test_bad_settings_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        cell_intervals(fitted(clouds(np.random.default_rng(0), 8)), share_from_probe, **words)
