"""The demo reaches its figures, and says what they are."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from trajinfer import SchrodingerBridge
from trajinfer.cli import app
from trajinfer.evaluation.demo import countries

pytest.importorskip("plotly")


def _run(folder):
    out = folder / "result"
    result = CliRunner().invoke(app, ["demo", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return result, out, json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The demo with one refinement of eight: what does not hang on the fit is the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(countries, "SchrodingerBridge", _refined_once)
        return _run(tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("demo"))


def _refined_once(reference, **settings):
    return SchrodingerBridge(reference, **{**settings, "n_refinements": 1})


def _by_method(rows):
    return {row["method"]: row for row in rows}


def _shares(demo):
    rows = _by_method(demo[2]["gapminder"]["successors"])
    return {method: row["true successor found"] for method, row in rows.items()}


def _w2_of_the_last_year(demo):
    rows = _by_method(demo[2]["gapminder"]["forecast"])
    return {method: row["w2"] for method, row in rows.items()}


def test_what_does_not_hang_on_the_fit(short):
    shares = _shares(short)
    assert shares["nearest country"] == pytest.approx(0.345, abs=0.0005)
    assert shares["exact OT"] == pytest.approx(0.810, abs=0.0005)
    w2 = _w2_of_the_last_year(short)
    assert w2["persistence"] == pytest.approx(0.225, abs=0.0005)
    assert w2["mean_shift"] == pytest.approx(0.167, abs=0.0005)
    rows = _by_method(short[2]["gapminder"]["held_out"])
    assert rows["persistence"]["w2"] == pytest.approx(0.250, abs=0.0005)
    assert rows["exact_ot_line"]["w2"] == pytest.approx(0.122, abs=0.0005)
    assert rows["true_pairs"]["w2"] == pytest.approx(0.103, abs=0.0005)
    assert rows["exact_ot_line"]["rmse"] == pytest.approx(0.138, abs=0.0005)


@pytest.mark.slow  # the whole fit, as users see it
def test_what_the_whole_fit_finds(demo):
    shares = _shares(demo)
    assert shares["bridge"] >= 0.82
    assert shares["exact OT, learned units"] >= 0.86
    assert shares["bridge, among its top three"] >= 0.97
    assert _w2_of_the_last_year(demo)["bridge_means"] <= 0.17
    rows = _by_method(demo[2]["gapminder"]["held_out"])
    assert rows["bridge_means"]["rmse"] < rows["exact_ot_line"]["rmse"]


@pytest.mark.slow
def test_intervals_and_volatility_err_on_the_large_side(demo):
    found = demo[2]["gapminder"]
    assert found["coverage"] > 0.9
    rows = {row["quantity"]: row for row in found["dynamics"]}
    for name in ("log10_gdp_per_head", "life_expectancy", "log10_population"):
        row = rows[f"volatility of {name}"]
        assert 1 < row["learned"] / row["true pairs"] < 2
    assert rows["volatility of log10_population"]["learned"] < 0.15


def test_rates_of_the_predator_and_its_prey(short):
    predators = short[2]["lotka_volterra"]
    assert predators["converged"]
    assert max(row["relative error"] for row in predators["parameters"]) < 0.06


def test_report_and_files(short):
    result, out, _ = short
    assert "The line wins here: W2 0.122" in result.stdout
    assert "The bridge knows which coordinate to trust" in result.stdout
    assert "Djibouti" in result.stdout
    assert "1/2 gapminder" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "gapminder.png",
        "gapminder_coverage.csv",
        "gapminder_dynamics.csv",
        "gapminder_forecast.csv",
        "gapminder_held_out.csv",
        "gapminder_mistakes.csv",
        "gapminder_model",
        "gapminder_successors.csv",
        "lotka_volterra.png",
        "lotka_volterra_model",
        "lotka_volterra_parameters.csv",
        "lotka_volterra_scores.csv",
        "summary.json",
    }
    assert len(pd.read_csv(out / "gapminder_successors.csv")) == 5
