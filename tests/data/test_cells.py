"""Cells of AnnData as people keep them: on disk, sparse, views, with gaps."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from trajinfer import Snapshots
from trajinfer._core.errors import InputError

ad = pytest.importorskip("anndata")

DAYS = np.repeat([0.0, 3.0, 7.0], 10)
POINTS = np.random.default_rng(0).normal(size=(30, 4))


def cells(matrix=POINTS, days=DAYS, **obsm):
    names = [f"cell{i}" for i in range(30)]
    return ad.AnnData(matrix, obs=pd.DataFrame({"day": days}, index=names), obsm=obsm)


def read(adata, use_rep="X", **options):
    return Snapshots.from_anndata(adata, time="day", use_rep=use_rep, **options)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("backed", [False, True])
@pytest.mark.parametrize("key", ["X", "X_pca"])
def test_on_disk_and_in_memory_whole_and_as_a_view(kind, backed, key, tmp_path):
    adata = cells(kind(POINTS), X_pca=kind(POINTS[:, :3]))
    if backed:
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    expected = POINTS if key == "X" else POINTS[:, :3]
    np.testing.assert_array_equal(np.concatenate(read(adata, key).points), expected)
    np.testing.assert_array_equal(
        np.concatenate(read(adata, key, n_dims=2).points), expected[:, :2]
    )
    late = adata[adata.obs["day"] > 0]
    np.testing.assert_array_equal(np.concatenate(read(late, key).points), expected[10:])


def test_coordinates_of_a_view_are_an_array():
    adata = cells(X_pca=POINTS)
    view = adata[:20].obsm["X_pca"]
    np.testing.assert_array_equal(
        np.concatenate(Snapshots.from_arrays(view, DAYS[:20]).points), POINTS[:20]
    )


@pytest.mark.parametrize(
    "days",
    [
        pd.Categorical(np.where(np.arange(30) == 4, None, DAYS.astype(str)).astype(object)),
        np.where(np.arange(30) == 4, np.nan, DAYS),
    ],
)
def test_cells_without_a_day_are_named_and_the_advice_works(days):
    adata = cells(days=days)
    with pytest.raises(InputError, match=r"1 of 30 cells have no 'day' in obs, such as 'cell4'"):
        read(adata)
    assert read(adata[adata.obs["day"].notna()]).times.tolist() == [0.0, 3.0, 7.0]


def test_what_is_there_in_place_of_coordinates():
    with pytest.raises(InputError, match=r"obsm is empty; take use_rep='X', the 4 columns"):
        read(cells(), "X_pca")
    with pytest.raises(InputError, match="did you mean 'X_pca2'"):
        read(cells(X_pca2=POINTS), "X_pca")
    adata = cells()
    adata.layers["counts"] = sp.csr_matrix(POINTS)
    with pytest.raises(InputError, match=r"it is a layer: adata.obsm\['counts'\] = adata") as said:
        read(adata, "counts")
    exec(str(said.value).split("it is a layer: ")[1].split(" makes")[0], {"adata": adata})
    np.testing.assert_array_equal(np.concatenate(read(adata, "counts").points), POINTS)


def test_coordinates_keep_the_names_that_they_have():
    adata = cells()
    adata.var_names = ["Sox2", "Gata1", "Nanog", "Pax6"]
    adata.obsm["signs"] = pd.DataFrame(POINTS[:, :2], index=adata.obs_names, columns=["g", "m"])
    assert read(adata).features == ("Sox2", "Gata1", "Nanog", "Pax6")
    assert read(adata, n_dims=2).features == ("Sox2", "Gata1")
    assert read(adata[:, 2:]).features == ("Nanog", "Pax6")
    assert read(adata[10:], "signs").features == ("g", "m")
    adata.obsm["X_pca"] = POINTS[:, :2]
    assert read(adata, "X_pca").features == ("pca1", "pca2")
