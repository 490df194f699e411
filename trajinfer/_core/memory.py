"""How much memory there is to work in."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trajinfer._core.errors import InputError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"\s*([0-9.]+)\s*([KMGT]?)I?B?\s*", re.IGNORECASE)
_SHARE_OF_FREE = 0.25


def memory_bytes(memory: float | str | None) -> float:
    """A bound on memory in bytes.

    Args:
        memory: bytes, or text such as "2 GiB"; None is a quarter of what is free.

    Raises:
        InputError: for anything else.

    Example:
        >>> memory_bytes("1.5 GiB") == 1.5 * 2**30
        True
    """
    if memory is None:
        return _SHARE_OF_FREE * _free_bytes()
    if isinstance(memory, str) and (found := _SIZE.fullmatch(memory)):
        return float(found[1]) * _UNITS[found[2].upper()]
    if isinstance(memory, (int, float)) and not isinstance(memory, bool) and memory > 0:
        return float(memory)
    raise InputError(f"memory must be a number of bytes or text such as '2 GiB', got {memory!r}")


def in_words(n_bytes: float) -> str:
    """A number of bytes for people.

    >>> in_words(3 * 2**29)
    '1.5 GiB'
    """
    unit = next(u for u in ("T", "G", "M", "K", "") if n_bytes >= _UNITS[u] or not u)
    return f"{n_bytes / _UNITS[unit]:.3g} {unit + 'i' if unit else ''}B"


def _free_bytes() -> float:
    table = Path("/proc/meminfo")
    if table.is_file():
        found = re.search(r"MemAvailable:\s+(\d+) kB", table.read_text(encoding="ascii"))
        if found:
            return 1024.0 * int(found[1])
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError) as error:
        raise InputError("this system does not say what memory is free; give memory=") from error
