"""The law of stays above and below a level, from a covariance or from data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.integrate import trapezoid
from scipy.special import ndtr

from trajinfer._core.checks import Array, as_array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from
from trajinfer.data import IrregularSeries, Trajectories
from trajinfer.excursions import slepian
from trajinfer.excursions.counted import band, counted, kaplan_meier
from trajinfer.excursions.covariance import Covariance
from trajinfer.processes import OrnsteinUhlenbeck, Process
from trajinfer.questions.channel import channel_number

ExcursionMethod = Literal["auto", "slepian", "simulate", "count"]
_POINTS = 1500
_MEANS = 12.0
_SIMULATED = 400


@dataclass(frozen=True, eq=False)
class Stays:
    """The law of one kind of stay.

    Attributes:
        ts: (T,) lengths.
        survival: (T,) probability of a longer stay; NaN where nothing was seen.
        mean: of the lengths, as far as `ts` reach where the law was counted.
        band: lower and upper end (T,) of an interval, where the law was counted or simulated.
    """

    ts: Array
    survival: Array
    mean: float
    band: tuple[Array, Array] | None = None

    @property
    def density(self) -> Array:
        """(T,) of the lengths."""
        return np.asarray(-np.gradient(self.survival, self.ts))

    def quantile(self, q: float) -> float:
        """The length that a share q of the stays does not exceed; NaN beyond `ts`."""
        if not 0 < q < 1:
            raise InputError(f"q must lie between 0 and 1, got {q}")
        if not (self.survival <= 1 - q).any():
            return float("nan")
        falling = np.minimum.accumulate(self.survival)
        return float(np.interp(q, 1 - falling, self.ts))

    def sample(self, n: int, random_state: RandomState = None) -> Array:
        """(n,) lengths; those beyond `ts` are drawn with the last rate of the law."""
        rng = np.random.default_rng(seed_from(random_state))
        u = rng.random(n)
        falling = np.minimum.accumulate(self.survival)
        lengths = np.interp(u, falling[::-1], self.ts[::-1])
        half = len(falling) // 2
        last = max(falling[-1], 1e-12)
        rate = np.log(max(falling[half], 1e-12) / last) / (self.ts[-1] - self.ts[half])
        beyond = u < falling[-1]
        lengths[beyond] = self.ts[-1] + np.log(last / u[beyond]) / max(rate, 1e-12)
        return np.asarray(lengths)


@dataclass(frozen=True, eq=False)
class ExcursionLaw:
    """Stays above and below a level.

    Attributes:
        above, below: their laws.
        exponent: rate at which long stays become rare, at level 0 of a smooth Gaussian process;
            NaN elsewhere.
        method: how they were found.
    """

    above: Stays
    below: Stays
    exponent: float
    method: str


def excursion_law(
    source: Any,
    level: float = 0.0,
    *,
    method: ExcursionMethod = "auto",
    channel: int | str = 0,
    times: Any = None,
    random_state: RandomState = None,
) -> ExcursionLaw:
    """The law of stays above and below a level.

    Args:
        source: a covariance r(t) with r(0) = 1 as a function of a tensor, of a stationary Gaussian
            process with mean 0; or data: `Trajectories`, `IrregularSeries`, an array with `times`.
        level: in standard deviations for a covariance, in the units of the data otherwise.
        method: "slepian" (independent intervals, for covariances that fall), "simulate" (paths of
            the Gaussian process), "count" (data), or "auto".
        channel: of the data.
        times: (T,) of an array.
        random_state: of simulation and bootstrap.

    Raises:
        InputError: for a covariance that is none, or not smooth, or rises; for data without stays.

    Example:
        >>> import torch
        >>> law = excursion_law(lambda t: 1 / torch.cosh(t / 2))
        >>> round(law.exponent, 4), round(law.above.mean, 3)
        (0.1862, 6.283)
    """
    if isinstance(source, Process):
        _refuse_rough(source)
    if callable(source) and method in ("auto", "slepian"):
        return _by_slepian(Covariance.of(source), float(level))
    rng = np.random.default_rng(seed_from(random_state))
    if callable(source):
        data = _simulated(Covariance.of(source), rng)
        return _counted(data, float(level), rng, "simulate")
    if method not in ("auto", "count"):
        raise InputError(f"data are counted; take method='count', got {method!r}")
    return _counted(_series(source, channel, times), float(level), rng, "count")


def persistence_exponent(
    source: Any, *, method: Literal["slepian", "simulate"] = "slepian"
) -> float:
    """Rate at which stays on one side of the mean become rare.

    Args:
        source: a covariance, as for `excursion_law`, or an `OrnsteinUhlenbeck` process of one
            coordinate, whose exponent is theta.
        method: "slepian", or "simulate": the slope of the survival of simulated stays.

    Raises:
        InputError: as for `excursion_law`.
    """
    if isinstance(source, OrnsteinUhlenbeck) and source.dim == 1:
        return float(np.ravel(source.parameters_dict()["theta"])[0])
    covariance = Covariance.of(source)
    if method == "slepian":
        return slepian.exponent(covariance)
    law = _counted(
        _simulated(covariance, np.random.default_rng(0)), 0.0, np.random.default_rng(1), "simulate"
    ).above
    usable = (law.survival < 0.3) & (law.survival > 0.01)
    return float(-np.polyfit(law.ts[usable], np.log(law.survival[usable]), 1)[0])


def _refuse_rough(process: Process) -> None:
    raise InputError(
        f"paths of {type(process).__name__} have no derivative: crossings cluster without end and "
        "there is no law of stays; ask the survival within a horizon (passage), or the exponent"
    )


def _by_slepian(covariance: Covariance, level: float) -> ExcursionLaw:
    rate = np.sqrt(covariance.curvature) / np.pi
    crossing = rate * np.exp(-(level**2) / 2) / 2
    share = float(ndtr(-level))
    means = float(share / crossing), float((1 - share) / crossing)
    t = np.linspace(0, min(_MEANS * max(means), covariance.reach), _POINTS)
    if level == 0:
        both = slepian.level_zero(covariance, t)
        laws = (both, both)
    else:
        laws = slepian.any_level(covariance, level, t)
    above, below = (Stays(t, 1 - law, mean) for law, mean in zip(laws, means))
    tail = slepian.exponent(covariance) if level == 0 else float("nan")
    return ExcursionLaw(above, below, tail, "slepian")


def _simulated(covariance: Covariance, rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Paths of the process, exact on a fine grid, by the spectrum of a circle."""
    step = 0.05 / np.sqrt(covariance.curvature)
    length = int(2 ** np.ceil(np.log2(max(8 * covariance.reach, 100 * np.pi * step * 20) / step)))
    lags = np.minimum(np.arange(length), length - np.arange(length)) * step
    r, _ = covariance.values(lags)
    spectrum = np.maximum(np.fft.rfft(r).real, 0.0)
    noise = rng.standard_normal((_SIMULATED // 20, 2, len(spectrum)))
    waves = (noise[:, 0] + 1j * noise[:, 1]) * np.sqrt(spectrum * length / 2)
    paths = np.fft.irfft(waves, n=length, axis=1)
    half = length // 2
    return [(np.arange(half) * step, path[:half]) for path in paths]


def _counted(
    data: list[tuple[Array, Array]], level: float, rng: np.random.Generator, method: str
) -> ExcursionLaw:
    parts = counted(data, level)
    stays = [stay for part in parts for stay in part]
    sides = []
    for side in (True, False):
        lengths = np.array([stay[1] for stay in stays if bool(stay[0]) == side])
        if not len(lengths):
            raise InputError(f"no stay {'above' if side else 'below'} {level:g} was seen whole")
        t = np.linspace(0, lengths.max(), 200)
        survival = kaplan_meier(stays, side, t)
        mean = float(trapezoid(np.nan_to_num(survival), t))
        sides.append(Stays(t, survival, mean, band(parts, side, t, 0.9, rng)))
    return ExcursionLaw(sides[0], sides[1], float("nan"), method)


def _series(source: Any, channel: int | str, times: Any) -> list[tuple[Array, Array]]:
    if isinstance(source, IrregularSeries):
        place = channel_number(channel, source.channels, source.values.shape[2])
        rows = zip(source.times, source.values, source.lengths)
        return [(t[:size], x[:size, place]) for t, x, size in rows]
    if isinstance(source, Trajectories):
        paths = source.in_order()
        place = channel_number(channel, paths.features, paths.dim)
        ts = np.broadcast_to(paths.ts, paths.values.shape[:2])
        return [(t, x[:, place]) for t, x in zip(ts, paths.values)]
    values = as_array(source, "source", ndim=1)
    if times is None:
        raise InputError("an array needs times=, one for each of its values")
    t = as_array(times, "times", ndim=1)
    if len(t) != len(values) or not (np.diff(t) > 0).all():
        raise InputError(
            f"times must increase, one for each of the {len(values)} values, got {len(t)}; sort "
            "them together"
        )
    return [(t, values)]
