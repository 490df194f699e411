"""The examples on jump processes run and say something."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("jumps_*.py"))
# the page on heart transplants shows the same fits
LONG = {"jumps_flashing_ratchet", "jumps_heart_transplant"}
ARGUMENTS = {
    "jumps_published_ratchet": ["1", "100"]
}  # one draw, and few paths: the code is the same
WITH_DATA = {"jumps_heart_transplant", "jumps_published_ratchet"}


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
        for path in EXAMPLES
    ],
)
def test_example_runs(example, request, tmp_path, monkeypatch, capsys):
    if example.stem in WITH_DATA:
        request.getfixturevalue("shared_data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example), *ARGUMENTS.get(example.stem, ())])
    runpy.run_path(str(example), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) > 2
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80
