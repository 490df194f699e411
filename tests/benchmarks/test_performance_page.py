"""The page on speed says when, by which command and beside what it was measured."""

import importlib.util
import re
from datetime import date
from pathlib import Path

from tests.benchmarks.harness import Row
from tests.benchmarks.performance_page import page

WRITTEN = Path(__file__).parents[2] / "docs" / "performance.md"


def test_a_page_holds_every_row_with_its_date_and_command():
    rows = [Row("A | B", "ours / theirs", 1.234, "1.3"), Row("C", "ours", 2.0)]
    text = page(
        {"solvers": ("Said of it.\n", rows), "empty": ("Nothing.", [])}, 3, date(2030, 1, 2)
    )
    assert "Run on 2030-01-02 by `python -m tests.benchmarks --rounds 3" in text
    assert "| A \\| B | ours / theirs | 1.23 | 1.3 |" in text
    assert "| C | ours | 2.00 |  |" in text
    assert "Said of it." in text
    assert "Empty" not in text
    some = page({}, 1, date(2030, 1, 2), ["solvers"])
    assert "python -m tests.benchmarks solvers --rounds 1" in some


def test_the_page_that_lies_here_was_written_by_a_run():
    text = WRITTEN.read_text(encoding="utf-8")
    assert re.search(
        r"^Run on \d{4}-\d\d-\d\d by `python -m tests\.benchmarks ", text, re.MULTILINE
    )
    assert "torchsde" in text
    named = re.findall(r"`python -m tests\.benchmarks (\w+)`", text)
    assert named
    for module in named:
        assert importlib.util.find_spec(f"tests.benchmarks.{module}") is not None
