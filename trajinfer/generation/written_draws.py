"""More draws than fit in memory: tables of some series at a time, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from trajinfer._core.seeding import spawn
from trajinfer.data.pieces import identity_of, write_pieces

PIECE = 10_000


def written_draws(
    out: str | Path, model: Any, n: int, ts: Any, chain_steps: int | None, seed: int
) -> Path:
    """Write n draws, each piece by a seed of its own; a call that was killed goes on.

    Args:
        out: the folder.
        model: the fitted model, which belongs to what the folder is of.
        n: number of series.
        ts: times that all series share; None takes those of the model.
        chain_steps: links walked before the paths are taken; None takes those of the model.
        seed: of all draws.

    Raises:
        InputError: if the folder holds the answer to another call.
    """
    asked = {"n": n, "ts": ts, "chain_steps": chain_steps, "seed": seed}
    seeds = spawn(seed, -(-n // PIECE))

    def drawn(rows: slice) -> pd.DataFrame:
        count = min(rows.stop, n) - rows.start
        table: pd.DataFrame = model.sample(
            count, ts, chain_steps, seeds[rows.start // PIECE]
        ).to_frame()
        return table.assign(path=table["path"] + rows.start)

    return write_pieces(
        out, "draws", lambda: {**asked, "model": identity_of(model)}, n, PIECE, drawn
    )
