"""Result folders: written whole or not at all, and never over something else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trajinfer._core.errors import InputError
from trajinfer.cli.console import say, to_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from trajinfer._core.page import Page

SUMMARY = "summary.json"
REPORT = "report.html"


class Report(Protocol):
    """What is said of a fitted model: each of these becomes a part of the result."""

    def summary(self) -> Mapping[str, Any]:
        """Plain data for `summary.json`."""
        ...

    def text(self) -> str:
        """The same for people."""
        ...

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Tables by name."""
        ...

    def figures(self) -> Mapping[str, Callable[[], Figure]]:
        """Functions that make a figure, by name."""
        ...


@dataclass(frozen=True)
class Result:
    """All that a command found, ready to be written and shown.

    Attributes:
        summary: plain data and tables for `summary.json` and `--json`.
        text: the same for people.
        tables: by the name of their csv file, without the suffix.
        models: fitted estimators by the name of their folder.
        texts: other files, by name.
        figures: functions that make a figure, by the name of its png file, without the suffix.
        converged: whether the estimates may be trusted; if not, the exit code says so.
        files: functions that write a file to a path, by its name.
    """

    summary: Mapping[str, Any]
    text: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    converged: bool = True
    files: Mapping[str, Callable[[Path], Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Report, models: Mapping[str, Any] | None = None, **more: Any) -> Result:
        """The result that a report describes, with the models and whatever else is to be kept."""
        parts = report.summary(), report.text(), report.tables(), models or {}
        return cls(*parts, figures=report.figures(), **more)

    def fill(self, folder: Path, *, draw: bool, page: Page | None = None) -> None:
        """Write everything but the summary; the same onto a page where one is given."""
        pictures: dict[str, bytes] = {}
        for name, text in self.texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, write in self.files.items():
            write(folder / name)
        for name, table in self.tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        for name, model in self.models.items():
            model.save(folder / name)
        for name, make in self.figures.items() if draw else ():
            make().savefig(folder / f"{name}.png")
            pictures[name] = (folder / f"{name}.png").read_bytes()
        if page is not None:
            self._describe(page, pictures)
            (folder / REPORT).write_text(page.html(), encoding="utf-8")

    def _describe(self, page: Page, pictures: Mapping[str, bytes]) -> None:
        from trajinfer._core.fit_report import describe_fit

        if not self.converged:
            page.warning("The fit did not converge: take its numbers as a first look.")
        page.heading("What was found").verbatim(self.text)
        for name, picture in pictures.items():
            page.picture(picture, name.replace("_", " "))
        page.heading("Tables")
        for name, table in self.tables.items():
            page.table(table, f"{name}.csv")
        for name, model in self.models.items():
            page.heading(f"Settings of the {name}").pairs(model.get_params(deep=False))
            describe_fit(page, model)


@dataclass(frozen=True)
class Job:
    """What a command is going to do, once its options and its data are known to be usable.

    Attributes:
        script: the same as lines of Python, for `--dry-run`.
        announcement: a line for people, before it starts.
        work: does it.
        config: the settings as TOML, for `--config`; None where there are none to give back.
    """

    script: Sequence[str]
    announcement: str
    work: Callable[[], Result]
    config: str | None = None


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
    from trajinfer._core.archive import write_folder

    document = {"trajinfer": version("trajinfer"), **summary, "out": str(path)}

    def everything(folder: Path) -> None:
        (folder / SUMMARY).write_text(to_json(document) + "\n", encoding="utf-8")
        fill(folder)

    write_folder(check_target(path), everything)
    return document


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
