"""The list of what was installed names everything once; the front page has blocks to try."""

import hashlib
import sys
from pathlib import Path

import pytest

from tests.release.__main__ import ROOT, blocks_of
from tests.release.bill_of_materials import bill_of, installed


def test_everything_installed_is_listed_once_with_its_licence(tmp_path):
    wheel = tmp_path / "trajinfer.whl"
    wheel.write_bytes(b"wheel")
    rows = [
        ("numpy", "2.0", "BSD-3-Clause"),
        ("trajinfer", "0.2", "MIT"),
        ("typing_extensions", "4", ""),
    ]
    bill = bill_of(rows, wheel)
    assert bill["metadata"]["component"]["name"] == "trajinfer"
    (digest,) = bill["metadata"]["component"]["hashes"]
    assert digest["content"] == hashlib.sha256(b"wheel").hexdigest()
    assert [part["purl"] for part in bill["components"]] == [
        "pkg:pypi/numpy@2.0",
        "pkg:pypi/typing-extensions@4",
    ]
    assert bill["components"][0]["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    assert "licenses" not in bill["components"][1]


def test_a_list_without_the_package_is_refused(tmp_path):
    with pytest.raises(ValueError, match="found 0 times"):
        bill_of([("numpy", "2.0", "")], tmp_path / "none.whl")


def test_distributions_of_this_installation_are_found():
    rows = installed(Path(sys.executable))
    versions = {name.lower(): version for name, version, _ in rows}
    import numpy

    assert versions["numpy"] == numpy.__version__
    assert "trajinfer" in versions


def test_the_front_page_has_blocks_of_both_kinds():
    blocks = blocks_of((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {language for language, _ in blocks} == {"python", "console"}
    assert any("SchrodingerBridge" in text for _, text in blocks)
