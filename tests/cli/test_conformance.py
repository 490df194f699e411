"""What holds for every command that reads data: one name for one thing, one voice, one folder."""

import json
import shlex
import tomllib
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
import typer

import trajinfer
from tests.cli.on_data import ON_DATA
from tests.cli.small_estimators import ByMean, LastValue, Resample, UsualValues
from trajinfer import JumpSeries
from trajinfer.cli import app, classify, forecast, generate, hurst, impute, jump_settings
from trajinfer.cli.files import every_digit
from trajinfer.cli.models import DYNAMICS, Model
from trajinfer.fractional.estimate import HurstMethod

COMMANDS = typer.main.get_command(app).commands
EVERY = {"--out", "--json", "--dry-run", "--quiet", "--verbose", "--config", "--set", "--sep"}
EVERY |= {"--decimal", "--encoding", "--missing", "--dates", "--time", "--figures", "--report"}
WITHOUT_CHANCE = {"hurst"}
FOR_EACH = pytest.mark.parametrize("name", ON_DATA)


def flags(name):
    """The options of a command by their long name; hidden ones are former names."""
    return {
        option.opts[0] if option.opts[0].startswith("--") else option.opts[-1]: option
        for option in COMMANDS[name].params
        if option.param_type_name == "option"
    }


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A folder with one table that suits every command, and estimators that are quick."""
    monkeypatch.chdir(tmp_path)
    for estimator in (LastValue, ByMean, Resample):
        monkeypatch.setattr(trajinfer, estimator.__name__, estimator, raising=False)
    monkeypatch.setitem(forecast.MODELS, "last", Model("LastValue", {"spread": 0.5}, "ahead"))
    monkeypatch.setitem(classify.MODELS, "mean", Model("ByMean", {}))
    monkeypatch.setattr(trajinfer, "DirectedChainGenerator", Resample, raising=False)
    monkeypatch.setattr(trajinfer, "ScoreSeries", UsualValues, raising=False)
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(24), 6)
    table = pd.DataFrame(
        {
            "id": who,
            "time": np.tile(np.arange(6), 24),
            "x": rng.normal(size=144).cumsum(),
            "state": np.where(who % 2, "ill", "well"),
        }
    )
    table.loc[rng.random(144) < 0.3, "state"] = "well"
    table.to_csv("moving.csv", index=False)
    table.assign(state=np.where(who % 2, "ill", "well")).to_csv("table.csv", index=False)
    return tmp_path


def given(name, *more):
    file = "moving.csv" if name == "jumps" else "table.csv"
    return (name, file, *ON_DATA[name], "--no-figures", *more)


def require_same_tables(one, other):
    """To the last digit, but for the time that a fit took."""
    for path in one.glob("*.csv"):
        first, second = (
            pd.read_csv(folder / path.name, **every_digit(pd.__version__))
            for folder in (one, other)
        )
        timed = [column for column in first if column == "seconds"]
        pd.testing.assert_frame_equal(
            first.drop(columns=timed), second.drop(columns=timed), check_exact=True
        )


def test_every_command_is_known_here():
    assert set(COMMANDS) == {*ON_DATA, "ask", "demo", "datasets", "info"}


@FOR_EACH
def test_flags_that_every_command_has(name):
    expected = EVERY if name in WITHOUT_CHANCE else {*EVERY, "--seed"}
    assert expected <= set(flags(name))


def test_one_name_stands_for_one_thing():
    """Flags of one name have one help text and one kind of value in all commands."""
    meanings = {}
    for name in ON_DATA:
        for flag, option in flags(name).items():
            if not option.hidden:
                meaning = (option.help, option.multiple, option.is_flag, option.opts)
                meanings.setdefault(flag, {}).setdefault(str(meaning), []).append(name)
    several = {flag: found for flag, found in meanings.items() if len(found) > 1}
    # `--method` chooses among the methods of the command
    assert set(several) <= {"--method"}


def test_no_help_text_stands_for_two_names():
    helps = {}
    for name in ON_DATA:
        for flag, option in flags(name).items():
            if not option.hidden:
                helps.setdefault(option.help, set()).add(flag)
    assert {text: found for text, found in helps.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_lists_every_flag(run, name):
    shown = run(name, "--help")
    assert shown.exit_code == 0
    for flag, option in flags(name).items():
        assert option.hidden or flag in shown.output
        assert option.hidden or option.help
    assert COMMANDS[name].help.splitlines()[0].split()[0] in run("--help").output


@FOR_EACH
def test_figures_are_drawn_by_every_command(run, tables, name):
    shown = [a for a in given(name, "--out", "result") if a != "--no-figures"]
    assert run(*shown).exit_code == 0
    assert list((tables / "result").glob("*.png"))


@FOR_EACH
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent.csv",), "error: there is no file absent.csv"),
        (("tabel.csv",), "error: there is no file tabel.csv; did you mean 'table.csv'?"),
        (("table.xlsx",), "error: table.xlsx has the suffix '.xlsx'; expected one of .csv, "),
        (("table.csv", "--out", "precious"), "error: precious exists and is not a result of "),
        (("table.csv", "--out", "table.csv"), "error: table.csv is a file; give the name of a "),
        (("table.csv", "--time", "tiem"), "error: no column 'tiem' in the table; did you mean "),
        (("table.csv", "--set", "tol"), "error: 'tol' is no assignment; write key=value"),
        (("table.csv", "--set", "nowhere=1"), "has no setting 'nowhere'; "),
        (("table.csv", "--config", "no.toml"), "error: no.toml cannot be read as TOML"),
        (("table.csv", "--sep", "ab"), "error: --sep must be one character"),
        (("table.csv", "--decimal", ","), "error: --decimal must be one character other than "),
        (("table.csv", "--encoding", "utf-9"), "error: no encoding 'utf-9'; try "),
        (("latin.csv",), "error: latin.csv cannot be read as utf-8"),
        (("empty.csv",), "error: empty.csv is empty; "),
        (("header.csv",), "error: header.csv holds no rows"),
    ],
)
def test_mistakes_are_refused_in_the_same_words(fails, tables, name, arguments, said):
    (tables / "precious").mkdir()
    (tables / "precious" / "thesis.txt").write_text("do not lose")
    (tables / "latin.csv").write_bytes("id,time,x,state\n0,0,1,é\n".encode("latin-1"))
    (tables / "empty.csv").write_text("")
    (tables / "header.csv").write_text("id,time,x,state\n")
    before = sorted(tables.rglob("*"))
    assert said in fails(name, *arguments, *ON_DATA[name], "--quiet")
    assert sorted(tables.rglob("*")) == before


@FOR_EACH
def test_the_result_folder(run, tables, name):
    done = run(*given(name, "--out", "found folder", "--json"))
    assert done.exit_code == 0, done.output
    folder = tables / "found folder"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == json.loads(done.stdout)
    assert summary["command"] == name
    assert summary["data"] == given(name)[1]
    assert summary["trajinfer"] == trajinfer.__version__
    assert summary["seconds"] > 0
    assert list(folder.glob("*.csv"))
    assert not list(folder.glob("*.png"))
    text = (folder / "config.toml").read_text()
    (settings,) = tomllib.loads(text).values()
    assert name in WITHOUT_CHANCE or settings["random_state"] == 0
    typed = text.splitlines()[0].removeprefix("# ")
    assert shlex.split(typed)[:3] == ["trajinfer", *given(name)[:2]]
    assert "'found folder'" in typed


@FOR_EACH
def test_the_first_line_of_the_configuration_and_its_settings_repeat_the_run(run, tables, name):
    assert run(*given(name, "--out", "first", "--quiet")).exit_code == 0
    typed = (tables / "first" / "config.toml").read_text().splitlines()[0]
    again = shlex.split(typed.removeprefix("# trajinfer "))
    done = run(*again, "--config", "first/config.toml", "--out", "second")
    assert done.exit_code == 0, done.output
    require_same_tables(tables / "first", tables / "second")
    settings = [
        tomllib.loads((tables / folder / "config.toml").read_text())
        for folder in ("first", "second")
    ]
    assert settings[0] == settings[1]


@FOR_EACH
def test_the_printed_python_runs(run, tables, name):
    printed = run(*given(name, "--dry-run"))
    assert printed.exit_code == 0, printed.output
    assert not (tables / "result").exists()
    exec(printed.stdout, {})


@FOR_EACH
def test_quiet_leaves_standard_error_empty(run, tables, name):
    done = run(*given(name, "--quiet"))
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "warning" not in done.stdout


@FOR_EACH
def test_columns_left_out_are_named(run, tables, name):
    """By every command that takes all columns of numbers where none is named; one keeps text."""
    if name == "jumps":
        pytest.skip("its columns are always named")
    frame = pd.read_csv("table.csv").rename_axis("")
    frame["note"] = "so so"
    frame.to_csv("table.csv")
    arguments = [a for a in given(name) if a not in ("--channels", "--features", "x")]
    done = run(*arguments)
    assert "an index of rows: Unnamed: 0" in done.stderr
    if name == "generate":
        written = pd.read_csv("result/synthetic.csv")
        assert set(written["note"]) == {"so so"}
        assert set(written["state"]) <= {"ill", "well"}
        return
    assert "not numeric: " in done.stderr
    assert "note; name " in done.stderr


@FOR_EACH
def test_a_column_of_numbers_but_for_one_cell_is_refused(run, fails, tables, name):
    if name == "jumps":
        pytest.skip("its columns are always named")
    lines = (tables / "table.csv").read_text().splitlines()
    lines[6] = "0,5,-,well"
    (tables / "table.csv").write_text("\n".join(lines) + "\n")
    arguments = [a for a in given(name) if a not in ("--channels", "--features", "x")]
    message = fails(*arguments, "--quiet")
    assert "column 'x' holds numbers but for 1 of 144 cells, such as '-' in row 5" in message
    assert "--missing" in message
    if name in ("forecast", "classify", "generate", "impute", "anomaly"):
        done = run(*arguments, "--missing", "-", "--quiet")
        assert done.exit_code == 0, done.output


@FOR_EACH
def test_other_separators_and_decimal_marks(run, tables, name):
    first = run(*given(name, "--out", "a", "--quiet"))
    assert first.exit_code == 0, first.output
    file = given(name)[1]
    frame = pd.read_csv(file, **every_digit(pd.__version__))
    frame.to_csv(file, index=False, sep=";", decimal=",", encoding="utf-16")
    options = ("--sep", ";", "--decimal", ",", "--encoding", "utf-16")
    again = run(*given(name, "--out", "b", "--quiet"), *options)
    assert again.exit_code == 0, again.output
    require_same_tables(tables / "a", tables / "b")


@pytest.mark.parametrize("name", ["forecast", "classify", "generate"])
@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "N/A", "-", "007"])
def test_names_stay_as_they_are_written(run, tables, name, word):
    frame = pd.read_csv("table.csv", dtype=str)
    frame["id"] = frame["id"].replace("3", word)
    frame["state"] = frame["state"].replace("well", word)
    frame.to_csv("table.csv", index=False)
    done = run(*given(name, "--json"))
    assert done.exit_code == 0, done.output
    if name == "classify":
        assert json.loads(done.stdout)["classes"] == sorted(["ill", word])
    if name == "forecast":
        written = pd.read_csv("result/forecast.csv", dtype=str, keep_default_na=False)
        assert set(written["id"]) == set(frame["id"])


@pytest.mark.parametrize("word", ["NA", "nan", "NULL"])
def test_a_missing_number_may_be_written_as_such(run, tables, word):
    frame = pd.read_csv("table.csv", dtype=str)
    frame.loc[3, "x"] = ""
    frame.to_csv("table.csv", index=False)
    empty = run(*given("forecast", "--out", "a", "--quiet"))
    frame.assign(x=frame["x"].replace("", word)).to_csv("table.csv", index=False)
    written = run(*given("forecast", "--out", "b", "--quiet"))
    assert (empty.exit_code, written.exit_code) == (0, 0), empty.output + written.output
    require_same_tables(tables / "a", tables / "b")


def test_former_names_of_flags_work_and_say_the_new_one(run, tables):
    former = {
        "fit": ("--paths", "5", "--n"),
        "forecast": ("--paths", "5", "--n"),
        "hurst": ("--columns", "x", "--channels"),
        "classify": ("--hold-out", "0.5", "--hold-out-share"),
    }
    for name, (flag, value, new) in former.items():
        done = run(*given(name), flag, value)
        assert done.exit_code == 0, done.output
        assert f"warning: {flag} is called {new} now; use {new}" in done.stderr


def test_words_that_the_command_line_repeats_are_those_of_the_library():
    """It names methods and dynamics itself, because a help text must not import them."""
    assert set(hurst.METHODS) == set(get_args(HurstMethod))
    known = get_type_hints(trajinfer.NeuralSDEForecaster)["dynamics"]
    latent, lead = get_args(known)
    assert set(DYNAMICS) == set(get_args(latent))
    assert get_args(lead) == ("lead",)
    with pytest.raises(trajinfer.InputError, match="unknown method") as refused:
        trajinfer.MarkovJumpProcess(method="zzz").fit(JumpSeries.from_arrays([0.0, 1.0], [[0, 1]]))
    assert f"known: {', '.join(jump_settings.METHODS)}" in str(refused.value)


@pytest.mark.parametrize("name", ["forecast", "classify", "generate", "impute"])
def test_help_lists_the_models(run, name):
    modules = {"forecast": forecast, "classify": classify, "generate": generate, "impute": impute}
    for model in modules[name].MODELS:
        assert model in run(name, "--help").output
