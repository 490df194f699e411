"""`python -m tests.benchmarks [name ...] [--page FILE]`: one table of ratios, measured in one run.

Every module of this package with a function `rows(rounds) -> list[Row]` takes part; a name picks
modules. The table is also kept as JSON, and the change against the last run is printed beside it;
a page of the documentation is written where one is named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from datetime import date
from pathlib import Path

import torch

import tests.benchmarks as package
from tests.benchmarks.harness import Row, table
from tests.benchmarks.performance_page import page

KEPT = Path(".benchmarks") / "ratios.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", help="modules of tests.benchmarks; default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=Path, help="a page in Markdown to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts: dict[str, tuple[str, list[Row]]] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        if info.name.startswith("_") or (args.names and info.name not in args.names):
            continue
        module = importlib.import_module(f"tests.benchmarks.{info.name}")
        if hasattr(module, "rows"):
            parts[info.name] = (module.__doc__ or "", module.rows(args.rounds))
    found = [row for _, rows in parts.values() for row in rows]
    sys.stdout.write(table(found) + "\n")
    keep(found)
    if args.page is not None:
        args.page.write_text(page(parts, args.rounds, date.today(), args.names), encoding="utf-8")


def keep(found: list[Row]) -> None:
    """Write the ratios, after saying which moved by more than a quarter since the last run."""
    last = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    now = {f"{row.job}: {row.measured}": round(row.ratio, 4) for row in found}
    moved = {name: (last[name], new) for name, new in now.items() if name in last}
    moved = {
        name: pair for name, pair in moved.items() if not 0.8 * pair[0] <= pair[1] <= 1.25 * pair[0]
    }
    for name, (old, new) in moved.items():
        sys.stdout.write(f"moved: {name}: {old:.2f} -> {new:.2f}\n")
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(last | now, indent=2))


main()
