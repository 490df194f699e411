"""Opening and closing rates of a channel from a noisy current, with and without labels."""

import numpy as np

from trajinfer import jumps
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess

OPEN, CLOSE = 120.0, 300.0  # per second
rates = [[-OPEN, OPEN], [CLOSE, -CLOSE]]
times = np.arange(500) / 5_000  # 5 kHz
truth = jumps.simulate(rates, [0.7, 0.3], 20, times, random_state=1)
noise = np.random.default_rng(1).normal(size=truth.states.shape)
current = np.array([0.0, 2.5])[truth.states] + 0.8 * noise  # picoampere
data = JumpSeries.from_arrays(times, None, signal=current)

start = jumps.fit_mixture(data, 2, random_state=0)
print("levels:", start.means.round(2), "pA, noise:", start.stds.round(2), "pA")

hidden = MarkovJumpProcess(2, method="mle", emission=start).fit(data)
labels = jumps.states_from_signal(data, 2, method="mixture", random_state=0)
naive = MarkovJumpProcess(2, method="mle").fit(labels)
aware = MarkovJumpProcess(2, method="mle", label_noise="learn").fit(labels)
for name, model in {"labels": naive, "noisy labels": aware, "current": hidden}.items():
    opening, closing = model.rates_[0, 1], model.rates_[1, 0]
    print(
        f"{name:13s} opens {opening:6.1f} +- {model.std_errors_[0, 1]:.1f}, closes {closing:6.1f}"
    )
print(f"simulated     opens {OPEN:6.1f},         closes {CLOSE:6.1f} per second")

posterior = hidden.predict_proba(data[0], times)[0, :, 1]
right = ((posterior > 0.5) == (truth.states[0] == 1)).mean()
print(f"state of the first sweep told right at {100 * right:.1f} % of the samples")
print("mean open time", round(1e3 / hidden.rates_[1, 0], 2), "ms")
