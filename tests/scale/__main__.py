"""Measure fits of growing size and write the table of docs/scale.md.

    python -m tests.scale [--largest 10000] [--write]

Every fit runs in a fork of its own: CPU seconds, and the memory that it takes beyond its data. A
process that has freed much memory hands it to its forks, whose own is then told too low. The
default sizes take half a minute of CPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import time
import warnings
from pathlib import Path

from tests.scale.jobs import JOBS, Prepare

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
BEGIN, END = "<!-- sizes: python -m tests.scale --write -->\n", "<!-- end of sizes -->\n"
_SMALLEST = 1000


def measured(prepare: Prepare, n: int) -> tuple[float, float]:
    """CPU seconds and megabytes of a fit to n items."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        figures = _measured_here(prepare, n)
        os.write(sender, json.dumps(figures).encode())
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as stream:
        told = stream.read()
    os.waitpid(child, 0)
    seconds, megabytes = json.loads(told)
    return seconds, megabytes


def _measured_here(prepare: Prepare, n: int) -> tuple[float, float]:
    warnings.simplefilter("ignore")
    fit = prepare(n)
    before, began = _peak(), time.process_time()
    fit()
    return time.process_time() - began, max(0.0, _peak() - before)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(largest: int) -> str:
    """A row per job: seconds and megabytes by size, and the power of the size that they follow."""
    sizes = [_SMALLEST]
    while sizes[-1] * 10 <= largest:
        sizes.append(sizes[-1] * 10)
    head = ["fit", *(f"{n:,}".replace(",", " ") for n in sizes), "power of the size"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, prepare in JOBS.items():
        figures = [measured(prepare, n) for n in sizes]
        cells = [f"{seconds:.2g} s, {megabytes:.0f} MB" for seconds, megabytes in figures]
        lines.append(f"| {' | '.join([name, *cells, _power(sizes, figures)])} |")
    return "\n".join(lines) + "\n"


def _power(sizes: list[int], figures: list[tuple[float, float]]) -> str:
    if len(sizes) < 2:
        return "-"
    ratio = figures[-1][0] / max(figures[-2][0], 1e-3)
    return f"{math.log(ratio) / math.log(sizes[-1] / sizes[-2]):.1f}"


def written(page: str, measured_table: str) -> str:
    """The page with the table between its marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + measured_table + END + rest.split(END)[1]


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description="time and memory of fits against size")
    parser.add_argument("--largest", type=int, default=10_000, help="items, 1000 at least")
    parser.add_argument("--write", action="store_true", help="into docs/scale.md")
    given = parser.parse_args()
    found = table(given.largest)
    print(found)  # noqa: T201 - what the command is for
    if given.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


if __name__ == "__main__":
    main()
