"""Regions as a user types them: conditions joined by & and |, or labels separated by commas."""

from __future__ import annotations

import re
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError
from trajinfer.cli.typed_labels import by_text

if TYPE_CHECKING:
    from trajinfer.questions.region import Region

Condition = tuple[str, bool, str]
_CONDITION = re.compile(r"^\s*([^<>=&|]+?)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*$")
_TURNED = re.compile(r"^\s*([-+0-9.eE]+)\s*(>=|<=|>|<)\s*([^<>=&|]+?)\s*$")


def region_of(text: str, names: Any) -> Region:
    """The region that a text describes: conditions joined by & and |, or labels by commas.

    Args:
        text: such as "x>=1.2&y<=0|x<=-1", where & binds before |, or "well,ill".
        names: labels of the states; None where there are none.

    Raises:
        InputError: for text that is neither.
    """
    from trajinfer.functionals import states

    ways = _alternatives(text)
    if ways is not None:
        return reduce(or_, (reduce(and_, map(_half, way)) for way in ways))
    labels = _labels(text, names)
    if labels is not None:
        return states(labels)
    known = f"; names known here: {', '.join(map(str, names))}" if names else ""
    raise InputError(
        f"{text!r} is no region: write conditions such as 'x>=1.2', without units, joined by & or "
        f"|, or labels by commas{known}"
    )


def _labels(text: str, names: Any) -> list[Any] | None:
    """The labels that a text names; None if one of them is none."""
    typed = by_text(names or ())
    wanted = [part.strip() for part in text.split(",")]
    return [typed[part] for part in wanted] if all(part in typed for part in wanted) else None


def _alternatives(text: str) -> list[list[Condition]] | None:
    """Conditions that hold together, for each way that the text gives; None if it is none."""
    ways = []
    for way in text.split("|"):
        parts = [_condition(part) for part in way.split("&")]
        if None in parts:
            return None
        ways.append([part for part in parts if part is not None])
    return ways


def _condition(text: str) -> Condition | None:
    """Channel, whether it is above, and the level, as typed."""
    plain, turned = _CONDITION.match(text), _TURNED.match(text)
    if plain is not None:
        channel, sign, level = plain.groups()
    elif turned is not None:
        level, sign, channel = turned.groups()
    else:
        return None
    return channel, sign.startswith(">") == (plain is not None), level


def _half(condition: Condition) -> Region:
    from trajinfer.functionals import above, below

    channel, high, level = condition
    place: Any = int(channel) if channel.isdigit() else channel
    return (above if high else below)(float(level), channel=place)


def region_script(text: str, names: Any) -> str:
    """The same as Python, for a text that is a region."""
    ways = _alternatives(text)
    if ways is None:
        return f"F.states({_labels(text, names)!r})"
    return " | ".join(
        " & ".join(
            f"F.{'above' if high else 'below'}({level}, channel={channel!r})"
            for channel, high, level in way
        )
        for way in ways
    )
