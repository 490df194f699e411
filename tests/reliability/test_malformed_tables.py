"""Whatever is wrong with a table: a right answer, or an error of ours that says what to do."""

from functools import partial

import numpy as np
import pytest

from tests.reliability import mistakes
from tests.reliability.outcomes import Outcomes
from trajinfer import (
    IrregularSeries,
    JumpSeries,
    MarkovJumpProcess,
    SchrodingerBridge,
    Snapshots,
    Trajectories,
)
from trajinfer._core.errors import TrajinferError

CONTAINERS = {
    "snapshots": (mistakes.snapshot_table, lambda t: Snapshots.from_frame(t, time="t")),
    "weighted": (
        mistakes.snapshot_table,
        lambda t: Snapshots.from_frame(t, time="t", features=["x"], weight="y"),
    ),
    "wide": (mistakes.series_table, lambda t: IrregularSeries.from_frame(t, id="id", time="t")),
    "statics": (
        mistakes.series_table,
        lambda t: IrregularSeries.from_frame(t, id="id", time="t", channels=["x"], statics=["y"]),
    ),
    "long": (
        mistakes.series_table,
        lambda t: IrregularSeries.from_frame(t, id="id", time="t", variable="y", value="x"),
    ),
    "paths": (
        mistakes.series_table,
        lambda t: Trajectories.from_frame(t, id="id", time="t", weight="y"),
    ),
    "jumps": (
        mistakes.jump_table,
        lambda t: JumpSeries.from_frame(t, id="id", time="t", state="s"),
    ),
}
FITS = {
    "bridge": (
        mistakes.snapshot_table,
        lambda t: SchrodingerBridge(n_refinements=1, random_state=0).fit(t, time="t"),
    ),
    "jumps": (
        mistakes.jump_table,
        lambda t: MarkovJumpProcess(max_iter=20, random_state=0).fit(
            JumpSeries.from_frame(t, id="id", time="t", state="s")
        ),
    ),
}


def _check(door, n, seed):
    table, read = door
    rng = np.random.default_rng(seed)
    outcomes = Outcomes()
    for _ in range(n):
        names = [str(name) for name in rng.choice(list(mistakes.IN_TABLES), rng.integers(1, 3))]
        given = table(rng)
        try:
            for name in names:
                given = mistakes.IN_TABLES[name](given, rng)
        except Exception:  # noqa: BLE001  the second mistake is impossible after the first
            continue
        outcomes.read(partial(read, given), names)
    outcomes.check(n)


@pytest.mark.parametrize("door", CONTAINERS)
def test_a_container_reads_or_refuses(door):
    _check(CONTAINERS[door], 100, seed=0)


@pytest.mark.parametrize("column", ["id", "variable"])
def test_names_that_are_lists_are_refused(column):
    table = mistakes.series_table(np.random.default_rng(0)).assign(variable="x")
    table[column] = table[column].astype(object)
    table.at[3, column] = [1, 2]
    words = {"id": "id", "time": "t"}
    doors = [
        lambda: IrregularSeries.from_frame(table, **words, variable="variable", value="x"),
        lambda: JumpSeries.from_frame(table, **words, state="y"),
        lambda: Trajectories.from_frame(table, **words, features=["x"]),
    ]
    for read in doors if column == "id" else doors[:1]:
        with pytest.raises(TrajinferError, match=f"column '{column}' mixes kinds of names"):
            read()


@pytest.mark.slow
@pytest.mark.parametrize("door", [*CONTAINERS, *(f"fit {name}" for name in FITS)])
def test_five_hundred_tables_at_every_door(door):
    doors = CONTAINERS | {f"fit {name}": FITS[name] for name in FITS}
    _check(doors[door], 500, seed=1)
