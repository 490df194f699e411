"""Possible jumps as a user types them, as pairs of labels, and as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trajinfer._core.errors import InputError
from trajinfer.cli.typed_labels import by_text


def pairs_of(text: str, labels: Sequence[Any]) -> list[list[Any]]:
    """Links such as "well-ill,ill-well" as pairs of labels; a label may hold a hyphen itself.

    Raises:
        InputError: for text that is no pair of the labels, or several.
    """
    typed = by_text(labels)
    pairs = []
    for part in text.split(","):
        cuts = [(part[:k].strip(), part[k + 1 :].strip()) for k, c in enumerate(part) if c == "-"]
        ends = [(a, b) for a, b in cuts if a in typed and b in typed]
        if len(ends) != 1:
            raise InputError(
                f"--links takes pairs such as {labels[0]}-{labels[-1]}, got {part!r}; the labels "
                f"are {', '.join(map(str, labels))}"
            )
        pairs.append([typed[end] for end in ends[0]])
    return pairs


def matrix_of(links: Sequence[Any], labels: Sequence[Any]) -> list[list[int]]:
    """Pairs of labels as rows of a matrix (n, n) that is 1 where a jump is possible, else 0.

    Raises:
        InputError: for what is no pair of the labels.
    """
    rows = [[0] * len(labels) for _ in labels]
    for pair in links:
        if not isinstance(pair, list) or len(pair) != 2 or not set(pair) <= set(labels):
            raise InputError(
                f"links takes pairs such as {[labels[0], labels[-1]]}, got {pair!r}; the labels "
                f"are {', '.join(map(str, labels))}"
            )
        rows[labels.index(pair[0])][labels.index(pair[1])] = 1
    return rows
