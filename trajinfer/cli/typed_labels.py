"""Labels as a user types them: as they are shown, or as whole numbers stand in his file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def by_text(labels: Iterable[Any]) -> dict[str, Any]:
    """Labels by what one may type for them: 2, which a file may hold as 2.0, is both.

    >>> by_text([1, "well"])
    {'1.0': 1, '1': 1, 'well': 'well'}
    """
    known = list(labels)
    whole = {f"{label}.0": label for label in known if type(label) is int}
    return whole | {str(label): label for label in known}
