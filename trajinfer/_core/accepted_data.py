"""What an estimator can be fed, said by its class, tested by feeding it, tabled by the site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AcceptedData:
    """The container that `fit` reads its data into, and what that may hold.

    What is not accepted is refused with an `InputError`, but for statics, which are then unused.

    Attributes:
        container: name of the class of the container, or "array".
        missing: values that were not observed (NaN), with the rest of their row.
        unequal: series with times and lengths of their own; snapshots of unequal sizes.
        dates: times that are dates.
        alone: a single series.
        statics: columns that do not change along a series are used in the answers.
        weights: `sample_weight` in `fit`.
        opened: a table on disk that does not fit into memory, by `open` of the container.
    """

    container: str
    missing: bool = False
    unequal: bool = False
    dates: bool = False
    alone: bool = False
    statics: bool = False
    weights: bool = False
    opened: bool = False


SERIES = AcceptedData(
    "IrregularSeries", missing=True, unequal=True, dates=True, alone=True, opened=True
)
SNAPSHOTS = AcceptedData("Snapshots", unequal=True, dates=True, weights=True, opened=True)
