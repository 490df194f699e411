"""Langevin motion in a double well, coarse-grained to two states: rates against Kramers' law."""

import numpy as np

from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess, fit_mixture, states_from_signal

BARRIER, STEP, N_PATHS, N_STEPS = 2.0, 0.02, 40, 10_000

generator = np.random.default_rng(0)
x = generator.choice([-1.0, 1.0], N_PATHS)
kept = []
for k in range(N_STEPS):  # dX = -U'(X) dt + sqrt(2) dW with U = BARRIER (X^2 - 1)^2
    force = -4 * BARRIER * x * (x**2 - 1)
    x = x + force * STEP + np.sqrt(2 * STEP) * generator.standard_normal(N_PATHS)
    if k % 10 == 0:
        kept.append(x)
signal = np.stack(kept, axis=1)
times = np.arange(signal.shape[1]) * 10 * STEP
data = JumpSeries.from_arrays(times, None, signal=signal)

kramers = 4 * BARRIER * np.sqrt(2) / (2 * np.pi) * np.exp(-BARRIER)
print(f"Kramers' rate (barrier of {BARRIER:g} kT, valid for high barriers): {kramers:.3f}")

crossing = states_from_signal(data, 2, method="mixture", random_state=0)
naive = MarkovJumpProcess(2, method="mle").fit(crossing)
print(f"labels by position alone:       {naive.rates_[0, 1]:.3f}, {naive.rates_[1, 0]:.3f}")

hidden = MarkovJumpProcess(2, method="mle", emission=fit_mixture(data, 2, random_state=0)).fit(data)
low, high = hidden.intervals_[0, 1]
print(f"hidden states, Gaussian signal: {hidden.rates_[0, 1]:.3f}, {hidden.rates_[1, 0]:.3f}")
print(f"  95 % interval of the first: {low:.3f} to {high:.3f}")
print("share of time in the right well:", hidden.stationary_distribution()[1].round(3))
