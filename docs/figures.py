"""Draws the figures of the documentation: `python docs/figures.py [countries] [answers] [gallery]`.

Those of the answers need TRAJINFER_DATA, and the packages that the examples name; the gallery needs
the extra `examples`.
"""

import runpy
import sys
from pathlib import Path

import gallery
import torch
from matplotlib.figure import Figure

from trajinfer.evaluation.demo import Countries, CountriesReport

STATIC = Path(__file__).parent / "_static"


def countries() -> None:
    """The demonstration of the front page."""
    figure = Figure(figsize=(12.0, 5.2), layout="constrained", dpi=150)
    CountriesReport.make(Countries.load(), random_state=0, verbose=1).draw(figure)
    figure.savefig(STATIC / "gapminder.png", dpi=110)


def answers() -> None:
    """Those of `answers.md`, one script of the examples each."""
    (STATIC / "answers").mkdir(exist_ok=True)
    for script in sorted((Path(__file__).parents[1] / "examples").glob("ask_*.py")):
        sys.argv = [str(script), str(STATIC / "answers" / f"{script.stem}.png")]
        runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    torch.set_num_threads(1)
    drawn = {"countries": countries, "answers": answers, "gallery": gallery.draw}
    for word in sys.argv[1:] or list(drawn):
        drawn[word]()
