"""One long recording with wrong labels, cut into pieces that are handled at once.

    python examples/jumps_long_recording.py [number of observations] [even | irregular]

The likelihood is that of the whole recording: what each piece does to a law at its start is found
for all pieces together, and then carried from one to the next.
"""

import resource
import sys
import time

import numpy as np

from trajinfer import MarkovJumpProcess, jumps

n = int(float(sys.argv[1])) if len(sys.argv) > 1 else 20_000
even = sys.argv[2:] != ["irregular"]
gaps = np.ones(n) if even else np.random.default_rng(0).exponential(1.0, n) + 0.05
rates = np.array([[-0.3, 0.2, 0.1], [0.15, -0.35, 0.2], [0.05, 0.1, -0.15]])
recording = jumps.simulate(rates, [1, 0, 0], 1, gaps.cumsum(), label_noise=0.05, random_state=0)

began = time.process_time()
model = MarkovJumpProcess(method="mle", label_noise="learn", random_state=0).fit(recording)
seconds = time.process_time() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{n} observations: {seconds:.1f} CPU seconds, {memory:.1f} GB at most")
print("largest error of a rate:", np.abs(model.rates_ - rates).max().round(4))
print(f"labels wrong: {model.label_noise_:.4f}, truth 0.05")
