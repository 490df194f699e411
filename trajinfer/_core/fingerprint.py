"""Digests of settings and data, by which a checkpoint knows its own fit again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array


def fingerprint(value: Any) -> str:
    """A digest that is equal for equal values, in every process.

    Arrays and tables count by their numbers, objects by their class and what they hold, functions
    by their code.

    Example:
        >>> fingerprint({"rate": np.arange(3.0)}) == fingerprint({"rate": np.array([0.0, 1, 2])})
        True
        >>> fingerprint([1, 2]) == fingerprint([2, 1])
        False
    """
    digest = hashlib.sha256()
    _add(digest, value, ())
    return digest.hexdigest()


def _add(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    """Add a value; `above` are the objects that hold it, which may hold one another."""
    if hasattr(value, "fingerprint"):
        value = value.fingerprint()
    if isinstance(value, np.generic):
        value = value.item() if value.dtype.kind not in "mM" else str(value)
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        digest.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, torch.Tensor):
        _add_array(digest, value.detach().cpu().numpy(), above)
    elif isinstance(value, np.ndarray):
        _add_array(digest, value, above)
    elif isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        _add_table(digest, value, above)
    elif isinstance(value, (Mapping, list, tuple, set, frozenset)):
        _add_collection(digest, value, above)
    elif id(value) not in above:
        _add_object(digest, value, (*above, id(value)))


def _add_array(digest: Any, value: Array, above: tuple[int, ...]) -> None:
    digest.update(f"array {value.dtype} {value.shape};".encode())
    if value.dtype.kind == "O":
        for item in value.ravel():
            _add(digest, item, above)
    else:
        digest.update(np.ascontiguousarray(value).view(np.uint8).data if value.size else b"")


def _add_table(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    if isinstance(value, pd.DataFrame):
        digest.update(f"table {value.shape};".encode())
        _add(digest, list(value.columns), above)
        for k in range(value.shape[1]):
            _add_table(digest, value.iloc[:, k], above)
    else:
        digest.update(f"column {value.dtype};".encode())
        _add_array(digest, value.to_numpy(), above)


def _add_collection(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    if isinstance(value, Mapping):
        items: Any = [part for pair in value.items() for part in pair]
    elif isinstance(value, (set, frozenset)):
        items = sorted(value, key=repr)
    else:
        items = value
    digest.update(f"{len(items)} items;".encode())
    for item in items:
        _add(digest, item, above)


def _add_object(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    kind = value if isinstance(value, type) else type(value)
    digest.update(f"{kind.__module__}.{kind.__qualname__};".encode())
    if isinstance(value, FunctionType):
        code = value.__code__
        digest.update(f"{value.__module__}.{value.__qualname__} {code.co_names};".encode())
        digest.update(code.co_code)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        constants = [item for item in code.co_consts if not hasattr(item, "co_code")]
        _add(digest, [constants, value.__defaults__, cells], above)
    elif isinstance(value, torch.Generator):
        _add(digest, value.get_state(), above)
    elif isinstance(value, np.random.Generator):
        _add(digest, value.bit_generator.state, above)
    elif isinstance(value, np.random.RandomState):
        _add(digest, value.get_state(legacy=False), above)
    elif is_dataclass(value) and not isinstance(value, type):
        _add(digest, {f.name: getattr(value, f.name) for f in fields(value) if f.init}, above)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        _add(digest, dict(vars(value)), above)
    elif not isinstance(value, type):
        digest.update(repr(value).encode())
