"""Labels of discrete states as codes, and back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array, as_rows
from trajinfer._core.errors import InputError, nearest
from trajinfer.data.plain_labels import as_python, require_one_spelling

ObservationKind = Literal["snapshot", "jump", "absorption", "censored"]
OBSERVATION_KINDS: tuple[str, ...] = get_args(ObservationKind)
MISSING = -1
_SETS = (list, tuple, set, frozenset, np.ndarray)


def encode(
    labels: Array, categories: Sequence[Hashable] | None
) -> tuple[Array, tuple[Hashable, ...], Array | None]:
    """Codes of labels, the names behind the codes, and the sets of censored observations.

    Args:
        labels: (N,) labels; None or NaN is missing; a list of labels is a censored observation.
        categories: the labels in the order wanted; None takes those that occur, sorted.

    Returns:
        Codes (N,): k >= 0 is label k, -1 is missing, -2 - m is set m; the S labels; and the sets
        (M, S) bool, or None.

    Raises:
        InputError: for labels that are no names of states, unknown or of mixed kinds, and for
            categories that repeat.
    """
    order = (
        None
        if categories is None
        else _distinct([_plain(label) for label in as_rows(categories, "categories")])
    )
    if labels.dtype.kind in "iub" and order is None:
        names, codes = np.unique(labels, return_inverse=True)
        _require_label(names[0])
        return codes.astype(np.int64).ravel(), tuple(names.tolist()), None
    if labels.dtype.kind in "mM" and len(labels):
        _require_label(labels[0])
    single = as_objects([_scalar(label) for label in labels])
    sets = _sets(single)
    single[list(sets)] = None
    try:
        codes, distinct = pd.factorize(single, use_na_sentinel=True)
    except TypeError as error:
        raise InputError(
            f"labels are whole numbers or names, got what is neither ({error}): write it as text"
        ) from error
    alone = [_plain(label) for label in distinct]
    known = list(dict.fromkeys([*alone, *(label for s in sets.values() for label in s)]))
    require_one_spelling(known)
    order = _ordered(known) if order is None else order
    table = {label: k for k, label in enumerate(order)}
    unknown = [label for label in known if label not in table]
    if unknown:
        raise InputError(f"label {unknown[0]!r} is not in categories {order[:8]}")
    codes = np.array([*(table[label] for label in alone), MISSING], dtype=np.int64)[codes]
    if not sets:
        return codes, order, None
    numbers = {key: m for m, key in enumerate(dict.fromkeys(sets.values()))}
    codes[list(sets)] = [-2 - numbers[key] for key in sets.values()]
    return codes, order, _memberships(list(numbers), table)


def decode(codes: Array, categories: Sequence[Hashable], candidates: Array | None) -> Any:
    """Labels of codes (N,), as `encode` read them."""
    if (codes >= 0).all():
        return pd.Index(list(categories)).take(codes)
    names = as_objects(categories)
    sets = [] if candidates is None else [list(names[row]) for row in candidates]
    return as_objects([*categories, *sets[::-1], None])[codes]


def observation_codes(kinds: Array) -> Array:
    """Indices into "snapshot", "jump", "absorption", "censored"; what is missing is a snapshot.

    Raises:
        InputError: for another word.
    """
    names = ["snapshot" if pd.isna(kind) else str(kind) for kind in kinds]
    table = {name: k for k, name in enumerate(OBSERVATION_KINDS)}
    unknown = [name for name in dict.fromkeys(names) if name not in table]
    if unknown:
        raise InputError(
            f"unknown observation kind {unknown[0]!r}; {nearest(unknown[0], OBSERVATION_KINDS)}"
        )
    return np.array([table[name] for name in names], dtype=np.int8)


def as_objects(values: Sequence[Any]) -> Array:
    """An array that holds the values as they are, lists among them."""
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _sets(labels: Array) -> dict[int, tuple[Hashable, ...]]:
    """The labels of censored observations, by row."""
    if labels.dtype != object:
        return {}
    sets = {k: tuple(map(_plain, v)) for k, v in enumerate(labels) if isinstance(v, _SETS)}
    if not all(sets.values()):
        raise InputError("a censored observation lists no label; name the possible states")
    return sets


def _memberships(sets: Sequence[tuple[Hashable, ...]], table: Mapping[Hashable, int]) -> Array:
    members = np.zeros((len(sets), len(table)), dtype=bool)
    for row, labels in zip(members, sets):
        row[[table[label] for label in labels]] = True
    return members


def _scalar(label: Any) -> Any:
    """An array without axes as the one label that it holds."""
    return label.item() if isinstance(label, np.ndarray) and label.ndim == 0 else label


def _plain(label: Any) -> Hashable:
    """Whole floats as integers, numpy scalars as Python ones."""
    value = as_python(label)
    _require_label(value)
    return int(value) if isinstance(value, float) else value


def _require_label(value: Any) -> None:
    if isinstance(value, (date, timedelta, np.datetime64, np.timedelta64)):
        raise InputError(
            f"label {value!r} is a date or a duration; states are whole numbers or names: give "
            "another column, or write dates as text"
        )
    if isinstance(value, complex) or not isinstance(value, Hashable):
        raise InputError(
            f"label {value!r} is of type {type(value).__name__}; states are whole numbers or "
            "names: write it as text"
        )
    if isinstance(value, float) and not value.is_integer():
        raise InputError(
            f"label {value} is not a whole number; for a real-valued measurement give signal="
        )
    if isinstance(value, (int, float, np.integer)) and value < 0:
        raise InputError(f"label {value} is negative; mark a missing state by None or NaN")


def _distinct(categories: list[Hashable]) -> tuple[Hashable, ...]:
    repeated = [label for k, label in enumerate(categories) if label in categories[:k]]
    if repeated:
        raise InputError(f"categories hold {repeated[0]!r} twice; name each state once")
    return tuple(categories)


def _ordered(known: list[Hashable]) -> tuple[Hashable, ...]:
    kinds = {isinstance(label, (int, bool)) for label in known}
    if len(kinds) > 1:
        raise InputError(f"labels mix numbers and text: {known[:6]}; use one kind")
    try:
        return tuple(sorted(known))  # type: ignore[type-var]
    except TypeError as error:
        raise InputError(
            f"labels mix kinds of names: {known[:6]}; use one kind, such as text"
        ) from error
