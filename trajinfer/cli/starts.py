"""Where a question starts, as a user types it: labels, a state, or a table of series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trajinfer._core.errors import InputError
from trajinfer.cli.output import SUMMARY
from trajinfer.cli.typed_labels import by_text

if TYPE_CHECKING:
    from trajinfer.functionals import PathSource


def start_of(text: str, dynamics: Any, folder: Path) -> Any:
    """Where the question starts: states, labels, series, or None for what the process knows.

    Args:
        text: "last", a label, or a state such as "x=0.3,y=1".
        dynamics: the process that is asked.
        folder: of the run that fitted it.

    Raises:
        InputError: for text that is no start of this process.
    """
    import numpy as np

    from trajinfer.functionals import Chain, Diffusion, PathSource
    from trajinfer.questions.channel import channel_number

    if isinstance(dynamics, Chain):
        labels = by_text(dynamics.states)
        if text == "last":
            return list(dynamics.states)
        if text not in labels:
            known = ", ".join(map(str, dynamics.states))
            raise InputError(f"--from {text!r} is no state; the states are {known}")
        return [labels[text]]
    if isinstance(dynamics, PathSource):
        return _paths_from(text, dynamics, folder)
    if text == "last":
        if isinstance(dynamics, Diffusion) and dynamics.last is None:
            raise InputError("the model keeps no last states; give --from such as 'x=0.3'")
        return getattr(dynamics, "last", None)
    place = np.full(dynamics.dim, np.nan)
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"--from {text!r} is no state; write 'x=0.3,y=1', or last")
        channel: Any = int(name) if name.strip().isdigit() else name.strip()
        place[channel_number(channel, dynamics.features, dynamics.dim)] = _number(value, text)
    if np.isnan(place).any():
        missing = np.flatnonzero(np.isnan(place)).tolist()
        raise InputError(f"--from {text!r} leaves out the coordinates {missing}; give them all")
    return place[None]


def _paths_from(text: str, source: PathSource, folder: Path) -> Any:
    """Series that paths go on from; None for new ones."""
    from trajinfer.cli.series import SeriesFile

    if text not in ("last", "new"):
        raise InputError(
            f"--from {text!r}: a {source.name} goes on from series, not from a state; write last, "
            "new, or name a table by --series"
        )
    if text == "new" and not source.anew:
        raise InputError(
            f"--from new: a {source.name} goes on from series; write last, or name a table by "
            "--series"
        )
    if text == "new" or not source.goes_on:
        return None
    reading = _reading(folder)
    if not reading:
        raise InputError(
            f"{folder} does not say from which table its model was fitted; name the series to go "
            "on from by --series table.csv"
        )
    try:
        return SeriesFile.again(reading)
    except InputError as error:
        raise InputError(
            f"the table of that run cannot be read again ({error}); name one by --series"
        ) from error


def series_of(path: Path, id: str | None, time: str | None, fitted: Any, folder: Path) -> Any:
    """The series of a table, with the channels that the model was fitted to.

    Args:
        path: the table, read as that of the fit was.
        id, time: its columns; None for those of the fit.
        fitted: the model.
        folder: of the run that fitted it.

    Raises:
        InputError: for a table without them.
    """
    from trajinfer.cli.series import SeriesFile

    names = getattr(fitted, "feature_names_in_", None)
    channels = "" if names is None else ",".join(map(str, names))
    words = {"statics": "", "channels": channels, **_reading(folder), "data": str(path)}
    given = {"id": id, "time": time}
    return SeriesFile.again(words | {key: x for key, x in given.items() if x is not None})


def _reading(folder: Path) -> dict[str, Any]:
    """How the table of a run was read; empty where the run does not say."""
    summary = folder / SUMMARY
    known = json.loads(summary.read_text("utf-8")) if summary.is_file() else {}
    return known.get("reading") or {}


def _number(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(
            f"--from {text!r} holds {value!r}, which is no number; write 'x=0.3,y=1'"
        ) from error
