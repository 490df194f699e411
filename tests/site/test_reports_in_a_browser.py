"""Reports in a browser: no errors, hostile labels are text, narrow and dark are readable."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tests.site.browser import needs_browser, shown, told
from trajinfer.cli import app

pytestmark = [pytest.mark.slow, needs_browser]
HOSTILE = "<img src=x onerror=console.error(1)>"
SCRIPT = "</pre><script>console.error(2)</script>"
SEEN = "document.body.innerText.includes"
COMMANDS = {
    "cells": ("fit", "--time", "day"),
    "visits": ("jumps", "--state", "state"),
    "ward": ("forecast", "--horizon", "2"),
    "flow": ("hurst", "--channels", HOSTILE),
}


def _tables():
    rng = np.random.default_rng(0)
    cells = pd.DataFrame({"day": np.repeat([0, 1], 20), HOSTILE: rng.normal(size=40)})
    cells[SCRIPT] = rng.normal(size=40)
    visits = pd.DataFrame({"id": np.repeat(np.arange(30), 4), "time": np.tile(np.arange(4), 30)})
    visits["state"] = np.where(rng.random(120) < 0.5, HOSTILE, SCRIPT)
    ward = visits[["id", "time"]].assign(**{HOSTILE: rng.normal(size=120)})
    flow = pd.DataFrame({HOSTILE: rng.normal(size=300).cumsum()})
    return {"cells": cells, "visits": visits, "ward": ward, "flow": flow}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The page of each command, by the name of its table."""
    folder, pages = tmp_path_factory.mktemp("reports"), {}
    for name, table in _tables().items():
        table.to_csv(folder / f"{name}.csv", index=False)
        verb, *options = COMMANDS[name]
        words = [verb, str(folder / f"{name}.csv"), *options, "--report", "--quiet"]
        done = CliRunner().invoke(app, [*words, "--out", str(folder / name)])
        assert done.exit_code == 0, done.output
        pages[name] = folder / name / "report.html"
    return pages


@pytest.mark.parametrize("name", COMMANDS)
def test_a_report_is_shown_without_errors_and_labels_are_text(reports, name):
    document, console = shown(reports[name].as_uri())
    assert console == []
    assert "<h1>" in document
    assert "<script>" not in document
    assert int(told(reports[name], "document.querySelectorAll('img[onerror]').length")) == 0
    assert told(reports[name], f"{SEEN}('<img src=x')") == "true"


@pytest.mark.parametrize("name", COMMANDS)
def test_pictures_of_a_report_are_drawn(reports, name):
    count = "[...document.images].filter(image => image.naturalWidth > 100).length"
    assert int(told(reports[name], count)) >= 1
    assert told(reports[name], f"{count} == document.images.length") == "true"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_report_is_no_wider_than_a_telephone(reports, name):
    assert int(told(reports[name], "document.documentElement.scrollWidth")) <= 380


def test_a_report_is_dark_where_the_reader_asks_for_it(reports):
    ink = "getComputedStyle(document.body).color"
    dark = "--blink-settings=preferredColorScheme=0"
    assert told(reports["cells"], ink) == "rgb(0, 0, 0)"
    assert told(reports["cells"], ink, dark) == "rgb(255, 255, 255)"
