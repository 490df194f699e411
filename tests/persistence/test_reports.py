"""A fit written as one page: complete, escaped, and by itself."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from trajinfer import InputError, JumpSeries, MarkovJumpProcess, SchrodingerBridge, jumps
from trajinfer._core.page import Page

HOSTILE = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """The tags and the text of a page, and whether every tag is closed."""

    alone = ("meta", "img", "polyline")

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.alone:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "polyline":
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def hostile_fit():
    ts = np.arange(5.0)
    states = jumps.simulate([[-0.2, 0.2], [0.3, -0.3]], [0.5, 0.5], 60, ts, random_state=0).states
    names = np.array([HOSTILE, "b & c"], dtype=object)[states]
    data = JumpSeries.from_arrays(ts, names)
    return MarkovJumpProcess(random_state=0).fit(data)


def test_a_report_is_one_page_without_scripts_or_links(hostile_fit, tmp_path):
    path = hostile_fit.report(tmp_path / "fit.html")
    text = path.read_text(encoding="utf-8")
    page = Reader(text)
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert "link" not in tags
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    words = " ".join(page.words)
    assert HOSTILE in words
    assert "b & c" in words


def test_a_report_says_what_was_learned(hostile_fit, tmp_path):
    page = Reader(hostile_fit.report(tmp_path / "fit.html").read_text(encoding="utf-8"))
    words = " ".join(page.words)
    assert f"seed {hostile_fit.seed_}" in words
    assert f"{hostile_fit.log_likelihood_:.4g}" in words
    assert f"{hostile_fit.rates_[0, 1]:.4g}" in words
    assert f"rates_ from {hostile_fit.states_[0]}" in page.words


def test_a_bridge_shows_the_course_of_its_fit(tmp_path):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(m, 1.0, (20, 1)) for m in (0.0, 1.0, 2.0)])
    bridge = SchrodingerBridge(random_state=0).fit(points, np.repeat([0.0, 1.0, 2.0], 20))
    page = Reader(bridge.report(tmp_path / "fit.html").read_text(encoding="utf-8"))
    assert "SchrodingerBridge: report of a fit" in page.words
    assert "What was chosen, and why" in page.words
    assert bridge.history_[0]["reason"] in page.words
    assert "Course of the fit" not in page.words  # of one round


def test_figures_stand_in_the_report(hostile_fit, tmp_path):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    path = hostile_fit.report(tmp_path / "fit.html", figures={HOSTILE: figure.subplots()})
    (picture,) = [attrs for tag, attrs in Reader(path.read_text()).tags if tag == "img"]
    assert picture["alt"] == HOSTILE
    assert picture["src"].startswith("data:image/png;base64,iVBOR")
    with pytest.raises(InputError, match="must be matplotlib figures or axes, got list"):
        hostile_fit.report(tmp_path / "fit.html", figures={"data": [1, 2]})


def test_a_report_needs_a_fit_and_a_page(hostile_fit, tmp_path):
    with pytest.raises(NotFittedError):
        MarkovJumpProcess().report(tmp_path / "fit.html")
    with pytest.raises(InputError, match=r"ends in \.html"):
        hostile_fit.report(tmp_path / "fit.txt")
    with pytest.raises(InputError, match="there is no folder"):
        hostile_fit.report(tmp_path / "nowhere" / "fit.html")


def test_everything_on_a_page_is_escaped():
    table = pd.DataFrame({HOSTILE: [HOSTILE, "b"]})
    page = Page(HOSTILE).heading(HOSTILE).paragraph(HOSTILE).warning(HOSTILE).verbatim(HOSTILE)
    page = page.pairs({HOSTILE: HOSTILE}).table(table, HOSTILE).picture(b"png", HOSTILE)
    text = page.curve([1.0, 3.0, np.nan, 2.0], HOSTILE).html()
    assert "<script" not in text
    assert [tag for tag, _ in Reader(text).tags].count("polyline") == 1


def test_a_long_table_is_cut_and_says_so():
    text = Page("x").table(pd.DataFrame({"n": range(100)})).html()
    assert "40 of 100 rows." in text
    assert "<td>99</td>" not in text


def test_a_curve_rises_where_the_numbers_do():
    text = Page("x").curve([0.0, 1.0, 2.0], "loss").html()
    points = re.search(r'points="([^"]+)"', text).group(1).split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights == sorted(heights, reverse=True)  # pictures count from the top
    assert "0 at first, 0 at least, 2 last" in text
