"""`impute`, `anomaly` and `generate --model score` with the law of series itself."""

import json

import numpy as np
import pandas as pd
import pytest

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


def test_the_value_that_surprises_is_listed_first(sensor, run):
    done = run("anomaly", *NAMES, *ONE_PART)
    assert done.exit_code == 0, done.output
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
