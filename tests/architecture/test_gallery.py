"""The gallery is what its code writes: every picture is there, every block of code is whole."""

import importlib
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery():
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("gallery")
    finally:
        sys.path.remove(str(DOCS))


def test_the_page_is_what_the_code_writes(gallery):
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page()


def test_every_entry_has_its_picture_and_no_other_lies_there(gallery):
    pictures = {path.stem for path in gallery.PICTURES.glob("*.png")}
    assert pictures == {entry.__name__ for entry in gallery.ENTRIES}


def test_the_code_that_is_shown_stands_alone(gallery):
    for entry in gallery.ENTRIES:
        code = gallery.shown(entry)
        compile(code, entry.__name__, "exec")
        assert "return" not in code
        assert code.endswith('.figure.savefig("figure.png")\n')


def test_what_is_shown_is_what_draws(gallery, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    exec(gallery.shown(gallery.vortex), {})
    assert (tmp_path / "figure.png").stat().st_size > 10_000
