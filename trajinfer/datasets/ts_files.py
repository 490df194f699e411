"""Files in the .ts layout of the time series classification archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.datasets.files import DatasetError


def read_ts(path: Path) -> IrregularSeries:
    """Series with labels from a .ts file without time stamps: steps of one.

    A line of data holds the channels separated by colons, their values by commas ("?" or "NaN" is
    missing), and the label last. Real-valued targets become numbers, classes stay text.

    Raises:
        DatasetError: if the file does not follow the layout, or carries time stamps.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeError as error:
        raise DatasetError(f"{path} is no text in utf-8 ({error}); take another file") from error
    header = [line.lower().split() for line in lines if line.startswith("@")]
    entries = {words[0]: words[1:] for words in header}
    if "@data" not in entries or entries.get("@timestamps", ["false"])[0] == "true":
        raise DatasetError(f"{path} is not a .ts file without time stamps")
    start = next(i for i, line in enumerate(lines) if line.lower().startswith("@data")) + 1
    rows = [line.rstrip(":").split(":") for line in lines[start:] if line.strip()]
    labelled = any(
        entries.get(key, ["false"])[0] == "true" for key in ("@classlabel", "@targetlabel")
    )
    labels = np.array([row.pop().strip() for row in rows]) if labelled else None
    if labels is not None and entries.get("@targetlabel", ["false"])[0] == "true":
        labels = labels.astype(np.float64)
    try:
        values = [np.stack([_numbers(channel) for channel in row], axis=1) for row in rows]
    except ValueError as error:
        raise DatasetError(f"{path} does not follow the .ts layout ({error})") from error
    times = [np.arange(len(value)) for value in values]
    return IrregularSeries.from_arrays(times, values, labels=labels)


def _numbers(text: str) -> Array:
    return np.array(text.replace("?", "nan").split(","), dtype=np.float64)
