"""Docstrings of this project, plain prose with code and formulas, as reStructuredText.

Code stands in single backticks, formulas in `$...$` and `$$...$$`, and sections list items whose
names may share one description and run over several lines, which napoleon does not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TITLES = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
    "References": "References",
    "Reference": "References",
    "Source": "Source",
    "Example": "Example",
    "Examples": "Examples",
    "Note": "Note",
    "Notes": "Notes",
    "Warns": "Warns",
}
LISTS = ("Args", "Attributes", "Raises", "Warns")
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
SPAN = re.compile(r"(``[^`]+``|`[^`]+`|\$[^$\n][^$]*?\$)")
MARK = re.compile(r"([*|\\`])")
# x_ would be a link to a target of that name
TAIL = re.compile(r"(?<=\w)_(?!\w)")


def as_rst(lines: list[str]) -> None:
    """Rewrite the lines of one docstring in place."""
    lines[:] = [line for part in _parts(list(lines)) for line in part]


def _parts(lines: list[str]) -> Iterator[list[str]]:
    body: list[str] = []
    section = None
    for line in lines:
        if line.endswith(":") and line[:-1] in TITLES:
            yield _prose(body) if section is None else _section(section, body)
            body, section = [], line[:-1]
        elif section is not None and line[:1].strip():
            yield _section(section, body)
            body, section = [line], None
        else:
            body.append(line)
    yield _prose(body) if section is None else _section(section, body)


def _section(title: str, body: list[str]) -> list[str]:
    body = _dedented(body)
    heading = [f".. rubric:: {TITLES[title]}", ""]
    if title not in LISTS:
        return [*heading, *_prose(body), ""]
    return [*heading, *(line for item in _items(body) for line in _definition(item)), ""]


def _dedented(lines: list[str]) -> list[str]:
    margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return [x[margin:] for x in lines]


def _items(body: list[str]) -> Iterator[str]:
    item: list[str] = []
    for line in body:
        if line[:1].strip() and item:
            yield " ".join(item)
            item = []
        if line.strip():
            item.append(line.strip())
    if item:
        yield " ".join(item)


def _definition(item: str) -> list[str]:
    names, colon, text = item.partition(": ")
    if not colon:
        return [_inline(item), ""]
    terms = ", ".join(f"``{n.strip()}``" for n in names.split(",") if n.strip())
    return [terms, f"    {_inline(text)}", ""]


def _prose(lines: list[str]) -> list[str]:
    """Paragraphs with display formulas set apart; examples stay as they are."""
    written: list[str] = []
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        written += [*_paragraph(paragraph), ""]
    return written


def _paragraph(text: str) -> list[str]:
    if text.lstrip().startswith(">>>"):
        return text.strip("\n").split("\n")
    written: list[str] = []
    for i, piece in enumerate(DISPLAY.split(text)):
        if i % 2:
            formula = [f"    {line.strip()}" for line in piece.strip().split("\n")]
            written += ["", ".. math::", "", *formula, ""]
        elif piece.strip(" .,"):
            written += _inline(piece).strip("\n").split("\n")
    return written


def _inline(text: str) -> str:
    return "".join(_span(p) if k % 2 else _escaped(p) for k, p in enumerate(SPAN.split(text)))


def _span(text: str) -> str:
    if text.startswith("$"):
        return rf":math:`{' '.join(text.strip('$').split())}`\ "
    return rf"``{' '.join(text.strip('`').split())}``\ "


def _escaped(text: str) -> str:
    return TAIL.sub(r"\\_", MARK.sub(r"\\\1", text))
