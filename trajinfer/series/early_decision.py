"""Ending a training whose result will not be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# share of the training, and the least standard score of the held-out gain to go on from there
_STAGES = ((0.25, 0.0), (0.5, 0.5))


@dataclass(frozen=True)
class EarlyDecision:
    """Whether networks in training are of no use beside cheap experts.

    A gain counts in the end where it is larger than its standard error. Networks that bring nothing
    at a quarter of their training, or less than half of that at the middle, are given up.

    Attributes:
        score: () -> held-out gain of the networks as they are, in units of its standard error.

    Example:
        >>> hopeless = EarlyDecision(lambda: -0.3)
        >>> hopeless(0.0, 0.2), hopeless(0.2, 0.3), hopeless(0.3, 0.4)
        (False, True, False)
    """

    score: Callable[[], float]

    def __call__(self, before: float, now: float) -> bool:
        """Whether to give up, asked when shares of the training were made."""
        passed = [least for share, least in _STAGES if before < share <= now]
        return bool(passed) and self.score() < max(passed)
