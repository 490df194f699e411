"""Rough volatility: a log-volatility with H near 0.1, seen with noise, and what noise does to H."""

import numpy as np

from trajinfer.fractional import estimate_hurst, simulate_fractional_ou

days = np.arange(300.0)
log_volatility = simulate_fractional_ou(
    0.12, 0.02, days, 1, volatility=0.3, mean=-4.6, random_state=0
).values[0, :, 0]
proxy = log_volatility + 0.25 * np.random.default_rng(0).normal(size=len(log_volatility))

for name, path in (("log-volatility itself", log_volatility), ("noisy proxy", proxy)):
    print(f"{name}: {estimate_hurst(path, method='state_space')}")
aware = estimate_hurst(proxy, method="state_space", observation_noise=True)
print(f"noisy proxy, noise modelled: {aware}")
