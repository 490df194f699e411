"""Fates of blood progenitors, checked against the fates of their barcoded sisters.

    TRAJINFER_DATA=... python examples/reproduce/lineages.py

Cells were seen at days 2, 4 and 6; no label enters the fit. For every cell of day 2 the bridge
gives the share of its descendants that end as neutrophils or as monocytes. Sisters of some of these
cells carried the same barcode and were found later: what they became is the truth.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from trajinfer import SchrodingerBridge, Snapshots

SETS = {
    "neutrophil": lambda x: x[:, 1] < -1,
    "monocyte": lambda x: (x[:, 0] > 1.5) & (x[:, 1] >= -1),
}


def main() -> None:
    """Fit, predict, compare."""
    folder = os.environ.get("TRAJINFER_DATA")
    if folder is None:
        sys.exit("this script needs larry_spring_2d.npz: set TRAJINFER_DATA to the data folder")
    data = np.load(Path(folder) / "snapshots" / "larry_spring_2d.npz", allow_pickle=False)
    snapshots = Snapshots(data["times"], [data[f"x_{k}"] for k in range(3)])
    begun = time.process_time()
    bridge = SchrodingerBridge(random_state=0).fit(snapshots)
    fates = bridge.fates(SETS, t0=2, t1=6)
    print(f"{snapshots.n_points} cells, {bridge.backend_}: {bridge.history_[0]['reason']}")
    print(f"{time.process_time() - begun:.0f} CPU seconds")
    counts = [data[f"clonal_{name}"].astype(float) for name in SETS]
    labelled = data["labelled"].astype(bool) & (sum(counts) > 0)
    neutrophil, monocyte = (count[labelled] for count in counts)
    chosen = fates[labelled]
    share = (chosen["neutrophil"] / chosen[list(SETS)].sum(axis=1)).fillna(0.5).to_numpy()
    truth = neutrophil / (neutrophil + monocyte)
    print(f"correlation with the clonal share: {np.corrcoef(share, truth)[0, 1]:.3f}")
    outcome = np.repeat([1, 0], len(share))
    auroc = roc_auc_score(
        outcome, np.tile(share, 2), sample_weight=np.concatenate([neutrophil, monocyte])
    )
    print(f"AUROC weighted by counts: {auroc:.3f}")
    print(bridge.transition_table(SETS, t0=2, t1=6).round(3))


if __name__ == "__main__":
    main()
