"""Whatever is wrong with a command line: a result, one line of ours, or the usage; no trace."""

import warnings

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import trajinfer
from tests.cli.small_estimators import ByMean, LastValue, Resample, UsualValues
from tests.reliability.command_mistakes import ON_DATA, command_line, table
from trajinfer._core.errors import InputError
from trajinfer.cli import app, classify, forecast
from trajinfer.cli.horizon import Horizon
from trajinfer.cli.models import Model

COMMANDS = typer.main.get_command(app).commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table, and quick estimators of series; the others are those of users."""
    monkeypatch.chdir(tmp_path)
    for estimator in (LastValue, ByMean):
        monkeypatch.setattr(trajinfer, estimator.__name__, estimator, raising=False)
    monkeypatch.setitem(forecast.MODELS, "last", Model("LastValue", {"spread": 0.5}, "ahead"))
    monkeypatch.setitem(classify.MODELS, "mean", Model("ByMean", {}))
    monkeypatch.setattr(trajinfer, "DirectedChainGenerator", Resample, raising=False)
    monkeypatch.setattr(trajinfer, "ScoreSeries", UsualValues, raising=False)
    table(np.random.default_rng(0)).to_csv("table.csv", index=False)
    return tmp_path


def _ended(words):
    """What came of a command line: its exit code, and what is wrong with how it ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(app, words)
    fault = ""
    if not isinstance(result.exception, SystemExit | None):
        fault = f"{type(result.exception).__name__}: {result.exception}"
    elif result.exit_code not in (0, 1, 2, 3) or "Traceback" in result.output:
        fault = f"code {result.exit_code}: {result.output[-300:]}"
    elif result.exit_code == 1 and f"\n{result.stderr}".count("\nerror: ") != 1:
        fault = f"no one line: {result.stderr[-300:]}"
    return result.exit_code, fault


def _check(command, n, seed, folder):
    rng = np.random.default_rng(seed)
    codes, faults = [], []
    quick = ["--no-figures"] if any(p.name == "figures" for p in COMMANDS[command].params) else []
    for _ in range(n):
        words = command_line(command, COMMANDS[command].params, folder / "table.csv", folder, rng)
        words = [*words[:2], *quick, *words[2:], "--out", str(folder / "o")]
        code, fault = _ended(words)
        codes.append(code)
        faults += [f"{words[2:-2]}: {fault}"] if fault else []
    assert faults == []
    assert codes.count(1) + codes.count(2) > n / 3  # the mistakes are mistakes


@pytest.mark.parametrize("command", ["jumps", "hurst"])
def test_a_command_does_what_it_is_told_or_says_why_not(command, folder):
    _check(command, 12, 0, folder)


@pytest.mark.parametrize("steps", [0, 10**30])
def test_a_number_of_steps_that_no_memory_holds_is_refused(steps):
    with pytest.raises(InputError, match="--steps must lie between"):
        Horizon(horizon="1", steps=steps).check()


@pytest.mark.slow
@pytest.mark.parametrize("command", ON_DATA)
def test_five_hundred_command_lines_of_every_command(command, folder):
    _check(command, 500, 1, folder)
