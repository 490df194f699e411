"""What a generator is trained on: observed paths, and the transitions seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trajinfer._core.errors import InputError
from trajinfer._core.packing import packable
from trajinfer.generation.directed_chain import Systems, Units
from trajinfer.paths import Path, PiecewisePolynomial, linear_path


@dataclass(frozen=True)
class Transitions:
    """P pairs of successive observations of the same path.

    Attributes:
        path: (P,) number of the path.
        column: (P,) which of its observations comes first.
        t: (P, 1) its time.
        x: (P, D) the state there.
        gap: (P, 1) time to the next observation.
        change: (P, D) what the state changes by until then.
    """

    path: Tensor
    column: Tensor
    t: Tensor
    x: Tensor
    gap: Tensor
    change: Tensor

    def __len__(self) -> int:
        return len(self.path)

    def __getitem__(self, index: Tensor) -> Transitions:
        parts = (self.path, self.column, self.t, self.x, self.gap, self.change)
        return Transitions(*(part[index] for part in parts))


@packable
@dataclass(frozen=True)
class ObservedPaths:
    """B paths with times of their own.

    An observation counts where all its channels are present; a row with a missing channel is left
    out and its neighbours form one longer transition.

    Attributes:
        times: (B, T), padded by repeating the last one.
        values: (B, T, D).
        complete: (B, T) bool, which observations count.
        systems: (B,) numbers of the interacting systems the paths belong to, or None.
    """

    times: Tensor
    values: Tensor
    complete: Tensor
    systems: Tensor | None = None

    def __len__(self) -> int:
        return len(self.times)

    def to(self, device: torch.device) -> ObservedPaths:
        """The same paths on a device."""
        return ObservedPaths(
            self.times.to(device),
            self.values.to(device),
            self.complete.to(device),
            None if self.systems is None else self.systems.to(device),
        )

    @property
    def device(self) -> torch.device:
        """Where the paths are."""
        return self.values.device

    @property
    def dim(self) -> int:
        """D, the number of channels."""
        return int(self.values.shape[2])

    @property
    def regular(self) -> bool:
        """Whether all paths are complete on the same times."""
        return bool(self.complete.all() and (self.times == self.times[0]).all())

    def transitions(self) -> Transitions:
        """All pairs of successive observations."""
        path, column = self.complete.nonzero(as_tuple=True)
        first = path[:-1] == path[1:]
        begin, end = (path[:-1][first], column[:-1][first]), (path[1:][first], column[1:][first])
        t, x = self.times[begin], self.values[begin]
        gap, change = self.times[end] - t, self.values[end] - x
        return Transitions(*begin, t[:, None].float(), x, gap[:, None].float(), change)

    def units(self) -> Units:
        """The scales of these paths; the base step is the median gap."""
        pairs = self.transitions()
        step = float(pairs.gap.median())
        present = self.values[self.complete]
        times = self.times[self.complete]
        return Units(
            mean=present.mean(0),
            std=_positive(present.std(0)),
            increment=_positive((pairs.change.square() * (step / pairs.gap)).mean(0).sqrt()),
            step=step,
            start=float(times.min()),
            horizon=float(times.max() - times.min()),
        )

    def starts(self) -> Tensor:
        """(B, D) the first observation of every path."""
        first = self.complete.float().argmax(1)
        return self.values[torch.arange(len(self), device=first.device), first]

    def partners(self, pairs: Transitions) -> tuple[Tensor, Tensor]:
        """The whole system of every transition at its time: (P, S, D), and (P, S) who is there.

        Raises:
            InputError: if the paths have no systems or differ in their times.
        """
        if self.systems is None or not self.regular:
            raise InputError(
                "a pooled neighbour needs fit(series, groups=system of every series), and systems "
                "that are observed together: the same times for all, nothing missing"
            )
        whole = Systems.of(self.systems)
        members = whole.members[pairs.path]
        return self.values[members, pairs.column[:, None]], whole.present[pairs.path]

    def as_path(self, rows: Tensor) -> Path:
        """The chosen paths as functions of time, linear between observations, held at the ends."""
        whole = self._interpolated
        part = PiecewisePolynomial(whole.knots[rows], whole.coefficients[rows], causal=False)
        return part.held()

    @cached_property
    def _interpolated(self) -> PiecewisePolynomial:
        seen = self.complete[:, :, None].expand_as(self.values)
        return linear_path(self.times, self.values, seen)


def _positive(scale: Tensor) -> Tensor:
    """The scale, or 1 for a channel that does not move."""
    return torch.where(scale > 0, scale, 1.0)
