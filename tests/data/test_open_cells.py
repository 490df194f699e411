"""AnnData on disk, read block by block."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from trajinfer import Snapshots
from trajinfer._core.errors import InputError
from trajinfer.data import open_cells
from trajinfer.data.parquet import PartialDataWarning

ad = pytest.importorskip("anndata")

POINTS = np.random.default_rng(0).normal(size=(300, 4))
DAYS = np.repeat([0.0, 3.0, 7.0], 100)


def written(folder, store, kind=np.asarray):
    names = [f"cell{i}" for i in range(300)]
    obs = pd.DataFrame({"day": DAYS}, index=names)
    obsm = {"X_pca": POINTS[:, :3], "X_other": POINTS}
    adata = ad.AnnData(kind(POINTS), obs=obs, obsm=obsm)
    path = folder / f"cells.{store}"
    if store == "zarr":
        pytest.importorskip("zarr")
        adata.write_zarr(path)
    else:
        adata.write_h5ad(path)
    return path


@pytest.mark.filterwarnings("ignore:.*zarr.*")
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_all_cells_in_blocks(store, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(open_cells, "_BLOCK", 8 * 4 * 7)  # seven cells at a time
    path = written(tmp_path, store, kind)
    inside = Snapshots.open(path, time="day")
    assert inside.times.tolist() == [0, 3, 7]
    assert inside.features == ("pca1", "pca2", "pca3")
    np.testing.assert_array_equal(np.concatenate(inside.points), POINTS[:, :3])
    genes = Snapshots.open(path, time="day", use_rep="X", n_dims=2)
    np.testing.assert_array_equal(np.concatenate(genes.points), POINTS[:, :2])


@pytest.mark.filterwarnings("ignore:.*zarr.*")
@pytest.mark.parametrize("store", ["h5ad", "zarr"])
def test_what_does_not_fit_is_a_random_part(store, tmp_path):
    path = written(tmp_path, store)
    with pytest.warns(PartialDataWarning, match=r"holds 300 cells, memory= allows .* random 25"):
        part = Snapshots.open(path, time="day", memory=300 * 3 * 40 / 4)
    assert 45 < part.n_points < 110
    known = {tuple(row) for row in POINTS[:, :3]}
    assert all(tuple(row) in known for row in np.concatenate(part.points))


def test_what_is_not_there_is_named(tmp_path):
    path = written(tmp_path, "h5ad")
    with pytest.raises(InputError, match=r"no 'X_umap' in obsm; .*X_pca"):
        Snapshots.open(path, time="day", use_rep="X_umap")
    with pytest.raises(InputError, match="no column 'dya' in obs; did you mean 'day'"):
        Snapshots.open(path, time="dya")
    (tmp_path / "no.h5ad").write_bytes(b"no file of HDF5")
    with pytest.raises(InputError, match="cannot be read as AnnData"):
        Snapshots.open(tmp_path / "no.h5ad", time="day")
    with pytest.raises(InputError, match="there is no"):
        Snapshots.open(tmp_path / "none.h5ad", time="day")
