"""A simulated hopper: ten steps ahead from fifty, of which a share is missing.

Needs the file `mujoco.npz` in the folder `series` of TRAJINFER_DATA. The full protocol with all
dynamics, rates and seeds is in `examples/reproduce/irregular_series.py`.
"""

import sys

from trajinfer import NeuralSDEForecaster, datasets
from trajinfer.evaluation.series import calibration, forecast_figures, persistence

rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 60
try:
    data = datasets.load_mujoco_windows(rate)
except datasets.DatasetError as error:
    sys.exit(f"this example needs data that may not be shipped: {error}")

model = NeuralSDEForecaster(
    "langevin", horizon=10.0, step=2.5, lr=4e-3, max_epochs=epochs, random_state=0
)
model.fit(data.train)

past, future = data.test.until(data.cutoff), data.test.after(data.cutoff)
forecast = model.forecast(past, future.times, n=64)
last = persistence(past, future.times)
print(f"{rate:.0%} of the input times dropped, {epochs} epochs")
print(f"squared error of the last value  {((last - future.values) ** 2).mean():.5f}")
for name, value in forecast_figures(forecast, future.values).items():
    print(f"{name:10} {value:.5f}")
print(calibration(forecast, future.values).round(3).to_string(index=False))
