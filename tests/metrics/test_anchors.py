"""The exact-OT line on real data: figures known from independent runs, to the digits given."""

import os

import numpy as np
import ot
import pytest
from scipy.spatial.distance import cdist

from trajinfer.datasets import fetch_snapshots
from trajinfer.metrics import mmd, wasserstein

pytestmark = pytest.mark.skipif(
    not os.environ.get("TRAJINFER_DATA"), reason="TRAJINFER_DATA does not name a folder of data"
)


def _line(train, t):
    """Points on the straight lines of an optimal plan between the neighbouring snapshots."""
    k = np.searchsorted(train.times, t) - 1
    before, after = train.points[k], train.points[k + 1]
    plan = ot.emd([], [], cdist(before, after, "sqeuclidean"))
    rows, columns = np.nonzero(plan)
    share = (t - train.times[k]) / (train.times[k + 1] - train.times[k])
    return (1 - share) * before[rows] + share * after[columns], plan[rows, columns]


@pytest.mark.parametrize(
    ("name", "w2", "mmd2"),
    [("hesc_pca5_sbirr", 1.282, None), ("eb_pca5_sbirr", 1.019, None), ("lv_200", 0.131, 0.144)],
)
def test_exact_transport_line(name, w2, mmd2):
    dataset = fetch_snapshots(name, download_if_missing=False)
    rows = []
    for t, cloud in zip(dataset.held_out.times, dataset.held_out.points, strict=True):
        line, mass = _line(dataset.train, t)
        weights = (mass, None)
        rows.append((wasserstein(line, cloud, 2, weights), mmd(line, cloud, weights=weights)))
    means = np.mean(rows, axis=0)
    assert means[0] == pytest.approx(w2, abs=6e-4)
    if mmd2 is not None:
        assert means[1] == pytest.approx(mmd2, abs=6e-4)
