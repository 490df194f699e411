"""A grammar of mistakes in arrays and the words beside them.

Every mistake takes the arguments of a call by name and a random generator, and changes one of them.
"""

from decimal import Decimal

import numpy as np
import pandas as pd
import torch

from tests.reliability.mistakes import Stranger


def series_arguments(rng):
    """Three series of four times and two channels."""
    named = {"channels": ["x", "y"], "ids": list("abc"), "labels": [0, 1, 0]}
    values = rng.normal(size=(3, 4, 2))
    return {"times": np.arange(4.0), "values": values, "statics": rng.normal(size=(3, 2)), **named}


def ragged_arguments(rng):
    """The same as lists of arrays of unequal length."""
    lengths = (2, 4, 3)
    times = [np.arange(float(n)) for n in lengths]
    return {"times": times, "values": [rng.normal(size=(n, 2)) for n in lengths]}


def value_arguments(rng):
    """Series without times."""
    return {"series": rng.normal(size=(3, 12, 2))}


def point_arguments(rng):
    """Three snapshots of six points in the plane, stacked."""
    words = {"weights": rng.random(18), "features": ["x", "y"]}
    return {"X": rng.normal(size=(18, 2)), "t": np.repeat([0.0, 1, 2], 6), **words}


def cloud_arguments(rng):
    """The same, a list of clouds."""
    return {"times": [0.0, 1, 2], "points": [rng.normal(size=(n, 2)) for n in (6, 5, 7)]}


def path_arguments(rng):
    """Five paths of two coordinates."""
    words = {"weights": rng.random(5), "features": ["x", "y"]}
    return {"ts": np.arange(4.0), "values": rng.normal(size=(5, 4, 2)), **words}


def state_arguments(rng):
    """Three paths of four observations of two states."""
    states = rng.integers(0, 2, (3, 4))
    return {"times": np.arange(4.0), "states": states, "signal": rng.normal(size=(3, 4))}


def label_arguments(rng):
    """The same with labels, in the order wanted."""
    states = rng.choice(["u", "v"], (3, 4)).tolist()
    return {"times": np.arange(4.0), "states": states, "categories": ["v", "u"], "ids": list("abc")}


def _numbers(value):
    return np.array(value, dtype=np.float64)


def _cell(*cells):
    """One cell of an array of objects replaced."""

    def change(value, rng):
        array = np.array(value, dtype=object)
        place = tuple(rng.integers(n) for n in array.shape)
        array[place] = cells[rng.integers(len(cells))]
        return array

    return change


def _number(*numbers):
    """One cell of an array of numbers replaced."""

    def change(value, rng):
        array = _numbers(value)
        array[tuple(rng.integers(n) for n in array.shape)] = numbers[rng.integers(len(numbers))]
        return array

    return change


def _dates(value, rng):
    starts = pd.date_range("2020-01-01", periods=np.size(value), tz=rng.choice([None, "UTC"]))
    return starts if np.ndim(value) == 1 else starts.to_numpy().reshape(np.shape(value))


VALUES = {
    "not finite": _number(np.inf, -np.inf, np.nan),
    "huge": _number(1e308, -1e308, 5e-324),
    "missing": _cell(None, pd.NA, pd.NaT),
    "text": _cell("n/a", "", "1,5", " 3 ", "nan"),
    "object": _cell(Stranger(), {"a": 1}, (1,), [1, 2], set()),
    "kind": _cell(b"x", 1 + 2j, Decimal("1.5"), 2**70, True, np.datetime64("2020")),
    "nothing": lambda value, rng: None,
    "one number": lambda value, rng: 3.0,
    "text as a whole": lambda value, rng: "table.csv",
    "empty": lambda value, rng: [],
    "empty rows": lambda value, rng: np.empty((0, *np.shape(_numbers(value))[1:])),
    "no columns": lambda value, rng: _numbers(value)[..., :0],
    "one axis more": lambda value, rng: _numbers(value)[None],
    "one axis less": lambda value, rng: _numbers(value)[0],
    "turned": lambda value, rng: _numbers(value).T,
    "flat": lambda value, rng: _numbers(value).ravel(),
    "shorter": lambda value, rng: value[:-1],
    "twice": lambda value, rng: [*value, *value],
    "backwards": lambda value, rng: value[::-1],
    "repeated": lambda value, rng: np.zeros_like(_numbers(value)),
    "ragged": lambda value, rng: [*value[:-1], value[-1][:-1]],
    "strange shape": lambda value, rng: rng.normal(size=tuple(rng.integers(0, 4, 4))),
    "complex": lambda value, rng: _numbers(value) + 1j,
    "truth values": lambda value, rng: _numbers(value) > 0,
    "whole": lambda value, rng: _numbers(value).astype(np.int8),
    "half": lambda value, rng: _numbers(value).astype(np.float16),
    "text of numbers": lambda value, rng: _numbers(value).astype(str),
    "bytes": lambda value, rng: _numbers(value).astype("S"),
    "dates": _dates,
    "durations": lambda value, rng: np.array(_numbers(value), dtype="m8[D]"),
    "records": lambda value, rng: np.zeros(np.shape(value), dtype=[("a", float), ("b", int)]),
    "masked": lambda value, rng: np.ma.masked_less(_numbers(value), 0.5),
    "a tensor": lambda value, rng: torch.tensor(_numbers(value), requires_grad=True),
    "a table": lambda value, rng: pd.DataFrame(_numbers(value)),
    "a column": lambda value, rng: pd.Series(_numbers(value), index=[0] * len(value)),
    "a generator": lambda value, rng: (row for row in value),
    "a mapping": lambda value, rng: dict(enumerate(value)),
    "a set": lambda value, rng: set(value),
    "a function": lambda value, rng: lambda: value,
    "one of a kind": lambda value, rng: Stranger(),
}


def change(arguments, rng):
    """The arguments with one of them changed, and what was done."""
    name = str(rng.choice(list(arguments)))
    kind = str(rng.choice(list(VALUES)))
    return {**arguments, name: VALUES[kind](arguments[name], rng)}, f"{name}: {kind}"
