"""The pages of the reference name everything that is public; docstrings become valid markup."""

import importlib
import sys
from pathlib import Path

import pytest

from tests.conformance.estimators import CASES
from trajinfer import SchrodingerBridge

SITE = Path(__file__).parents[2] / "docs" / "site"


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(SITE))
    yield importlib.import_module("reference")
    sys.path.remove(str(SITE))


@pytest.fixture(scope="module")
def prose(reference):
    return importlib.import_module("prose")


def test_every_public_name_has_one_page(reference, tmp_path):
    reference.write(tmp_path)
    text = "\n".join(p.read_text(encoding="utf-8") for p in tmp_path.glob("*.rst"))
    for module in reference.modules():
        for name in reference.public_names(module):
            home = reference.home(module, name).__name__
            assert text.count(f":: {home}.{name}\n") == 1, f"{home}.{name}"
    assert text.count(":: trajinfer.SchrodingerBridge\n") == 1


def test_pages_of_names_that_went_go(reference, tmp_path):
    (tmp_path / "trajinfer.Gone.rst").write_text("Gone\n====\n", encoding="utf-8")
    reference.write(tmp_path)
    assert not (tmp_path / "trajinfer.Gone.rst").exists()


def test_every_estimator_is_in_both_tables_of_capabilities(reference, tmp_path):
    reference.write(tmp_path)
    page = (tmp_path / "capabilities.rst").read_text(encoding="utf-8")
    for case in CASES:
        assert page.count(f"* - :class:`~trajinfer.{case.name}`\n") == 2
    row = page.split("* - :class:`~trajinfer.SchrodingerBridge`\n")[1].split("* -")[0]
    cells = [line.split("- ")[1] for line in row.splitlines() if "- " in line]
    accepts = SchrodingerBridge.accepts
    said = [accepts.missing, accepts.unequal, accepts.dates, accepts.alone, accepts.statics]
    assert [cell == "yes" for cell in cells[1:6]] == said


def test_the_front_page_holds_the_table_of_the_classes(reference):
    table = importlib.import_module("capabilities").readme_table()
    assert table in (SITE.parents[1] / "README.md").read_text(encoding="utf-8")


DOCSTRING = """Drift $b_\\theta(x)$ of `x_` and 2 * y|z,

$$dX = b\\,dt
  + \\sigma\\,dW.$$

Args:
    first, second,
        third: shared by all of
        them, see `fit`.

Returns:
    (n, D) points.

>>> 2 * 3
6
"""


def test_a_docstring_becomes_markup(prose):
    lines = DOCSTRING.splitlines()
    prose.as_rst(lines)
    text = "\n".join(lines)
    assert r":math:`b_\theta(x)`" in text
    assert r"``x_``" in text
    assert r"2 \* y\|z" in text
    assert "    dX = b\\,dt\n    + \\sigma\\,dW." in text
    assert "``first``, ``second``, ``third``\n    shared by all of them, see ``fit``" in text
    assert ">>> 2 * 3\n6" in text
