"""Factors that multiply a learning rate, as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(_step: int) -> float:
    """No change."""
    return 1.0


def cosine(n_steps: int, *, warmup: int = 0, floor: float = 0.0) -> Schedule:
    r"""Half a cosine from 1 to `floor` over `n_steps`, after a linear rise over `warmup` steps.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5 (without restarts).

    >>> [round(cosine(4)(step), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / (warmup + 1))
        fraction = min(1.0, step / max(n_steps, 1))
        return rise * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fraction)))

    return factor
