"""CO2 above Mauna Loa, weekly with missing weeks: half a year ahead, with intervals.

Learns from the years before 1990; then makes a forecast every 104 days, each from what was known
on its day.
The intervals come out a little narrow, although they were calibrated in a rehearsal on later years;
the likely reason is that the level rises out of the range that was learned from.
"""

import sys

import numpy as np
import pandas as pd

from trajinfer import IrregularSeries, NeuralSDEForecaster, datasets
from trajinfer._core.errors import MissingExtra
from trajinfer.evaluation.series import (
    calibration,
    forecast_figures,
    linear_interpolation,
    persistence,
)

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
try:
    weeks = datasets.load_series("co2").train
except MissingExtra as error:
    sys.exit(f"this example needs data of another package: {error}")
half_a_year, split = pd.Timedelta("182D"), pd.Timestamp("1990-01-01")
print(weeks)

model = NeuralSDEForecaster(
    "langevin",
    horizon=half_a_year,
    window=4 * half_a_year,
    cutoffs=300,
    n_lags=54,  # a year of weeks, and a little more
    max_epochs=epochs,
    random_state=0,
)
model.fit(weeks.until(split))

days = pd.date_range(split, "2001-06-01", freq="104D")
past = IrregularSeries.concatenate([weeks.until(day) for day in days])
future = IrregularSeries.concatenate([weeks.after(day).until(day + half_a_year) for day in days])
forecast = model.forecast(past, future.times, n=200)

year_ago = linear_interpolation(past, future.times - 365.25)
grown = (
    year_ago
    + persistence(past, future.times)
    - linear_interpolation(past, past.last_times[:, None] - 365.25)
)
seen = future.mask
for name, guess in {
    "last value": persistence(past, future.times),
    "a year ago, with a year's growth": grown,
    "stable neural SDE": forecast.mean(),
}.items():
    print(f"{name:34} error {np.sqrt(((guess - future.values)[seen] ** 2).mean()):.3f} ppm")
print({name: round(value, 3) for name, value in forecast_figures(forecast, future.values).items()})
print(calibration(forecast, future.values).round(3).to_string(index=False))
