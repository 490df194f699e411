"""Which coordinates of a reference are measured, and which are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data import Snapshots


@packable
@dataclass(frozen=True)
class Coordinates:
    """Places of d measured and H hidden coordinates in a state of D = d + H.

    Attributes:
        observed: (d,) in the order of the columns of the snapshots.
        hidden: (H,) ascending.

    Example:
        >>> seen = Coordinates((2, 0), (1,))
        >>> seen.whole(torch.tensor([[5.0, 3.0]]), torch.tensor([[4.0]])).tolist()
        [[3.0, 4.0, 5.0]]
    """

    observed: tuple[int, ...]
    hidden: tuple[int, ...]

    @classmethod
    def of(cls, observed: Any, snapshots: Snapshots, dim: int) -> Coordinates:
        """The coordinates that a setting names.

        Args:
            observed: per column of the snapshots the place of its coordinate in the reference; or
                the places by column name.
            snapshots: whose columns these are.
            dim: D of the reference.

        Raises:
            InputError: for places that are not there, that come twice, or too few or many of them.
        """
        places = _by_column(observed, snapshots)
        if len(places) != snapshots.dim:
            raise InputError(
                f"observed= names {len(places)} coordinates, the snapshots have {snapshots.dim} "
                "columns; give the place of every column in the reference"
            )
        if not all(0 <= place < dim for place in places) or len(set(places)) < len(places):
            raise InputError(
                f"observed= must be different places from 0 to {dim - 1}, those of the columns "
                f"among the {dim} coordinates of the reference, got {list(places)}"
            )
        if len(places) == dim:
            raise InputError(
                f"observed= names all {dim} coordinates of the reference, so nothing is hidden; "
                "leave it out and order the columns as the reference does"
            )
        hidden = tuple(place for place in range(dim) if place not in places)
        return cls(places, hidden)

    @property
    def dim(self) -> int:
        """D."""
        return len(self.observed) + len(self.hidden)

    def whole(self, seen: Tensor, unseen: Tensor) -> Tensor:
        """States (..., D) of measured (..., d) and hidden (..., H) coordinates."""
        order = np.argsort([*self.observed, *self.hidden])
        return torch.cat([seen, unseen], dim=-1)[..., order]

    def names(self, features: Sequence[str] | None) -> tuple[str, ...]:
        """Names (D,) of all coordinates; those not measured are called hidden_<place>."""
        given = features or [f"observed_{place}" for place in self.observed]
        found = dict(zip(self.observed, given))
        return tuple(found.get(place, f"hidden_{place}") for place in range(self.dim))


def _by_column(observed: Any, snapshots: Snapshots) -> tuple[int, ...]:
    if isinstance(observed, Mapping):
        if snapshots.features is None or set(observed) != set(snapshots.features):
            raise InputError(
                f"observed= names the columns {sorted(map(str, observed))}, the snapshots have "
                f"{list(snapshots.features or ['no names'])}; name every column, or give places "
                "in the order of the columns"
            )
        observed = [observed[name] for name in snapshots.features]
    if isinstance(observed, (str, bytes)) or not isinstance(observed, (Sequence, np.ndarray)):
        raise InputError(
            "observed= must be the places of the measured coordinates in the reference, such as "
            f"[0, 1], or these by column name, got {observed!r}"
        )
    places = list(observed)
    if not all(isinstance(p, (int, np.integer)) and not isinstance(p, bool) for p in places):
        raise InputError(f"observed= must hold whole numbers, got {places}")
    return tuple(int(place) for place in places)
