"""Answers for every cell, in the rows of the table that was fitted."""

import numpy as np
import pandas as pd
import pytest

from trajinfer import SchrodingerBridge
from trajinfer._core.errors import InputError

ad = pytest.importorskip("anndata")


@pytest.fixture
def adata():
    """Cells of three days in a random order."""
    rng = np.random.default_rng(4)
    day = rng.permutation(np.repeat([0.0, 1.0, 2.0], 15))
    points = rng.normal(day[:, None], 1.0, (45, 2))
    kind = np.where(points[:, 0] > 2, "late", "early").astype(object)
    kind[rng.permutation(45)[:4]] = None
    obs = pd.DataFrame({"day": day, "kind": kind}, index=[f"c{i}" for i in range(45)])
    return ad.AnnData(np.zeros((45, 1)), obs=obs, obsm={"X_pca": points})


@pytest.fixture
def bridge(adata):
    return SchrodingerBridge(growth="counts", random_state=0).fit(adata, time="day")


def test_every_cell_has_its_own_answers(adata, bridge, tmp_path):
    bridge.annotate(adata, time="day", sets="kind")
    fates = adata.obsm["fates"]
    assert list(fates.columns) == ["early", "late", "other"]
    at = {day: np.flatnonzero(adata.obs["day"] == day) for day in (0.0, 1.0, 2.0)}
    late = (adata.obs["kind"] == "late").to_numpy()[at[2.0]]
    early = (adata.obs["kind"] == "early").to_numpy()[at[2.0]]
    expected = bridge.fates({"early": early, "late": late}, t0=1.0, t1=2.0)
    np.testing.assert_array_equal(fates.to_numpy()[at[1.0]], expected)
    np.testing.assert_array_equal(fates["late"].to_numpy()[at[2.0]], late)
    np.testing.assert_allclose(fates.sum(axis=1), 1.0)
    points = adata.obsm["X_pca"]
    drift = bridge.velocity(points[at[1.0]], 1.0)
    np.testing.assert_array_equal(adata.obsm["velocity_pca"][at[1.0]], drift)
    np.testing.assert_array_equal(adata.obs["growth_rate"].to_numpy()[at[0.0]], bridge.growth_[0])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert again.uns["trajinfer"]["time"] == "day"
    pd.testing.assert_frame_equal(again.obsm["fates"], fates)


def test_fates_at_an_earlier_time_and_cells_that_were_held_out(adata):
    some = adata[adata.obs["day"] < 2].copy()
    bridge = SchrodingerBridge(random_state=0).fit(some, time="day")
    bridge.annotate(adata, time="day", sets={"right": lambda x: x[:, 0] > 1}, t1=1.0)
    held_out = (adata.obs["day"] == 2).to_numpy()
    assert adata.obsm["fates"]["right"].isna().to_numpy().tolist() == held_out.tolist()
    assert np.isnan(adata.obsm["velocity_pca"]).all(axis=1).tolist() == held_out.tolist()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"sets": "kimd"}, "no column 'kimd'.*kind"),
        ({"sets": "kind", "t1": 1.5}, "no snapshot at time 1.5"),
        ({"sets": "kind", "t1": 0.0}, "no snapshot lies before"),
        ({"use_rep": "X"}, "not those of the fit|has"),
    ],
)
def test_bad_requests_are_refused(adata, bridge, words, message):
    with pytest.raises(InputError, match=message):
        bridge.annotate(adata, time="day", **words)


def test_other_cells_are_refused(adata, bridge):
    with pytest.raises(InputError, match="not those of the fit"):
        bridge.annotate(adata[:30].copy(), time="day")
