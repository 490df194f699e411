"""A grammar of mistakes: small right tables, and what people do to tables and files.

Every mistake takes a table (or the bytes of a file) and a random generator, and gives what a user
might hand over instead.
"""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd


def series_table(rng):
    """Three series of four rows with two channels."""
    columns = {"id": np.repeat(["a", "b", "c"], 4), "t": np.tile([0.0, 1, 2, 3.5], 3)}
    return pd.DataFrame({**columns, "x": rng.normal(size=12), "y": rng.normal(size=12)})


def snapshot_table(rng):
    """Three snapshots of six points in the plane."""
    columns = {"x": rng.normal(size=18), "y": rng.normal(size=18)}
    return pd.DataFrame({"t": np.repeat([0.0, 1, 2], 6), **columns})


def jump_table(rng):
    """Three paths of four observations of two states."""
    table = series_table(rng)[["id", "t"]]
    return table.assign(s=rng.choice(["u", "v"], 12))


class Stranger:
    """An object that no table should hold."""


def _cell(*values):
    def put(table, rng):
        table = table.astype({(name := rng.choice(table.columns)): object})
        table.iloc[rng.integers(len(table)), table.columns.get_loc(name)] = values[
            rng.integers(len(values))
        ]
        return table

    return put


def _column(make):
    def put(table, rng):
        if not table.columns.is_unique:  # pandas breaks a table when it replaces one of two
            raise ValueError("one of two columns of one name")
        return table.assign(**{str(rng.choice(table.columns)): make(len(table))})

    return put


def _zones(n):
    return [pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2021")] * (n // 2)


CELLS = {
    "infinite": _cell(np.inf, -np.inf),
    "missing": _cell(np.nan, None, pd.NA, pd.NaT),
    "text": _cell("n/a", "", "--", "1,5", "1e400", "nan", "inf", "True", " 3 "),
    "object": _cell(Stranger(), [1, 2], {"a": 1}, (1,), np.array([1.0, 2.0]), np.array(3.0)),
    "kind": _cell(b"x", 1 + 2j, Decimal("1.5"), Fraction(1, 3), 2**70, True, lambda: 0),
    "pandas": _cell(pd.Interval(0, 1), np.datetime64("2020"), pd.Timedelta("1D")),
}
COLUMNS = {
    "all missing": _column(lambda n: [np.nan] * n),
    "truth values": _column(lambda n: np.arange(n) % 2 == 0),
    "complex": _column(lambda n: np.arange(n) + 1j),
    "huge": _column(lambda n: np.arange(n) * 1e300),
    "tiny": _column(lambda n: np.arange(n) * 1e-300),
    "whole": _column(np.arange),
    "constant": _column(np.zeros),
    "negative": _column(lambda n: -np.arange(n)[::-1].astype(float)),
    "dates": _column(lambda n: pd.date_range("2020", periods=n)),
    "zone": _column(lambda n: pd.date_range("2020", periods=n, tz="UTC")),
    "zones": _column(_zones),
    "durations": _column(lambda n: pd.timedelta_range("1D", periods=n)),
    "periods": _column(lambda n: pd.period_range("2020", periods=n, freq="D")),
    "categories": _column(lambda n: pd.Categorical(list("abc" * n)[:n])),
    "numbers as text": _column(lambda n: np.arange(n).astype(str)),
    "bytes": _column(lambda n: [b"a", b"b"] * (n // 2)),
    "nullable": _column(lambda n: pd.array([1, None] * (n // 2), dtype="Int64")),
    "sparse": _column(lambda n: pd.arrays.SparseArray(np.zeros(n))),
    "short": _column(lambda n: np.arange(n, dtype=np.float16)),
    "unsigned": _column(lambda n: np.arange(n, dtype=np.uint8)),
    "decimals": _column(lambda n: [Decimal(k) / 10 for k in range(n)]),
}
SHAPES = {
    "column dropped": lambda table, rng: table.drop(columns=[rng.choice(table.columns)]),
    "column twice": lambda table, rng: pd.concat(
        [table, table[[rng.choice(table.columns)]]], axis=1
    ),
    "rows twice": lambda table, rng: pd.concat([table, table]),
    "no rows": lambda table, rng: table.iloc[:0],
    "one row": lambda table, rng: table.iloc[:1],
    "backwards": lambda table, rng: table.iloc[::-1],
    "index repeated": lambda table, rng: table.set_axis([0] * len(table)),
    "column in the index": lambda table, rng: table.set_index(table.columns[0]),
    "names of two levels": lambda table, rng: table.set_axis(
        pd.MultiIndex.from_tuples([("k", name) for name in table.columns]), axis=1
    ),
    "names are numbers": lambda table, rng: table.set_axis(range(table.shape[1]), axis=1),
    "many columns": lambda table, rng: table.assign(**{f"z{k}": 0.5 * k for k in range(40)}),
}
CONTAINERS = {
    "array": lambda table, rng: table.to_numpy(),
    "dictionary": lambda table, rng: table.to_dict("list"),
    "records": lambda table, rng: table.to_dict("records"),
    "column": lambda table, rng: table[rng.choice(table.columns)],
    "nothing": lambda table, rng: None,
    "path": lambda table, rng: "table.csv",
}
IN_FILES = {**CELLS, **COLUMNS, **SHAPES}
IN_TABLES = {**IN_FILES, **CONTAINERS}


def _junk(text, rng):
    place = rng.integers(len(text))
    return text[:place] + bytes(rng.integers(0, 256, 20, dtype=np.uint8)) + text[place:]


BYTES = {
    "cut off": lambda text, rng: text[: rng.integers(len(text))],
    "junk": _junk,
    "empty": lambda text, rng: b"",
    "byte order mark": lambda text, rng: b"\xef\xbb\xbf" + text,
    "utf-16": lambda text, rng: text.decode().encode("utf-16"),
    "semicolons": lambda text, rng: text.replace(b",", b";"),
    "tabs": lambda text, rng: text.replace(b",", b"\t"),
    "open quote": lambda text, rng: text.replace(b"\n", b'\n"', 1),
    "zero byte": lambda text, rng: text[:20] + b"\0" + text[20:],
    "only names": lambda text, rng: text.split(b"\n")[0] + b"\n",
    "no names": lambda text, rng: text.split(b"\n", 1)[1],
    "old Macintosh": lambda text, rng: text.replace(b"\n", b"\r"),
    "ragged": lambda text, rng: text.replace(b"\n", b",7\n", 2),
    "blank lines": lambda text, rng: text.replace(b"\n", b"\n\n"),
    "latin-1": lambda text, rng: text.replace(b"x", b"\xe9"),
    "decimal commas": lambda text, rng: text.replace(b".", b","),
    "an archive": lambda text, rng: b"PK\x03\x04" + text,
}


def _patched(raw, rng):
    place = rng.integers(len(raw))
    return raw[:place] + rng.bytes(64) + raw[place + 64 :]


def _scattered(raw, rng):
    changed = bytearray(raw)
    for place in rng.integers(len(raw), size=rng.integers(1, 20)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def _gap(raw, rng):
    place = rng.integers(len(raw))
    return raw[:place] + raw[place + rng.integers(1, 200) :]


# What happens to files that are no text, on disks and on the way.
BINARY = {
    "cut off": lambda raw, rng: raw[: rng.integers(len(raw))],
    "scattered bytes": _scattered,
    "a patch": _patched,
    "a gap": _gap,
    "a tail": lambda raw, rng: raw + rng.bytes(50),
    "text": lambda raw, rng: b"t,x,y\n0,1,2\n",
}
