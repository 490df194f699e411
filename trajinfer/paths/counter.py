"""Seeds and random numbers as functions of counters: the same place gives the same number."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def mix(seed: int, *keys: int) -> int:
    """A 63-bit seed that depends on `seed` and every key (splitmix64 finaliser per key).

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = seed & _MASK
    for key in (0, *keys):
        state = (state + 0x9E3779B97F4A7C15 * (2 * key + 1)) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1
