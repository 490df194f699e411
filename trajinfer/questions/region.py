"""Regions of the state space: sets to reach, to leave, to stay in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError, nearest
from trajinfer._core.packing import packable
from trajinfer.questions.channel import Channel, channel_number
from trajinfer.questions.intervals import Intervals

_STEP = 1e-5


class Region(ABC):
    """A set of states. `a | b` is the union, `a & b` the intersection, `~a` the complement."""

    @abstractmethod
    def contains(self, x: Array) -> Array:
        """Whether each of the states x (n, D) is in the set, (n,) bool."""

    def distance(self, x: Array) -> Array | None:
        """Signed distance (n,) of x (n, D) to the set, positive outside; None if not known."""
        return None

    def normal(self, x: Array) -> Array:
        """Gradient (n, D) of the signed distance, by differences."""
        columns = []
        for unit in np.eye(x.shape[1]) * _STEP * (1.0 + np.abs(x).max(initial=0.0)):
            ahead, behind = self.distance(x + unit), self.distance(x - unit)
            columns.append((np.asarray(ahead) - np.asarray(behind)) / (2 * unit.max()))
        return np.stack(columns, axis=1)

    def smooth(self, x: Array) -> Array | None:
        """A smooth function (n,), positive outside, that vanishes on the wall alone; or None."""
        return None

    def faces(self) -> tuple[Region, ...]:
        """Regions of one wall each, of which this one is the union."""
        return (self,)

    def intervals(self) -> Intervals | None:
        """The set as intervals of the line, where there is one coordinate; None if not known."""
        return None

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Region:
        """The same set with channels given by number.

        Raises:
            InputError: for a channel that does not exist, or numbers that do not fit `dim`.
        """
        return self

    def __or__(self, other: Region) -> Region:
        return Union((self, require_region(other, "the right side of |")))

    def __and__(self, other: Region) -> Region:
        other = require_region(other, "the right side of &")
        return Complement(Union((Complement(self), Complement(other))))

    def __invert__(self) -> Region:
        return Complement(self)


def require_region(given: Any, name: str) -> Region:
    """The region that was given.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(given, Region):
        raise InputError(
            f"{name} must be a region, got {given!r:.60}; make one by above, below, outside, ball, "
            "box, where or states"
        )
    return given


@packable
@dataclass(frozen=True)
class HalfSpace(Region):
    """States whose channel is at or above a level (`sign` 1) or at or below it (-1)."""

    level: float
    channel: Channel
    sign: int

    def contains(self, x: Array) -> Array:
        """Whether x lies beyond the level."""
        return np.asarray(self.distance(x) <= 0)

    def distance(self, x: Array) -> Array:
        """Distance to the level."""
        return np.asarray(self.sign * (self.level - x[:, self.channel]))  # type: ignore[index]

    def smooth(self, x: Array) -> Array:
        """The distance, which is smooth."""
        return self.distance(x)

    def normal(self, x: Array) -> Array:
        """The unit vector of the channel."""
        return np.broadcast_to(-self.sign * np.eye(x.shape[1])[self.channel], x.shape)  # type: ignore[index]

    def intervals(self) -> Intervals:
        """The half line."""
        return Intervals.of((self.level, np.inf) if self.sign > 0 else (-np.inf, self.level))

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """With the channel by number."""
        return replace(self, channel=channel_number(self.channel, names, dim))


@packable
@dataclass(frozen=True)
class Outside(Region):
    """States whose channel is at or below `low`, or at or above `high`."""

    low: float
    high: float
    channel: Channel

    def contains(self, x: Array) -> Array:
        """Whether x lies outside the strip."""
        return np.asarray(self.distance(x) <= 0)

    def distance(self, x: Array) -> Array:
        """Distance to the nearer edge."""
        value = x[:, self.channel]  # type: ignore[index]
        return np.asarray(np.minimum(value - self.low, self.high - value))

    def smooth(self, x: Array) -> Array:
        """Product of the distances to both edges over the width."""
        value = x[:, self.channel]  # type: ignore[index]
        return np.asarray((value - self.low) * (self.high - value) / (self.high - self.low))

    def faces(self) -> tuple[Region, ...]:
        """Both half spaces."""
        return HalfSpace(self.low, self.channel, -1), HalfSpace(self.high, self.channel, 1)

    def intervals(self) -> Intervals:
        """Both half lines."""
        return Intervals.of((-np.inf, self.low), (self.high, np.inf))

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """With the channel by number."""
        return replace(self, channel=channel_number(self.channel, names, dim))


@packable
@dataclass(frozen=True)
class Ball(Region):
    """States within a radius of a centre."""

    center: tuple[float, ...]
    radius: float

    def contains(self, x: Array) -> Array:
        """Whether x lies in the ball."""
        return np.asarray(self.distance(x) <= 0)

    def distance(self, x: Array) -> Array:
        """Distance to the sphere."""
        return np.asarray(np.linalg.norm(x - np.array(self.center), axis=1) - self.radius)

    def smooth(self, x: Array) -> Array:
        """Difference of squares over the diameter."""
        square = ((x - np.array(self.center)) ** 2).sum(axis=1)
        return np.asarray((square - self.radius**2) / (2 * self.radius))

    def intervals(self) -> Intervals | None:
        """The interval around the centre, in one dimension."""
        if len(self.center) > 1:
            return None
        return Intervals.of((self.center[0] - self.radius, self.center[0] + self.radius))

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """The same, if it has as many coordinates as the states."""
        _require_size(self.center, dim, "the centre of a ball")
        return self


@packable
@dataclass(frozen=True)
class Box(Region):
    """States between `low` and `high` in every coordinate."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def contains(self, x: Array) -> Array:
        """Whether x lies in the box."""
        return np.asarray(((x >= np.array(self.low)) & (x <= np.array(self.high))).all(axis=1))

    def distance(self, x: Array) -> Array:
        """Distance to the nearest face, edge or corner."""
        beyond = np.maximum(np.array(self.low) - x, x - np.array(self.high))
        far = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
        return np.asarray(np.where((beyond > 0).any(axis=1), far, beyond.max(axis=1)))

    def intervals(self) -> Intervals | None:
        """The interval, in one dimension."""
        return Intervals.of((self.low[0], self.high[0])) if len(self.low) == 1 else None

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """The same, if it has as many coordinates as the states."""
        _require_size(self.low, dim, "a box")
        return self


@packable
@dataclass(frozen=True)
class States(Region):
    """States of a chain by their labels."""

    labels: tuple[Hashable, ...]

    def contains(self, x: Array) -> Array:
        """Whether the labels x (n,) or (n, 1) are in the set."""
        return np.array([value in self.labels for value in np.ravel(x).tolist()], dtype=bool)

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """The same, if there are such states.

        Raises:
            InputError: for a label that is not among them.
        """
        if names is None:
            raise InputError(
                "states(...) names states of a chain, but this process moves in space; give "
                "above, below, ball, box or where"
            )
        for label in self.labels:
            if label not in names:
                hint = nearest(str(label), map(str, names))
                raise InputError(f"there is no state {label!r}; {hint}")
        return self


@dataclass(frozen=True)
class Where(Region):
    """States at which a function is true, with a distance where one is given."""

    inside: Callable[[Array], Array]
    signed_distance: Callable[[Array], Array] | None = None

    def contains(self, x: Array) -> Array:
        """Whether the function is true."""
        result = np.asarray(self.inside(x))
        if result.shape != (len(x),):
            raise InputError(
                f"where(...) must give one answer per state, ({len(x)},), got {result.shape}"
            )
        return result.astype(bool)

    def distance(self, x: Array) -> Array | None:
        """The distance given."""
        return None if self.signed_distance is None else np.asarray(self.signed_distance(x), float)

    def smooth(self, x: Array) -> Array | None:
        """The distance given; who needs it smooth looks for corners where the process goes."""
        return self.distance(x)


@packable
@dataclass(frozen=True)
class Union(Region):
    """States in any of several regions."""

    parts: tuple[Region, ...]

    def contains(self, x: Array) -> Array:
        """Whether x is in any of them."""
        return np.asarray(np.any([part.contains(x) for part in self.parts], axis=0))

    def faces(self) -> tuple[Region, ...]:
        """Those of all parts."""
        return tuple(face for part in self.parts for face in part.faces())

    def distance(self, x: Array) -> Array | None:
        """The smallest of the distances."""
        parts = [part.distance(x) for part in self.parts]
        known = [part for part in parts if part is not None]
        return np.min(known, axis=0) if len(known) == len(parts) else None

    def smooth(self, x: Array) -> Array | None:
        """The product."""
        parts = [part.smooth(x) for part in self.parts]
        known = [part for part in parts if part is not None]
        return np.prod(known, axis=0) if len(known) == len(parts) else None

    def intervals(self) -> Intervals | None:
        """The union of the intervals."""
        parts = [part.intervals() for part in self.parts]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return Intervals.of(*(pair for part in known for pair in part.pairs))

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """With channels by number."""
        return replace(self, parts=tuple(part.on(names, dim) for part in self.parts))


@packable
@dataclass(frozen=True)
class Complement(Region):
    """States that are not in a region."""

    inner: Region

    def contains(self, x: Array) -> Array:
        """Whether x is not in it."""
        return ~self.inner.contains(x)

    def distance(self, x: Array) -> Array | None:
        """Minus the distance."""
        inner = self.inner.distance(x)
        return None if inner is None else -inner

    def smooth(self, x: Array) -> Array | None:
        """Minus the smooth function of a simple region."""
        inner = None if isinstance(self.inner, Union) else self.inner.smooth(x)
        return None if inner is None else -inner

    def intervals(self) -> Intervals | None:
        """The gaps between the intervals."""
        inner = self.inner.intervals()
        return None if inner is None else inner.gaps()

    def on(self, names: Sequence[Hashable] | None, dim: int) -> Self:
        """With channels by number."""
        return replace(self, inner=self.inner.on(names, dim))


def overlap(one: Region, other: Region) -> bool | None:
    """Whether two sets share states; None where their shapes do not tell."""
    if isinstance(one, States) and isinstance(other, States):
        return bool(set(one.labels) & set(other.labels))
    for ball, rest in ((one, other), (other, one)):
        if isinstance(ball, Ball) and isinstance(rest, (Ball, Box, HalfSpace, Outside)):
            return _touches(ball, rest)
    if isinstance(one, Box) and isinstance(other, Box) and len(one.low) == len(other.low):
        sides = zip(one.low, one.high, other.low, other.high)
        return all(max(a, c) <= min(b, d) for a, b, c, d in sides)
    first, second = one.intervals(), other.intervals()
    axes = _axes(one) | _axes(other)
    if first is None or second is None or len(axes) != 1:
        return None
    return any(max(a, c) <= min(b, d) for a, b in first.pairs for c, d in second.pairs)


def _touches(ball: Ball, rest: Region) -> bool | None:
    """Whether a set whose distance is known comes as near to the centre as the radius."""
    channel, center = getattr(rest, "channel", 0), np.array([ball.center])
    if isinstance(channel, str) or channel >= center.shape[1]:
        return None
    size = (
        len(getattr(rest, "center", getattr(rest, "low", ())))
        if isinstance(rest, (Ball, Box))
        else 0
    )
    if size and size != center.shape[1]:
        return None
    distance = rest.distance(center)
    return None if distance is None else bool(distance[0] <= ball.radius)


def _axes(region: Region) -> set[Channel]:
    """The channels that a set speaks of."""
    if isinstance(region, Union):
        return set().union(*map(_axes, region.parts))
    if isinstance(region, Complement):
        return _axes(region.inner)
    return {getattr(region, "channel", 0)}


def _require_size(point: tuple[float, ...], dim: int, name: str) -> None:
    if len(point) != dim:
        raise InputError(
            f"{name} has {len(point)} coordinates, the process {dim}; give one number for each"
        )
