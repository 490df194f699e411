"""Whether a question to a fitted process goes beyond the data that it was fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import ExtrapolationWarning
from trajinfer.functionals.dynamics import Diffusion
from trajinfer.questions.region import Region

_NEAR = 0.25


def told_beyond(
    diffusion: Diffusion,
    starts: Array | None,
    targets: Sequence[Region],
    horizon: float | None,
    *,
    stacklevel: int = 4,
) -> Diffusion:
    """The same process, after a warning where drift and noise are asked where no data were.

    Args:
        diffusion: the process; without `observed` nothing is known of its data.
        starts: (n, D) states.
        targets: regions that are asked about.
        horizon: duration, as a number on the axis.
        stacklevel: of the warning; 4 is the caller of the decorated function that calls this one.

    Warns:
        ExtrapolationWarning: if a start lies outside the box of the data, a target lies further
            from all of them than a quarter of their range, or the horizon is longer than the data.
    """
    data = diffusion.observed
    if data is None:
        return diffusion
    said = [*_far_starts(data, starts), *_unseen(data, targets)]
    if horizon is not None and diffusion.duration is not None and horizon > diffusion.duration:
        said.append(f"the horizon, {horizon:g}, is longer than the data, {diffusion.duration:g}")
    if said:
        warnings.warn(
            f"{'; '.join(said)}: drift and noise are extrapolated there",
            ExtrapolationWarning,
            stacklevel=stacklevel,
        )
    return replace(diffusion, observed=None)


def _far_starts(data: Array, starts: Array | None) -> list[str]:
    if starts is None:
        return []
    low, high = data.min(axis=0), data.max(axis=0)
    slack = 1e-9 * (high - low)
    far = ((starts < low - slack) | (starts > high + slack)).any(axis=1)
    if not far.any():
        return []
    example = np.round(starts[far][0], 6).tolist()
    return [f"{int(far.sum())} of {len(starts)} starts lie outside the data, such as {example}"]


def _unseen(data: Array, targets: Sequence[Region]) -> list[str]:
    reach = _NEAR * float(np.ptp(data, axis=0).max())
    empty = sum(_beyond(target, data, reach) for target in targets)
    return [f"{empty} of {len(targets)} regions asked about lie far from all data"] if empty else []


def _beyond(target: Region, data: Array, reach: float) -> bool:
    distance = target.distance(data)
    if distance is None:
        return not target.contains(data).any()
    return bool(distance.min() > reach)
