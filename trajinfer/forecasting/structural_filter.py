"""Filters of all structures along the past of every series, side by side."""

from __future__ import annotations

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.forecasting.observations import Channel
from trajinfer.forecasting.smoothing import reach
from trajinfer.forecasting.structures import (
    LEVEL,
    SEASON,
    SLOPE,
    SWING,
    StructuralStates,
    Structures,
    harmonics,
    waves,
)

_ANYWHERE = 1e7
_LEAST = 1e-10
_SHORTEST = 0.2
_AT_ONCE = 32


def filtered(
    channel: Channel, structures: Structures, gap: float, period: float
) -> StructuralStates:
    """States after each of the n values of a channel.

    Args:
        channel: the values.
        structures: G of them.
        gap: usual time between two values.
        period: of the season, 0 = none.
    """
    lengths = np.diff(channel.starts)
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    count = harmonics(period, gap) if period > 0 else 0
    found: list[StructuralStates] = []
    rows: list[Array] = []
    for start in range(0, len(order), _AT_ONCE):
        chunk = order[start : start + _AT_ONCE]
        passed = _Filters(structures, len(chunk), count)
        first, lengths_here = channel.starts[chunk], lengths[chunk]
        origin = channel.values[first]
        for k in range(int(lengths_here[0])):
            still = int(np.searchsorted(-lengths_here, -k))
            at = first[:still] + k
            passed.keep(still)
            if k:
                steps = (channel.times[at] - channel.times[at - 1]) / gap
                passed.move(np.maximum(steps, _SHORTEST))
            value = channel.values[at] - origin[:still]
            passed.see(value, waves(channel.times[at] / (period or 1.0), count))
            found.append(structures.averaged(passed.state, passed.weights(), value))
            rows.append(at)
    return _in_order(found, rows)


def _in_order(found: list[StructuralStates], rows: list[Array]) -> StructuralStates:
    order = np.argsort(np.concatenate(rows), kind="stable")
    level, slope, swing, season = (
        np.concatenate([getattr(states, name) for states in found])[order]
        for name in ("level", "slope", "swing", "season")
    )
    return StructuralStates(level, slope, swing, season)


class _Filters:
    """G filters along each of b series.

    Args:
        structures: G of them.
        n_series: b.
        count: number K of waves of the season.

    Attributes:
        state: (b, G, d) means.
    """

    def __init__(self, structures: Structures, n_series: int, count: int) -> None:
        self.of = structures
        size = SEASON + 2 * count
        self.state = np.zeros((n_series, len(structures.level), size))
        start = np.zeros((len(structures.level), size))
        start[:, LEVEL], start[:, SLOPE] = _ANYWHERE, structures.start**2
        stationary = structures.swing / (1 - structures.decay**2)
        start[:, SWING], start[:, SEASON:] = stationary[:, None], structures.season[:, None] ** 2
        self.covariance = np.tile(start[:, :, None] * np.eye(size), (n_series, 1, 1, 1))
        self.log_size = np.zeros(self.state.shape[:2])
        self.square = np.zeros(self.state.shape[:2])
        self.total = np.zeros((n_series, 1))
        self.seen = 0

    def keep(self, n_series: int) -> None:
        """Go on with the first series."""
        if n_series < len(self.state):
            for name in ("state", "covariance", "log_size", "square", "total"):
                setattr(self, name, getattr(self, name)[:n_series])

    def move(self, steps: Array) -> None:
        """By usual gaps (b,)."""
        s, own = steps[:, None], slice(0, SEASON)
        move = self._transition(s)
        self.state[..., own] = np.einsum("bgij,bgj->bgi", move, self.state[..., own])
        after = self.covariance
        after[..., own, :] = move @ after[..., own, :]
        after[..., :, own] = after[..., :, own] @ np.swapaxes(move, 2, 3)
        self._add_shocks(s)

    def _transition(self, s: Array) -> Array:
        """Level, slope and swing (b, G, 4, 4) after gaps (b, 1)."""
        of = self.of
        move = np.zeros((len(s), len(of.level), SEASON, SEASON))
        move[..., LEVEL, LEVEL], move[..., SLOPE, SLOPE] = 1.0, of.damping**s
        damped = reach(s, np.minimum(of.damping, 1 - 1e-9))
        move[..., LEVEL, SLOPE] = np.where(of.damping < 1, damped, s)
        cosine, sine = (of.decay**s * wave(of.angle * s) for wave in (np.cos, np.sin))
        turn = np.stack([np.stack([cosine, sine], -1), np.stack([-sine, cosine], -1)], -2)
        move[..., SWING, SWING] = turn
        return move

    def _add_shocks(self, s: Array) -> None:
        """What is new after gaps (b, 1)."""
        of, after = self.of, self.covariance
        # a slope that moves within a longer gap has moved the level by its end
        within = of.moving * np.maximum(s * (s - 1) / 2, 0.0)
        after[..., LEVEL, LEVEL] += of.level * s + within * (2 * s - 1) / 3
        after[..., LEVEL, SLOPE] += within
        after[..., SLOPE, LEVEL] += within
        after[..., SLOPE, SLOPE] += of.moving * s
        diagonal = np.einsum("bgii->bgi", after)
        forgotten = (1 - of.decay ** (2 * s)) / (1 - of.decay**2)
        diagonal[..., SWING] += (of.swing * forgotten)[..., None]
        diagonal[..., SEASON:] += (of.wander * s)[..., None]

    def see(self, values: Array, season: Array) -> None:
        """Values (b,) with the waves of their times (b, 2 K)."""
        ones = np.broadcast_to(np.array([1.0, 0.0, 1.0, 0.0]), (len(values), SEASON))
        seen = np.concatenate([ones, season], axis=1)
        with_value = np.einsum("bgij,bj->bgi", self.covariance, seen)
        size = np.einsum("bgi,bi->bg", with_value, seen) + self.of.noise + _LEAST
        error = values[:, None] - np.einsum("bgi,bi->bg", self.state, seen)
        gain = with_value / size[:, :, None]
        self.state = self.state + gain * error[:, :, None]
        self.covariance -= gain[..., :, None] * with_value[..., None, :]
        if self.seen:
            self.log_size = self.log_size + np.log(size)
            self.square = self.square + error**2 / size
            self.total = self.total + values[:, None] ** 2
        self.seen += 1

    def weights(self) -> Array:
        """(b, G) of the structures, given what was seen."""
        least = _LEAST * self.total + 1e-300
        n = self.seen - 1
        log = -0.5 * (self.log_size + n * np.log(self.square + least))
        share = np.exp(log - log.max(axis=1, keepdims=True))
        return np.asarray(share / share.sum(axis=1, keepdims=True))
