"""The examples on synthetic series are short, and say so where data are missing."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("generate_*.py"))


def test_examples_are_there_and_short():
    assert len(EXAMPLES) == 3
    assert all(len(path.read_text(encoding="utf-8").splitlines()) < 80 for path in EXAMPLES)


def test_stocks_ask_for_their_data(tmp_path, monkeypatch):
    monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (example,) = [path for path in EXAMPLES if path.stem == "generate_stocks"]
    with pytest.raises(SystemExit, match="needs data that may not be shipped"):
        runpy.run_path(str(example), run_name="__main__")
