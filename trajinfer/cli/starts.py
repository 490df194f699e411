"""Where a question starts, as a user types it: labels, a state, or a table of series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trajinfer._core.errors import InputError
from trajinfer.cli.files import TableFile


def start_of(text: str, dynamics: Any) -> Any:
    """Where the question starts: states, labels, or None for what the process knows.

    Args:
        text: "last", a label, or a state such as "x=0.3,y=1".
        dynamics: the process that is asked.

    Raises:
        InputError: for text that is no start of this process.
    """
    import numpy as np

    from trajinfer.functionals import Chain, Diffusion
    from trajinfer.functionals.region import channel_number

    if isinstance(dynamics, Chain):
        labels = {str(label): label for label in dynamics.states}
        if text == "last":
            return list(dynamics.states)
        if text not in labels:
            raise InputError(f"--from {text!r} is no state; the states are {', '.join(labels)}")
        return [labels[text]]
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
        place[channel_number(channel, dynamics.features, dynamics.dim)] = float(value)
    if np.isnan(place).any():
        missing = np.flatnonzero(np.isnan(place)).tolist()
        raise InputError(f"--from {text!r} leaves out the coordinates {missing}; give them all")
    return place[None]


def series_of(path: Path, id: str, time: str, fitted: Any) -> Any:
    """The series of a table, with the channels that the model was fitted to.

    Args:
        path: the table.
        id, time: its columns.
        fitted: the model.

    Raises:
        InputError: for a table without them.
    """
    from trajinfer import IrregularSeries

    reader = TableFile(data=path)
    reader.check()
    frame, _ = reader.read_table(text=(id,), time=time)
    names = getattr(fitted, "feature_names_in_", None)
    channels = None if names is None else list(map(str, names))
    return IrregularSeries.from_frame(frame, id=id, time=time, channels=channels)
