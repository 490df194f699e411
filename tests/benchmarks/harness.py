"""Timing of competing versions of one job in interleaved rounds, by CPU time of the process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table: a ratio of two times of the same run, and the bar it is held to."""

    job: str
    measured: str
    ratio: float
    bar: str = ""


def times(versions: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each version; one unmeasured round warms up."""
    for call in versions.values():
        call()
    spent: dict[str, list[float]] = {name: [] for name in versions}
    for _ in range(rounds):
        for name, call in versions.items():
            start = time.process_time()
            call()
            spent[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in spent.items()}


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    widths = [max((len(str(row[k])) for row in rows), default=0) for k in (0, 1)]
    lines = [
        f"{row.job:<{widths[0]}}  {row.measured:<{widths[1]}}  {row.ratio:8.2f}  {row.bar}"
        for row in rows
    ]
    return "\n".join(lines)
