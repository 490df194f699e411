"""`--nproc`: torchrun starts the same command, whose first process writes and speaks."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import trajinfer
from tests.cli.small_estimators import LastValue
from trajinfer.cli import forecast
from trajinfer.cli.models import Model

ASKED = ("forecast", "table.csv", "--horizon", "1", "--model", "last", "--n", "5", "--no-figures")


@pytest.fixture(autouse=True)
def series(tmp_path, monkeypatch):
    """A table of four series, and an estimator that is quick."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trajinfer, "LastValue", LastValue, raising=False)
    monkeypatch.setitem(forecast.MODELS, "last", Model("LastValue", {"spread": 0.5}, "ahead"))
    values = np.random.default_rng(0).normal(size=24).cumsum()
    who, times = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    pd.DataFrame({"id": who, "time": times, "x": values}).to_csv("table.csv", index=False)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """What would have been started; it ends with the code that is asked for."""
    found = SimpleNamespace(commands=[], code=0)

    def run(command, **_):
        found.commands.append(command)
        return subprocess.CompletedProcess(command, found.code)

    monkeypatch.setattr(subprocess, "run", run)
    return found


def test_the_same_command_is_started_by_torchrun_which_is_said(run, started, series):
    shown = run(*ASKED, "--nproc", "2")
    assert shown.exit_code == 0
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    (command,) = started.commands
    assert command[:8] == [*words, "-m", "--", "trajinfer"]
    assert command[8:10] == list(ASKED[:2])
    assert sorted(command[10:]) == sorted(ASKED[2:])
    assert "torchrun --standalone --nproc_per_node=2 -m -- trajinfer forecast" in shown.stderr
    assert not (series / "result").exists()
    started.code = 1
    assert run(*ASKED, "--nproc", "2").exit_code == 1


def test_data_are_checked_before_processes_are_started(fails, started):
    assert "no column 'who'" in fails(*ASKED, "--nproc", "2", "--id", "who")
    assert "at least 1, got 0" in fails(*ASKED, "--nproc", "0")
    assert started.commands == []


def test_the_first_process_writes_and_speaks(run, fails, monkeypatch, series):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    second = run(*ASKED)
    assert (second.exit_code, second.stdout, second.stderr) == (0, "", "")
    assert not (series / "result").exists()
    monkeypatch.setenv("RANK", "0")
    first = run(*ASKED)
    assert first.exit_code == 0
    assert first.stdout
    assert (series / "result" / "summary.json").is_file()
    assert "which runs already" in fails(*ASKED, "--nproc", "2")
