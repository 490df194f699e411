"""Draws the figures of the documentation: `python docs/figures.py`."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from trajinfer.evaluation.demo import Countries, CountriesReport

if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(__file__).parent / "_static" / "gapminder.png"
    figure = Figure(figsize=(12.0, 5.2), layout="constrained", dpi=150)
    CountriesReport.make(Countries.load(), random_state=0, verbose=1).draw(figure)
    figure.savefig(target, dpi=110)
