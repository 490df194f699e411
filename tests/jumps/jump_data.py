"""Data of the jump tests; files are found through TRAJINFER_DATA."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trajinfer.data import JumpSeries

RATES = np.array([[-1.0, 0.7, 0.3], [0.5, -0.9, 0.4], [0.2, 0.9, -1.1]])


def load(name):
    folder = os.environ.get("TRAJINFER_DATA")
    path = Path(folder or "") / "mjp" / f"{name}.npz"
    if not folder or not path.is_file():
        pytest.skip(f"set TRAJINFER_DATA to a folder with mjp/{name}.npz")
    return np.load(path)


def panel_series(name, *, absorption=None, kind=None):
    data = load(f"panel_{name}")
    df = pd.DataFrame({"id": data["subject"], "t": data["times"], "s": data["states"]})
    df["o"] = "snapshot" if kind is None else kind
    if absorption is not None:
        df["o"] = np.where(df.s == absorption, "absorption", "snapshot")
    return JumpSeries.from_frame(df, id="id", time="t", state="s", observation="o")
