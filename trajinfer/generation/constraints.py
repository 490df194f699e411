"""Channels that follow exactly from the others: left out of the model, rebuilt in what it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.generation.rounding import quantum

_EXACT = 1e-6
_FAR = 1e-6
_PIECES = 20


@packable
@dataclass(frozen=True)
class LinearConstraints:
    r"""Redundant channels $x_r = \beta_0 + \sum_k \beta_k x_k$ over the kept channels k.

    A copy of a channel, a total of meters and a channel that never changes are such channels.

    Attributes:
        kept: numbers of the channels that are modelled.
        coefficients: (1 + len(kept), C), the constant first; unit vectors for kept channels.
    """

    kept: tuple[int, ...]
    coefficients: Array

    @classmethod
    def of(cls, rows: Array) -> LinearConstraints:
        """Find what is redundant in rows (N, C) without missing values.

        Channels are taken in their order, those with coarser last digits first: a rounded reading
        is modelled, and what follows from such readings is rebuilt. A channel is redundant if those
        taken before it give it exactly, up to 1e-6 of its spread.
        """
        # a meter may have been exchanged for a finer one halfway
        pieces = np.array_split(rows, min(_PIECES, len(rows)))
        quanta = [
            float(np.mean([quantum(piece[:, k]) for piece in pieces])) for k in range(rows.shape[1])
        ]
        kept: list[int] = []
        for k in sorted(range(rows.shape[1]), key=lambda k: -quanta[k]):
            if _rule(rows, k, kept) is None:
                kept.append(k)
        kept.sort()
        coefficients = np.zeros((1 + len(kept), rows.shape[1]))
        coefficients[np.arange(len(kept)) + 1, kept] = 1
        for k in set(range(rows.shape[1])) - set(kept):
            rule = _rule(rows, k, kept)
            if rule is not None:
                coefficients[:, k] = rule
        return cls(tuple(kept), coefficients)

    @classmethod
    def none(cls, n_channels: int) -> LinearConstraints:
        """No channel is redundant."""
        whole = np.concatenate([np.zeros((1, n_channels)), np.eye(n_channels)])
        return cls(tuple(range(n_channels)), whole)

    def drop(self, values: Array) -> Array:
        """The kept channels of (..., C)."""
        return np.asarray(values[..., list(self.kept)])

    def rebuild(self, kept: Array) -> Array:
        """All channels (..., C) from the kept ones."""
        missing = np.isnan(kept)
        whole = self.coefficients[0] + np.where(missing, 0.0, kept) @ self.coefficients[1:]
        if missing.any():
            whole[(missing.astype(float) @ (self.coefficients[1:] != 0)) > 0] = np.nan
        # kept channels are handed through unrounded
        whole[..., list(self.kept)] = kept
        return np.asarray(whole)


def _rule(rows: Array, k: int, kept: Sequence[int]) -> Array | None:
    """Constant and coefficients (1 + len(kept),) that give channel k, or None.

    Coefficients that are whole numbers up to rounding are made whole.
    """
    design = np.column_stack([np.ones(len(rows)), rows[:, kept]])
    rule = np.linalg.lstsq(design, rows[:, k], rcond=None)[0]
    whole = np.round(rule)
    rule = np.where(np.abs(rule - whole) < _EXACT * np.maximum(np.abs(rule), 1), whole, rule)
    # far from zero the spread is small against the values, and only rounding may pass for none
    size = max(float(rows[:, k].std()), float(np.abs(rows[:, k]).max()) * _FAR)
    exact = np.abs(design @ rule - rows[:, k]).max() <= _EXACT * size
    return np.asarray(rule) if exact else None
