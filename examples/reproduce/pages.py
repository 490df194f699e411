"""The tables of docs/reproduced.md, written by the run: `make reproduce` (SIZE=full for all rows).

    TRAJINFER_DATA=/path/to/data python examples/reproduce/pages.py small|full [NAME ...]

Every system is a script of this folder that prints its table; a small run takes some minutes on one
core, a full one hours. Date, commit, command and CPU seconds stand beside each table. Systems that
are not named keep what an earlier run wrote. Seeds are those of the scripts, which name them.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path("examples/reproduce")
TARGETS = {"small": "reproduced.md", "full": "reproduced-full.md"}


@dataclass(frozen=True)
class System:
    """A script that prints a table, words that make its table small, and the page it is on."""

    title: str
    script: str
    small: tuple[str, ...]
    page: str


SYSTEMS = {
    "snapshots": System(
        "Held-out snapshots, three seeds",
        "snapshots.py",
        ("lv_sbirr", "gom_vortex_sbirr", "gom_vortex_small_sbirr"),
        "trajectories-from-snapshots.md",
    ),
    "bursts": System("Jump processes seen in bursts", "jump_bursts.py", ("6",), "jumps.md"),
    "answers": System("Answers beside closed forms", "asked_accuracy.py", ("exact",), "asking.md"),
    "numbers": System(
        "Numbers of series nobody tuned for",
        "unseen_regression.py",
        ("chick",),
        "irregular-series.md",
    ),
    "series": System(
        "Single series nobody tuned for", "unseen_series.py", ("lynx",), "irregular-series.md"
    ),
}


def main(size: str, names: list[str]) -> None:
    """Run the systems and write the page."""
    target = ROOT / "docs" / TARGETS[size]
    sections = sections_of(target.read_text(encoding="utf-8")) if target.is_file() else {}
    for name in names or SYSTEMS:
        system = SYSTEMS[name]
        print(system.title, flush=True)
        sections[system.title] = measured(system, system.small if size == "small" else ())
        order = [s.title for s in SYSTEMS.values() if s.title in sections]
        target.write_text(page(size, {t: sections[t] for t in order}), encoding="utf-8")


def measured(system: System, words: tuple[str, ...]) -> str:
    """What stands below the title of a system: how it was run, and what it printed.

    Raises:
        SystemExit: if the script fails.
    """
    command = ["python", str(HERE / system.script), *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"`{' '.join(command)}`\n\n{date.today().isoformat()}, commit {commit()}, "
        f"{seconds:.0f} CPU seconds on {os.cpu_count()} cores; what it measures stands on "
        f"[its page]({system.page}).\n\n"
        f"{written(done.stdout)}\n"
    )


def written(printed: str) -> str:
    """Tables as Markdown where they are printed so, everything else as it was printed."""
    table, _, rest = printed.strip("\n").partition("\n\n")
    if not table.startswith("|"):
        return f"```text\n{printed.strip(chr(10))}\n```"
    return f"{table}\n\n```text\n{rest}\n```" if rest else table


def page(size: str, sections: dict[str, str]) -> str:
    """The page in Markdown."""
    more = "a part of the rows" if size == "small" else "all rows"
    opening = (
        f"# Reproduced\n\nTables as the scripts of `examples/reproduce` print them, {more}: "
        f"`make reproduce SIZE={size}` writes this page.\n"
    )
    return "\n".join([opening, *(f"## {title}\n\n{text}" for title, text in sections.items())])


def sections_of(text: str) -> dict[str, str]:
    """The sections of a page that was written before, by title."""
    parts = re.split(r"^## (.*)\n\n", text, flags=re.MULTILINE)[1:]
    return {title: body.rstrip("\n") + "\n" for title, body in zip(parts[::2], parts[1::2])}


def commit() -> str:
    """The commit, marked where files of the package or the scripts differ from it."""
    describe = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "trajinfer", str(HERE)]
    name, changes = (
        subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        for words in (describe, changed)
    )
    return f"{name} with changes" if changes else name


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS or set(sys.argv[2:]) - set(SYSTEMS):
        sys.exit(f"give {' or '.join(TARGETS)}, and perhaps names of {', '.join(SYSTEMS)}")
    main(sys.argv[1], sys.argv[2:])
