"""Rate errors on the published ratchet data by number of paths: likelihood, network, auto.

python examples/jumps_published_ratchet.py [number of draws of paths] [most paths in one]
"""

import os
import sys
from pathlib import Path

import numpy as np

from trajinfer import jumps
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess


def rmse(found, truth):
    off = ~np.eye(len(truth), dtype=bool)
    return np.sqrt(((found - truth)[:, off] ** 2).mean(axis=1))


def main(file: Path, n_draws: int = 3, most: int = 5000) -> None:
    data = np.load(file)
    times, states, truth = data["times"], data["states"].astype(int), data["rates"]

    def draws(n_paths, n):
        rows = [np.random.default_rng(k).permutation(len(states))[:n_paths] for k in range(n)]
        return [JumpSeries.from_arrays(times, states[r], categories=range(6)) for r in rows]

    print("mean error of the 30 rates, with its standard error")
    rows = states[: 50 * n_draws]
    single = [JumpSeries.from_arrays(times, s[None], categories=range(6)) for s in rows]
    found = {"network": rmse(jumps.pretrained().estimate(single).rates, truth)}
    report(1, found)
    for n_paths, share in ((30, 1), (100, 1), (300, 1), (1000, 5), (5000, 10)):
        if n_paths > most:
            break
        sets = draws(n_paths, max(n_draws // share, 2))
        for method in ("mle", "auto"):
            fits = [MarkovJumpProcess(6, method=method).fit(s).rates_ for s in sets]
            found[method] = rmse(np.stack(fits), truth)
        found["network"] = rmse(jumps.pretrained().estimate(sets).rates, truth)
        report(n_paths, found)


def report(n_paths: int, found: dict) -> None:
    text = [f"{k} {v.mean():.4f} +- {v.std() / np.sqrt(len(v)):.4f}" for k, v in found.items()]
    print(f"{n_paths:5d} paths, {len(found['network']):5d} draws:", ", ".join(text))


source = Path(os.environ.get("TRAJINFER_DATA", ".")) / "mjp" / "dfr_V1.npz"
if source.is_file():
    main(source, *map(int, sys.argv[1:]))
else:
    print(f"skipped: {source} is not there; set TRAJINFER_DATA to the folder that holds mjp/")
