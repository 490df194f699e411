import os

import numpy as np
import pytest

from trajinfer._core.errors import InputError
from trajinfer.datasets import (
    DatasetError,
    energy_dates,
    load_energy,
    load_stocks,
    relative_prices,
)
from trajinfer.datasets.series_split import find_series_file
from trajinfer.datasets.stocks import _SHA256

needs_data = pytest.mark.skipif(
    not os.environ.get("TRAJINFER_DATA"), reason="TRAJINFER_DATA is not set"
)


@needs_data
@pytest.mark.parametrize("offset", range(4))
def test_no_row_of_prices_is_on_both_sides(offset):
    split = load_stocks(offset=offset)
    opens = [np.unique(part.values[:, :, 0].round(6)) for part in (split.train, split.hold_out)]
    pairs = [
        {tuple(row) for row in part.values.reshape(-1, 5)} for part in (split.train, split.hold_out)
    ]
    assert not pairs[0] & pairs[1]
    assert min(map(len, opens)) > 500


@needs_data
def test_prices_are_oldest_first_and_in_order():
    split = load_stocks()
    assert len(split.hold_out) == 864
    assert split.train.values[0, 0, 3] == pytest.approx(49.845802)
    opened, high, low, close = np.moveaxis(split.train.values[:, :, :4], 2, 0)
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()


@needs_data
def test_relative_prices_start_at_a_close_of_zero():
    windows = load_stocks().hold_out.values
    relative = relative_prices(windows)
    assert not relative[:, 0, 3].any()
    np.testing.assert_allclose(relative[:, :, 4].mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(
        np.exp(relative[:, :, 0]) * windows[:, :1, 3], windows[:, :, 0], rtol=1e-12
    )
    with pytest.raises(InputError, match="positive"):
        relative_prices(windows - 500)


@needs_data
def test_days_of_energy_are_complete_and_add_up():
    split = load_energy()
    days = np.concatenate([split.train.values, split.hold_out.values])
    assert np.isfinite(days).all()
    assert (days >= 0).all()
    assert days[:, :, 2].max() <= 330
    np.testing.assert_array_equal(days[:, :, 0] + days[:, :, 1], days[:, :, 2])
    assert 0.15 < (days[:, :, 3] == 0).mean() < 0.25
    assert len(days) == 689
    dates = energy_dates()
    assert [len(d) for d in dates] == [len(split.train), len(split.hold_out)]
    # Weekdays use more than weekends: two kinds of days.
    weekend = np.concatenate([d.dayofweek >= 5 for d in dates])
    assert days[~weekend, :, 2].mean() > 1.5 * days[weekend, :, 2].mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_stocks(offset=4), "offset"),
        (lambda: load_stocks(200), "n_times"),
        (lambda: load_energy(offset=-1), "offset"),
        (lambda: relative_prices(np.ones((2, 3))), "windows"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_missing_and_a_damaged_file_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DatasetError, match=r"stock_data\.csv .* was not found"):
        find_series_file("stock_data.csv", _SHA256, tmp_path)
    (tmp_path / "stock_data.csv").write_text("Open\n1\n")
    with pytest.raises(DatasetError, match="damaged"):
        find_series_file("stock_data.csv", _SHA256, tmp_path)
