"""Formulas as MathML, which browsers draw by themselves, without a script or a network."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

# spellings that the converter does not know, by others of the same meaning
SPELLINGS = {r"\tfrac": r"\frac", r"\dfrac": r"\frac", r"\lVert": r"\|", r"\rVert": r"\|"}


def add_to(app: Any) -> None:
    """Make this the way in which formulas are written."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))


def mathml(formula: str, *, display: str) -> str:
    """A formula of LaTeX as MathML; display is "inline" or "block"."""
    for spelling, other in SPELLINGS.items():
        formula = formula.replace(spelling, other)
    # a fraction of two digits written without braces: \frac1N
    formula = re.sub(r"\\frac(\w)(\w)", r"\\frac{\1}{\2}", formula)
    return convert(formula, display=display)


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(mathml(node.astext(), display="inline"))
    raise nodes.SkipNode


def _display(writer: Any, node: Any) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    writer.body.append(mathml(node.astext(), display="block"))
    writer.body.append("</div>")
    raise nodes.SkipNode
