"""One self-contained HTML page: text, tables, curves and pictures; everything given is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 40
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --shade: #8881; --ink: #0072b2; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, h2, p { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
pre { background: var(--shade); padding: .8rem; overflow-x: auto; font-size: .8125rem; }
img, svg { max-width: 100%; height: auto; } img { background: white; }
polyline { fill: none; stroke: var(--ink); stroke-width: 2; } svg text { fill: currentColor; }
.warning { border-left: 4px solid #d55e00; padding-left: .8rem; }
"""


class Page:
    """A page that is written from top to bottom.

    Args:
        title: of the page, in plain text like everything else.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._body = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> Self:
        """A heading of the second level."""
        return self._add(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str) -> Self:
        """A paragraph."""
        return self._add(f"<p>{escape(text)}</p>")

    def warning(self, text: str) -> Self:
        """A paragraph that stands out."""
        return self._add(f'<p class="warning">{escape(text)}</p>')

    def verbatim(self, text: str) -> Self:
        """Code or text whose lines and spaces are kept."""
        return self._add(f"<pre>{escape(text)}</pre>")

    def pairs(self, values: Mapping[str, Any]) -> Self:
        """Names with values, one row each."""
        rows = "".join(_row("td", (name, _text(value))) for name, value in values.items())
        return self._add(f'<div class="wide"><table>{rows}</table></div>')

    def table(self, table: pd.DataFrame, caption: str = "") -> Self:
        """A table, of which the first 40 rows are shown."""
        head = _row("th", map(str, table.columns))
        rows = "".join(
            _row("td", map(_text, row)) for row in table.head(_ROWS).itertuples(index=False)
        )
        title = f"<caption>{escape(caption)}</caption>" if caption else ""
        self._add(f'<div class="wide"><table>{title}{head}{rows}</table></div>')
        return self.paragraph(f"{_ROWS} of {len(table)} rows.") if len(table) > _ROWS else self

    def picture(self, png: bytes, caption: str) -> Self:
        """A picture that stands in the page itself."""
        data = base64.b64encode(png).decode("ascii")
        alt = escape(caption, quote=True)
        return self._add(f'<p><img alt="{alt}" src="data:image/png;base64,{data}"></p>')

    def curve(self, values: Sequence[float], label: str) -> Self:
        """Numbers over their index as a line; first, least, last are named; none if all equal."""
        numbers = np.asarray(values, dtype=float)
        finite = np.isfinite(numbers)
        if len(np.unique(numbers[finite])) < 2:
            return self
        x = np.linspace(8, 592, len(numbers))[finite]
        shown = numbers[finite]
        y = 132 - 120 * (shown - shown.min()) / np.ptp(shown)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))
        words = (
            f"{label}: {shown[0]:.4g} at first, {shown.min():.4g} at least, {shown[-1]:.4g} last"
        )
        return self._add(
            f'<svg viewBox="0 0 600 140" role="img" aria-label="{escape(label, quote=True)}">'
            f'<polyline points="{points}"/></svg>'
        ).paragraph(words)

    def html(self) -> str:
        """The page, complete."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style></head><body>\n"
            + "\n".join(self._body)
            + "\n</body></html>\n"
        )

    def _add(self, element: str) -> Self:
        self._body.append(element)
        return self


def _row(cell: str, texts: Any) -> str:
    return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"


def _text(value: Any) -> str:
    """A value as people read it: numbers to four digits."""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and len(value) <= 12:
        return ", ".join(map(_text, value))
    return str(value)
