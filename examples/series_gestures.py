"""Motions of a wrist with half of the points missing: a stable neural SDE beside simple methods.

Another data set by name, another share dropped: `python series_gestures.py japanese_vowels 0.7`.
"""

import sys

from trajinfer import NeuralSDEClassifier, datasets
from trajinfer._core.errors import MissingExtra
from trajinfer.evaluation.series import MiniRocket, NearestNeighbour

name = sys.argv[1] if len(sys.argv) > 1 else "basic_motions"
rate = float(sys.argv[2]) if len(sys.argv) > 2 else 0.5
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 300
try:
    data = datasets.load_labelled_series(name)
except MissingExtra as error:
    sys.exit(f"this example needs data of another package: {error}")

train = data.train.drop_observations(rate, random_state=1)
test = data.test.drop_observations(rate, random_state=2)
print(data.info.title)
print(f"{train}\n{rate:.0%} of the observations of each channel are dropped")

methods = {
    "stable neural SDE": NeuralSDEClassifier("langevin", max_epochs=epochs, random_state=0),
    "MiniRocket": MiniRocket(random_state=0),
    "nearest neighbour": NearestNeighbour(),
    "nearest neighbour, warped": NearestNeighbour("dtw"),
}
for label, method in methods.items():
    found = method.fit(train, train.labels).predict(test)
    print(f"{label:28} accuracy {(found == test.labels).mean():.3f}")
