"""The law of the modelled channels, as the estimator meets it whatever learned it."""

from __future__ import annotations

from typing import Protocol

from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.generation.chain import Dependence


class Engine(Protocol):
    """A fitted law of series of D modelled channels that can be drawn from.

    Attributes:
        n_links: links of a chain that are walked by default; 1 without a chain.
        dependence: of the links on their seeds; None without a chain.
        from_start: whether times are counted from the start of a series.
        own_times: whether every draw has times or a length of its own.
        any_time: whether there are draws between the times of `grid`.
    """

    @property
    def n_links(self) -> int:
        """Links that are walked by default."""

    @property
    def dependence(self) -> Dependence | None:
        """Of the links on their seeds."""

    @property
    def from_start(self) -> bool:
        """Whether times count from the start of a series."""

    @property
    def own_times(self) -> bool:
        """Whether every draw has times or a length of its own."""

    @property
    def any_time(self) -> bool:
        """Whether there are draws between the times of `grid`."""

    def sample_with_times(self, n: int, seed: int) -> tuple[Array, Array]:
        """Times (T,) or (n, T), padded by the last one, and draws (n, T, D) there."""

    def grid(self) -> Array:
        """(T,) times that are drawn by default."""

    def check_times(self, ts: Array) -> None:
        """Refuse ascending times (..., T) that precede the series; warn of those beyond."""

    def sample(self, n: int, ts: Array, n_links: int | None, seed: int) -> Array:
        """Draws (n, T, D) at ascending times (T,), or (n, T)."""

    def continue_from(self, past: IrregularSeries, n: int, ts: Array, seed: int) -> Array:
        """Draws (n, T, D) at ascending times (T,) that go on from one series, or n of them."""

    def walk(self, n: int, n_steps: int, ts: Array, seed: int) -> list[Array]:
        """The first links (n, T, D) of a walk; refused where there is no chain."""

    def comparable(self, values: Array) -> Array:
        """Paths (n, T, C) in units in which series of different times can be compared."""
