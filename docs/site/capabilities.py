"""The table of what every estimator takes and can do, written from the classes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from typing import Any

import trajinfer
from trajinfer._core.estimator import Estimator

_ACCEPTED = {
    "missing": "values that were not observed",
    "unequal": "unequal lengths, times or sizes",
    "dates": "dates",
    "alone": "one series alone",
    "statics": "columns constant along a series",
    "weights": "weights",
    "opened": "tables opened on disk",
}
_VERBS = {
    "predict": "a mean, a class or a number",
    "predict_proba": "probabilities",
    "score": "a score of held-out data",
    "forecast": "what comes after the data",
    "interpolate": "what was between",
    "fill": "a table without holes",
    "sample": "new draws",
}
_YES_OR_NO = {True: "yes", False: "\u2013"}


def page() -> str:
    """The page, in reStructuredText."""
    return (
        "What each estimator takes and gives\n===================================\n\n"
        "Both tables are written from the classes. Tests feed every estimator all that it is said "
        "to take, and expect a refusal of the rest; columns that are constant along a series are "
        "left unused where they are not marked (``tests/conformance/test_accepted_data.py``).\n\n"
        + _table("Data", ["container", *_ACCEPTED.values()], _data)
        + _table("Answers", _answers(), _verbs)
    )


def readme_table() -> str:
    """The same for the front page, in Markdown: data taken, and the verbs that answer."""
    columns = ["missing", "alone", "statics", "weights"]
    titles = ["estimator", "data", *(_ACCEPTED[name] for name in columns), "answers"]
    rows = [titles, ["---"] * len(titles)]
    for kind in estimators():
        taken = [_YES_OR_NO[getattr(kind.accepts, name)] for name in columns]
        verbs = ", ".join(f"`{verb}`" for verb in _VERBS if hasattr(kind, verb))
        rows.append([f"`{kind.__name__}`", f"`{kind.accepts.container}`", *taken, verbs])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def estimators() -> list[type[Estimator]]:
    """Every estimator at the top that is fitted to data; values are fitted to a process."""
    members = [getattr(trajinfer, name) for name in sorted(trajinfer.__all__)]
    kinds = [kind for kind in members if inspect.isclass(kind) and issubclass(kind, Estimator)]
    return [kind for kind in kinds if kind is not trajinfer.ValueFunction]


def _answers() -> list[str]:
    return [f"``{verb}``: {meaning}" for verb, meaning in _VERBS.items()]


def _data(kind: type[Estimator]) -> Iterable[Any]:
    container = kind.accepts.container
    yield container if container == "array" else f":class:`~trajinfer.{container}`"
    yield from (getattr(kind.accepts, name) for name in _ACCEPTED)


def _verbs(kind: type[Estimator]) -> Iterable[bool]:
    return (hasattr(kind, verb) for verb in _VERBS)


def _table(title: str, columns: list[str], cells: Any) -> str:
    """A table with a row per estimator, the properties of which stand in its columns."""
    rows = [["", *columns]]
    rows += [[f":class:`~trajinfer.{kind.__name__}`", *cells(kind)] for kind in estimators()]
    head = f"{title}\n{'-' * len(title)}\n\n.. list-table::\n   :header-rows: 1\n\n"
    return head + "".join(_row(row) for row in rows) + "\n"


def _row(cells: list[Any]) -> str:
    texts = [_YES_OR_NO.get(cell, cell) for cell in cells]
    return "".join(f"   {'* -' if k == 0 else '  -'} {text}\n" for k, text in enumerate(texts))


if __name__ == "__main__":
    sys.stdout.write(readme_table())
