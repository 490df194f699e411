"""Fits that are killed at random moments and called again: `python -m tests._core.killed_fits`.

One process imports the package; every attempt is a child of it, ended by SIGKILL. The last one goes
to its end and must give what an unbroken fit gives.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from tests._core.kept_fits import FITS
from tests.conformance.estimators import CASES


def draws_of(name):
    """The draws of a small fit of an estimator."""

    def draws(folder):
        (case,) = (case for case in CASES if case.name == name)
        return case.draw(case.make(random_state=0, checkpoint=folder).fit(*case.data()))

    return draws


def killed(fit, n_kills, seed):
    """What came of it.

    Kills that met a fit on its way, pieces that the last call found, the largest difference, and
    files left over.
    """
    rng = np.random.default_rng(seed)
    whole = np.asarray(fit(None))
    began = time.monotonic()  # after what is compiled or read once
    fit(None)
    duration = time.monotonic() - began
    with tempfile.TemporaryDirectory() as home:
        folder, met = Path(home) / "checkpoint", 0
        for _ in range(n_kills):
            child = os.fork()
            if not child:
                fit(folder)
                os._exit(0)
            time.sleep(rng.uniform(0, 0.8 * duration))
            os.kill(child, signal.SIGKILL)
            met += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        kept = len([*folder.rglob("*.safetensors")])
        resumed = np.asarray(fit(folder))
        names = [path.name for path in folder.rglob("*")]
    return {
        "killed": met,
        "kept": kept,
        "difference": float(np.abs(resumed - whole).max()),
        "pieces": sum(name.endswith(".safetensors") for name in names),
        "partial": [name for name in names if "scratch" in name],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of a fit of kept_fits, or of an estimator")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    fit = FITS.get(options.name) or draws_of(options.name)
    os.write(1, json.dumps(killed(fit, options.kills, options.seed)).encode())


if __name__ == "__main__":
    main()
