"""Channels by number or by name."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from trajinfer._core.errors import InputError, nearest

Channel = int | str


def channel_number(channel: Channel, names: Sequence[Hashable] | None, dim: int) -> int:
    """The number of a channel.

    Raises:
        InputError: if there is no such channel.
    """
    if isinstance(channel, str):
        known = [str(name) for name in names or ()]
        if channel not in known:
            hint = nearest(channel, known) if known else "the channels have no names: give a number"
            raise InputError(f"there is no channel {channel!r}; {hint}")
        return known.index(channel)
    if not 0 <= channel < dim:
        raise InputError(f"there is no channel {channel}; the process has {dim}, counted from 0")
    return int(channel)
