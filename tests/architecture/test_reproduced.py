"""Tables in the documentation come from runs; commands that pages name exist."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from trajinfer.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPT = re.compile(r"\b((?:examples|tests|docs)/[\w/]+\.py)\b")
MODULE = re.compile(r"python -m (tests\.[\w.]+)")
TARGET = re.compile(r"`make ([\w-]+)")
COMMAND = re.compile(r"(?:`|^\$ )trajinfer ([a-z]\w+)", re.MULTILINE)


@pytest.fixture(scope="module")
def pages():
    path = ROOT / "examples" / "reproduce" / "pages.py"
    spec = importlib.util.spec_from_file_location("reproduce_pages", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def unknown_sources(text):
    """Commands, scripts and targets that a page names and that are not there."""
    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    commands = get_command(app).commands
    missing = [name for name in SCRIPT.findall(text) if not (ROOT / name).is_file()]
    missing += [name for name in MODULE.findall(text) if importlib.util.find_spec(name) is None]
    missing += [name for name in TARGET.findall(text) if name not in targets]
    return missing + [name for name in COMMAND.findall(text) if name not in commands]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_as_its_source_exists(path):
    assert unknown_sources(path.read_text(encoding="utf-8")) == []


def test_a_source_that_is_gone_is_found():
    text = "(`python examples/gone.py`, `make nothing`, `python -m tests.gone`, `trajinfer gone x`)"
    assert unknown_sources(text) == ["examples/gone.py", "tests.gone", "nothing", "gone"]


def test_every_table_says_how_when_and_from_which_commit_it_came(pages):
    text = (ROOT / "docs" / pages.TARGETS["small"]).read_text(encoding="utf-8")
    sections = pages.sections_of(text)
    assert list(sections) == [system.title for system in pages.SYSTEMS.values()]
    for body in sections.values():
        command, when = body.split("\n\n")[:2]
        assert command.startswith("`python examples/reproduce/")
        assert re.match(r"\d{4}-\d\d-\d\d, commit [0-9a-f]{7,}, \d+ CPU seconds", when), when


def test_a_page_is_written_as_it_was_read(pages):
    text = (ROOT / "docs" / pages.TARGETS["small"]).read_text(encoding="utf-8")
    assert pages.page("small", pages.sections_of(text)) == text


def test_scripts_of_all_systems_are_there(pages):
    for system in pages.SYSTEMS.values():
        assert (ROOT / pages.HERE / system.script).is_file()
        assert (ROOT / "docs" / system.page).is_file()


def test_a_table_stays_a_table_and_text_stays_text(pages):
    assert pages.written("| a |\n|---|\n| 1 |\n") == "| a |\n|---|\n| 1 |"
    assert pages.written("| a |\n\nb\n") == "| a |\n\n```text\nb\n```"
    assert pages.written("a  1\n") == "```text\na  1\n```"
