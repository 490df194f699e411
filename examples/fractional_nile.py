"""The annual flow of the Nile: H by four methods, and a forecast that remembers."""

import warnings

from trajinfer import FractionalSDE, datasets
from trajinfer.fractional import NonStationaryWarning, estimate_hurst

nile = datasets.load_series("nile").train
flow = nile.values[0, :, 0]
warnings.simplefilter("ignore", NonStationaryWarning)  # the level shift of 1898, see the page
for method in ("whittle", "mle", "state_space", "dfa"):
    print(estimate_hurst(flow, method=method, increments=True))

model = FractionalSDE(horizon=50.0, random_state=0).fit(nile)
forecast = model.forecast(nile, horizon=20.0, n=400)
low, high = forecast.interval(0.9)
print(
    f"the flow itself as a path: H = {model.hurst_[0]:.2f}, in {model.hurst_interval_[0].round(2)}"
)
print(f"in 20 years: {forecast.mean()[0, -1, 0]:.0f} [{low[0, -1, 0]:.0f}, {high[0, -1, 0]:.0f}]")
