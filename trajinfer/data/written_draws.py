"""More draws than fit in memory: tables of some draws at a time, in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.data.pieces import NOTHING, PIECE, identity_of, write_pieces


def written_draws(
    out: str | Path,
    model: Any,
    n: int,
    seed: int,
    asked: Mapping[str, Any],
    sample: Callable[..., Any],
    *,
    settings: Mapping[str, Any] = NOTHING,
) -> Path:
    """Write n draws, each piece by a seed of its own; a call that was killed goes on.

    Args:
        out: the folder.
        model: the fitted model, which belongs to what the folder is of.
        n: number of draws.
        seed: of all draws.
        asked: the question, likewise, by name.
        sample: n=, the question, random_state= -> a table, or draws with `to_frame`,
            counted from 0 in its column "path" or "id", which goes on from piece to piece.
        settings: of the estimator, that the draws depend on.

    Raises:
        InputError: for times of single draws, or if the folder holds the answer to another call.
    """
    if np.ndim(asked.get("ts", ())) > 1:
        raise InputError("out= takes times that all draws share; give one row of them")
    require_integer(n, "n", least=1)
    seeds = spawn(seed, -(-n // PIECE))

    def drawn(rows: slice) -> pd.DataFrame:
        count, own = min(rows.stop, n) - rows.start, seeds[rows.start // PIECE]
        found = sample(n=count, **asked, random_state=own)
        if isinstance(found, pd.DataFrame):  # of points, which have no numbers
            return found
        table = found.to_frame()
        number = "path" if "path" in table else "id"
        # weights of a piece sum to 1 within it; where mass changes, `branches` have one unit
        table = table.drop(columns="weight", errors="ignore")
        return table.assign(**{number: table[number] + rows.start})

    def identity() -> dict[str, Any]:
        known = {"verb": sample.__name__, "n": n, "seed": seed, "model": identity_of(model)}
        return {**asked, **settings, **known}

    return write_pieces(out, "draws", identity, n, PIECE, drawn)
