"""The site builds without a warning, and a browser shows it: pages, formulas, search, no errors.

Run by `make site`; skipped where Sphinx or a browser is missing.
"""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PAGES = (
    "index.html",
    "getting-started.html",
    "asking.html",
    "theory.html",
    "reference/trajinfer.SchrodingerBridge.html",
    "reference/trajinfer.sde.SolverRegularization.html",
)

pytestmark = pytest.mark.slow
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


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


def _shown(address, *options):
    """The document as it stands after the browser ran it, and what it wrote to its console."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    run = subprocess.run(
        [*command, "--virtual-time-budget=8000", *options, "--dump-dom", address],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return run.stdout, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


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
    text, console = _shown((site / page).as_uri())
    assert "<h1>" in text
    assert console == []


@needs_browser
def test_formulas_need_no_network(site):
    text, _ = _shown((site / "reference/trajinfer.sde.SolverRegularization.html").as_uri())
    assert "<mfrac>" in text
    assert "mathjax" not in text.lower()


@needs_browser
def test_the_search_finds_the_bridge(site):
    text, _ = _shown((site / "search.html").as_uri() + "?q=SchrodingerBridge")
    assert "reference/trajinfer.SchrodingerBridge.html" in text


@needs_browser
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_wider_than_a_telephone(site, page, tmp_path):
    """What is wider scrolls in its own box: the body does not."""
    script = "<script>document.title = 'width ' + document.documentElement.scrollWidth</script>"
    source = site / page
    probe = source.with_name(f"probe-{source.name}")
    probe.write_text(
        source.read_text(encoding="utf-8").replace("</body>", f"{script}</body>"), encoding="utf-8"
    )
    frame = site / f"frame-{source.name}"
    frame.write_text(
        f'<iframe src="{probe.relative_to(site)}" width="380" height="800" '
        'onload="document.title = this.contentDocument.title"></iframe>',
        encoding="utf-8",
    )
    text, _ = _shown(frame.as_uri(), "--allow-file-access-from-files")
    width = int(text.split("<title>width ")[1].split("<")[0])
    assert width <= 380
