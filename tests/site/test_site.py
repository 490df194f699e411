"""The site builds without a warning, and a browser shows it: pages, formulas, search, no errors.

Run by `make site`; skipped where Sphinx or a browser is missing.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.browser import needs_browser, shown, told

ROOT = Path(__file__).parents[2]
PAGES = (
    "index.html",
    "getting-started.html",
    "asking.html",
    "gallery.html",
    "theory.html",
    "reference/trajinfer.SchrodingerBridge.html",
    "reference/trajinfer.sde.SolverRegularization.html",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(module, reason=f"{module} is not installed, see `make site`")
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-c",
        "docs/site",
        "docs",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    built = subprocess.run(
        [*command, str(out)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return out


def test_every_public_name_has_a_page(site):
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    reference = importlib.import_module("reference")
    for module in reference.modules():
        for name in reference.public_names(module):
            page = reference.page(reference.home(module, name), name)
            assert (site / "reference" / f"{page}.html").exists()


@needs_browser
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_shown_without_errors(site, page):
    text, console = shown((site / page).as_uri())
    assert "<h1>" in text
    assert console == []


@needs_browser
def test_formulas_need_no_network(site):
    text, _ = shown((site / "reference/trajinfer.sde.SolverRegularization.html").as_uri())
    assert "<mfrac>" in text
    assert "mathjax" not in text.lower()


@needs_browser
def test_the_search_finds_the_bridge(site):
    text, _ = shown((site / "search.html").as_uri() + "?q=SchrodingerBridge")
    assert "reference/trajinfer.SchrodingerBridge.html" in text


@needs_browser
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_wider_than_a_telephone(site, page):
    """What is wider scrolls in its own box: the body does not."""
    assert int(told(site / page, "document.documentElement.scrollWidth")) <= 380
