"""The code blocks of README and docs run, page by page, in an empty folder.

Blocks marked `python` share one namespace per page; lines of blocks marked `console` are commands
of trajinfer. A page whose blocks are fragments does not say that they are run.
"""

import re
import shlex
import sys
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trajinfer import SchrodingerBridge
from trajinfer.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
PROMISE = "Every code block of this page is run by the tests."
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


# A command, an example or a test that prints or checks the figures of a section.
SOURCE = re.compile(
    r"`[^`]*(?:python |make |tests/|examples/|trajinfer )[^`]*`|^```console", re.MULTILINE
)
NOT_FIGURES = re.compile(
    r"\$\$.*?\$\$|\$[^$\n]*\$|https?://\S+|arXiv [\d.]+|version \d[\d.]*", re.DOTALL
)
FIGURE = re.compile(r"(?<![\w.])\d*\.\d+")


def _named(page):
    return str(page.relative_to(ROOT))


def _python(block, page, names):
    code = compile(block, _named(page), "exec")
    exec(code, names)


def _console(block):
    for line in block.splitlines():
        program, *arguments = shlex.split(line.removeprefix("$ "))
        assert program == "trajinfer"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}"


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_code_blocks_run(page, tmp_path, monkeypatch, capsys, each_fit_once):
    pytest.importorskip("matplotlib").use("agg")
    pytest.importorskip("anndata")
    text = page.read_text(encoding="utf-8")
    if page.name != "README.md" and PROMISE not in text and BLOCK.search(text):
        pytest.skip("its blocks are fragments")
    monkeypatch.chdir(tmp_path)
    # classes defined in a block are looked up here when they are copied
    module = type(sys)("page")
    monkeypatch.setitem(sys.modules, "page", module)
    module.__dict__["__name__"] = "page"
    for language, block in BLOCK.findall(text):
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                _python(block, page, module.__dict__)
        elif language == "console":
            _console(block)


def test_pages_share_fits_among_themselves_alone():
    """Runs after the pages: a test that fits a bridge gets a fit of its own."""
    assert Path(SchrodingerBridge.fit.__code__.co_filename).name != "conftest.py"


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_somewhere(page):
    prose = CODE.sub("", page.read_text(encoding="utf-8"))
    targets = LINK.findall(prose)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_page_is_linked_from_the_front_page():
    front = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in PAGES[1:] if f"docs/{p.name}" not in front] == []


def unsourced(text):
    """Headings of the sections whose figures come from nowhere: no command, no block that runs."""
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE):
        prose = NOT_FIGURES.sub("", CODE.sub("", section))
        runs = PROMISE in text and "```python" in section
        if FIGURE.search(prose) and not runs and not SOURCE.search(section):
            found.append(section.splitlines()[0])
    return found


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_figures_name_the_command_that_prints_them(page):
    assert unsourced(page.read_text(encoding="utf-8")) == []


def test_a_figure_from_nowhere_is_found():
    assert unsourced("# A\n\n## Errors\n\nIt is off by .023.\n") == ["Errors"]
    assert unsourced("# A\n\n## Errors\n\nIt is off by .023 (`make bench`).\n") == []
    assert unsourced(f"# A\n\n{PROMISE}\n\n## B\n\n```python\nx = 1\n```\n\nprints .02.\n") == []
