"""Draws the figures of the documentation: `python docs/figures.py`."""

from pathlib import Path

import torch
from matplotlib import rcParams

from trajinfer.cli.countries import Countries, CountriesReport

if __name__ == "__main__":
    torch.set_num_threads(1)
    rcParams["savefig.dpi"] = 110
    target = Path(__file__).parent / "_static" / "gapminder.png"
    CountriesReport.make(Countries.load(), random_state=0, verbose=1).draw(target)
