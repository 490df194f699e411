"""Paths of more series than fit in memory: tables of some series at a time, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import seeds_by_name
from trajinfer.data.input import as_series
from trajinfer.data.open_table import OpenTable
from trajinfer.data.pieces import NOTHING, PIECE, identity_of, write_pieces

_STEPS_OF_A_HORIZON = 20
_WORK_PER_DRAW = 6 * 8  # bytes: the draws, their sorted copy, and what they are made of


def written_forecasts(
    out: str | Path,
    X: Any,
    model: Any,
    seed: int,
    asked: Mapping[str, Any],
    verb: Callable[..., Any],
    *,
    settings: Mapping[str, Any] = NOTHING,
    seeded_by_name: bool = False,
) -> Path:
    """Write what `forecast` or `interpolate` gives; a call that was killed goes on.

    Args:
        out: the folder.
        X: an open table, or what `as_series` takes.
        model: the fitted model, which belongs to what the folder is of.
        seed: of all draws.
        asked: the question, likewise: `ts` (None is a horizon in 20 steps), `n` and what else.
        verb: some of the series, the question, random_state= -> a `Forecast`.
        settings: of the estimator, that the paths depend on.
        seeded_by_name: whether the draws of a series depend on its name, so that one seed serves
            all pieces; else every piece has its own, and no two series share their noise.

    Raises:
        InputError: for times of single series, or if the folder holds the answer to another call.
    """
    if np.ndim(asked["ts"]) > 1:
        raise InputError("out= takes times that all series share; give one row of them")
    require_integer(asked["n"], "n", least=1)
    series = X if isinstance(X, OpenTable) else as_series(X)
    at_once = PIECE
    if isinstance(series, OpenTable):
        n_times = _STEPS_OF_A_HORIZON if asked["ts"] is None else np.size(asked["ts"])
        at_once = series.at_once(asked["n"] * n_times * len(series.columns) * _WORK_PER_DRAW)

    def identity() -> dict[str, Any]:
        known = {"seed": seed, "series": series, "model": identity_of(model)}
        return {**asked, **settings, **known}

    def answer(rows: slice) -> pd.DataFrame:
        own = seed if seeded_by_name else seeds_by_name(seed, [rows.start])[0]
        paths: pd.DataFrame = verb(series[rows], **asked, random_state=own).to_frame()
        return paths

    return write_pieces(out, verb.__name__, identity, len(series), at_once, answer)
