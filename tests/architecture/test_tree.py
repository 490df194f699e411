"""What must not be in the repository."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRIVATE = re.compile(r"(?<![\w.])/(work|root|home|Users|mnt)/\w")
NUMBERED = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")


@pytest.fixture(scope="module")
def texts():
    """Every tracked text file by its path."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = {}
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content[:4096]:
                found[name] = content.decode("utf-8", errors="replace")
    return found


def test_no_path_of_one_machine(texts):
    own = str(Path(__file__).relative_to(ROOT))
    bad = [name for name, text in texts.items() if name != own and PRIVATE.search(text)]
    assert not bad


def test_nothing_is_left_to_do_in_the_package(texts):
    bad = [n for n, text in texts.items() if n.startswith("trajinfer/") and NUMBERED.search(text)]
    assert not bad


def test_the_wheel_stays_small(texts):
    """At most 1 MB a file and 5 MB together of data."""
    data = [p for p in (ROOT / "trajinfer").rglob("*") if p.suffix in (".npz", ".safetensors")]
    assert all(p.stat().st_size <= 1_000_000 for p in data)
    assert sum(p.stat().st_size for p in data) <= 5_000_000


def test_files_of_tests_have_names_of_their_own(texts):
    files = [Path(n).name for n in texts if re.fullmatch(r"tests/.*test_\w+\.py", n)]
    assert not {name for name in files if files.count(name) > 1}
