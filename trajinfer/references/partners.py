"""What the refinement reads off couplings, however they are represented."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trajinfer.references.static_likelihood import RowStatistics


@dataclass(frozen=True)
class Partners:
    """Moments of the ends that starts are coupled to, in S segments of one size.

    Attributes:
        times: (S,) at which the segments start.
        durations: (S,).
        start: (S, N, D).
        statistics: mass, mean and covariance of the ends of every start.
    """

    times: Tensor
    durations: Tensor
    start: Tensor
    statistics: RowStatistics


@dataclass(frozen=True)
class Pairs:
    """Starts and ends drawn from couplings of S segments.

    Attributes:
        times: (S,) at which the segments start.
        durations: (S,).
        start, end: (S, n, D).
    """

    times: Tensor
    durations: Tensor
    start: Tensor
    end: Tensor
