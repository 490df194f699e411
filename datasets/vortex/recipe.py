"""Vortex: 100 drifters at 9 times, every second time held out.

Run `python datasets/vortex/recipe.py`: it writes the file that the package
ships, or another one where a path is given. Made with torch 2.13.0 and numpy 2.4.6; other versions
may differ in the last digits, so `registry.toml` holds the checksum of the shipped file and the
tests compare summary statistics of a new one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from trajinfer import datasets

SEED = 20240601
SHIPPED = Path(__file__).parents[2] / "trajinfer/datasets/files/vortex.npz"


def build(path: Path) -> Path:
    """Simulate and write the data set."""
    times = np.arange(9)
    split = ["held_out" if k % 2 else "train" for k in range(9)]
    snapshots = datasets.make_vortex(100, times, random_state=SEED)
    truth = {"true_params": [0.8, 0.0, 0.0, 0.3], "true_sigma": 0.05}
    return datasets.write_snapshots(path, snapshots, split, **truth)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED))
