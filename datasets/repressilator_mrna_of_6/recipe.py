"""Repressilator with hidden proteins: the mRNA of 200 cells at 20 times.

Run `python datasets/repressilator_mrna_of_6/recipe.py`: it writes the file that the package
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
SHIPPED = Path(__file__).parents[2] / "trajinfer/datasets/files/repressilator_mrna_of_6.npz"


def build(path: Path) -> Path:
    """Simulate and write the data set."""
    times = np.array([*np.arange(19) / 2, 10.0])
    split = ["held_out" if k % 2 else "train" for k in range(19)] + ["forecast"]
    snapshots = datasets.make_repressilator_mrna(200, times, random_state=SEED)
    truth = {"true_params": [1e-5, 10.0, 3.0, 1.0, 1.0, 1.0, 1.0], "true_sigma": 0.02}
    return datasets.write_snapshots(path, snapshots, split, **truth)


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED))
