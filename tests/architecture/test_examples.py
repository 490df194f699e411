"""The examples on snapshots run, are short, and say so where data are missing.

Examples of other methods are run by the tests of their rooms.
"""

import os
import runpy
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("snapshots_*.py"))


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, empty_folder, capsys, monkeypatch, each_fit_once):
    if "gapminder" in example.stem:
        pytest.importorskip("plotly")
    if "drifters" in example.stem and not os.environ.get("TRAJINFER_DATA"):
        pytest.skip("TRAJINFER_DATA does not name a folder of data")
    monkeypatch.setattr(sys, "argv", [str(example)])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80


def test_the_drifters_ask_for_their_data(empty_folder, monkeypatch):
    monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty_folder))
    (example,) = [path for path in EXAMPLES if path.stem == "snapshots_drifters"]
    with pytest.raises(SystemExit, match="needs data that may not be shipped"):
        runpy.run_path(str(example), run_name="__main__")
