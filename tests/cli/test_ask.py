"""`trajinfer ask` on what the other commands left."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from trajinfer import MarkovJumpProcess, SchrodingerBridge
from trajinfer.cli import app
from trajinfer.cli.links import pairs_of
from trajinfer.cli.region_text import region_of, region_script
from trajinfer.functionals import ValueFunction, above, hitting_probability
from trajinfer.jumps import simulate
from trajinfer.processes import DoubleWell


@pytest.fixture(scope="module")
def bridge():
    """Snapshots of particles that move apart, at dates."""
    rng = np.random.default_rng(0)
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"])
    frame = pd.DataFrame(
        {
            "time": np.repeat(days, 20),
            "gata1": np.concatenate([rng.normal(0.0, 0.2 + 0.2 * k, 20) for k in range(3)]),
        }
    )
    reference = DoubleWell(1.0, 1.0, volatility=0.5)
    return SchrodingerBridge(reference, n_refinements=0, random_state=0).fit(frame)


def test_fates_of_the_last_cells(run, tmp_path, monkeypatch, bridge):
    monkeypatch.chdir(tmp_path)
    bridge.save("result/model")
    done = run(
        *("ask", "result", "--target", "gata1>=1.2", "--before", "gata1<=-1.2"),
        *("--out", "answer", "--json"),
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["starts"] == 20
    assert any("refined reference" in note for note in summary["assumed"])
    table = pd.read_csv("answer/answer.csv")
    assert table["gata1"].to_numpy() == pytest.approx(bridge.snapshots_.points[-1][:, 0])
    assert table["probability"].corr(table["gata1"]) > 0.9


def test_durations_in_the_unit_of_the_table(run, tmp_path, monkeypatch, bridge):
    monkeypatch.chdir(tmp_path)
    bridge.save("result/model")
    done = run(
        *("ask", "result", "--target", "gata1>=1.2", "--horizon", "36h", "--from", "gata1=0.3"),
        *("--out", "answer", "--no-figures"),
    )
    assert done.exit_code == 0, done.output
    question = hitting_probability(above(1.2), horizon=1.5)
    model = ValueFunction(question).fit(DoubleWell(1.0, 1.0, volatility=0.5), [[0.3]])
    found = pd.read_csv("answer/answer.csv")["probability"][0]
    assert found == pytest.approx(model.predict([0.3])[0], abs=1e-4)
    law = pd.read_csv("answer/passage.csv")
    assert law["time"].iloc[-1] == "1 days 12:00:00"
    assert "method: within 1.5 D; " in done.output
    assert 1 - law["survival"].iloc[-1] == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("x>=1|x<=-1", "F.above(1, channel='x') | F.below(-1, channel='x')"),
        ("2>=y", "F.below(2, channel='y')"),
        (
            "x>1&-1<y|y>2",
            "F.above(1, channel='x') & F.above(-1, channel='y') | F.above(2, channel='y')",
        ),
    ],
)
def test_regions_are_read_and_written_as_python(text, script):
    from trajinfer import functionals

    assert region_script(text, ("x", "y")) == script
    points = np.random.default_rng(0).normal(0, 2, (50, 2))
    region = region_of(text, ("x", "y")).on(("x", "y"), 2)
    written = eval(script, {"F": functionals}).on(("x", "y"), 2)
    assert (region.contains(points) == written.contains(points)).all()
    assert 0 < region.contains(points).mean() < 1


@pytest.mark.parametrize("typed", ["1,3", "1.0,3.0"])
def test_states_are_typed_as_they_are_shown_or_stand_in_a_file(typed):
    names = (1, 2, 3)
    assert region_of(typed, names).labels == (1, 3)
    assert region_script(typed, names) == "F.states([1, 3])"
    assert pairs_of(typed.replace(",", "-"), names) == [[1, 3]]


def test_states_of_a_chain(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rates = [[-1.0, 0.8, 0.2], [0.5, -1.0, 0.5], [0.4, 0.4, -0.8]]
    paths = simulate(rates, [1, 0, 0], 150, np.arange(6) / 2, random_state=0)
    MarkovJumpProcess(method="mle", random_state=0).fit(paths).save("result")
    done = run("ask", "result", "--target", "2", "--horizon", "1", "--json", "--out", "answer")
    assert done.exit_code == 0, done.output
    table = pd.read_csv("answer/answer.csv")
    assert table["from"].tolist() == [0, 1, 2]
    assert (table["lower"] <= table["probability"]).all()
    assert (table["upper"] >= table["probability"]).all()
    assert table["probability"].iloc[2] == 1
    assert (tmp_path / "answer" / "passage.png").is_file()


def test_the_config_of_an_answer_asks_again(run, fails, tmp_path, monkeypatch, bridge):
    monkeypatch.chdir(tmp_path)
    bridge.save("result/model")
    words = ["--target", "gata1>=1.2", "--before", "gata1<=-1.2", "--from", "gata1=0.3"]
    first = run("ask", "result", *words, "--out", "a", "--no-figures")
    assert first.exit_code == 0, first.output
    again = run("ask", "result", "--config", "a/config.toml", "--out", "b", "--no-figures")
    assert again.exit_code == 0, again.output
    assert Path("a/answer.csv").read_bytes() == Path("b/answer.csv").read_bytes()
    other = run("ask", "result", "--config", "a/config.toml", "--from", "gata1=0.1", "--out", "c")
    assert other.exit_code == 0, other.output
    assert Path("a/answer.csv").read_bytes() != Path("c/answer.csv").read_bytes()
    Path("wrong.toml").write_text("[ask]\ntarget = 3\n")
    assert "target must be str" in fails("ask", "result", "--config", "wrong.toml")
    Path("wrong.toml").write_text("[fit]\n")
    assert "unknown key 'fit'" in fails("ask", "result", "--config", "wrong.toml")
    assert "give --target" in fails("ask", "result")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--target", "x>=1"), "nowhere holds no saved model"),
        (("result", "--target", "gata2>=1"), "did you mean 'gata1'?"),
        (("result", "--target", "gata1>=1 g"), "write conditions such as 'x>=1.2', without units"),
        (("result", "--target", "much"), "'much' is no region: write conditions such as"),
        (("result", "--target", "gata1>=1", "--from", "0.3"), "write 'x=0.3,y=1', or last"),
        (("result", "--target", "gata1>=1", "--from", "gata1=1", "--series", "a.csv"), "either"),
        (("result", "--target", "gata1>=1", "--horizon", "soon"), "the times of these data are"),
    ],
)
def test_mistakes_are_refused(fails, tmp_path, monkeypatch, bridge, arguments, said):
    monkeypatch.chdir(tmp_path)
    bridge.save("result/model")
    assert said in fails("ask", *arguments)


@pytest.fixture(scope="module")
def winds(tmp_path_factory):
    """A folder with a table of winds at dates, and what `trajinfer forecast` made of it."""
    folder = tmp_path_factory.mktemp("winds")
    walks = np.random.default_rng(0).normal(size=(20, 16)).cumsum(axis=1)
    table = pd.DataFrame(
        {
            "storm": np.repeat([f"s{k}" for k in range(20)], 16),
            "day": np.tile(pd.date_range("2024-08-01", periods=16), 20),
            "wind": 50 + 2 * walks.ravel(),
        }
    )
    table.to_csv(folder / "storms.csv", index=False)
    arguments = [
        *("forecast", str(folder / "storms.csv"), "--id", "storm", "--time", "day"),
        *("--horizon", "3D", "--set", "max_epochs=1", "--set", "hidden=4", "--seed", "0"),
        *("--out", str(folder / "result"), "--no-figures"),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


def test_what_a_forecast_reaches_from_the_last_observations(run, tmp_path, monkeypatch, winds):
    monkeypatch.chdir(tmp_path)
    done = run(
        *("ask", winds / "result", "--target", "wind>=64", "--horizon", "3d", "--from", "last"),
        *("--n", "400", "--seed", "1", "--out", "answer"),
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv("answer/answer.csv").set_index("series")
    observed = pd.read_csv(winds / "storms.csv")
    last = observed.groupby("storm")["wind"].last()
    assert sorted(table.index) == sorted(last.index)
    assert (table["probability"][last[last >= 64].index] == 1).all()
    assert (table["probability"][last[last < 50].index] < 0.2).all()
    law = pd.read_csv("answer/passage.csv")
    assert law["time"].iloc[-1] == "3 days 00:00:00"
    assert 1 - law["survival"].to_numpy().reshape(20, -1)[:, -1] == pytest.approx(
        table["probability"].to_numpy()
    )
    assert (tmp_path / "answer" / "passage.png").is_file()


def test_series_of_another_table(run, tmp_path, monkeypatch, winds):
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2025-01-01", periods=5)
    pd.DataFrame({"storm": "new", "day": days, "wind": 90.0}).to_csv("new.csv", index=False)
    done = run(
        *("ask", winds / "result", "--target", "wind>=64", "--horizon", "36h", "--series"),
        *("new.csv", "--id", "storm", "--time", "day", "--out", "answer", "--no-figures"),
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv("answer/answer.csv")
    assert table[["series", "probability"]].to_numpy().tolist() == [["new", 1.0]]


def test_another_table_is_read_as_that_of_the_fit(run, tmp_path, monkeypatch, winds):
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2025-01-01", periods=5)
    table = pd.DataFrame({"storm": "new", "day": days, "wind": 40.0, "other": "calm"})
    table.to_csv("new.csv", index=False)
    table.drop(columns="storm").to_csv("alone.csv", index=False)
    asking = ("ask", winds / "result", "--target", "wind>=64", "--horizon", "1d", "--no-figures")
    for k, words in enumerate((["new.csv"], ["alone.csv", "--id", ""])):
        done = run(*asking, "--out", f"answer{k}", "--series", *words)
        assert done.exit_code == 0, done.output
    named, alone = (pd.read_csv(f"answer{k}/answer.csv") for k in range(2))
    assert named["series"].tolist() == ["new"]
    assert alone["probability"].tolist() == named["probability"].tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "wnd>=64", "--horizon", "3d"), "did you mean 'wind'?"),
        (
            ("--target", "wind>=64"),
            "can only be followed for some time; give the functional a --hor",
        ),
        (("--target", "wind>=64", "--horizon", "3d", "--from", "wind=3"), "goes on from series"),
        (("--target", "wind>=64", "--horizon", "3d", "--from", "new"), "write last, or name"),
    ],
)
def test_mistakes_with_forecasts_are_refused(fails, tmp_path, monkeypatch, winds, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in fails("ask", winds / "result", *arguments)


def test_a_model_without_its_table_asks_for_series(fails, tmp_path, monkeypatch, winds):
    monkeypatch.chdir(tmp_path)
    question = ("--target", "wind>=64", "--horizon", "3d")
    assert "by --series table.csv" in fails("ask", winds / "result" / "model", *question)
    shutil.copytree(winds / "result", "moved")
    summary = json.loads((tmp_path / "moved" / "summary.json").read_text())
    summary["reading"]["data"] = str(tmp_path / "gone.csv")
    (tmp_path / "moved" / "summary.json").write_text(json.dumps(summary))
    assert "there is no file" in fails("ask", "moved", *question)
