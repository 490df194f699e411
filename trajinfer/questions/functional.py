"""The question: running reward, discount, terminal value, stopping set and horizon."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajinfer._core.checks import Array, require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.questions.channel import Channel
from trajinfer.questions.region import Region, overlap, require_region
from trajinfer.questions.shapes import above

Value = float | Callable[..., Any] | None


@packable
@dataclass(frozen=True)
class Functional:
    r"""What is asked of a process X from a start x:

    $$V(x) = E\Big[\int_0^{\tau \wedge T} e^{-\int \beta} r(X_s)\,ds
    + e^{-\int \beta} \varphi(X_{\tau \wedge T}) \Big| X_0 = x\Big]$$

    with $\tau$ the first time in the stopping set.

    Args:
        terminal: phi, a number or a callable x (n, D) -> (n,), or (t, x) if it takes two; None is
            0. A chain hands its states over as an array (n,) of labels.
        running: the reward r per unit of time, likewise.
        discount: beta, a number or a callable of x.
        stop: the stopping set, at which phi is paid; or a mapping from regions to the values paid
            there, so that `terminal` is paid at the horizon alone.
        horizon: T, a duration: a number in the unit of the process, or a timedelta where its times
            are dates.
        power: the moment of the running reward's integral that is asked for; above 1 it needs a
            stopping set, no discount and no terminal value.

    Raises:
        InputError: if nothing would ever end it, if the discount is negative without a horizon, or
            for parts that are no numbers, callables or regions.

    Example:
        >>> Functional(running=1.0, stop=above(1.0)).ends_by_horizon
        False
    """

    terminal: Any = None
    running: Any = None
    discount: Any = 0.0
    stop: Any = None
    horizon: Any = None
    power: int = 1

    def __post_init__(self) -> None:
        for name in ("terminal", "running", "discount"):
            _require_value(getattr(self, name), name)
        negative = not callable(self.discount) and self.discount < 0
        if negative and self.horizon is None:
            raise InputError(
                f"a discount of {self.discount:g} without a horizon has no finite value; give "
                "horizon="
            )
        if self.stop is None and self.horizon is None and not self.discounted:
            raise InputError(
                "this question would never end: give stop=, horizon= or a positive discount="
            )
        if isinstance(self.stop, Mapping):
            for region, paid in self.stop.items():
                require_region(region, "a key of stop")
                _require_value(paid, "the value paid at a region of stop")
        elif self.stop is not None:
            require_region(self.stop, "stop, if it is no mapping from regions to values,")
        require_integer(self.power, "power", least=1)
        if self.power > 1 and (self.discounted or self.horizon is not None):
            raise InputError("power= above 1 is for hitting times without discount and horizon")

    @property
    def discounted(self) -> bool:
        """Whether there is a discount."""
        return callable(self.discount) or self.discount > 0

    @property
    def ends_by_horizon(self) -> bool:
        """Whether there is a horizon."""
        return self.horizon is not None

    @property
    def stopping(self) -> tuple[tuple[Region, Any], ...]:
        """Regions of one wall each that stop it, with the value paid there."""
        if self.stop is None:
            return ()
        pairs = {self.stop: self.terminal} if isinstance(self.stop, Region) else self.stop
        return tuple((face, paid) for region, paid in pairs.items() for face in region.faces())

    @property
    def regions(self) -> tuple[Region, ...]:
        """Regions that stop it, or that rewards and terminal value speak of."""
        stop = self.stop
        stops = (stop,) if isinstance(stop, Region) else tuple(stop or ())
        rewards = (part.region for part in (self.running, self.terminal) if _of_region(part))
        return (*stops, *rewards)

    @property
    def is_path_question(self) -> bool:
        """Whether it depends on more than the state at one time."""
        return self.stop is not None or self.running is not None

    def on(self, names: Any, dim: int) -> Functional:
        """The same with channels by number."""

        def resolved(part: Any) -> Any:
            return Indicator(part.region.on(names, dim)) if isinstance(part, Indicator) else part

        stop = self.stop
        if isinstance(stop, Region):
            stop = stop.on(names, dim)
        elif stop is not None:
            stop = {region.on(names, dim): resolved(value) for region, value in stop.items()}
            _refuse_common(list(stop))
        terminal, running = resolved(self.terminal), resolved(self.running)
        return replace(self, terminal=terminal, running=running, stop=stop)

    @property
    def depends_on_time(self) -> bool:
        """Whether one of its parts is a function of time and state."""
        parts = [self.terminal, self.running, self.discount, *(v for _, v in self.stopping)]
        return any(callable(part) and takes_time(part) for part in parts)


def _require_value(part: Any, name: str) -> None:
    """Refuse what is neither a finite number nor a callable; None stands for 0."""
    known = isinstance(part, (float, int, np.floating, np.integer))
    if not (part is None or callable(part) or (known and np.isfinite(part))):
        raise InputError(f"{name} must be a finite number or a function of x, got {part!r:.60}")


def require_functional(given: Any) -> Functional:
    """The question that was given.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(given, Functional):
        raise InputError(
            "functional must be a Functional, such as hitting_time(above(1.0)), got "
            f"{type(given).__name__}"
        )
    return given


def values_at(part: Value, t: Any, x: Array) -> Array:
    """A part of a functional at the states x (n, D) or labels (n,), as numbers (n,).

    Raises:
        InputError: if a callable does not give one number per state.
    """
    n = len(x)
    if part is None:
        return np.zeros(n)
    if not callable(part):
        return np.full(n, float(part))
    result = np.asarray(part(t, x) if takes_time(part) else part(x), dtype=np.float64)
    if result.shape == ():
        return np.full(n, float(result))
    if result.shape != (n,):
        raise InputError(
            f"a part of the functional must give one number per state, ({n},), got {result.shape}; "
            "x has one row per state"
        )
    return result


def takes_time(function: Callable[..., Any]) -> bool:
    """Whether a callable has two required arguments, (t, x)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) == 2


def hitting_probability(
    target: Region, *, before: Region | None = None, horizon: Any = None
) -> Functional:
    """The probability to reach a region: before another one, within a horizon, or ever.

    Args:
        target: what is to be reached.
        before: what ends the attempt.
        horizon: a duration.

    Raises:
        InputError: for what is no region, or if both share states.
    """
    require_region(target, "target")
    if before is None:
        return Functional(stop={target: 1.0}, horizon=horizon)
    _refuse_common([target, require_region(before, "before")])
    return Functional(stop={target: 1.0, before: 0.0}, horizon=horizon)


def _refuse_common(regions: Sequence[Region]) -> None:
    for k, region in enumerate(regions):
        if any(overlap(region, other) for other in regions[:k]):
            raise InputError(
                "target and before overlap, so that it is not clear which is reached; make them "
                "disjoint"
            )


committor = hitting_probability


def hitting_time(target: Region, *, power: int = 1) -> Functional:
    """The mean time until a region is reached, or a higher moment of it.

    Args:
        target: what is to be reached.
        power: the moment.

    Raises:
        InputError: for what is no region.
    """
    return Functional(running=1.0, stop={require_region(target, "target"): 0.0}, power=power)


def _of_region(part: Any) -> bool:
    return isinstance(part, Indicator)


@packable
@dataclass(frozen=True)
class Indicator:
    """One in a region, zero elsewhere: a reward that can be saved."""

    region: Region

    def __call__(self, x: Array) -> Array:
        """Whether each of the states x is in the region, as numbers."""
        return self.region.contains(x).astype(float)


def occupation(region: Region, horizon: Any) -> Functional:
    """The mean time spent in a region until the horizon.

    Args:
        region: where.
        horizon: a duration.

    Raises:
        InputError: for what is no region.
    """
    return Functional(running=Indicator(require_region(region, "region")), horizon=horizon)


def exceedance(level: float, horizon: Any, channel: Channel = 0) -> Functional:
    """The probability to be at or above a level at the horizon.

    Args:
        level: in the units of the data.
        horizon: a duration.
        channel: its number or its name.
    """
    return Functional(terminal=Indicator(above(level, channel)), horizon=horizon)


def expected(terminal: Any, horizon: Any, *, discount: Any = 0.0) -> Functional:
    """The mean of a function of the state at the horizon.

    Args:
        terminal: the function, x (n, D) -> (n,).
        horizon: a duration.
        discount: a rate.
    """
    return Functional(terminal=terminal, horizon=horizon, discount=discount)


def discounted(running: Any, rate: Any) -> Functional:
    """The mean of all rewards to come, discounted.

    Args:
        running: reward per unit of time, x (n, D) -> (n,).
        rate: the discount rate.
    """
    return Functional(running=running, discount=rate)
