"""`evaluate`, `datasets`, `info`."""

import json

import numpy as np
import pandas as pd
import pytest

from trajinfer.cli.files import every_digit
from trajinfer.datasets import available, load_snapshots, read_snapshots

QUICK = ("--set", "n_refinements=0")


def test_evaluate_holds_out_every_snapshot(run, here):
    result = run(
        *("evaluate", "snapshots.csv", "--time", "day", "--scoring", "w1,energy"),
        *("--out", "scores", "--json", *QUICK),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [row["time"] for row in document["scores"]] == [0, 0, 1, 1, 3, 3]
    assert [row["extrapolation"] for row in document["scores"]] == [True] * 2 + [False] * 2 + (
        [True] * 2
    )
    kinds = {(row["metric"], row["kind"]): row["n_times"] for row in document["mean_scores"]}
    assert kinds == {
        ("energy", "extrapolation"): 2,
        ("energy", "interpolation"): 1,
        ("w1", "extrapolation"): 2,
        ("w1", "interpolation"): 1,
    }
    assert len(pd.read_csv("scores/scores.csv")) == 6
    assert "leaving out time 1 (2 of 3)" in result.stderr


def test_evaluate_prints_a_table_and_its_python(run, here):
    arguments = ("evaluate", "snapshots.csv", "--time", "day", "--quiet", *QUICK)
    result = run(*arguments)
    assert "exact_ot_line" in result.stdout
    assert result.stderr == ""
    assert "leave_one_snapshot_out(bridge, data" in run(*arguments, "--dry-run").stdout


def test_evaluate_refuses_an_unknown_scoring(fails, here):
    message = fails("evaluate", "snapshots.csv", "--time", "day", "--scoring", "w3", "--quiet")
    assert "did you mean" in message


def test_evaluate_without_convergence(run, here):
    result = run(
        *("evaluate", "snapshots.csv", "--time", "day", "--reference", "affine_drift"),
        *("--set", "n_refinements=1", "--set", "tol=1e-12", "--quiet"),
    )
    assert result.exit_code == 3
    assert "3 of 3 fits did not converge" in result.stderr


def test_the_list_of_data_sets(run):
    rows = json.loads(run("datasets", "--json").stdout)["datasets"]
    assert [row["name"] for row in rows] == [info.name for info in available()]
    assert "lotka_volterra" in run("datasets").stdout


def test_the_card_of_a_data_set(run, fails):
    assert "licence: MIT" in run("datasets", "vortex").stdout
    assert "did you mean 'vortex'?" in fails("datasets", "vortx")


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_a_data_set_is_written(run, here, suffix):
    assert run("datasets", "vortex", "--out", f"vortex.{suffix}").exit_code == 0
    data = load_snapshots("vortex")
    if suffix == "csv":
        frame = pd.read_csv("vortex.csv")
        np.testing.assert_allclose(frame.iloc[:, 1:3].to_numpy(), data.snapshots.stacked()[0])
    else:
        snapshots, split = read_snapshots("vortex.npz")
        assert split == data.split
        np.testing.assert_array_equal(snapshots.stacked()[0], data.snapshots.stacked()[0])


def test_a_data_set_that_cannot_be_written(fails, here):
    assert "must end in .csv or .npz" in fails("datasets", "vortex", "--out", "vortex.xlsx")
    assert "no folder" in fails("datasets", "vortex", "--out", "nowhere/vortex.csv")
    assert "name of a data set" in fails("datasets", "--out", "vortex.csv")


def test_info_names_versions_and_extras(run):
    document = json.loads(run("info", "--json").stdout)
    assert document["packages"]["torch"]
    assert set(document["extras"]) == {"plot", "data", "anndata", "parquet", "demo"}
    assert "torch" in run("info").stdout


def test_no_command_prints_the_help(run):
    result = run()
    assert "Commands" in result.output
    assert "fit" in result.output


@pytest.mark.parametrize("version", ["2.2.0", "2.3.3", "3.0.2", "3.1.0", "4.0.0rc1"])
def test_every_pandas_is_asked_for_all_digits_once(version):
    """From 3.1 on it reads them without being asked, and warns of the word."""
    asked = {"float_precision": "round_trip"} if version < "3.1" else {}
    assert every_digit(version) == asked
