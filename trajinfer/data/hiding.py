"""Which observations to hide from a method that is tested on them."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer.data.ragged import RaggedLayout

_FEWEST = 2
_ROUNDING = 1e-9


def hidden_entries(
    observed: Array, layout: RaggedLayout, rate: float, rng: np.random.Generator
) -> Array:
    """Entries (N, C) to hide: `int(rate * n)` of the n of each series and column, 2 are left.

    Args:
        observed: (N, C) bool.
        layout: of the series.
        rate: share to hide, in [0, 1).
        rng: of the choice; a generator whose bits can be skipped, as numpy's default one.
    """
    hidden = np.zeros_like(observed)
    for start, end in zip(layout.starts, layout.ends):
        here = observed[start:end]
        rank = np.where(here, rng.random(here.shape), np.inf).argsort(axis=0).argsort(axis=0)
        # every series takes as many draws as the longest one, so that no length moves another's
        rng.bit_generator.advance((layout.longest - len(here)) * here.shape[1])  # type: ignore[attr-defined]
        count = here.sum(axis=0)
        hidden[start:end] = rank < np.minimum(
            (rate * count + _ROUNDING).astype(int), np.maximum(count - _FEWEST, 0)
        )
    return hidden


def partly_hidden(
    flat_values: Array,
    layout: RaggedLayout,
    rate: float,
    rng: np.random.Generator,
    *,
    together: bool = False,
) -> Array:
    """Values (N, C) with NaN in place of a share of those observed.

    Args:
        flat_values: (N, C); NaN = not observed.
        layout: where the entries of each series stand.
        rate: share to hide, in [0, 1).
        rng: says which.
        together: hide all channels of a time at once.

    Raises:
        InputError: if `rate` does not lie in [0, 1).
    """
    if not 0 <= rate < 1:
        raise InputError(f"rate must lie in [0, 1), got {rate}; it is the share to hide")
    observed = np.asarray(~np.isnan(flat_values))
    shown = observed.any(axis=1, keepdims=True) if together else observed
    hidden = hidden_entries(np.asarray(shown), layout, rate, rng)
    return np.where(hidden, np.nan, flat_values)
