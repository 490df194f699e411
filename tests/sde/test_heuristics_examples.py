"""The experiments on solver heuristics run, and are short."""

import runpy
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("heuristics_*.py"))
# the two on digits run every row; those that solve for long run one that is regularised
SOME_ROWS = {
    "heuristics_latent_ode": ("STEER",),
    "heuristics_spiral_sde": ("global error",),
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(example, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(example.parent)
    only = SOME_ROWS.get(example.stem, ())
    chosen = ["--only", *only] if only else []
    monkeypatch.setattr(sys, "argv", [str(example), "--quick", *chosen])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        runpy.run_path(str(example), run_name="__main__")
    rows = capsys.readouterr().out.splitlines()[3:]
    assert len(rows) == (len(only) or (8 if "ode" in example.stem else 6))
    assert all(row.count("|") == rows[0].count("|") for row in rows)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_is_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80
