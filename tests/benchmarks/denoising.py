"""What sampling costs above its evaluations of the denoiser: 1000 draws of 16 coordinates.

The denoiser is the mixture `sixteen` of the tests, float64, one thread. "with draws" also draws the
starts; else they are given. Noise of an SDE is drawn in every step, which alone is an eighth of the
denoiser.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.benchmarks.harness import Row, times
from tests.scores.laws import sixteen
from trajinfer.scores import sample

_ROWS = 1000


def rows(rounds: int) -> list[Row]:
    law = sixteen()
    start = sample(law, _ROWS, n_evaluations=2, random_state=0)
    found = []
    for n in (10, 20):
        levels = np.geomspace(law.linear.top_sd, law.smallest_sd, n)

        def evaluations(levels=levels):
            for rho in levels.tolist():
                law.denoise(start, rho)

        draw = partial(sample, law, n_evaluations=n, random_state=0)
        versions = {
            "denoiser": evaluations,
            "starts given": partial(draw, start=start),
            "with draws": partial(draw, _ROWS),
            "churn 1": partial(draw, start=start, churn=1.0),
        }
        t = times(versions, 8 * rounds)
        alone = t.pop("denoiser")
        job, bars = f"sampler, {n} evaluations", {"starts given": "<= 1.15"}
        found += [Row(job, f"{k} / denoiser", t[k] / alone, bars.get(k, "")) for k in t]
    return found
