"""Mean positions of more individuals than fit in memory: tables of some at a time, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.pieces import NOTHING, PIECE, identity_of, write_pieces
from trajinfer.data.trajectories import Trajectories


def written_positions(
    out: str | Path,
    points: Array,
    ids: pd.Index,
    model: Any,
    asked: Mapping[str, Any],
    predict: Callable[..., Trajectories],
    *,
    settings: Mapping[str, Any] = NOTHING,
) -> Path:
    """Write the mean paths of individuals from their positions; a killed call goes on.

    Args:
        out: the folder.
        points: (n, D), where they stand.
        ids: (n,) their names.
        model: the fitted model, which belongs to what the folder is of.
        asked: the question, likewise, by name.
        predict: some of the points, the question -> their mean paths.
        settings: of the estimator, that the answers depend on.

    Raises:
        InputError: for times of single individuals, or if the folder holds the answer to another
            call.
    """
    if np.ndim(asked["ts"]) > 1:
        raise InputError("out= takes times that all individuals share; give one row of them")

    def identity() -> dict[str, Any]:
        return {**asked, **settings, "points": points, "ids": ids, "model": identity_of(model)}

    def answer(rows: slice) -> pd.DataFrame:
        table = predict(points[rows], **asked).to_frame().rename(columns={"path": "id"})
        return table.assign(id=ids[rows].take(table["id"]))

    return write_pieces(out, "positions", identity, len(points), PIECE, answer)
