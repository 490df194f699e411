"""A fitted generator as a value: it draws, goes on from a past, walks and scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.data import IrregularSeries, TimeAxis, Trajectories
from trajinfer.data.scaling import Standardisation
from trajinfer.data.time_order import TimeOrder
from trajinfer.generation.constraints import LinearConstraints
from trajinfer.generation.engine import Engine
from trajinfer.generation.schema import ChannelSchema
from trajinfer.metrics import signature_mmd

_SCORED = 128


@packable
@dataclass(frozen=True)
class GeneratorModel:
    """The law of series of C channels.

    Attributes:
        engine: the law of the D channels that are modelled.
        constraints: which channels are redundant, and how they are rebuilt.
        channels: names of the C channels.
        axis: of the times of the training series.
        n_series: number of training series.
        scale: (C,) standard deviations of the training series, as they are compared.
        seed: of draws, unless another is given.
        schema: kinds of the C channels; () of models of version 0.1.
    """

    engine: Engine
    constraints: LinearConstraints
    channels: tuple[str, ...]
    axis: TimeAxis
    n_series: int
    scale: Array
    seed: int
    schema: tuple[ChannelSchema, ...] = ()

    @property
    def drawn_axis(self) -> TimeAxis:
        """The axis of the times of draws."""
        return self.axis.since_start() if self.engine.from_start else self.axis

    def sample(self, n: int, ts: Any, n_links: int | None, seed: int) -> Trajectories:
        """Draw n series at the times that are asked for, or on the grid of the training series."""
        if ts is None and self.engine.own_times:
            return self._trajectories(*self.engine.sample_with_times(n, seed))
        times, index = self._times(ts, n)
        self._warn_of_dependence(n_links)
        drawn = self.engine.sample(n, times, n_links, seed)
        return self._answer(times, drawn, index)

    def walk(self, n: int, n_steps: int, ts: Any, seed: int) -> list[Trajectories]:
        """The first links of n walks."""
        times, index = self._times(ts, n)
        links = self.engine.walk(n, n_steps, times, seed)
        return [self._answer(times, link, index) for link in links]

    def continue_from(self, given: IrregularSeries, n: int, ts: Any, seed: int) -> Trajectories:
        """Draw n series that go on from one past, or from n of them.

        Raises:
            InputError: for other numbers or channels of pasts, or without times.
        """
        past = given.on_axis(self.axis)
        if past.channels != self.channels or len(past) not in (1, n):
            raise InputError(
                f"given must be one series or {n}, with channels {self.channels}; got {len(past)} "
                f"with {past.channels}"
            )
        if ts is None:
            raise InputError("say at which times after the given past the paths are wanted: ts=")
        times, index = np.unique(self.axis.queries(ts, 1), return_inverse=True)
        if not self.engine.from_start:
            self.engine.check_times(times)
        modelled = IrregularSeries(
            past.flat_times,
            self.constraints.drop(past.flat_values),
            past.lengths,
            channels=self._names(self.constraints.kept),
            axis=past.axis,
        )
        drawn = self.engine.continue_from(modelled, n, times, seed)
        values = self.constraints.rebuild(drawn)[:, np.ravel(index)]
        return Trajectories(times[np.ravel(index)], values, features=self.channels, axis=self.axis)

    def score(self, held_out: IrregularSeries) -> float:
        """Minus the squared signature-kernel discrepancy, in training standard deviations.

        Raises:
            InputError: if the held-out series do not share complete times.
        """
        if not held_out.mask.all() or (held_out.times != held_out.times[0]).any():
            raise InputError("the score needs held-out series that are complete on the same times")
        rows = np.random.default_rng(self.seed).permutation(len(held_out))[:_SCORED]
        times = None if self.engine.from_start else held_out.axis.decode(held_out.times[0])
        drawn = self.sample(_SCORED, times, None, self.seed).values
        fake, real = (self.engine.comparable(part) for part in (drawn, held_out.values[rows]))
        centre = real.mean(axis=(0, 1))
        return -float(signature_mmd((fake - centre) / self.scale, (real - centre) / self.scale))

    def _names(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.channels[k] for k in numbers)

    def _times(self, ts: Any, n: int) -> tuple[Array, Array]:
        """Ascending times (T,), or (n, T) where every series has its own, and which are asked for.

        Shared times are drawn once, however often they are asked for. The second value holds the
        places (1, Q) or (n, Q) of the times in the order asked.
        """
        if ts is None:
            times = self.engine.grid()
            return times, np.arange(len(times))[None]
        asked = self.drawn_axis.queries(ts, n)
        order = TimeOrder.of(asked)
        self.engine.check_times(order.times)
        if (asked == asked[0]).all():
            times, index = np.unique(asked[0], return_inverse=True)
            return times, np.reshape(index, (1, -1))
        return order.times, order.rank

    def _answer(self, times: Array, values: Array, index: Array) -> Trajectories:
        """Paths (n, T, D) at `times` as answers at the places `index` of the times."""
        ts = np.take_along_axis(np.atleast_2d(times), index, axis=1)
        drawn = np.take_along_axis(values, index[:, :, None], axis=1)
        return self._trajectories(ts[0] if times.ndim == 1 else ts, drawn)

    def _warn_of_dependence(self, n_links: int | None) -> None:
        measured = self.engine.dependence
        if measured is None:
            return
        k = self.engine.n_links if n_links is None else n_links
        level = measured.links[min(k, len(measured.links)) - 1]
        if level > measured.null:
            warnings.warn(
                f"after {k} links paths still correlate with their seeds, by up to {level:.3f} "
                f"({measured.null:.3f} is the 99 % quantile of independent ones); take more "
                "chain_steps",
                UserWarning,
                stacklevel=4,
            )

    def _trajectories(self, times: Array, modelled: Array) -> Trajectories:
        values = self.constraints.rebuild(modelled)
        return Trajectories(times, values, features=self.channels, axis=self.drawn_axis)


def training_scale(paths: Array) -> Array:
    """(C,) standard deviations of paths (n, T, C), NaN where not observed; 1 of a constant."""
    return Standardisation.of(paths).scale
