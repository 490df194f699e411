"""`trajinfer hurst` on small tables."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from trajinfer.cli import app
from trajinfer.fractional import estimate_hurst, simulate_fgn


@pytest.fixture
def table(tmp_path):
    noise = simulate_fgn(0.8, 300, 2, random_state=0)
    frame = pd.DataFrame({"day": np.arange(300), "a": noise[0], "b": noise[1].cumsum()})
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv", frame


def run(*arguments):
    return CliRunner().invoke(app, ["hurst", *map(str, arguments)])


def test_every_doubt_bears_the_name_of_its_column(table, tmp_path):
    path, _ = table
    found = run(path, "--channels", "a,b", "--out", tmp_path / "r", "--no-figures")
    assert found.exit_code == 0, found.output
    assert "warning: column 'a': x looks like increments" in found.stderr
    assert "column 'b'" not in found.stderr


def test_estimates_are_those_of_the_library(table, tmp_path):
    path, frame = table
    found = run(path, "--channels", "a", "--increments", "--json", "--out", tmp_path / "r")
    assert found.exit_code == 0, found.output
    expected = estimate_hurst(frame["a"], increments=True)
    (row,) = json.loads((tmp_path / "r" / "summary.json").read_text())["estimates"]
    assert row["hurst"] == pytest.approx(expected.hurst)
    assert row["lower"] == pytest.approx(expected.interval[0])
    assert pd.read_csv(tmp_path / "r" / "hurst.csv").shape == (1, 6)


def test_all_numeric_columns_but_the_time_are_taken(table, tmp_path):
    path, _ = table
    found = run(path, "--time", "day", "--method", "mle", "--out", tmp_path / "r")
    assert found.exit_code == 0, found.output
    assert pd.read_csv(tmp_path / "r" / "hurst.csv")["column"].tolist() == ["a", "b"]


def test_figures_are_drawn(table, tmp_path):
    pytest.importorskip("matplotlib")
    path, _ = table
    assert run(path, "--channels", "b", "--out", tmp_path / "r").exit_code == 0
    assert (tmp_path / "r" / "variogram_b.png").stat().st_size > 1000


def test_a_dry_run_prints_the_call_and_nothing_else(table, tmp_path):
    path, _ = table
    found = run(path, "--channels", "a", "--increments", "--dry-run", "--out", tmp_path / "r")
    assert "estimate_hurst(frame[['a']]" in found.output
    assert not (tmp_path / "r").exists()
    exec(found.output, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channels", "c"], "no column 'c'"),
        (["--method", "rs"], "unknown method"),
        (["--level", "2"], "level"),
    ],
)
def test_unusable_options_are_refused(table, tmp_path, arguments, message):
    path, _ = table
    found = run(path, *arguments, "--out", tmp_path / "r")
    assert found.exit_code == 1
    assert message in found.output


def test_the_fractional_model_forecasts_a_table(tmp_path):
    walk = simulate_fgn(0.8, 30, 3, random_state=0).cumsum(axis=1)
    rows = [(k, t, walk[k, t]) for k in range(3) for t in range(30)]
    pd.DataFrame(rows, columns=["id", "time", "x"]).to_csv(tmp_path / "t.csv", index=False)
    options = ["--model", "fractional", "--horizon", "5", "--steps", "3", "--no-figures"]
    options += ["--out", str(tmp_path / "r"), "--set", "n_ou=5", "--set", "hurst=0.8"]
    found = CliRunner().invoke(app, ["forecast", str(tmp_path / "t.csv"), *options])
    assert found.exit_code == 0, found.output
    assert (tmp_path / "r" / "summary.json").is_file()


def test_a_column_without_an_index_is_named(tmp_path):
    noise = simulate_fgn(0.7, 60, random_state=0)[0]
    pd.DataFrame({"t": range(60), "x": noise}).to_csv(tmp_path / "t.csv", index=False)
    found = CliRunner().invoke(
        app, ["hurst", str(tmp_path / "t.csv"), "--out", str(tmp_path / "r")]
    )
    assert found.exit_code == 1
    assert "column 't': x is a straight line" in found.output
