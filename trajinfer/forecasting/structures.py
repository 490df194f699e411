r"""What a series may be made of, weighed by its own past: level, slope, swing, season and noise.

$$y_t = l_t + u_t + \sum_k \big(a_{k,t} \cos \tfrac{2 \pi k t}{S}
+ b_{k,t} \sin \tfrac{2 \pi k t}{S}\big) + \sqrt r\,\sigma\,\varepsilon_t$$

with a level l that steps by its slope b and a variance $q\sigma^2$ per usual gap, a slope that is
damped by $\delta$ and moves with $p\sigma^2$, a swing u, which is an autoregression of decay
$\rho$ turned by an angle, and seasons of period S whose coefficients may wander. A grid of such
structures is filtered side by side (Kalman, J. Basic Eng. 82 (1960), 35); the level starts
anywhere, the slope and the seasons start from normal laws in units of $\sigma$, and $\sigma$ is
integrated out, so that after n values with innovations e of variance $F \sigma^2$

$$p(y_{1..n} \mid \text{structure}) \propto \prod_i F_i^{-1/2}
\Big(\sum_i e_i^2 / F_i\Big)^{-(n - 1) / 2} .$$

Forecasts are means over the structures with these as weights, by what was known at each cut: no
weight has seen what it is judged by. That is averaging of models with their parameters (Harvey,
Forecasting, Structural Time Series Models and the Kalman Filter, 1989, 2.3, 4.1; Hoeting et al.,
Statist. Sci. 14 (1999), 382).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.packing import packable
from trajinfer.forecasting.smoothing import reach

_MOST_HARMONICS = 6
LEVEL, SLOPE, SWING, SEASON = 0, 1, slice(2, 4), 4

# shares of the variance of a step that the level has; the rest is noise
_LEVELS = (1.0, 0.5, 0.25, 0.1, 0.01, 0.0)
_SLOPES = (0.0, 0.3, 3.0)
_MOVING = (0.3, 0.03, 0.003, 0.0003)
_DECAYS = (0.3, 0.6, 0.8, 0.95)
_SWINGS = tuple((rho, 2 * np.pi / turn) for rho in (0.85, 0.95) for turn in (5, 7, 9, 12, 16))
_SEASONS = ((0.0, 0.0), (2.0, 0.0), (2.0, 0.003), (2.0, 0.05))


@packable
@dataclass(frozen=True)
class Structures:
    """G structures; variances and standard deviations in units of the size of a step.

    Attributes:
        level, noise: (G,) variances of a step of the level and of a value around it.
        moving, damping: (G,) variance of a step of the slope, and its damping.
        start: (G,) standard deviation of the first slope.
        decay, angle, swing: (G,) of the swing per usual gap, and the variance of its steps.
        season, wander: (G,) standard deviation of the first coefficients of the season, and the
            variance of their steps.
    """

    level: Array
    noise: Array
    moving: Array
    damping: Array
    start: Array
    decay: Array
    angle: Array
    swing: Array
    season: Array
    wander: Array

    @classmethod
    def of(cls, *, seasonal: bool) -> Structures:
        """All of the grid; turning swings stand for seasons that no period was found for."""
        rows = [(q, 1 - q, 0.0, 1.0, s, 0.0, 0.0, 0.0) for q in _LEVELS for s in _SLOPES]
        rows += [
            (q, r, p, d, 0.3, 0.0, 0.0, 0.0)
            for p in _MOVING
            for q, r in ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))
            for d in (1.0, 0.9)
        ]
        for rho in _DECAYS:
            rows += [(0.0, 0.0, 0.0, 1.0, s, rho, 0.0, 1.0) for s in _SLOPES[:2]]
            rows += [(0.0, 0.5, 0.0, 1.0, 0.0, rho, 0.0, 0.5)]
        if not seasonal:
            rows += [(0.0, r, 0.0, 1.0, 0.0, *turn, 1 - r) for turn in _SWINGS for r in (0.0, 0.2)]
        every = [(*row, *season) for season in _SEASONS[: None if seasonal else 1] for row in rows]
        return cls(*np.array(every).T)

    @property
    def moves(self) -> tuple[Array, Array]:
        """Dampings (D,), and decays and angles (W, 2), that occur."""
        turns = np.column_stack([self.decay, self.angle])[self.swing > 0]
        return np.unique(self.damping), np.unique(turns, axis=0)

    def averaged(self, states: Array, weights: Array, last: Array) -> StructuralStates:
        """What forecasts need of states (R, G, d) with weights (R, G), given last values (R,)."""
        dampings, turns = self.moves
        own = np.column_stack([self.decay, self.angle])
        of_damping = self.damping[:, None] == dampings
        of_turn = (own[:, None] == turns).all(axis=2) & (self.swing > 0)[:, None]
        weighted = weights[:, :, None] * states
        return StructuralStates(
            weighted[:, :, LEVEL].sum(axis=1) - last,
            weighted[:, :, SLOPE] @ of_damping,
            np.einsum("rgk,gw->rwk", weighted[:, :, SWING], of_turn.astype(float)),
            weighted[:, :, SEASON:].sum(axis=1),
        )


@dataclass(frozen=True)
class StructuralStates:
    """States after R cuts, averaged over the structures that move alike; NaN = no answer.

    Attributes:
        level: (R,) minus the last value.
        slope: (R, D) per usual gap, for each damping.
        swing: (R, W, 2) for each decay and angle.
        season: (R, 2 K) coefficients.
    """

    level: Array
    slope: Array
    swing: Array
    season: Array

    @classmethod
    def none(cls, n_rows: int) -> StructuralStates:
        """No answer after any of R cuts."""
        empty = np.zeros((n_rows, 0))
        return cls(np.full(n_rows, np.nan), empty, np.zeros((n_rows, 0, 2)), empty)

    def at(self, index: Array, seen: Array) -> StructuralStates:
        """Those after some of the cuts; still where nothing was seen."""
        own = (self.level, self.slope, self.swing, self.season)
        return StructuralStates(*((seen * part[index].T).T for part in own))

    def increments(self, rows: Array, steps: Array, phase: Array, of: Structures) -> Array:
        """Increments (P,) since the last values.

        Args:
            rows: (P,) of the states.
            steps: (P,) usual gaps since the last value.
            phase: (P,) times asked about, in periods.
            of: the structures.
        """
        dampings, turns = of.moves
        ahead = steps[:, None]
        slope = np.where(dampings < 1, reach(ahead, np.minimum(dampings, 1 - 1e-9)), ahead)
        decay, angle = turns[:, 0] ** ahead, turns[:, 1] * ahead
        swing = np.stack([decay * np.cos(angle), decay * np.sin(angle)], axis=2)
        return np.asarray(
            self.level[rows]
            + (slope * self.slope[rows]).sum(axis=1)
            + (swing * self.swing[rows]).sum(axis=(1, 2))
            + (waves(phase, self.season.shape[1] // 2) * self.season[rows]).sum(axis=1)
        )


def harmonics(period: float, gap: float) -> int:
    """Number K of waves of a season."""
    return min(round(period / gap) // 2, _MOST_HARMONICS)


def waves(phase: Array, count: int) -> Array:
    """Cosines and sines (..., 2 K) at times (...) in periods."""
    turn = 2 * np.pi * phase[..., None] * np.arange(1, count + 1)
    return np.concatenate([np.cos(turn), np.sin(turn)], axis=-1)
