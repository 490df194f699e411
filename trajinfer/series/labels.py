"""Labels, numbers and weights of series, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from trajinfer._core.checks import Array, as_array, require_finite, unmasked
from trajinfer._core.errors import InputError
from trajinfer.data import IrregularSeries
from trajinfer.data.plain_labels import plain_label, require_one_spelling


def class_labels(labels: Any, n: int) -> Array:
    """Classes (n,) of series.

    Raises:
        InputError: if there are none, not one per series, or some that name no class.

    Warns:
        DataConversionWarning: if they stand in a column (B, 1).
    """
    labels = _plain(unmasked(_one_row(labels)))
    array = np.asarray(labels)
    if array.shape != (n,):
        raise InputError(f"labels must be (B,) = ({n},), one per series, got {array.shape}")
    # numpy makes the text "nan" of a NaN in a list of names
    plain = labels if isinstance(labels, (list, tuple)) else array
    if pd.Series(list(plain), dtype=object).isna().any():
        raise InputError("a label is NaN; leave such series out, or give them a class")
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise InputError("y contains infinity, which names no class; leave such series out")
    if array.dtype.kind in "mM":
        raise InputError(
            f"classes must be names or numbers, got {array.dtype}; try labels.astype(str)"
        )
    require_one_spelling(np.unique(array) if array.dtype.kind == "U" else set(array.flat))
    if array.dtype.kind == "O" and len({isinstance(label, str) for label in array}) > 1:
        raise InputError("the labels mix text and numbers; make them all of one kind")
    try:
        check_classification_targets(array)
    except ValueError as error:
        raise InputError(
            f"{error} NeuralSDERegressor predicts numbers; classes that are written as numbers are "
            "given as text: labels.astype(str)"
        ) from error
    return array


def number_labels(labels: Any, n: int) -> Array:
    """Numbers (n,) of series.

    Raises:
        InputError: if there are none, not one per series, or some that are not finite.

    Warns:
        DataConversionWarning: if they stand in a column (B, 1).
    """
    numbers = as_array(_one_row(labels), "y", ndim=1)
    if len(numbers) != n:
        raise InputError(f"y must hold one number per series ({n}), got {len(numbers)}")
    require_finite(numbers, "y")
    return numbers


def series_weights(sample_weight: Any, n: int) -> Array:
    """Weights (n,) of series, scaled to the mean 1; ones where none are given.

    Raises:
        InputError: if there is not one non-negative number per series, or all are zero.
    """
    if sample_weight is None:
        return np.ones(n)
    weights = as_array(sample_weight, "sample_weight", ndim=1)
    if len(weights) != n:
        raise InputError(f"sample_weight must hold one number per series ({n}), got {len(weights)}")
    require_finite(weights, "sample_weight")
    if (weights < 0).any() or not weights.any():
        raise InputError("sample_weight must not be negative, and not zero for all series")
    return np.asarray(weights / weights.mean())


def series_that_count(
    data: IrregularSeries, sample_weight: Any
) -> tuple[IrregularSeries, Array | None]:
    """Series without those of weight 0, and the weights of the others with mean 1.

    Raises:
        InputError: as for `series_weights`.
    """
    if sample_weight is None:
        return data, None
    weights = series_weights(sample_weight, len(data))
    counts = np.flatnonzero(weights > 0)
    every = len(counts) == len(data)
    return (
        (data, weights) if every else (data[counts], series_weights(weights[counts], len(counts)))
    )


def _plain(labels: Any) -> Any:
    """Labels that are not bare numbers or text without what other libraries wrap them in."""
    kinds = getattr(getattr(labels, "dtype", None), "kind", "O")
    if kinds not in "OS" or not hasattr(labels, "__len__"):
        return labels
    given = list(np.asarray(labels, dtype=object))
    plain = [plain_label(label) for label in given]
    if all(isinstance(label, bool) for label in plain):
        return np.array(plain)
    return plain if any(new is not old for new, old in zip(plain, given, strict=True)) else labels


def _one_row(labels: Any) -> Any:
    """Labels, of which a single column is laid flat.

    Raises:
        InputError: if there are none.
    """
    if labels is None:
        raise InputError(
            "requires y to be passed, but the target y is None: there are no labels; give y, or an "
            "IrregularSeries with labels="
        )
    shape: tuple[int, ...] = getattr(labels, "shape", ())
    is_column = len(shape) == 2 and shape[1] == 1
    return column_or_1d(labels, warn=True) if is_column else labels
