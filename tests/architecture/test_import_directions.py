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
def copy(tmp_path_factory):
    """The package and its contracts somewhere else."""
    folder = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__", "*.npz", "*.safetensors")
    shutil.copytree(ROOT / "trajinfer", folder / "trajinfer", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_contracts_are_kept():
    done = _lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("_core/planted.py", "import trajinfer.cli\n"),
        ("sde/planted.py", "import trajinfer.metrics\n"),
        ("bridges/planted.py", "from trajinfer import jumps\n"),
        ("processes/planted.py", "import torchsde\n"),
        ("plot/planted.py", "from trajinfer.sde import solve\n"),
        ("cellar/__init__.py", ""),
    ],
)
def test_a_planted_violation_is_noticed(copy, file, text):
    planted = copy / "trajinfer" / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(text)
    try:
        done = _lint(copy)
        assert done.returncode == 1, done.stdout + done.stderr
    finally:
        planted.unlink()
        if not any(planted.parent.iterdir()):
            planted.parent.rmdir()
