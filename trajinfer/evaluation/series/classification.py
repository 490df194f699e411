"""Predicted classes of series as a table, beside the accuracy of MiniRocket."""

from __future__ import annotations

from typing import Any

import pandas as pd

from trajinfer.data import IrregularSeries
from trajinfer.evaluation.series.minirocket import MiniRocket


def prediction_table(classifier: Any, series: IrregularSeries) -> pd.DataFrame:
    """The class of each series and the probabilities of all classes.

    Args:
        classifier: fitted; with `classes_` and `predict_proba`.
        series: B series.

    Returns:
        B rows: id, label (where the series know theirs), predicted, and p_<class> for each class.
    """
    probabilities = classifier.predict_proba(series)
    table = pd.DataFrame({"id": list(series.ids)})
    if series.labels is not None:
        table["label"] = series.labels
    table["predicted"] = classifier.classes_[probabilities.argmax(axis=1)]
    for name, column in zip(classifier.classes_, probabilities.T, strict=True):
        table[f"p_{name}"] = column
    return table


def accuracy_of_minirocket(train: IrregularSeries, unseen: IrregularSeries) -> float:
    """Share of the unseen series whose label MiniRocket predicts after it learned from `train`."""
    rocket = MiniRocket(random_state=0).fit(train, train.labels)
    return float((rocket.predict(unseen) == unseen.labels).mean())
