"""Checks at the public doors: shapes, finiteness, times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trajinfer._core.errors import InputError, InputTypeError

Array = np.ndarray[Any, np.dtype[Any]]


def as_array(value: Any, name: str, *, ndim: int | None = None) -> Array:
    """A float64 numpy array (a copy) of a list, array or tensor of real numbers.

    Entries that a numpy mask hides become NaN.

    Raises:
        InputError: if the values are not real numbers or the number of axes is wrong.
    """
    value = unmasked(value)
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):  # views of AnnData are
        raise InputError(
            f"{name} is a sparse matrix; dense real numbers were expected: try {name}.toarray()"
        )
    try:
        raw = np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"{name} must hold real numbers in rows of equal length ({error})"
        ) from error
    if np.iscomplexobj(raw):
        raise InputError(f"{name} holds complex numbers. Complex data not supported")
    if raw.dtype.kind in "mM":
        raise InputError(
            f"{name} must hold real numbers, got {raw.dtype}; convert dates and durations first, "
            "in the unit you mean, e.g. (x - x.min()) / numpy.timedelta64(1, 'h')"
        )
    try:
        array = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        raise kind(
            f"{name} must hold real numbers, got {raw.dtype}: argument must be a string or a "
            f"number ({error})"
        ) from error
    if ndim is not None and array.ndim != ndim:
        raise InputError(
            f"{name} must have {ndim} axes, got shape {array.shape}. Reshape your data, e.g. with "
            f"{name}.reshape(-1, 1) for a single column"
        )
    return array


def as_rows(value: Any, name: str) -> list[Any]:
    """What a list, an array or anything like it holds, one after the other.

    Raises:
        InputError: for what holds nothing in an order, such as a number, a function or a set.
    """
    try:
        return _in_order(value)
    except TypeError as error:
        raise InputError(
            f"{name} must be a list or an array, got {type(value).__name__} ({error})"
        ) from error


def _in_order(value: Any) -> list[Any]:
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order")
    return list(value)


def unmasked(value: Any) -> Any:
    """Values without a numpy mask: what it hides becomes NaN, NaT or None. Tensors become arrays.

    Args:
        value: anything; lists are searched for masked arrays and tensors.

    Example:
        >>> unmasked(np.ma.array([1, 2], mask=[False, True])).tolist()
        [1.0, nan]
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, np.ma.MaskedArray):
        return _filled(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        parts = [unmasked(part) for part in value]
        changed = any(new is not old for new, old in zip(parts, value))
        return type(value)(parts) if changed else value
    return value


def _filled(value: Any) -> Array:
    hidden, data = np.ma.getmaskarray(value), np.ma.getdata(value)
    kind = data.dtype.kind
    if kind in "mM":
        return np.asarray(np.where(hidden, np.array("NaT", data.dtype), data))
    if kind in "iuf":
        return np.where(hidden, np.nan, data) if hidden.any() else np.array(data)
    filled = data.astype(object) if hidden.any() else data.copy()
    filled[hidden] = None
    return filled


def require_finite(array: Array, name: str) -> None:
    """Refuse NaN and infinities, naming the first row that holds one.

    Raises:
        InputError: at the first value that is not finite.
    """
    bad = ~np.isfinite(array)
    if bad.any():
        first = np.argwhere(bad)[0]
        kind = "NaN" if np.isnan(array[tuple(first)]) else "infinity"
        rows = int(bad.reshape(len(array), -1).any(axis=1).sum()) if array.ndim else 1
        raise InputError(
            f"{name} must be finite, found {kind} at index {tuple(int(i) for i in first)} "
            f"({rows} row(s) concerned); drop or fill these rows first"
        )


def require_increasing(times: Array, name: str) -> None:
    """Refuse times that are not strictly increasing.

    Raises:
        InputError: naming the first pair out of order.
    """
    steps = np.diff(times)
    if (steps <= 0).any():
        k = int(np.argmax(steps <= 0))
        kind = "repeated" if steps[k] == 0 else "not in order"
        raise InputError(
            f"{name} must increase strictly, but {times[k]:g} is followed by {times[k + 1]:g} "
            f"({kind} at index {k + 1}); sort and merge equal times first"
        )


def require_weights(weights: Array, n: int, name: str) -> None:
    """Refuse weights of the wrong length, negative, or without mass.

    Raises:
        InputError: if there are not `n` finite non-negative weights with a positive sum.
    """
    if weights.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), got {weights.shape}")
    require_finite(weights, name)
    if (weights < 0).any() or weights.sum() <= 0:
        fault = "negative ones" if (weights < 0).any() else "all zero"
        raise InputError(f"{name} must be non-negative weights with a positive sum, got {fault}")


def require_fraction(value: Any, name: str) -> None:
    """Refuse what does not lie strictly between 0 and 1, such as 90 for a level of 90 %.

    Raises:
        InputError: for such a value, or one that is no number.
    """
    if not isinstance(value, (int, float, np.number)) or not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, such as 0.9, got {value!r}")


def require_positive(value: Any, name: str, *, or_zero: bool = False) -> float:
    """Refuse anything but a finite number above 0, or from 0 on.

    Raises:
        InputError: naming what came.
    """
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0 or (value == 0 and not or_zero):
        kind = "0 or positive" if or_zero else "positive"
        raise InputError(f"{name} must be {kind} and finite, got {value!r}")
    return float(value)


def require_widths(value: Any, name: str) -> tuple[int, ...]:
    """The widths of layers: refuse anything but a positive whole number, or one and more of them.

    Raises:
        InputError: naming what came.
    """
    widths = [value] if np.ndim(value) == 0 else list(value)
    if not widths:
        raise InputError(f"{name} must hold one width at least, such as (64, 64), got {value!r}")
    return tuple(require_integer(width, name, least=1) for width in widths)


def require_integer(value: Any, name: str, *, least: int) -> int:
    """Refuse anything but a whole number of at least `least`.

    Raises:
        InputError: naming what came.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        kinds = {0: "a non-negative integer", 1: "a positive integer"}
        kind = kinds.get(least, f"an integer of at least {least}")
        raise InputError(f"{name} must be {kind}, got {value!r}")
    return int(value)


def check_shape(tensor: torch.Tensor, letters: str, **sizes: int) -> dict[str, int]:
    """Match the shape of a tensor against letters, as in `check_shape(y0, "B D", D=3)`.

    Returns:
        The size of every letter.

    Raises:
        InputError: if the number of axes or a known size differs.
    """
    names = letters.split()
    if tensor.ndim != len(names) or not _sizes_agree(dict(zip(names, tensor.shape)), sizes):
        wanted = ", ".join(f"{n}={sizes[n]}" if n in sizes else n for n in names)
        raise InputError(f"expected a tensor of shape ({wanted}), got {tuple(tensor.shape)}")
    return dict(zip(names, tensor.shape))


def _sizes_agree(found: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    return all(found[name] == size for name, size in wanted.items() if name in found)
