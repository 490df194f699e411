"""Result folders: written whole or not at all, and never over something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trajinfer._core.archive import write_folder
from trajinfer._core.errors import InputError
from trajinfer._core.extras import import_extra
from trajinfer.cli.console import say, to_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "summary.json"


def check_target(path: Path) -> Path:
    """Refuse a folder that exists and is not a result of an earlier run.

    Raises:
        InputError: if it holds anything else.
    """
    target = path.expanduser().resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"{path} is a file; give the name of a folder")
    if target.is_dir() and any(target.iterdir()) and not _is_result(target):
        raise InputError(f"{path} exists and is not a result of trajinfer; choose another name")
    return target


def write_result(
    path: Path, summary: Mapping[str, Any], fill: Callable[[Path], None]
) -> dict[str, Any]:
    """Write a folder with `summary.json` and what `fill` adds to it.

    Returns:
        The summary as written.
    """
    document = {"trajinfer": version("trajinfer"), **summary, "out": str(path)}

    def everything(folder: Path) -> None:
        (folder / SUMMARY).write_text(to_json(document) + "\n", encoding="utf-8")
        fill(folder)

    write_folder(check_target(path), everything)
    return document


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window and changes no setting."""
    figure = import_extra("matplotlib.figure", "plot")
    made: Figure = figure.Figure(figsize=(width, height), layout="constrained", dpi=150)
    return made


def can_draw(*, quiet: bool) -> bool:
    """Whether figures can be made; says so where not."""
    if find_spec("matplotlib") is None:
        say("no figures: matplotlib is not installed (pip install 'trajinfer[plot]')", quiet=quiet)
        return False
    return True


def _is_result(folder: Path) -> bool:
    try:
        document = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and "trajinfer" in document
