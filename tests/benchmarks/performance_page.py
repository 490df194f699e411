"""The page on speed: written whole by the run that measured it, with its date and its command."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from tests.benchmarks.harness import Row

PEERS = ("torch", "numpy", "torchsde", "diffrax", "jax", "deeptime", "fipy", "py-pde", "QuantLib")
_OPENING = """# Performance

Ratios of CPU time of competing versions, measured in interleaved rounds of one process and one
thread. Peers that were not installed are named.
"""


def page(
    parts: Mapping[str, tuple[str, Sequence[Row]]],
    rounds: int,
    day: date,
    names: Sequence[str] = (),
) -> str:
    """The page in Markdown.

    Args:
        parts: what each module says of itself, and its rows, by the name of the module.
        rounds: how often each version was timed; ratios are of medians.
        day: of the run.
        names: the modules that were asked for; none means all of them.
    """
    words = "".join(f"{name} " for name in names)
    known = {name: _version(name) for name in PEERS}
    run = (
        f"Run on {day.isoformat()} by `python -m tests.benchmarks {words}--rounds {rounds} --page "
        f"docs/performance.md`\n(`make bench` runs all) with Python {platform.python_version()} on "
        f"{os.cpu_count()} cores ({platform.machine()}), "
        + ", ".join(f"{name} {found}" for name, found in known.items() if found)
        + "."
    )
    absent = [name for name, found in known.items() if not found]
    missing = f"\n\nNot installed: {', '.join(absent)}." if absent else ""
    sections = [_section(name, *part) for name, part in parts.items() if part[1]]
    return "\n".join([_OPENING, run + missing + "\n", *sections])


def _section(name: str, about: str, rows: Sequence[Row]) -> str:
    lines = [
        f"| {_cell(row.job)} | {_cell(row.measured)} | {row.ratio:.2f} | {_cell(row.bar)} |"
        for row in rows
    ]
    head = "| job | measured | ratio | bar |\n|---|---|---|---|"
    title = name.replace("_", " ").capitalize()
    return (
        f"## {title}\n\n{about.strip()}\n\n`python -m tests.benchmarks {name}`\n\n"
        + "\n".join([head, *lines])
        + "\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
