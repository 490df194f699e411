"""Ten stars of the MACHO survey: half of the points are held out and filled in again.

Errors are in units of the reported errors of the measurements, per star, both bands together.
"""

import sys

import numpy as np
import pandas as pd

from trajinfer import NeuralSDEInterpolator, datasets
from trajinfer._core.errors import MissingExtra
from trajinfer.evaluation.series import gaussian_process, linear_interpolation

rate = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 60
try:
    data = datasets.load_macho()
except MissingExtra as error:
    sys.exit(f"this example needs data of another package: {error}")
curves, errors = data.train, data.errors.values
seen = curves.drop_observations(rate, random_state=1)
hidden = curves.mask & ~seen.mask
print(f"{curves}; {hidden.sum()} held out")

model = NeuralSDEInterpolator("langevin", max_epochs=epochs, random_state=0)
known, noise = (
    seen.compact(),
    data.errors.with_values(np.where(seen.mask, errors, np.nan)).compact(),
)
model.fit(known, errors=noise)
filled = model.interpolate(known, curves.times, n=200, errors=noise)
lower, upper = filled.interval(0.9)
guesses = {
    "neural SDE": filled.mean(),
    "straight lines": linear_interpolation(seen, curves.times),
    "Gaussian process": gaussian_process(seen, curves.times, n_restarts=0)[0],
}


def by_star(value):
    return [np.mean(value[b][hidden[b]]) for b in range(len(curves))]


table = pd.DataFrame({"star": curves.ids, "held out": hidden.sum(axis=(1, 2))})
for name, guess in guesses.items():
    table[name] = np.sqrt(by_star(((guess - curves.values) / errors) ** 2))
table["in 90 %"] = by_star((lower <= curves.values) & (curves.values <= upper))
print(table.round(3).to_string(index=False))
print("better than straight lines:", (table["neural SDE"] < table["straight lines"]).sum(), "of 10")
print("to the Gaussian process:", (table["neural SDE"] / table["Gaussian process"]).mean().round(3))
