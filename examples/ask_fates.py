"""Which fate: blood progenitors whose sisters, by their barcodes, tell what became of them.

    TRAJINFER_DATA=... python examples/ask_fates.py [figure.png]

Cells were seen at days 2, 4 and 6; no barcode enters the fit. Of every cell of day 2 the bridge
gives the share of descendants that end as neutrophils. The alternative that needs no fit is the
fate of the nearest cells of day 6.
"""

import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.neighbors import NearestNeighbors

from trajinfer import SchrodingerBridge, Snapshots
from trajinfer.plot.style import BLUE, GREY, ORANGE

SETS = {
    "neutrophil": lambda x: x[:, 1] < -1,
    "monocyte": lambda x: (x[:, 0] > 1.5) & (x[:, 1] >= -1),
}


def main(file: Path, picture: str) -> None:
    data = np.load(file, allow_pickle=False)
    snapshots = Snapshots(data["times"], [data[f"x_{k}"] for k in range(3)])
    bridge = SchrodingerBridge(random_state=0).fit(snapshots)
    fates = bridge.fates(SETS, t0=2, t1=6)
    counts = np.stack([data[f"clonal_{name}"] for name in SETS], axis=1).astype(float)
    known = data["labelled"].astype(bool) & (counts.sum(axis=1) > 0)
    counts = counts[known]
    shares = {"bridge": share(fates[list(SETS)].to_numpy()[known])}
    last = snapshots.points[-1]
    _, near = NearestNeighbors(n_neighbors=20).fit(last).kneighbors(snapshots.points[0][known])
    member = np.stack([inside(last) for inside in SETS.values()], axis=1).astype(float)
    shares["nearest cells of day 6"] = share(member[near].sum(axis=1))
    truth = share(counts)
    figure = Figure(figsize=(9.6, 3.9), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    cells = snapshots.points[0][known]
    dots = left.scatter(*cells.T, c=shares["bridge"], s=5, cmap="coolwarm", vmin=0, vmax=1)
    figure.colorbar(dots, ax=left, label="share of neutrophils among the descendants")
    left.set(xlabel="layout 1 (thousands)", ylabel="layout 2 (thousands)", title="cells of day 2")
    right.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    for (name, predicted), colour in zip(shares.items(), (BLUE, ORANGE)):
        print(
            f"{name}: correlation with the clonal share {np.corrcoef(predicted, truth)[0, 1]:.3f}"
        )
        curve(right, predicted, counts, name, colour)
    right.set(xlim=(-0.04, 1.04), ylim=(0, 1.04))
    right.set(xlabel="share predicted", ylabel="share among sisters")
    right.set_title("calibration, two standard errors")
    right.legend(loc="lower right")
    figure.savefig(picture)


def share(table: np.ndarray) -> np.ndarray:
    """The first column's share of both; a half where both are empty."""
    total = table.sum(axis=1)
    return np.where(total > 0, table[:, 0] / np.where(total > 0, total, 1), 0.5)


def curve(ax, predicted, counts, name, colour) -> None:
    """Observed share in eight groups of cells, with an error by resampled cells."""
    rng = np.random.default_rng(0)
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, 9)))
    groups = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, len(edges) - 2)
    for k in range(len(edges) - 1):
        rows = np.flatnonzero(groups == k)
        pick = rng.choice(rows, (200, len(rows)))
        drawn = counts[pick, 0].sum(axis=1) / counts[pick].sum(axis=(1, 2))
        seen = counts[rows, 0].sum() / counts[rows].sum()
        label = name if k == 0 else None
        ax.errorbar(
            predicted[rows].mean(), seen, 2 * drawn.std(), fmt="o", color=colour, label=label
        )


if __name__ == "__main__":
    file = Path(os.environ.get("TRAJINFER_DATA", ".")) / "snapshots" / "larry_spring_2d.npz"
    if not file.is_file():
        sys.exit(f"this example needs {file.name}: set TRAJINFER_DATA to the folder of data")
    main(file, sys.argv[1] if len(sys.argv) > 1 else "ask_fates.png")
