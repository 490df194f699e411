import runpy
from pathlib import Path

import numpy as np
import pytest

from trajinfer._core.errors import InputError
from trajinfer.data import Snapshots
from trajinfer.datasets import (
    Dataset,
    DatasetError,
    available,
    describe,
    load_gapminder,
    load_lotka_volterra,
    load_repressilator,
    load_repressilator_mrna,
    load_snapshots,
    load_vortex,
    read_snapshots,
    write_snapshots,
)

RECIPES = Path(__file__).parents[2] / "datasets"
SHIPPED = [info.name for info in available() if info.source == "shipped"]


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (load_lotka_volterra, "lotka_volterra"),
        (load_repressilator, "repressilator"),
        (load_repressilator_mrna, "repressilator_mrna_of_6"),
        (load_vortex, "vortex"),
    ],
)
def test_shipped_sets_load_anywhere(load, name):
    dataset = load()
    assert dataset.info.name == name
    assert dataset.info.licence == "MIT"
    assert len(dataset.snapshots) == dataset.info.n_times


# the recipe of 6 genes runs the solver and the checks of the one of 3 for longer
SLOW = "repressilator_mrna_of_6"
RECIPE_OF = [pytest.param(n, marks=[pytest.mark.slow] if n == SLOW else []) for n in SHIPPED]


@pytest.mark.parametrize("name", RECIPE_OF)
def test_a_recipe_gives_what_is_shipped(name, tmp_path):
    recipe = runpy.run_path(str(RECIPES / name / "recipe.py"))
    path = recipe["build"](tmp_path / "new.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["new.npz"]
    shipped = load_snapshots(name)
    new, split = read_snapshots(path)
    assert split == shipped.split
    np.testing.assert_allclose(new.times, shipped.snapshots.times)
    for ours, theirs in zip(new.points, shipped.snapshots.points, strict=True):
        # Two independent draws would differ by this much once in 1e7 numbers; equal ones do not.
        spread = np.hypot(ours.std(axis=0), theirs.std(axis=0)) / np.sqrt(len(ours))
        assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5.4 * spread).all()
    assert (RECIPES / name / "card.md").is_file()


def test_gapminder_keeps_its_true_pairing():
    dataset = load_gapminder()
    assert dataset.snapshots.times.tolist() == list(range(1952, 2008, 5))
    assert [dataset.split.count(r) for r in ("train", "held_out", "forecast")] == [6, 5, 1]
    assert dataset.forecast.times.tolist() == [2007]
    row = dataset.individuals.index("Sweden")
    expected = [np.log10(33859.74835), 80.884, np.log10(9031088)]
    np.testing.assert_allclose(dataset.snapshots.points[-1][row], expected, rtol=1e-9)
    np.testing.assert_array_equal(
        dataset.trajectories.values, np.stack(dataset.snapshots.points, axis=1)
    )
    frame = load_gapminder(return_frame=True)
    assert frame.shape == (1704, 6)
    assert frame["time"].dtype.kind == "i"
    one = frame[(frame["individual"] == "Sweden") & (frame["time"] == 2007)]
    assert one["life_expectancy"].item() == pytest.approx(80.884)


def test_fetched_sets_are_not_loaded():
    with pytest.raises(InputError, match=r"use fetch_hesc\(\)"):
        load_snapshots("hesc_pca5_sbirr")


def test_a_written_file_reads_back(tmp_path):
    cloud = Snapshots([0, 2], [np.zeros((3, 2)), np.ones((5, 2))])
    path = write_snapshots(tmp_path / "a.npz", cloud, ["train", "forecast"], true_sigma=0.5)
    again, split = read_snapshots(path)
    assert split == ("train", "forecast")
    np.testing.assert_array_equal(again.points[1], cloud.points[1])
    assert read_snapshots(write_snapshots(path, cloud))[1] == ("train", "train")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    cloud = Snapshots([0, 2], [np.zeros((3, 2)), np.ones((5, 2))])
    path = write_snapshots(tmp_path / "a.npz", cloud)
    before = path.read_bytes()

    def interrupted(stream, **arrays):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(OSError, match="disk full"):
        write_snapshots(path, cloud, ["train", "held_out"])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"x_0": np.zeros((2, 1))}, DatasetError, "no array 'times'"),
        ({"x_0": np.zeros((2, 1)), "times": [0.0, 1.0]}, DatasetError, "no array 'x_1'"),
        ({"x_0": np.zeros((2, 1)), "times": [0.0], "split": [3.0]}, DatasetError, "0, 1 or 2"),
        ({"x_0": np.zeros((2, 1)), "times": [0.0], "split": [1.0]}, InputError, "for training"),
        ({"x_0": np.full((2, 1), np.nan), "times": [0.0]}, InputError, "NaN"),
    ],
)
def test_unusable_files_are_refused(tmp_path, arrays, error, message):
    path = tmp_path / "b.npz"
    np.savez(path, **arrays)
    with pytest.raises(error, match=message):
        read_snapshots(path)


def test_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(DatasetError, match="cannot be read"):
        read_snapshots(path)
    path.write_bytes(b"PK\x03\x04 not a zip archive")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_snapshots(path)
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_snapshots(path)


def test_weights_are_not_dropped_silently(tmp_path):
    cloud = Snapshots([0], [np.zeros((2, 1))], weights=[[1.0, 3.0]])
    with pytest.raises(InputError, match="no weights"):
        write_snapshots(tmp_path / "d.npz", cloud)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (("train",), "1 roles for 2"),
        (("train", "test"), "roles must be among"),
        (("held_out", "held_out"), "for training"),
        (("forecast", "train"), "later than"),
    ],
)
def test_a_split_must_fit(split, message):
    cloud = Snapshots([0, 1], [np.zeros((2, 1)), np.ones((2, 1))])
    with pytest.raises(InputError, match=message):
        Dataset(cloud, split, describe("vortex"))
    if len(split) == 1:
        with pytest.raises(InputError, match="individuals"):
            Dataset(cloud, ("train", "train"), describe("vortex"), individuals=("a",))
