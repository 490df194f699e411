"""142 countries: forget which is which, infer it, and compare with the truth.

`python -m trajinfer demo` prints the full report.
"""

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from trajinfer import SchrodingerBridge, Snapshots, datasets, evaluation
from trajinfer.processes import AffineDrift

torch.set_num_threads(1)
data = datasets.load_gapminder()
rows, years = data.snapshots.stacked()
standard = Snapshots.from_arrays((rows - rows.mean(axis=0)) / rows.std(axis=0), (years - 1952) / 10)
train = standard.select([0, 1, 2, 3, 4, 5])  # 1952, 1962, ..., 2002

warnings.simplefilter("ignore", ConvergenceWarning)  # eight rounds are a choice here
bridge = SchrodingerBridge(
    AffineDrift(3, volatility=0.25), volatility="likelihood", n_refinements=8, random_state=0
).fit(train)
print("volatility per root decade (GDP, life expectancy, population):", bridge.volatility_.round(3))

counts = evaluation.successor_counts(bridge)
print("\ncountries (of 142) whose true successor ten years on is found")
print(counts.drop(columns=["n"]).to_string(index=False))

mistakes = evaluation.mistaken_pairs(bridge, data.individuals, k=4)
print("\nsurest mistakes from 1992 to 2002")
print(mistakes.head(5).drop(columns=["start"]).round(2).to_string(index=False))

scores = evaluation.forecast_scores(bridge, standard.select([5.5]))
print("\nforecast of 2007")
print(scores.drop(columns=["time"]).round(3).to_string(index=False))
