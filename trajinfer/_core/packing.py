"""Nested values as JSON and tensors, and back: what saved models are made of. Nothing is pickled.

Numbers, text, bytes, lists, tuples, dicts, tables, durations, dates, periods, intervals and
random generators are written as JSON; arrays and tensors go to a mapping under the path at which
they stand. A class joins by `packable`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError

_KIND = "kind"
_CLASSES: dict[str, type] = {}
Class = TypeVar("Class", bound=type)


def packable(cls: Class) -> Class:
    """Class decorator: values of the class can be saved.

    The class is a dataclass, whose fields are written, or has `to_state() -> dict` and the class
    method `from_state(dict)`. The name of the class stands in the file and must be unique.
    """
    if not (is_dataclass(cls) or hasattr(cls, "to_state")):
        raise TypeError(f"{cls.__name__} is no dataclass and has no to_state")
    other = _CLASSES.setdefault(cls.__name__, cls)
    if other.__module__ != cls.__module__:
        raise TypeError(f"two classes are called {cls.__name__}: {other.__module__} has one")
    _CLASSES[cls.__name__] = cls
    return cls


def pack(value: Any, tensors: dict[str, torch.Tensor], path: str) -> Any:
    """A value as JSON holds it; its arrays are added to `tensors` under `path`.

    Raises:
        InputError: naming the place of a value that cannot be written, such as a function.

    Example:
        >>> tensors = {}
        >>> pack({"rate": np.float64(0.5), "sizes": (1, 2)}, tensors, "model")
        {'rate': 0.5, 'sizes': {'kind': 'tuple', 'items': [1, 2]}}
        >>> unpack(pack(np.arange(3), tensors, "model"), tensors)
        array([0, 1, 2])
    """
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_KIND: "float", "value": repr(value)}
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return _pack_array(value, tensors, path)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        packed = [pack(item, tensors, f"{path}.{i}") for i, item in enumerate(items)]
        return packed if type(value) is list else {_KIND: _sequence_kind(value), "items": packed}
    if isinstance(value, Mapping):
        return _pack_mapping(value, tensors, path)
    if type(value) is _CLASSES.get(type(value).__name__):
        state = {name: pack(v, tensors, f"{path}.{name}") for name, v in _state(value).items()}
        return {_KIND: "object", "class": type(value).__name__, "state": state}
    return _pack_rare(value, tensors, path)


def unpack(packed: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The value that `pack` wrote.

    Raises:
        InputError: if a class is unknown or an array is missing.
    """
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if _KIND not in packed:
        return {name: unpack(value, tensors) for name, value in packed.items()}
    kind = packed[_KIND]
    if kind in ("array", "tensor", "times"):
        return _unpack_array(packed, tensors)
    if kind == "object":
        return _unpack_object(packed, tensors)
    if kind == "dict":
        return {unpack(k, tensors): unpack(v, tensors) for k, v in packed["items"]}
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](unpack(item, tensors) for item in packed["items"])
    if kind == "objects":
        flat = np.empty(len(packed["items"]), dtype=object)
        flat[:] = [unpack(item, tensors) for item in packed["items"]]
        return flat.reshape(packed["shape"])
    if kind in _RARE:
        return _RARE[kind](unpack(packed["value"], tensors))
    raise InputError(f"a saved value of kind {kind!r} is unknown; update trajinfer")


_SEQUENCES: dict[str, type] = {"tuple": tuple, "set": set, "frozenset": frozenset}


def _sequence_kind(value: Any) -> str:
    return next((name for name, kind in _SEQUENCES.items() if isinstance(value, kind)), "tuple")


def _state(value: Any) -> dict[str, Any]:
    if hasattr(value, "to_state"):
        state: dict[str, Any] = value.to_state()
        return state
    return {f.name: getattr(value, f.name) for f in fields(value) if f.init}


def _pack_mapping(
    value: Mapping[Any, Any], tensors: dict[str, torch.Tensor], path: str
) -> dict[str, Any]:
    if all(isinstance(name, str) for name in value) and _KIND not in value:
        return {name: pack(item, tensors, f"{path}.{name}") for name, item in value.items()}
    items = [
        [pack(key, tensors, f"{path}.key{i}"), pack(item, tensors, f"{path}.{i}")]
        for i, (key, item) in enumerate(value.items())
    ]
    return {_KIND: "dict", "items": items}


def _pack_array(
    value: Array | torch.Tensor, tensors: dict[str, torch.Tensor], path: str
) -> dict[str, Any]:
    if isinstance(value, torch.Tensor):
        tensors[path] = value
        return {_KIND: "tensor", "at": path}
    if value.dtype.kind in "OUS":
        items = [pack(item, tensors, f"{path}.{i}") for i, item in enumerate(value.ravel())]
        return {_KIND: "objects", "shape": list(value.shape), "items": items}
    if value.dtype.kind in "mM":
        tensors[path] = torch.as_tensor(value.astype(np.int64))
        return {_KIND: "times", "at": path, "dtype": str(value.dtype)}
    tensors[path] = torch.as_tensor(np.array(value, order="C"))
    return {_KIND: "array", "at": path}


def _unpack_array(packed: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Any:
    tensor = tensors.get(packed["at"])
    if tensor is None:
        raise InputError(f"the array '{packed['at']}' is missing from the saved model; save again")
    if packed[_KIND] == "tensor":
        return tensor
    array = tensor.numpy()
    return array.astype(packed["dtype"]) if packed[_KIND] == "times" else array


def _unpack_object(packed: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Any:
    cls: Any = _CLASSES.get(packed["class"])
    if cls is None:
        raise InputError(f"this version of trajinfer has no '{packed['class']}'; update trajinfer")
    state = {name: unpack(value, tensors) for name, value in packed["state"].items()}
    return cls.from_state(state) if hasattr(cls, "from_state") else cls(**state)


def _pack_rare(value: Any, tensors: dict[str, torch.Tensor], path: str) -> dict[str, Any]:
    """Tables by their columns, times and intervals, bytes, and random generators."""
    if isinstance(value, bytes):
        return {_KIND: "bytes", "value": value.hex()}
    if isinstance(value, pd.Period):
        return {_KIND: "period", "value": [value.ordinal, value.freqstr]}
    if isinstance(value, pd.Interval):
        ends = [pack(end, tensors, path) for end in (value.left, value.right)]
        return {_KIND: "interval", "value": [*ends, value.closed]}
    if isinstance(value, (timedelta, np.timedelta64)):
        return {_KIND: "timedelta", "value": pd.Timedelta(value).isoformat()}
    if isinstance(value, (date, np.datetime64)):
        stamp = pd.Timestamp(value)
        zone = None if stamp.tz is None else str(stamp.tz)
        label = {"utc": (stamp if zone is None else stamp.tz_convert("UTC")).isoformat()}
        return {_KIND: "timestamp", "value": {**label, "zone": zone}}
    if isinstance(value, pd.DataFrame):
        columns = {str(name): value[name].to_numpy() for name in value.columns}
        return {_KIND: "table", "value": pack(columns, tensors, path)}
    if isinstance(value, np.random.Generator):
        state: Any = value.bit_generator.state
        return {_KIND: "numpy_generator", "value": pack(state, tensors, path)}
    if isinstance(value, np.random.RandomState):
        state = value.get_state(legacy=False)
        return {_KIND: "numpy_state", "value": pack(state, tensors, path)}
    if isinstance(value, torch.Generator):
        return {_KIND: "torch_generator", "value": pack(value.get_state(), tensors, path)}
    raise InputError(
        f"{path} holds a {type(value).__name__}, which cannot be saved as plain data; give "
        "numbers, text, arrays, or an object of trajinfer there before saving"
    )


def _timestamp(value: dict[str, Any]) -> pd.Timestamp:
    stamp = instant_of(value["utc"])
    return stamp if value["zone"] is None else stamp.tz_convert(value["zone"])


def instant_of(text: str) -> pd.Timestamp:
    """The instant that `isoformat` wrote, of any year."""
    try:
        return pd.Timestamp(text)
    except ValueError:  # a year of five digits or more
        naive = text.removesuffix("+00:00")
        stamp = pd.Timestamp(np.datetime64(naive))
        return stamp if naive == text else stamp.tz_localize("UTC")


def _numpy_generator(state: dict[str, Any]) -> np.random.Generator:
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _numpy_state(state: dict[str, Any]) -> np.random.RandomState:
    source = np.random.RandomState(0)
    source.set_state(state)
    return source


def _torch_generator(state: torch.Tensor) -> torch.Generator:
    source = torch.Generator()
    source.set_state(state)
    return source


_RARE: dict[str, Any] = {
    "float": float,
    "bytes": bytes.fromhex,
    "period": lambda value: pd.Period(ordinal=value[0], freq=value[1]),
    "interval": lambda value: pd.Interval(*value),
    "timedelta": pd.Timedelta,
    "timestamp": _timestamp,
    "table": pd.DataFrame,
    "numpy_generator": _numpy_generator,
    "numpy_state": _numpy_state,
    "torch_generator": _torch_generator,
}
