"""Whole numbers with empty cells: 2 is read, drawn, filled in and written as 2, never as 2.0."""

import numpy as np
import pandas as pd
import pytest

COLUMNS = "--id", "who", "--time", "day"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    rows = 24 * 6
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(24), 6),
            "day": np.tile(np.arange(6), 24),
            "visits": pd.array(rng.poisson(3.0, rows), dtype="Int64"),
            "level": rng.normal(size=rows).round(2),
            "decimals": pd.Series(rng.integers(0, 3, rows)).map("{}.0".format),
        }
    )
    frame.loc[rng.random(rows) < 0.1, ["visits", "decimals"]] = pd.NA
    path = tmp_path_factory.mktemp("whole") / "visits.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("generate --n 20", "synthetic.csv"),
        ("generate --model score --n 20", "synthetic.csv"),
        ("impute", "imputed.csv"),
    ],
)
def test_whole_numbers_with_gaps_come_back_as_they_were_written(
    run, table, tmp_path, command, written
):
    name, *options = command.split()
    quiet = "--quiet", "--no-figures", "--out", tmp_path / "result"
    done = run(name, table, *COLUMNS, *options, *quiet)
    assert done.exit_code == 0, done.output
    cells = pd.read_csv(tmp_path / "result" / written, dtype=str)
    columns = ["visits", *cells.columns.intersection(["visits_low", "visits_high"])]
    for column in columns:
        assert cells[column].dropna().str.fullmatch(r"\d+").all(), column
    # a column with a decimal point keeps it
    assert cells["decimals"].dropna().str.fullmatch(r"\d+\.\d+").all()


def test_the_printed_call_reads_the_same_types(run, table):
    script = run("impute", table, *COLUMNS, "--dry-run").stdout
    read = next(line for line in script.splitlines() if "read_csv" in line)
    found = {"pd": pd}
    exec(read, found)
    assert str(found["frame"]["visits"].dtype) == "Int64"
    assert found["frame"]["decimals"].dtype == np.float64


def test_a_long_table_is_filled_in(run, table, tmp_path):
    wide = pd.read_csv(table).drop(columns="decimals")
    long = wide.melt(["who", "day"], value_name="value").dropna()
    long.to_csv(tmp_path / "long.csv", index=False)
    options = "--variable", "variable", "--value", "value", "--quiet", "--no-figures"
    done = run("impute", tmp_path / "long.csv", *COLUMNS, *options, "--out", tmp_path / "result")
    assert done.exit_code == 0, done.output
    filled = pd.read_csv(tmp_path / "result" / "imputed.csv")
    known = filled[~filled["value_filled"]]
    assert len(known) == len(long)
    assert filled["value_filled"].any()
    pairs = known.merge(long, on=["who", "day", "variable"], suffixes=("", "_given"))
    np.testing.assert_array_equal(pairs["value"], pairs["value_given"])
    assert (filled["value_low"] <= filled["value_high"]).all()
