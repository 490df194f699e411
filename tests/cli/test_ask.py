"""`trajinfer ask` on what the other commands left."""

import json

import numpy as np
import pandas as pd
import pytest

from trajinfer import MarkovJumpProcess, SchrodingerBridge
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
    assert 1 - law["survival"].iloc[-1] == pytest.approx(found, abs=1e-3)


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--target", "x>=1"), "nowhere holds no saved model"),
        (("result", "--target", "gata2>=1"), "did you mean 'gata1'?"),
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
