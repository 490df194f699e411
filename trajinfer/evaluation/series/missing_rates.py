"""Accuracy of a classifier or regressor as observations go missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.data import IrregularSeries


def missing_rates(
    make: Callable[[int], Any],
    train: IrregularSeries,
    test: IrregularSeries,
    *,
    rates: Sequence[float] = (0.0, 0.3, 0.5, 0.7),
    seeds: Sequence[int] = (0, 1, 2),
    together: bool = False,
) -> pd.DataFrame:
    """Fit and score with a growing share of the observations hidden, in training and in test.

    Training and test observations are hidden by generators of their own; what is hidden depends
    on the seed and the rate only, so that all methods see the same data.

    Args:
        make: seed -> estimator with `fit(series, labels)` and `score(series, labels)`.
        train: labelled series.
        test: labelled series, read once per row of the table.
        rates: shares hidden.
        seeds: one fit each.
        together: hide all channels of a time at once.

    Returns:
        Columns rate, seed, score.

    Raises:
        InputError: if series have no labels.
    """
    if train.labels is None or test.labels is None:
        raise InputError("both training and test series need labels")
    rows = []
    for rate in rates:
        for seed in seeds:
            first, second = spawn(seed + round(1e6 * rate), 2)
            thinned = train.drop_observations(rate, first, together=together)
            unseen = test.drop_observations(rate, second, together=together)
            model = make(seed).fit(thinned, train.labels)
            score = float(np.asarray(model.score(unseen, test.labels)))
            rows.append({"rate": rate, "seed": seed, "score": score})
    return pd.DataFrame(rows)
