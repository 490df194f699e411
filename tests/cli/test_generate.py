"""The command that draws synthetic series."""

import json

import numpy as np
import pandas as pd
import pytest

QUICK = ("--set", "hidden=[8]", "--quiet", "--no-figures")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(80, 6)).cumsum(axis=1)
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(80), 6),
            "day": np.tile(np.arange(6.0), 80),
            "x": walks.ravel(),
            "block": np.repeat(np.arange(80) // 8, 6),
        }
    )
    frame.to_csv(tmp_path / "walks.csv", index=False)
    return tmp_path / "walks.csv"


def columns(table):
    return table, "--id", "who", "--time", "day", "--channels", "x"


def test_dry_run_prints_a_script_that_compiles(run, table):
    plain = run("generate", *columns(table), "--n", 7, "--dry-run")
    assert plain.exit_code == 0, plain.output
    assert "DirectedChainGenerator(random_state=0)" in plain.stdout
    assert ".sample(7)" in plain.stdout
    grouped = run("generate", *columns(table), "--group", "block", "--report", "--dry-run")
    compile(grouped.stdout, "script", "exec")
    assert "generation_report(*real, synthetic.values, groups=" in grouped.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", 0), "--n"),
        (("--group", "nobody"), "nobody"),
        (("--set", "hiden=3"), "hidden"),
    ],
)
def test_bad_input_is_one_line(fails, table, arguments, message):
    assert message in fails("generate", *columns(table), *arguments, *QUICK[2:])


def test_too_few_series_for_a_report_are_refused_before_the_fit(fails, table, tmp_path):
    frame = pd.read_csv(table)
    frame[frame["who"] < 51].to_csv(table, index=False)
    asked = "generate", *columns(table), "--report", *QUICK[:2], "--out", tmp_path / "result"
    said = fails(*asked)
    assert "every fourth of the series out, 12 of 51, and compares with 20 at least" in said
    assert "lost in draws" not in said


@pytest.mark.slow
def test_a_report_takes_series_of_unequal_length(run, table, tmp_path):
    frame = pd.read_csv(table).iloc[:-1]
    frame.to_csv(table, index=False)
    done = run(
        "generate", *columns(table), "--report", "--n", 40, *QUICK, "--out", tmp_path / "result"
    )
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "result" / "report.json").read_text())["sizes"]["held out"] == 20


@pytest.mark.slow
def test_the_result_folder(run, table, tmp_path):
    out = tmp_path / "result"
    done = run("generate", *columns(table), "--n", 50, "--report", *QUICK, "--json", "--out", out)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["series"], document["held_out"], document["drawn"]) == (80, 20, 50)
    drawn = pd.read_csv(out / "synthetic.csv")
    assert drawn.columns.tolist() == ["who", "day", "x"]
    assert drawn["who"].nunique() == 50
    assert np.isfinite(drawn["x"]).all()
    report = json.loads((out / "report.json").read_text())
    assert report["flags"] == document["flags"]
    assert report["sizes"]["training"] == 60
    assert "flags:" in (out / "report.txt").read_text()


def test_text_stays_text_and_visits_keep_their_pattern(run, tmp_path):
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 7, 40)
    mood = rng.choice(["calm", "tense"], lengths.sum())
    frame = pd.DataFrame(
        {
            "who": np.repeat([f"p{i:02d}" for i in range(40)], lengths),
            "day": np.concatenate([rng.exponential(1.0, k).cumsum() for k in lengths]),
            "sex": np.repeat(rng.choice(["f", "m"], 40), lengths),
            "mood": mood,
            "visits": rng.poisson(3.0, lengths.sum()),
            "level": rng.normal(size=lengths.sum()) + (mood == "tense"),
        }
    )
    once = frame.iloc[:1].assign(who="once")
    pd.concat([frame, once]).to_csv(tmp_path / "visits.csv", index=False)
    out = tmp_path / "result"
    asked = "generate", tmp_path / "visits.csv", "--id", "who", "--time", "day", "--n", 60
    refused = run(*asked, *QUICK[2:], "--out", out)
    assert refused.exit_code != 0
    assert "such as 'once'" in refused.output
    assert "--drop-short" in refused.output
    asked = *asked, "--drop-short"
    done = run(*asked, "--no-figures", "--out", out)
    assert done.exit_code == 0, done.output
    assert "1 series of one row left out" in done.output
    drawn = pd.read_csv(out / "synthetic.csv")
    assert drawn.columns.tolist() == frame.columns.tolist()
    assert drawn[["visits", "level"]].dtypes.equals(frame[["visits", "level"]].dtypes)
    assert set(drawn["mood"]) == {"calm", "tense"}
    assert (drawn.groupby("who")["sex"].nunique() == 1).all()
    counts = drawn.groupby("who").size()
    assert set(counts) <= set(lengths)
    assert (drawn.groupby("who")["day"].diff().dropna() > 0).all()
    means = drawn.groupby("mood")["level"].mean()
    # of 130 values either: standard error of the difference .13
    assert means["tense"] - means["calm"] == pytest.approx(1.0, abs=0.55)
    script = run(*asked, "--dry-run").stdout
    assert "CategoryCodes.of(frame['mood'])" in script
    assert "series = series[series.lengths >= 2]" in script
