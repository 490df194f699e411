"""How much of a network's correction of a law the held-out values allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from trajinfer._core.checks import Array

_SHARES = (0.25, 0.5, 1.0)
_FEWEST = 10
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Comparison:
    """Held-out values, a law of them, and how a network would move and stretch it.

    Attributes:
        values: (P, C), NaN = not held out.
        law: of the values.
        moves: (2, P, C) shift and logarithm of the stretch, in standard deviations of the law.
    """

    values: Tensor
    law: Normal
    moves: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Comparison]) -> Comparison:
        """Several ones, one after the other."""
        law = Normal(
            torch.cat([part.law.mean for part in parts]),
            torch.cat([part.law.stddev for part in parts]),
            validate_args=False,
        )
        moves = torch.cat([part.moves for part in parts], dim=1)
        return cls(torch.cat([part.values for part in parts]), law, moves)

    def shares(self) -> Array:
        """(2, C) shares of shift and of stretch; 0 where one gains no more than its standard error.

        The shift is judged by squared errors in standard deviations of the law. The stretch is
        judged beside the chosen shift, by likelihood at the spread that is best for either law, so
        that it gains nothing by a wrong spread of the law that it changes.
        """
        chosen = np.zeros((2, self.values.shape[1]))
        for c, channel in enumerate(self._channels()):
            shift, score = _best(*channel.shifted())
            chosen[0, c] = shift if score > 1 else 0.0
            stretch, score = _best(*channel.stretched(chosen[0, c]))
            chosen[1, c] = stretch if score > 1 else 0.0
        return chosen

    def score(self) -> float:
        """The largest gain by shift or stretch of a channel, in units of its standard error."""
        gains = [one for c in self._channels() for one in (c.shifted(), c.stretched(0.0))]
        return max(_best(*one)[1] for one in gains)

    def _channels(self) -> list[_Channel]:
        error = (self.values - self.law.mean) / self.law.stddev
        known = ~self.values.isnan()
        return [
            _Channel(*(part[rows, c].double().numpy() for part in (error, *self.moves)))
            for c, rows in enumerate(known.T)
        ]


@dataclass(frozen=True)
class _Channel:
    """Errors (p,) of the held-out values of a channel, shift and stretch, in its deviations."""

    error: Array
    shift: Array
    stretch: Array

    def shifted(self) -> tuple[Array, Array]:
        """Squared errors (p,) without, and (3, p) with shares of the shift."""
        return self.error**2, np.stack([(self.error - a * self.shift) ** 2 for a in _SHARES])

    def stretched(self, share: float) -> tuple[Array, Array]:
        """Losses (p,) without, and (3, p) with shares of the stretch, beside one of the shift."""
        error = self.error - share * self.shift
        after = [_losses(error, a * self.stretch) for a in _SHARES]
        return _losses(error, np.zeros_like(error)), np.stack(after)


def _best(before: Array, after: Array) -> tuple[float, float]:
    """The share of smallest loss, and its gain in units of its standard error."""
    if len(before) < _FEWEST:
        return 0.0, -np.inf
    best = int(np.argmin(after.mean(1)))
    gain = before - after[best]
    spread = gain.std(ddof=1) / np.sqrt(len(gain))
    return _SHARES[best], float(gain.mean() / max(spread, _LEAST))


def _losses(error: Array, stretch: Array) -> Array:
    """Negative log-likelihoods at the best common factor on the spread, up to a constant."""
    size = error * np.exp(-stretch)
    factor = float(np.sqrt(np.mean(size**2))) + _LEAST if len(size) else 1.0
    return np.asarray(np.log(factor) + stretch + 0.5 * (size / factor) ** 2)
