"""Seeds and random numbers as functions of counters: the same place gives the same number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(seed: int, *keys: int) -> int:
    """A 63-bit seed that depends on `seed` and every key (splitmix64 finaliser per key).

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = seed & _MASK
    for key in (0, *keys):
        state = (state + _STEP * (2 * key + 1)) & _MASK
        state = ((state ^ (state >> 30)) * _FIRST) & _MASK
        state = ((state ^ (state >> 27)) * _SECOND) & _MASK
        state ^= state >> 31
    return state >> 1


def family(*seeds: int) -> Tensor:
    """What `normal_pair` takes in place of one seed, to draw with several at once: (len(seeds),).

    >>> several = normal_pair(family(5, 7), torch.tensor([3, 3]))[0]
    >>> bool(several[1] == normal_pair(7, torch.tensor([3]))[0])
    True
    """
    return torch.tensor([_signed(mix(seed)) for seed in seeds], dtype=torch.int64)


def normal_pair(seed: int | Tensor, *keys: Tensor | int) -> tuple[Tensor, Tensor]:
    """Two independent standard normal numbers per counter, in float64.

    Args:
        seed: of the whole family; or a `family` of seeds, which broadcasts with the keys.
        keys: integer tensors that broadcast together (or plain integers): the counter. The last one
            is cheapest.

    Returns:
        Two tensors of the broadcast shape; each number depends on `seed` and its counter alone.
    """
    state: Tensor | int = _signed(mix(seed)) if isinstance(seed, int) else seed
    for key in keys[:-1]:
        offset = _signed(_STEP) * (2 * key + 1)
        state = _scramble(state + (_signed(offset) if isinstance(offset, int) else offset))
    last = keys[-1]
    stride = _signed(2 * _STEP)
    offset = _signed(stride * last) if isinstance(last, int) else last * stride
    first, second = _scramble(state + offset), _scramble(state + offset + _signed(_STEP))
    radius = torch.sqrt(-2.0 * torch.log(_uniform(first)))
    angle = (2 * math.pi) * _uniform(second)
    return radius * torch.cos(angle), radius * torch.sin(angle)


def _signed(value: int) -> int:
    """A 64-bit pattern as the signed integer that torch stores."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shift(state: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (torch shifts the sign in)."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)


def _scramble(state: Tensor | int) -> Tensor:
    """The splitmix64 finaliser; products wrap around as 64-bit integers do."""
    if isinstance(state, int):
        state = torch.tensor(_signed(state), dtype=torch.int64)
    state = (state ^ _shift(state, 30)) * _signed(_FIRST)
    state = (state ^ _shift(state, 27)) * _signed(_SECOND)
    return state ^ _shift(state, 31)


def _uniform(state: Tensor) -> Tensor:
    """Numbers strictly between 0 and 1 from the upper 53 bits."""
    return (_shift(state, 11).to(torch.float64) + 0.5) * 2.0**-53
