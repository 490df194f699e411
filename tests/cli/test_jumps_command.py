"""The command on a table of labels."""

import json
import tomllib

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from trajinfer import jumps
from trajinfer._core.archive import read_archive
from trajinfer._core.errors import InputError
from trajinfer.cli.jumps import jumps as command
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

app = typer.Typer()
app.command()(command)


@pytest.fixture
def table(tmp_path):
    rates = [[-1, 1, 0], [0.5, -1, 0.5], [0, 1, -1]]
    data = jumps.simulate(rates, [1, 0, 0], 60, [0, 0.3, 0.6, 1.0, 1.5], random_state=0)
    frame = data.to_frame().rename(columns={"id": "who", "time": "years"})
    frame.to_csv(tmp_path / "panel.csv", index=False)
    return tmp_path / "panel.csv"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_result_folder(table, tmp_path):
    out = tmp_path / "result"
    given = (table, "--id", "who", "--time", "years", "--out", out, "--method", "mle")
    result = run(*given, "--links", "0-1,1-0,1-2,2-1", "--json", "--quiet")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert len(document["rates"]) == 4
    rates = pd.read_csv(out / "rates.csv")
    assert ((rates["lower"] < rates["rate"]) & (rates["rate"] < rates["upper"])).all()
    model = MarkovJumpProcess._from_archive(*read_archive(out / "model"))
    assert model.rates_[0, 1] == pytest.approx(rates["rate"][0])


def test_dry_run_prints_a_call_that_works(table):
    result = run(table, "--id", "who", "--time", "years", "--label-noise", "learn", "--dry-run")
    assert "MarkovJumpProcess(method='auto', label_noise='learn'" in result.stdout
    compile(result.stdout, "script", "exec")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "mlee"), "did you mean 'mle'"),
        (("--label-noise", "much"), "number or 'learn'"),
        (("--links", "0>1"), "pairs such as"),
        (("--id", "subject"), "no column 'subject'"),
    ],
)
def test_bad_options_are_named(table, options, message):
    with pytest.raises(InputError, match=message):
        run(table, "--id", "who", "--time", "years", *options, "--dry-run")


@pytest.fixture
def patients(tmp_path):
    """Visits of 60 patients whose first state has a name that often means missing."""
    rates = [[-1, 1, 0], [0.5, -1, 0.5], [0, 1, -1]]
    data = jumps.simulate(rates, [1, 0, 0], 60, [0, 0.3, 0.6, 1.0, 1.5], random_state=0)
    frame = data.to_frame()
    frame["state"] = np.array(["None", "mild-1", "severe"])[frame["state"]]
    frame["id"] = [f"{k:03d}" for k in frame["id"]]
    frame.to_csv(tmp_path / "visits.csv", index=False)
    return tmp_path / "visits.csv"


@pytest.mark.parametrize("name", ["None", "NA", "null", "nan", "NaN", "", "n/a", "007", "1e3"])
def test_only_an_empty_state_is_missing(patients, name):
    patients.write_text(patients.read_text().replace("None", name))
    names = {}
    exec(run(patients, "--dry-run").stdout.partition("\nmodel = ")[0], names)
    assert list(names["data"].categories) == sorted({"mild-1", "severe", name} - {""})


@pytest.mark.parametrize("name", ["NA", "", "007"])
def test_names_of_states_are_written_as_they_were_read(patients, tmp_path, name):
    patients.write_text(patients.read_text().replace("None", name))
    result = run(
        patients, "--out", tmp_path / "r", "--method", "amortized", "--json", "--no-figures"
    )
    expected = sorted({"mild-1", "severe", name} - {""})
    assert json.loads(result.stdout)["states"] == expected
    written = pd.read_csv(tmp_path / "r" / "rates.csv", dtype=str, keep_default_na=False)
    assert set(written["from"]) | set(written["to"]) == set(expected)


@pytest.mark.filterwarnings("ignore::trajinfer.jumps.IdentifiabilityWarning")  # few jumps are left
def test_texts_that_mean_missing(patients):
    patients.write_text(patients.read_text() + "061,0.0,gone\n061,1.0,\n")
    names = {}
    exec(run(patients, "--missing", "None,severe", "--dry-run").stdout, names)
    assert names["data"].categories == ("gone", "mild-1")
    assert names["data"].lengths[-1] == 2
    assert names["data"].mask[-1].tolist()[:2] == [True, False]


def test_identifiers_keep_their_zeros(patients):
    printed = run(patients, "--dry-run").stdout
    names = {}
    exec(printed, names)
    assert names["data"].ids[7] == "007"
    patients.write_text(patients.read_text().replace("\n0", "\n").replace("\n0", "\n"))
    exec(run(patients, "--dry-run").stdout, names)
    assert names["data"].ids[7] == 7


def test_links_are_pairs_of_labels_and_repeat_the_run(patients, tmp_path):
    links = "None-mild-1,mild-1-None,mild-1-severe,severe-mild-1"
    options = ("--method", "mle", "--no-figures")
    done = run(patients, "--links", links, "--out", tmp_path / "a", "--json", *options)
    pairs = [["None", "mild-1"], ["mild-1", "None"], ["mild-1", "severe"], ["severe", "mild-1"]]
    document = json.loads(done.stdout)
    assert sorted(document["links"]) == document["settings"]["links"] == pairs
    config = tmp_path / "a" / "config.toml"
    assert tomllib.loads(config.read_text())["MarkovJumpProcess"]["links"] == pairs
    run(patients, "--config", config, "--out", tmp_path / "b", *options)
    first, second = (pd.read_csv(tmp_path / name / "rates.csv") for name in "ab")
    pd.testing.assert_frame_equal(first, second)
    assert len(first) == 4


def test_links_of_other_labels_are_refused(patients, tmp_path):
    with pytest.raises(InputError, match="pairs such as None-severe, got 'None-mild'; the labels"):
        run(patients, "--links", "None-mild", "--dry-run")
    (tmp_path / "c.toml").write_text('[MarkovJumpProcess]\nlinks = [["None", "mild"]]\n')
    with pytest.raises(InputError, match=r"got \['None', 'mild'\]; the labels are None, mild-1"):
        run(patients, "--config", tmp_path / "c.toml", "--dry-run")


def test_the_help_of_links_shows_labels():
    assert "well-ill" in run("--help").stdout


def test_dates_as_times(patients, tmp_path):
    frame = pd.read_csv(patients, dtype=str, keep_default_na=False)
    days = pd.to_timedelta(frame["time"].astype(float) * 100, unit="D")
    frame["time"] = (pd.Timestamp("2024-01-01") + days).dt.strftime("%Y-%m-%d")
    frame.to_csv(patients, index=False)
    names = {}
    exec(run(patients, "--dry-run").stdout, names)
    assert names["data"].axis.kind == "datetime"
    assert names["data"].times.max() == 150.0


@pytest.mark.filterwarnings("ignore::trajinfer.jumps.IdentifiabilityWarning")  # few jumps of some
def test_covariates_give_hazard_ratios(table, tmp_path):
    frame = pd.read_csv(table)
    frame["age"], frame["sex"] = 40.0 + frame["who"] % 7, frame["who"] % 2
    frame.to_csv(table, index=False)
    options = ("--id", "who", "--time", "years", "--no-figures", "--json")
    out = tmp_path / "a"
    done = run(table, *options, "--covariates", "sex, age", "--out", out, "--method", "mle")
    written = pd.read_csv(out / "hazard_ratios.csv")
    assert len(json.loads(done.stdout)["hazard_ratios"]) == len(written)
    data = jumps_of(frame)
    model = MarkovJumpProcess(method="mle", covariates=["sex", "age"]).fit(data)
    assert np.allclose(written["hazard_ratio"], model.effects_["hazard_ratio"], rtol=1e-6)
    run(table, *options, "--config", out / "config.toml", "--out", tmp_path / "b")
    again = pd.read_csv(tmp_path / "b" / "hazard_ratios.csv")
    pd.testing.assert_frame_equal(written, again)


@pytest.mark.filterwarnings("ignore::trajinfer.jumps.IdentifiabilityWarning")  # few jumps of some
def test_covariates_of_text_are_compared_with_their_first_category(table, tmp_path):
    frame = pd.read_csv(table)
    frame["arm"] = np.take(["a", "b", "c"], frame["who"] % 3)
    frame["arm=b"], frame["arm=c"] = frame["who"] % 3 == 1, frame["who"] % 3 == 2
    frame.to_csv(table, index=False)
    options = ("--id", "who", "--time", "years", "--no-figures", "--method", "mle")
    run(table, *options, "--covariates", "arm", "--out", tmp_path / "text")
    run(table, *options, "--covariates", "arm=b,arm=c", "--out", tmp_path / "numbers")
    run(table, *options, "--config", tmp_path / "text" / "config.toml", "--out", tmp_path / "again")
    text, *others = (
        pd.read_csv(tmp_path / folder / "hazard_ratios.csv")
        for folder in ("text", "numbers", "again")
    )
    assert set(text["covariate"]) == {"arm=b", "arm=c"}
    for other in others:
        pd.testing.assert_frame_equal(other, text)
    printed = run(table, *options, "--covariates", "arm", "--dry-run").stdout
    names = {}
    exec(printed, names)
    assert names["data"].covariate_names == ("arm=b", "arm=c")
    np.testing.assert_allclose(names["model"].effects_["hazard_ratio"], text["hazard_ratio"])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["same"] * 20, "is 'same' wherever it is known, which tells nothing"),
        ([f"note {k}" for k in range(20)], "has 20 categories, such as 'note 0' and 'note 1'"),
        (["a", None] * 10, "is 'a' wherever it is known"),
        (["a", "b", None, "a"] * 5, "has no number in row 2"),
    ],
    ids=["one", "many", "one and gaps", "gaps"],
)
def test_covariates_of_text_that_tell_nothing_are_refused(table, cells, said):
    frame = pd.read_csv(table)
    frame["note"] = np.resize(np.array(cells, dtype=object), len(frame))
    frame.to_csv(table, index=False)
    with pytest.raises(InputError, match=said):
        run(table, "--id", "who", "--time", "years", "--covariates", "note", "--dry-run")


def jumps_of(frame):
    return JumpSeries.from_frame(
        frame, id="who", time="years", state="state", covariates=["sex", "age"]
    )


def test_covariates_that_are_not_there_are_named(table):
    with pytest.raises(InputError, match="no column 'age'"):
        run(table, "--id", "who", "--time", "years", "--covariates", "age", "--dry-run")


def test_a_number_of_states_that_is_none_is_refused(tmp_path, fails):
    table = pd.DataFrame({"id": [0, 0, 1, 1], "time": [0, 1, 0, 1], "state": [0, 1, 1, 0]})
    table.to_csv(tmp_path / "table.csv", index=False)
    said = fails("jumps", tmp_path / "table.csv", "--set", "n_states=two", "--out", tmp_path / "o")
    assert "n_states must be a whole number of at least 2, got 'two'" in said
