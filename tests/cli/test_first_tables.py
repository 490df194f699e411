"""What a stranger's first table may look like: no names, quarters, labels with decimals."""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_table_of_one_series_needs_no_column_of_names(run, tmp_path, rng):
    table = pd.DataFrame(
        {"date": pd.date_range("2020-01-01", periods=60), "x": rng.normal(size=60)}
    )
    path = tmp_path / "one.csv"
    table.to_csv(path, index=False)
    options = ("--time", "date", "--horizon", "5", "--no-figures")
    refused = run("forecast", path, *options)
    assert refused.exit_code == 1
    assert "say --id '' if the table is one series" in refused.output
    done = run("forecast", path, "--id", "", *options, "--out", tmp_path / "result")
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "result/summary.json").read_text())
    assert (summary["series"], summary["horizon"], summary["unit"]) == (1, 5.0, "D")
    assert "1 series forecast, up to 5 D ahead" in done.output


def test_the_printed_call_reads_one_series(run, tmp_path, rng):
    path = tmp_path / "one.csv"
    pd.DataFrame({"date": ["2020-01-01", "2020-01-02"], "x": [1.0, 2.0]}).to_csv(path, index=False)
    script = run("impute", path, "--id", "", "--time", "date", "--dry-run").stdout
    assert "id=None" in script
    names = {}
    exec(script.split("model = ")[0].split("from trajinfer import NeuralSDE")[0], names)
    assert len(names["series"]) == 1


@pytest.mark.parametrize("command", ["forecast", "jumps", "fit", "hurst"])
def test_dates_may_be_written_with_the_year_last(run, fails, tmp_path, rng, command):
    days = pd.date_range("2020-01-20", periods=60)
    table = pd.DataFrame({"day": days, "x": rng.normal(size=60), "id": 0, "state": [1, 2] * 30})
    by_command = {
        "forecast": ("--id", "", "--channels", "x", "--horizon", "3D"),
        "jumps": ("--id", "id", "--state", "state"),
        "fit": ("--features", "x"),
        "hurst": ("--channels", "x"),
    }
    path, arguments = tmp_path / "t.csv", (*by_command[command], "--time", "day", "--dry-run")
    table.assign(day=days.strftime("%d/%m/%Y")).to_csv(path, index=False)
    assert "say how dates are written by --dates" in fails(command, path, *arguments)
    assert "'20/01/2020'" in fails(command, path, *arguments, "--dates", "%m/%d/%Y")
    done = run(command, path, *arguments, "--dates", "%d/%m/%Y")
    assert done.exit_code == 0, done.output
    (dating,) = (line for line in done.stdout.splitlines() if line.startswith("frame['day'] = "))
    names = {"frame": pd.read_csv(path), "pd": pd}
    exec(dating, names)
    assert (names["frame"]["day"] == days).all()


def test_quarters_are_dates_and_a_cutoff_may_be_one(run, tmp_path, rng):
    quarters = [f"{year} Q{k}" for year in range(1990, 2005) for k in (1, 2, 3, 4)]
    path = tmp_path / "arrivals.csv"
    pd.DataFrame({"Quarter": quarters, "x": rng.normal(size=60)}).to_csv(path, index=False)
    printed = run(
        "forecast",
        path,
        "--id",
        "",
        "--time",
        "Quarter",
        "--hold-out-after",
        "2003 Q4",
        "--dry-run",
    )
    assert printed.exit_code == 0, printed.output
    assert "period_starts" in printed.stdout
    assert "2003-10-01" in printed.stdout


def test_times_in_words_are_refused_with_a_remedy(run, tmp_path):
    path = tmp_path / "skulls.csv"
    pd.DataFrame({"epoch": ["c4000BC", "cAD150"], "mb": [1.0, 2.0]}).to_csv(path, index=False)
    refused = run("fit", path, "--time", "epoch")
    assert refused.exit_code == 1
    assert "put a number or a date in its place" in refused.output


def test_states_of_a_column_with_gaps_are_the_whole_numbers_they_are(run, tmp_path):
    table = pd.DataFrame({"id": [1, 1, 1, 2, 2, 2], "time": [0, 1, 2] * 2})
    table["state"] = [1.0, 2.0, np.nan, 2.0, 1.0, 2.0]  # pandas writes 1.0
    path = tmp_path / "visits.csv"
    table.to_csv(path, index=False)
    assert "1.0" in path.read_text()
    done = run("jumps", path, "--no-figures", "--quiet", "--out", tmp_path / "result")
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "result/summary.json").read_text())
    assert summary["states"] == [1, 2]


@pytest.mark.parametrize(
    ("second", "states"), [("2.0", [1, 2]), ("2.5", ["1.0", "2.5"])], ids=["whole", "a fraction"]
)
def test_states_with_decimals_stay_where_one_of_them_is_a_fraction(run, tmp_path, second, states):
    table = f"id,time,state\n1,0,1.0\n1,1,{second}\n2,0,{second}\n2,1,1.0\n"
    (tmp_path / "visits.csv").write_text(table)
    done = run("jumps", tmp_path / "visits.csv", "--no-figures", "--quiet", "--out", tmp_path / "r")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "r/summary.json").read_text())["states"] == states
