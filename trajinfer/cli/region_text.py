"""Regions as a user types them: conditions joined by &, or labels separated by commas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError

if TYPE_CHECKING:
    from trajinfer.questions.region import Region

_CONDITION = re.compile(r"^\s*(.+?)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*$")


def region_of(text: str, names: Any) -> Region:
    """The region that a text describes: conditions joined by &, or labels by commas.

    Args:
        text: such as "x>=1.2&y<=0", or "well,ill".
        names: labels of the states; None where there are none.

    Raises:
        InputError: for text that is neither.
    """
    from trajinfer.functionals import states

    parts = [_CONDITION.match(part) for part in text.split("&")]
    conditions = [part for part in parts if part is not None]
    if len(conditions) == len(parts):
        whole = _half(conditions[0])
        for part in conditions[1:]:
            whole = whole & _half(part)
        return whole
    labels = {str(label): label for label in names or ()}
    wanted = [part.strip() for part in text.split(",")]
    if all(part in labels for part in wanted):
        return states([labels[part] for part in wanted])
    known = f"; names known here: {', '.join(labels)}" if labels else ""
    raise InputError(
        f"{text!r} is no region: write conditions such as 'x>=1.2', joined by &, or labels by "
        f"commas{known}"
    )


def _half(condition: re.Match[str]) -> Region:
    from trajinfer.functionals import above, below

    channel, sign, level = condition.groups()
    place: Any = int(channel) if channel.isdigit() else channel
    make = above if sign.startswith(">") else below
    return make(float(level), channel=place)


def region_script(text: str) -> str:
    """The same as Python, for a text that is a region."""
    parts = [_CONDITION.match(part) for part in text.split("&")]
    if not all(parts):
        return f"F.states({[label.strip() for label in text.split(',')]!r})"
    halves = [part.groups() for part in parts if part is not None]
    return " & ".join(
        f"F.{'above' if sign[0] == '>' else 'below'}({level}, channel={channel!r})"
        for channel, sign, level in halves
    )
