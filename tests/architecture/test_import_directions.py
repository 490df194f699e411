"""Rooms import one way only, and the check notices when they do not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")

ROOT = Path(__file__).parents[2]
COMMAND = [
    sys.executable,
    "-c",
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_logo=True))",
]


def _lint(folder):
    return subprocess.run(
        [*COMMAND],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(folder),
    )


def _environment(folder):
    import os

    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """The report on a copy of the package into which every violation was planted."""
    folder = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__", "*.npz", "*.safetensors")
    shutil.copytree(ROOT / "trajinfer", folder / "trajinfer", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, text, _ in PLANTED:
        planted = folder / "trajinfer" / file
        planted.parent.mkdir(exist_ok=True)
        planted.write_text(text)
    done = _lint(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_contracts_are_kept():
    done = _lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


PLANTED = [
    ("_core/planted.py", "import trajinfer.cli\n", "trajinfer._core.planted -> trajinfer.cli"),
    ("sde/planted.py", "import trajinfer.metrics\n", "trajinfer.sde.planted -> trajinfer.metrics"),
    (
        "bridges/planted.py",
        "from trajinfer import jumps\n",
        "trajinfer.bridges.planted -> trajinfer.jumps",
    ),
    ("processes/planted.py", "import torchsde\n", "trajinfer.processes.planted -> torchsde"),
    (
        "plot/planted.py",
        "from trajinfer.sde import solve\n",
        "trajinfer.plot.planted -> trajinfer.sde.solve",
    ),
    ("cellar/__init__.py", "", "not listed as layers:\n\n- trajinfer.cellar"),
]


@pytest.mark.parametrize("complaint", [complaint for _, _, complaint in PLANTED])
def test_a_planted_violation_is_noticed(complaints, complaint):
    assert complaint in complaints


def test_nothing_but_the_planted_violations_is_noticed(complaints):
    lines = [line for line in complaints.splitlines() if line.startswith("- ")]
    assert all("planted" in line or "cellar" in line for line in lines)
