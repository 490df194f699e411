"""`trajinfer fit`: what it reads, what it writes, and how it fails."""

import json
import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest

import trajinfer
from trajinfer.datasets import load_snapshots, write_snapshots

DRAWN = ("--set", "n_refinements=0", "--n", "5", "--seed", "3")
QUICK = (*DRAWN, "--no-figures")


def test_a_result_folder_holds_tables_figures_model_and_configuration(run, here):
    result = run("fit", "snapshots.csv", "--time", "day", "--hold-out", "1", *DRAWN)
    assert result.exit_code == 0, result.output
    assert {path.name for path in (here / "result").iterdir()} == {
        "cells.csv",
        "config.toml",
        "held_out.png",
        "history.csv",
        "model",
        "paths.csv",
        "paths.png",
        "scores.csv",
        "summary.json",
        "velocity.png",
    }
    paths = pd.read_csv(here / "result/paths.csv")
    assert paths.columns.tolist() == ["path", "time", "x", "y"]
    assert paths["path"].nunique() == 5
    assert paths["time"].min() == 0
    assert paths["time"].max() == 3
    scores = pd.read_csv(here / "result/scores.csv")
    assert scores["time"].tolist() == [1, 1]
    assert scores["metric"].tolist() == ["w1", "w2"]


def test_the_saved_model_draws_what_the_fitted_one_would(run, here, table):
    run("fit", "snapshots.csv", "--time", "day", *QUICK)
    loaded = trajinfer.load("result/model")
    data = trajinfer.Snapshots.from_frame(table, time="day", features=["x", "y"])
    fitted = trajinfer.SchrodingerBridge(n_refinements=0, random_state=3).fit(data)
    np.testing.assert_array_equal(loaded.sample(7).values, fitted.sample(7).values)


def test_the_printed_python_is_the_run(run, here):
    options = ("--time", "day", "--hold-out", "1", "--reference", "affine_drift", *QUICK)
    printed = run("fit", "snapshots.csv", *options, "--dry-run")
    assert printed.exit_code == 0, printed.output
    assert not (here / "result").exists()
    names = {}
    exec(printed.stdout, names)
    run("fit", "snapshots.csv", *options)
    written = pd.read_csv("result/scores.csv")
    table = trajinfer.evaluation.held_out_table(
        names["bridge"], names["train"], names["held_out"], scoring=["w1", "w2"]
    )
    np.testing.assert_allclose(table["estimator"], written["estimator"], rtol=1e-12)


def test_the_written_configuration_repeats_the_run(run, here):
    options = ("--reference", "polynomial_drift", "--set", "reference.degree=1", *QUICK)
    run("fit", "snapshots.csv", "--time", "day", "--volatility", "0.2,0.3", *options)
    first = pd.read_csv("result/paths.csv")
    again = run(
        *("fit", "snapshots.csv", "--time", "day", "--config", "result/config.toml"),
        *("--n", 5, "--out", "again"),
    )
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(pd.read_csv("again/paths.csv"), first)
    resolved = tomllib.loads((here / "again/config.toml").read_text())["SchrodingerBridge"]
    assert resolved["volatility"] == [0.2, 0.3]
    assert resolved["reference"] == {"name": "polynomial_drift", "degree": 1}


def test_json_goes_to_standard_output_and_progress_to_standard_error(run, here):
    result = run("fit", "snapshots.csv", "--time", "day", "--hold-out", "1", "--json", *QUICK)
    document = json.loads(result.stdout)
    assert document["converged"] is True
    assert document["held_out"] == [1]
    assert len(document["scores"]) == 2
    assert "fitting" in result.stderr
    assert json.loads((here / "result/summary.json").read_text()) == document
    quiet = run("fit", "snapshots.csv", "--time", "day", "--json", "--quiet", *QUICK)
    assert quiet.stderr == ""


def test_columns_that_are_no_numbers_are_named(run, here):
    result = run("fit", "snapshots.csv", "--time", "day", *QUICK)
    assert "columns left out, not numeric: name" in result.stderr


def test_chosen_features(run, here):
    run("fit", "snapshots.csv", "--time", "day", "--features", "y", *QUICK)
    assert pd.read_csv("result/paths.csv").columns.tolist() == ["path", "time", "y"]


def test_a_forecast_is_written(run, here):
    result = run("fit", "snapshots.csv", "--time", "day", "--forecast", 4, "--forecast", 5, *QUICK)
    assert result.exit_code == 0, result.output
    assert sorted(pd.read_csv("result/forecast.csv")["time"].unique()) == [4, 5]


def test_without_convergence_the_result_is_written_and_the_exit_code_is_3(run, here):
    result = run(
        *("fit", "snapshots.csv", "--time", "day", "--reference", "affine_drift"),
        *("--set", "n_refinements=1", "--set", "tol=1e-12"),
    )
    assert result.exit_code == 3, result.output
    assert (here / "result/summary.json").is_file()
    assert "warning: " in result.stderr
    assert "NOT converged" in result.stdout


def test_an_earlier_result_is_replaced_and_another_folder_is_not(run, here, fails):
    arguments = ("fit", "snapshots.csv", "--time", "day", *QUICK)
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 0
    precious = here / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("do not lose")
    assert "choose another name" in fails(*arguments, "--out", precious, "--quiet")
    assert (precious / "thesis.txt").read_text() == "do not lose"
    assert "is a file" in fails(*arguments, "--out", "snapshots.csv", "--quiet")


@pytest.mark.parametrize("suffix", ["tsv", "parquet", "npz", "h5ad"])
def test_other_formats_give_the_same_paths(run, here, table, suffix):
    run("fit", "snapshots.csv", "--time", "day", *QUICK)
    expected = pd.read_csv("result/paths.csv")[["x", "y"]].to_numpy()
    name = f"data.{suffix}"
    extra = ("--time", "day")
    if suffix == "tsv":
        table.to_csv(name, sep="\t", index=False)
    elif suffix == "parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(name)
    elif suffix == "npz":
        np.savez(name, X=table[["x", "y"]].to_numpy(), t=table["day"].to_numpy())
    else:
        anndata = pytest.importorskip("anndata")
        obs = table[["day"]].set_axis([f"cell{i}" for i in range(len(table))])
        points = table[["x", "y"]].to_numpy()
        anndata.AnnData(X=points, obs=obs, obsm={"X_pca": points}).write_h5ad(name)
    result = run("fit", name, *extra, *QUICK, "--out", "other")
    assert result.exit_code == 0, result.output
    if suffix == "h5ad":
        cells, rows = anndata.read_h5ad("other/cells.h5ad"), pd.read_csv("other/cells.csv")
        assert rows["cell"].tolist() == list(cells.obs_names)
        columns = [name for name in rows if name.startswith("velocity")]
        np.testing.assert_allclose(cells.obsm["velocity_pca"], rows[columns], rtol=1e-9)
    found = pd.read_csv("other/paths.csv").iloc[:, 2:].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_cells_have_fates_by_a_column_of_labels(run, fails, here, table):
    side = np.where(np.arange(len(table)) % 2, "high", "low")
    table.assign(side=side).to_csv("labelled.csv", index=False)
    words = ("labelled.csv", "--time", "day")
    assert "no column 'sid'" in fails("fit", *words, "--fates", "sid", "--quiet")
    result = run("fit", *words, "--fates", "side", *QUICK)
    assert result.exit_code == 0, result.output
    cells = pd.read_csv("result/cells.csv")
    np.testing.assert_array_equal(cells["day"], table["day"])
    np.testing.assert_allclose(cells[["to_high", "to_low", "to_other"]].sum(axis=1), 1.0)
    last = (table["day"] == table["day"].max()).to_numpy()
    np.testing.assert_array_equal(cells["to_high"][last], side[last] == "high")


def test_the_split_of_a_file_is_used(run, here):
    data = load_snapshots("lotka_volterra")
    write_snapshots("lv.npz", data.snapshots, data.split)
    result = run("fit", "lv.npz", *QUICK)
    assert result.exit_code == 0, result.output
    assert "held out, as the file says" in result.stderr
    assert sorted(pd.read_csv("result/scores.csv")["time"].unique()) == [1, 3, 5, 7]


def test_dates_go_in_and_come_out(run, here, table):
    table["day"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(table["day"], unit="D")
    table.to_csv("dated.csv", index=False)
    result = run("fit", "dated.csv", "--time", "day", "--hold-out", "2024-01-02", *QUICK)
    assert result.exit_code == 0, result.output
    assert pd.read_csv("result/scores.csv")["time"].unique().tolist() == ["2024-01-02"]
    assert pd.to_datetime(pd.read_csv("result/paths.csv")["time"], format="ISO8601").max() == (
        pd.Timestamp("2024-01-04")
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--time", "dy"), "did you mean 'day'?"),
        (("--time", "day", "--features", "x,yy"), "did you mean 'y'?"),
        (("--time", "day", "--weight", "nme"), "did you mean 'name'?"),
        (("--time", "day", "--reference", "lotka_voltera"), "did you mean 'lotka_volterra'?"),
        (("--time", "day", "--reference", "polynomial_drift"), "--set reference.degree="),
        (("--time", "day", "--reference", "repressilator"), "dimension 3"),
        (("--time", "day", "--set", "n_refinments=2"), "did you mean 'n_refinements'?"),
        (("--time", "day", "--set", "reference.alpha=2"), "needs a name"),
        (
            ("--time", "day", "--reference", "lotka_volterra", "--set", "reference.alfa=2"),
            "did you mean 'alpha'?",
        ),
        (("--time", "day", "--set", "tol"), "write key=value"),
        (("--time", "day", "--volatility", "0"), "positive"),
        (("--time", "day", "--volatility", "-0.1"), "positive"),
        (("--time", "day", "--volatility", "lern"), "'learn'"),
        (("--time", "day", "--hold-out", "2"), "no snapshot at time 2"),
        (("--time", "day", "--hold-out", "17"), "times are"),
        (("--time", "day", "--hold-out", "soon"), "no number"),
        (("--time", "day", "--hold-out", "0", "--hold-out", "1"), "fewer than two"),
        (("--time", "day", "--forecast", "2"), "after the last snapshot"),
        (("--time", "day", "--n", "0"), "--n must be at least 1"),
        (("--time", "day", "--config", "none.toml"), "cannot be read as TOML"),
        (("--time", "name"), "must be numbers or dates"),
    ],
)
def test_bad_arguments(fails, here, arguments, said):
    assert said in fails("fit", "snapshots.csv", "--quiet", *arguments)
    assert [path.name for path in here.iterdir()] == ["snapshots.csv"]


def _csv(frame):
    return frame.to_csv(index=False).encode()


BAD_FILES = {
    "empty.csv": lambda table: b"",
    "header.csv": lambda table: b"day,x,y\n",
    "binary.csv": lambda table: bytes(range(256)) * 8,
    "ragged.csv": lambda table: _csv(table) + b"1,2,3,4,5,6,7\n",
    "half_row.csv": lambda table: _csv(table[["day", "x", "y"]]).rpartition(b",")[0],
    "missing.csv": lambda table: _csv(table.assign(x=table["x"].where(table.index != 5))),
    "infinite.csv": lambda table: _csv(table.assign(x=table["x"].where(table.index != 5, np.inf))),
    "one_time.csv": lambda table: _csv(table[table["day"] == 0]),
    "no_numbers.csv": lambda table: _csv(table[["day", "name"]]),
    "table.xlsx": lambda table: b"PK",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_tables(fails, here, table, name):
    (here / name).write_bytes(BAD_FILES[name](table))
    fails("fit", name, "--time", "day", "--quiet")
    assert {path.name for path in here.iterdir()} == {"snapshots.csv", name}


@pytest.mark.parametrize("suffix", ["parquet", "npz", "h5ad"])
def test_half_written_files(fails, here, table, suffix):
    whole = here / f"whole.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(whole)
    elif suffix == "npz":
        np.savez(whole, X=table[["x", "y"]].to_numpy(), t=table["day"].to_numpy())
    else:
        anndata = pytest.importorskip("anndata")
        points = table[["x", "y"]].to_numpy()
        obs = table[["day"]].set_axis([f"cell{i}" for i in range(len(table))])
        anndata.AnnData(X=points, obs=obs, obsm={"X_pca": points}).write_h5ad(whole)
    half = here / f"half.{suffix}"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "cannot be read" in fails("fit", half, "--time", "day", "--quiet")
    assert not (here / "result").exists()


def test_a_table_whose_last_line_does_not_end_is_remarked_on(run, here, table):
    (here / "cut.csv").write_bytes(_csv(table[["day", "x", "y"]])[:-4])
    result = run("fit", "cut.csv", "--time", "day", *QUICK)
    assert result.exit_code == 0
    assert "warning: cut.csv: the last line does not end; is the file complete?" in result.stderr


def test_an_npz_of_another_layout(fails, here):
    np.savez("other.npz", positions=np.zeros((3, 2)))
    assert "expected X (N, D) and t (N,)" in fails("fit", "other.npz", "--quiet")


def test_a_missing_file_suggests_the_nearest(fails, here):
    assert "did you mean 'snapshots.csv'?" in fails("fit", "snapshot.csv", "--quiet")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[SchrodingerBridge\n", "cannot be read as TOML"),
        ("[SchroedingerBridge]\ntol = 1e-3\n", "did you mean 'SchrodingerBridge'?"),
        ("[SchrodingerBridge]\nvolatilty = 0.1\n", "did you mean 'volatility'?"),
        ('[SchrodingerBridge.reference]\nname = "vortx"\n', "did you mean 'vortex'?"),
    ],
)
def test_bad_configurations(fails, here, text, said):
    (here / "run.toml").write_text(text)
    arguments = ("fit", "snapshots.csv", "--time", "day", "--quiet", "--config", "run.toml")
    assert said in fails(*arguments)


def test_an_assignment_counts_more_than_the_file_and_an_option_more_than_both(run, here):
    (here / "run.toml").write_text("[SchrodingerBridge]\nrandom_state = 1\ntol = 0.1\n")
    result = run(
        *("fit", "snapshots.csv", "--time", "day", "--config", "run.toml", "--dry-run"),
        *("--set", "tol=0.2", "--set", "random_state=2", "--seed", "5"),
    )
    assert "tol=0.2" in result.stdout
    assert "random_state=5" in result.stdout


def test_learned_parameters_of_a_reference_that_starts_at_given_values(run, here):
    (here / "run.toml").write_text(
        "[SchrodingerBridge]\nn_refinements = 1\ntol = 1e9\n"
        '[SchrodingerBridge.reference]\nname = "OrnsteinUhlenbeck"\ntheta = [0.5, 0.5]\n'
        'mean = [2.0, 0.0]\nlearn = ["mean"]\n'
    )
    arguments = ("fit", "snapshots.csv", "--time", "day", "--config", "run.toml", "--json")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    parameters = json.loads(result.stdout)["parameters"]
    assert parameters["theta"] == [0.5, 0.5]
    assert parameters["mean"] != [2.0, 0.0]
    printed = run(*arguments, "--dry-run").stdout
    assert ".learn('mean')" in printed


def test_a_failure_while_writing_leaves_nothing(fails, here, monkeypatch):
    def full(self, path):
        raise OSError("no space left on device")

    monkeypatch.setattr(trajinfer.SchrodingerBridge, "save", full)
    message = fails("fit", "snapshots.csv", "--time", "day", "--quiet", *QUICK)
    assert "no space left" in message
    assert [path.name for path in here.iterdir()] == ["snapshots.csv"]


def test_wrong_usage_has_exit_code_2(run, here):
    assert run("fitt").exit_code == 2
    assert run("fit").exit_code == 2
    assert run("fit", "snapshots.csv", "--tme", "day").exit_code == 2


def test_the_module_runs_in_a_process_of_its_own(here):
    command = [sys.executable, "-m", "trajinfer", "fit", "nothing.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no file nothing.csv")
    assert done.stdout == ""


def test_a_report_is_one_page_with_figures_and_the_command(run, here):
    done = run("fit", "snapshots.csv", "--time", "day", "--report", "--out", "result", *DRAWN)
    assert done.exit_code == 0
    page = (here / "result" / "report.html").read_text(encoding="utf-8")
    assert "trajinfer fit snapshots.csv --time day" in page
    assert page.count("data:image/png;base64,") == len(list((here / "result").glob("*.png")))
    assert "from trajinfer import SchrodingerBridge" in page
    assert 'src="http' not in page
