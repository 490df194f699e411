"""The examples on long memory run and say something."""

import importlib.util
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("fractional_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path, monkeypatch, capsys):
    if "nile" in example.stem and importlib.util.find_spec("statsmodels") is None:
        pytest.skip("the flow of the Nile is read from statsmodels, which is not installed")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    assert "H" in capsys.readouterr().out
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80
