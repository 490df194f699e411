"""`impute`, `anomaly` and `generate --model score` with the law of series itself."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trajinfer.scores.series_score_model import SeriesScoreModel

ONE_PART = ("--set", "n_components=1", "--no-figures", "--quiet")


@pytest.fixture
def sensor(tmp_path, monkeypatch):
    """30 days of a sensor of two channels; some cells are empty, and one value is a fault."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    hours = np.arange(0, 24, 4)
    wave = np.sin(hours / 24 * 2 * np.pi)
    table = pd.DataFrame(
        {
            "day": np.repeat(np.arange(30), len(hours)),
            "hour": np.tile(hours, 30),
            "inside": 20 + np.tile(wave, 30) + 0.1 * rng.normal(size=180),
            "outside": 10 + np.tile(3 * wave, 30) + 0.2 * rng.normal(size=180),
        }
    )
    table.loc[(table["day"] == 7) & (table["hour"] == 12), "inside"] += 3
    table.loc[rng.random(180) < 0.2, "outside"] = np.nan
    table.to_csv("sensor.csv", index=False)
    return table


NAMES = ("sensor.csv", "--id", "day", "--time", "hour")


def test_gaps_are_filled_and_what_was_observed_is_kept(sensor, run):
    done = run("impute", *NAMES, "--level", "0.8", *ONE_PART, "--json")
    assert done.exit_code == 0, done.output
    filled, empty = pd.read_csv("result/imputed.csv"), sensor["outside"].isna()
    assert json.loads(done.stdout)["filled"] == {"inside": 0, "outside": int(empty.sum())}
    np.testing.assert_array_equal(filled["outside_filled"], empty)
    np.testing.assert_allclose(filled.loc[~empty, "outside"], sensor.loc[~empty, "outside"])
    usual = 10 + 3 * np.sin(sensor["hour"] / 24 * 2 * np.pi)
    assert (filled["outside"] - usual)[empty].abs().max() < 1.0
    inside = (filled["outside_low"] < usual) & (usual < filled["outside_high"])
    assert inside[empty].mean() > 0.8


def test_the_value_that_surprises_is_listed_first(sensor, run, monkeypatch):
    scored, oddness = [], SeriesScoreModel.oddness
    monkeypatch.setattr(
        SeriesScoreModel, "oddness", lambda model, past: scored.append(1) or oddness(model, past)
    )
    done = run("anomaly", *NAMES, *ONE_PART)
    assert done.exit_code == 0, done.output
    assert len(scored) == sensor["day"].nunique()
    listed = pd.read_csv("result/anomalies.csv")
    assert listed.iloc[0][["series", "time", "channel"]].tolist() == [7, 12, "inside"]
    assert len(pd.read_csv("result/scores.csv")) == sensor[["inside", "outside"]].count().sum()
    assert (listed["score"] > 10).all()


def test_series_are_generated_by_the_law_of_series(sensor, run, fails):
    done = run("generate", *NAMES, "--model", "score", "--n", "50", *ONE_PART)
    assert done.exit_code == 0, done.output
    drawn = pd.read_csv("result/synthetic.csv")
    means, usual = (t.groupby("hour")["inside"].mean() for t in (drawn, sensor))
    np.testing.assert_allclose(means, usual, atol=0.3)
    said = fails("generate", *NAMES, "--model", "score", "--transform", "rows")
    assert "ScoreSeries has no setting 'transform'" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("impute", "--level", "2"), "--level must lie in (0, 1), got 2"),
        (("anomaly", "--above", "-1"), "--above must be a number >= 0, got -1"),
        (("impute", "--model", "scores"), "no model 'scores'; did you mean 'score'"),
    ],
)
def test_options_that_cannot_be_used_are_refused(sensor, fails, arguments, said):
    assert said in fails(arguments[0], *NAMES, *arguments[1:])


def test_cells_at_the_ends_of_a_channel_are_told_apart_from_gaps(sensor, run):
    """Before its first and after its last value; a channel without gaps there is not named."""
    table = sensor.copy()
    table.loc[(table["day"] < 3) & (table["hour"] < 12), "inside"] = np.nan
    table.loc[(table["day"] == 5) & (table["hour"] == 20), "inside"] = np.nan
    table["outside"] = sensor["outside"].fillna(10.0)
    table.to_csv("sensor.csv", index=False)
    done = run("impute", *NAMES, *ONE_PART, "--out", "result")
    assert done.exit_code == 0, done.output
    document = json.loads(Path("result/summary.json").read_text())
    assert document["outside"] == {"inside": 3 * 3 + 1, "outside": 0}
    assert "inside: 10 of 180 cells filled in\n  10 of them before its first" in done.stdout
    assert done.stdout.count("of them before") == 1


@pytest.fixture
def record(sensor):
    """The same as one long record with dates, of which one day is missing throughout."""
    start = pd.Timestamp("2024-03-01") + pd.to_timedelta(sensor["day"], unit="D")
    when = start + pd.to_timedelta(sensor["hour"], unit="h")
    table = sensor.drop(columns=["day", "hour"]).assign(time=when)
    table.loc[sensor["day"] == 20, ["inside", "outside"]] = np.nan
    table.to_csv("record.csv", index=False)
    return table


ONE_RECORD = ("record.csv", "--id", "")


@pytest.mark.parametrize("named", [False, True])
def test_one_record_is_filled_in_whole(record, run, named):
    """By the network that learns from one series, also where no model is named."""
    tiny = ("--set", "max_epochs=1", "--set", "hidden=4", "--no-figures", "--out", "result")
    done = run("impute", *ONE_RECORD, *(("--model", "gru") if named else ()), *tiny)
    assert done.exit_code == 0, done.output
    assert 'dynamics = "gru"' in Path("result/config.toml").read_text()
    filled = pd.read_csv("result/imputed.csv", parse_dates=["time"])
    pd.testing.assert_series_equal(filled["time"], record["time"], check_dtype=False)
    assert filled[["inside", "outside"]].notna().all(axis=None)


def test_a_long_record_is_cut_and_put_together_again(record, run):
    done = run("anomaly", *ONE_RECORD, "--window", "1D", *ONE_PART)
    assert done.exit_code == 0, done.output
    first = pd.read_csv("result/anomalies.csv").iloc[0]
    assert first[["time", "channel"]].tolist() == ["2024-03-08 12:00:00", "inside"]
    assert len(pd.read_csv("result/scores.csv")) == record[["inside", "outside"]].count().sum()
    done = run("impute", *ONE_RECORD, "--window", "1D", *ONE_PART)
    assert done.exit_code == 0, done.output
    filled = pd.read_csv("result/imputed.csv", parse_dates=["time"])
    pd.testing.assert_series_equal(filled["time"], record["time"], check_dtype=False)
    seen = record["outside"].notna()
    np.testing.assert_allclose(filled["outside"][seen], record["outside"][seen])
    usual = 10 + 3 * np.sin(record["time"].dt.hour / 24 * 2 * np.pi)
    assert (filled["outside"] - usual)[~seen].abs().max() < 1.0  # the missing day as well
    done = run("generate", *ONE_RECORD, "--window", "1D", "--model", "score", *ONE_PART)
    assert done.exit_code == 0, done.output
    assert pd.read_csv("result/synthetic.csv").groupby("window").size().eq(6).all()


@pytest.mark.parametrize(
    ("command", "table"), [("impute", "imputed"), ("anomaly", "scores"), ("generate", "synthetic")]
)
def test_one_long_record_is_cut_into_the_windows_that_are_told(record, run, fails, command, table):
    """Drawing, whose result are windows, asks for the length; its advice works as it stands."""
    asked = (command, *ONE_RECORD, "--set", "n_components=1", "--no-figures", "--quiet")
    asked += () if command == "anomaly" else ("--model", "score")
    if command == "generate":
        said = fails(*asked)
        assert said.endswith("such as --window 1D")
    else:
        done = run(*asked, "--out", "unasked")
        assert done.exit_code == 0, done.output
        assert "30 windows of 1D (--window)" in done.stdout
    done = run(*asked, "--window", "1D", "--out", "asked")
    assert done.exit_code == 0, done.output
    if command != "generate":
        same = [pd.read_csv(f"{folder}/{table}.csv") for folder in ("unasked", "asked")]
        pd.testing.assert_frame_equal(*same)
    script = run(*asked, "--window", "1D", "--dry-run").stdout
    assert "windows = Windows.cut(series, '1D')" in script
    exec(compile(script, "script", "exec"), {})


@pytest.mark.parametrize("command", ["impute", "anomaly", "generate"])
def test_too_short_a_record_is_refused_before_anything_is_fitted(record, run, fails, command):
    record[:100].to_csv("short.csv", index=False)
    asked = (command, "short.csv", "--id", "", "--no-figures")
    asked += ("--model", "score") if command == "impute" else ()
    assert "as many windows of 6 times, got 1 series of 100 times together" in fails(*asked)
    assert "fitting" not in run(*asked).stderr


def test_windows_of_one_row_are_left_out_of_what_is_drawn_from(record, run):
    """A record that ends at midnight has a last day of one row."""
    late = record["time"].iloc[-1] + pd.Timedelta("4h")
    more = pd.DataFrame({"inside": [20.0], "outside": [10.0], "time": [late]})
    pd.concat([record, more]).to_csv("record.csv", index=False)
    asked = ("generate", *ONE_RECORD, "--window", "1D", "--model", "score")
    done = run(*asked, "--set", "n_components=1", "--no-figures", "--n", "20")
    assert done.exit_code == 0, done.output
    assert "1 windows of one row left out" in done.stderr
    script = run(*asked, "--set", "n_components=1", "--dry-run").stdout
    assert "series = series[series.lengths >= 2]" in script
