"""Which dynamics explains the snapshots best? Leave one time out, with scikit-learn alone."""

import warnings

from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut

from trajinfer import SchrodingerBridge, datasets
from trajinfer.processes import Brownian, LotkaVolterra

# the first and the last time are left out as well: extrapolations, which warn
warnings.simplefilter("ignore", UserWarning)

X, t = datasets.load_lotka_volterra().snapshots.select([0, 1, 2, 3]).stacked()

bridge = SchrodingerBridge(LotkaVolterra(), n_refinements=2, random_state=0)
search = GridSearchCV(
    bridge,
    {"reference": [Brownian(dim=2), LotkaVolterra()]},
    cv=LeaveOneGroupOut(),
    refit=False,
).fit(X, t, groups=t)
results = search.cv_results_
for k, time in enumerate(sorted(set(t))):
    scores = ", ".join(f"{-score:.3f}" for score in results[f"split{k}_test_score"])
    print(f"time {time:g} left out: W1 {scores}")
for reference, score in zip(results["param_reference"], results["mean_test_score"], strict=True):
    print(f"{type(reference).__name__:15s} mean W1 over all left-out times {-score:.3f}")
