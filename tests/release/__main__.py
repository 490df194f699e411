"""`make release`: the package is built, installed beside its base dependencies alone, and tried.

    python -m tests.release [FOLDER]

writes wheel, source distribution and `sbom.json`, the list of what was installed with versions and
licences, to FOLDER (dist).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.release.bill_of_materials import bill_of, installed

ROOT = Path(__file__).parents[2]
LARGEST_WHEEL = 5_000_000  # bytes
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main(target: Path) -> None:
    """Build, install and try the package; write the list of what was installed."""
    target.mkdir(parents=True, exist_ok=True)
    wheel = built(target)
    _say(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB")
    if wheel.stat().st_size > LARGEST_WHEEL:
        raise SystemExit(f"the wheel must not exceed {LARGEST_WHEEL / 1e6:g} MB")
    with tempfile.TemporaryDirectory() as folder:
        python = installation(wheel, Path(folder) / "environment")
        n_blocks = try_front_page(python, Path(folder))
        rows = installed(python)
        (target / "sbom.json").write_text(json.dumps(bill_of(rows, wheel), indent=2) + "\n")
    _say(f"{n_blocks} blocks of the front page run beside {len(rows)} distributions: sbom.json")


def built(target: Path) -> Path:
    """The wheel; the source distribution lies beside it."""
    for old in target.glob("trajinfer-*"):
        old.unlink()
    _run(sys.executable, "-m", "hatchling", "build", "-d", str(target), cwd=ROOT)
    (wheel,) = target.glob("trajinfer-*.whl")
    (_,) = target.glob("trajinfer-*.tar.gz")
    return wheel.resolve()


def installation(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment that holds the wheel and what it needs."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraints = str(ROOT / "constraints.txt")
    _run(*pip, "-c", constraints, "torch", cwd=folder)
    _run(*pip, "-c", constraints, str(wheel), cwd=folder)
    return python


def try_front_page(python: Path, folder: Path) -> int:
    """Run the code and the commands of README in an empty folder; the number of blocks."""
    empty = folder / "empty"
    empty.mkdir()
    blocks = blocks_of((ROOT / "README.md").read_text(encoding="utf-8"))
    code = "\n".join(text for language, text in blocks if language == "python")
    (empty / "front_page.py").write_text(code, encoding="utf-8")
    _run(str(python), "-W", "ignore", "front_page.py", cwd=empty)
    commands = "".join(text for language, text in blocks if language == "console")
    for line in commands.splitlines():
        program, *arguments = line.removeprefix("$ ").split()
        _run(str(python.parent / program), *arguments, cwd=empty)
    return len(blocks)


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and text of the blocks of a page that can be run."""
    return BLOCK.findall(page)


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
