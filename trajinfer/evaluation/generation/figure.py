"""One row of the report."""

from __future__ import annotations

from dataclasses import dataclass

NORMAL = 1.96


@dataclass(frozen=True)
class Figure:
    """One measure of a generator.

    Attributes:
        metric: its name.
        value: measured on all series given.
        lower, upper: 95 % interval.
        floor: what real series against real series give.
        limit: value beyond which it is flagged; `low_is_bad` tells on which side.
        flag: name of the flag.
        p_value: of a permutation test, where there is one.
        low_is_bad: whether small values are the suspicious ones.
    """

    metric: str
    value: float
    lower: float
    upper: float
    floor: float
    limit: float
    flag: str
    p_value: float | None = None
    low_is_bad: bool = False

    @property
    def flagged(self) -> bool:
        """Whether the value lies beyond the limit."""
        return self.value < self.limit if self.low_is_bad else self.value > self.limit


def around(value: float, error: float) -> tuple[float, float]:
    """The 95 % interval of a value with a normal standard error."""
    return value - NORMAL * error, value + NORMAL * error
