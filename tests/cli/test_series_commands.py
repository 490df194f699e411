"""`forecast` and `classify` on tables, with small estimators that follow the same protocol."""

import json

import numpy as np
import pandas as pd
import pytest

import trajinfer
from tests.cli.small_estimators import ByMean, LastValue
from trajinfer.cli import classify, forecast
from trajinfer.cli.models import Model


@pytest.fixture
def models(monkeypatch):
    monkeypatch.setattr(trajinfer, "LastValue", LastValue, raising=False)
    monkeypatch.setattr(trajinfer, "ByMean", ByMean, raising=False)
    monkeypatch.setitem(forecast.MODELS, "last", Model("LastValue", {"spread": 0.5}, "ahead"))
    monkeypatch.setitem(classify.MODELS, "mean", Model("ByMean", {}))


@pytest.fixture
def patients(tmp_path, monkeypatch, models):
    """A folder with 24 patients of 12 dated measurements each, three of them with gaps."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(24), 12)
    ill = who % 2
    table = pd.DataFrame(
        {
            "who": who,
            "day": np.tile(pd.date_range("2024-01-01", periods=12).astype(str), 24),
            "heart": 60 + 20 * ill + rng.normal(size=288),
            "temp": 36.5 + ill + 0.1 * rng.normal(size=288),
            "state": np.where(ill == 1, "ill", "well"),
        }
    )
    table.loc[rng.random(288) < 0.1, "temp"] = np.nan
    table.to_csv("patients.csv", index=False)
    return table


NAMES = ("--id", "who", "--time", "day", "--channels", "heart,temp")


def test_forecast_beyond_the_last_time(patients, run, tmp_path):
    result = run(
        "forecast", "patients.csv", *NAMES, "--model", "last", "--horizon", "36h", "--steps", 3,
        "--out", "out", "--no-figures", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["horizon"] == 1.5
    table = pd.read_csv(tmp_path / "out" / "forecast.csv", parse_dates=["time"])
    assert len(table) == 24 * 3 * 2
    assert table["time"].iloc[4] == pd.Timestamp("2024-01-13T12:00")
    first = table[(table["id"] == 0) & (table["channel"] == "heart")].iloc[0]
    last = patients.loc[(patients["who"] == 0), "heart"].iloc[-1]
    assert abs(first["mean"] - last) < 5 * 0.5 / np.sqrt(200)


def test_forecast_scored_on_what_is_held_out(patients, run, tmp_path):
    result = run(
        "forecast", "patients.csv", *NAMES, "--model", "last", "--hold-out-after", "2024-01-09",
        "--set", "spread=1.0", "--out", "out", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["horizon"] == 3.0
    scores = document["scores"]
    assert scores["mse"] == pytest.approx(scores["mse_of_the_last_value"], rel=0.05)
    table = pd.read_csv(tmp_path / "out" / "calibration.csv")
    assert list(table["level"]) == [0.5, 0.8, 0.9, 0.95]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"calibration.png", "forecast_0.png", "model", "config.toml"} <= written
    assert "spread = 1.0" in (tmp_path / "out" / "config.toml").read_text()


def test_a_written_config_gives_the_same_forecast(patients, run, tmp_path):
    call = ("forecast", "patients.csv", *NAMES, "--model", "last", "--horizon", "2D")
    first = run(*call, "--no-figures", "--seed", 4, "--out", "a")
    assert first.exit_code == 0, first.output
    second = run(*call, "--no-figures", "--config", "a/config.toml", "--out", "b")
    assert second.exit_code == 0, second.output
    one, two = (pd.read_csv(tmp_path / name / "forecast.csv") for name in "ab")
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize("aim", [("--horizon", "2D"), ("--hold-out-after", "2024-01-09")])
def test_the_printed_forecast_runs(patients, run, aim):
    result = run("forecast", "patients.csv", *NAMES, "--model", "last", *aim, "--dry-run")
    assert result.exit_code == 0, result.output
    names = {}
    exec(result.stdout, names)
    assert names["forecast"].samples.shape[:2] == (24, 200)


def test_classes_of_held_out_series(patients, run, tmp_path):
    result = run(
        "classify", "patients.csv", *NAMES, "--label", "state", "--model", "mean", "--out", "out",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["accuracy"] == document["accuracy_of_minirocket"] == 1.0
    assert (document["n_train"], document["n_test"]) == (18, 6)
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert list(table.columns) == ["id", "label", "predicted", "p_ill", "p_well"]
    np.testing.assert_allclose(table["p_ill"] + table["p_well"], 1.0)


def test_classes_of_a_second_table(patients, run, tmp_path):
    new = patients[patients["who"] < 4].drop(columns="state").assign(who=lambda t: t["who"] + 100)
    new.to_csv("new.csv", index=False)
    result = run(
        "classify", "patients.csv", *NAMES, "--label", "state", "--model", "mean", "--out", "out",
        "--test", "new.csv", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["accuracy"] is None
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert table["predicted"].tolist() == ["well", "ill", "well", "ill"]


@pytest.mark.parametrize("new", [False, True])
def test_the_printed_classification_runs(patients, run, new):
    options = ()
    if new:
        patients[patients["who"] < 4].to_csv("new.csv", index=False)
        options = ("--test", "new.csv")
    result = run(
        "classify", "patients.csv", *NAMES, "--label", "state", "--model", "mean", "--dry-run",
        *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    names = {}
    exec(result.stdout, names)
    assert names["probabilities"].shape == (4 if new else 6, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "either --horizon"),
        (("--horizon", "2D", "--hold-out-after", "2024-01-05"), "either --horizon"),
        (("--horizon", "soon"), "duration such as 7D"),
        (("--horizon", "-2D"), "must be a positive duration"),
        (("--hold-out-after", "yesterday or so"), "is no datetime"),
        (("--hold-out-after", "2030-01-01"), "no time after the cutoff"),
        (("--horizon", "2D", "--n", 1), "--n must be at least 2"),
        (("--horizon", "2D", "--model", "lastt"), "did you mean 'last'"),
        (("--horizon", "2D", "--set", "spred=2"), "did you mean 'spread'"),
        (("--horizon", "2D", "--id", "whom"), "did you mean 'who'"),
    ],
)
def test_forecasts_that_cannot_be_made(patients, fails, options, message):
    given = [*NAMES, *options] if "--id" not in options else [*options, *NAMES[2:]]
    model = () if "--model" in options else ("--model", "last")
    assert message in fails("forecast", "patients.csv", *given, *model, "--dry-run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "heart"), "must be constant along a series"),
        (("--label", "state", "--hold-out-share", "2"), "between 0 and 1"),
        (("--label", "state", "--test", "absent.csv"), "there is no file"),
        (("--label", "state", "--model", "means"), "did you mean 'mean'"),
    ],
)
def test_classes_that_cannot_be_learned(patients, fails, options, message):
    model = () if "--model" in options else ("--model", "mean")
    names = ("--id", "who", "--time", "day", "--channels", "temp")
    assert message in fails("classify", "patients.csv", *names, *options, *model, "--dry-run")


def test_a_class_with_one_member_cannot_be_parted(patients, fails):
    patients.loc[patients["who"] == 0, "state"] = "rare"
    patients.to_csv("patients.csv", index=False)
    message = fails("classify", "patients.csv", *NAMES, "--label", "state", "--model", "mean")
    assert "parted class by class" in message
