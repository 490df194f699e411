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

from trajinfer import MarkovJumpProcess, jumps


def _paths(n):
    return jumps.simulate([[-1, 1], [1, -1]], [1, 0], n, [0, 0.4, 1], random_state=0)


def bootstrap(folder):
    """Rates of six refits."""
    model = MarkovJumpProcess(2, method="mle", random_state=0).fit(_paths(15))
    return model.bootstrap(6, checkpoint=folder)


def posterior(folder):
    """Rates by Hamiltonian Monte Carlo, in blocks."""
    model = MarkovJumpProcess(method="bayes", random_state=0, checkpoint=folder)
    return model.fit(_paths(30)).draws_


def draws_of(name):
    """The draws of a small fit of an estimator."""

    def draws(folder):
        from tests.conformance.estimators import CASES

        (case,) = (case for case in CASES if case.name == name)
        return case.draw(case.make(random_state=0, checkpoint=folder).fit(*case.data()))

    return draws


OWN = {"bootstrap": bootstrap, "posterior": posterior}


def killed(fit, n_kills, seed):
    """What came of it: kills that met a fit on its way, the largest difference, files left over."""
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
        resumed = np.asarray(fit(folder))
        names = [path.name for path in folder.iterdir()]
    return {
        "killed": met,
        "difference": float(np.abs(resumed - whole).max()),
        "pieces": sum(name.endswith(".safetensors") for name in names),
        "partial": [name for name in names if name.endswith(".scratch")],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="bootstrap, posterior, or the name of an estimator")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    fit = OWN.get(options.name) or draws_of(options.name)
    os.write(1, json.dumps(killed(fit, options.kills, options.seed)).encode())


if __name__ == "__main__":
    main()
