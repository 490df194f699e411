"""Drifters in a Gulf-of-Mexico eddy: fit a vortex to every second snapshot, score the others.

Needs the file `gom_vortex_sbirr.npz` in the folder `snapshots` of TRAJINFER_DATA.
"""

import sys

from trajinfer import SchrodingerBridge, datasets, evaluation
from trajinfer.processes import Vortex

try:
    data = datasets.fetch_gulf_of_mexico("gom_vortex_sbirr", download_if_missing=False)
except datasets.DatasetError as error:
    sys.exit(f"this example needs data that may not be shipped: {error}")

bridge = SchrodingerBridge(Vortex(), random_state=0).fit(data.train)
for name, value in bridge.parameters_.items():
    print(name, value)
table = evaluation.held_out_table(bridge, data.train, data.held_out, scoring="w2")
print(
    table[["time", "estimator", "exact_ot_line", "sampling_floor"]].round(3).to_string(index=False)
)
print("means:", evaluation.mean_scores(table)[["estimator", "exact_ot_line"]].round(3).values[0])
