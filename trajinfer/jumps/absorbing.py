"""States that are never left: said by the user, by observed absorptions, or by the data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.jump_series import JumpSeries
from trajinfer.jumps.starts import typical_rate
from trajinfer.markov.likelihood import Transitions

_ABSORPTION = 2
_EXPECTED_EXITS = 3.0
_ENDS = 3


@dataclass(frozen=True, eq=False)
class Absorbing:
    """States without exits.

    Attributes:
        states: (S,) bool, all of them.
        by_data: (S,) bool, those of which only the data say so: nobody was observed to leave, long
            as they were watched, or three paths or more entered and all of them end there. Where
            labels may be wrong or several, only the second counts.
        watched: (S,) time for which a path was known to be in the state at the start of a gap.
    """

    states: Array
    by_data: Array
    watched: Array

    @classmethod
    def of(
        cls,
        wanted: Any,
        labels: tuple[Hashable, ...],
        pairs: Transitions,
        again: Array,
        *,
        hidden: bool,
        readable: bool,
    ) -> Absorbing:
        """The absorbing states.

        Args:
            wanted: a label, labels, or None to go by the data.
            labels: the S states.
            pairs: consecutive known labels.
            again: (S,) bool, labels after which a path was observed again.
            hidden: whether labels may be wrong or several.
            readable: whether the data may decide, as no other setting does.

        Raises:
            InputError: for an unknown label, or a state that is left in the data.
        """
        n = len(labels)
        states = np.zeros(n, dtype=bool)
        entered = np.unique(pairs.end[pairs.kind == _ABSORPTION])
        states[entered] = True
        moved = pairs.start != pairs.end
        left = np.isin(np.arange(n), pairs.start[moved])
        _require_not_left(states & left, labels)
        watched = np.bincount(pairs.start, pairs.gap * pairs.weight, minlength=n)
        if wanted is not None:
            states[_codes(wanted, labels)] = True
            _require_not_left(states & left & (not hidden), labels)
            return cls(states, np.zeros(n, dtype=bool), watched)
        by_data = np.zeros(n, dtype=bool)
        if readable:
            arrivals = np.bincount(pairs.end[moved], minlength=n)
            quiet = ~left & (arrivals > 0) & ~states
            long = (watched * typical_rate(pairs, n) >= _EXPECTED_EXITS) & (not hidden)
            ends = ~again & (arrivals >= _ENDS)
            by_data = quiet & (long | ends)
        return cls(states | by_data, by_data, watched)

    def without_exits(self, links: Array) -> Array:
        """Links (S, S) without those out of absorbing states."""
        return np.asarray(links & ~self.states[:, None])


def followed(series: JumpSeries, n_states: int) -> Array:
    """(S,) bool, labels after which the path was observed again, be it by several labels."""
    seen = series.seen
    path, states = series.layout.series[seen], series.flat_states[seen]
    return np.isin(np.arange(n_states), states[:-1][path[1:] == path[:-1]])


def _require_not_left(left: Array, labels: tuple[Hashable, ...]) -> None:
    if left.any():
        raise InputError(
            f"state {labels[int(np.argmax(left))]!r} is entered by 'absorption', or named in "
            "absorbing=, and left again; an absorption is the end of a path, an exactly timed jump "
            "from a known state is a 'jump'"
        )


def _codes(wanted: Any, labels: tuple[Hashable, ...]) -> list[int]:
    single = isinstance(wanted, str) or not isinstance(wanted, Sequence | set | np.ndarray)
    chosen = [wanted] if single else list(wanted)
    unknown = [label for label in chosen if label not in labels]
    if unknown:
        raise InputError(f"absorbing= names {unknown[0]!r}; the states are {labels[:8]}")
    return [labels.index(label) for label in chosen]
