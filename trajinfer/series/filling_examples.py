"""What an interpolator learns from and what judges it, in groups of series of similar length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.distributions import Normal

from trajinfer._core.checkpoint_folder import once
from trajinfer._core.checks import Array
from trajinfer.data import IrregularSeries
from trajinfer.data.grouping import similar_lengths
from trajinfer.filling.cross_channel import CrossChannel, Surroundings, fit_cross_channel
from trajinfer.filling.hiding import Hiding, all_but
from trajinfer.filling.linear_prior import PriorFamily, pool_of
from trajinfer.series.hidden_values import HiddenValues
from trajinfer.series.series_batch import Scaling
from trajinfer.series.smoothing import smoothed, smoothed_from_others, surroundings, tracks_of

_FEWEST_OF_A_POOL = 5
_MOST_OF_A_POOL = 500


@dataclass(frozen=True, eq=False)
class FillingExamples:
    """Hidden values with the law that the experts give them.

    Attributes:
        learned: to learn from, a part per group of similar lengths.
        judges: what is kept from all learning, likewise.
        family: priors of the smoothers.
        cross_channel: the experts, which never saw the judges as answers.
    """

    learned: tuple[HiddenValues, ...]
    judges: tuple[HiddenValues, ...]
    family: PriorFamily
    cross_channel: CrossChannel


@dataclass(frozen=True, eq=False)
class _Part:
    """A hiding of a group of series: what was hidden, its surroundings and the smoother's law."""

    whole: IrregularSeries
    shown: IrregularSeries
    asked: IrregularSeries
    around: Surroundings
    law: Normal


def filling_examples(
    data: IrregularSeries,
    weights: Array,
    scaling: Scaling,
    draws: tuple[Hiding, ...],
    judges: Hiding,
    seed: int,
) -> FillingExamples:
    """Fit the experts on draws of what is hidden, and apply them to these and to the judges.

    Args:
        data: the series.
        weights: (B, T, C) relative variances of their measurements.
        scaling: of the series.
        draws: of what is hidden.
        judges: hidden from `data` for the comparison with a network.
        seed: of the experts.
    """
    groups = similar_lengths(data.lengths)
    family = _family(judges.shown, weights, scaling, seed)

    def parts(hiding: Hiding) -> list[_Part]:
        return [_part(data, weights, scaling, family, hiding, group) for group in groups]

    # a value alone is hidden as well: gaps are often short, and other channels beside them
    alone = all_but(data, judges.asked)
    drawn = [parts(hiding) for hiding in draws]
    cross_channel = once("experts", _fitted, [*drawn, parts(alone)], scaling, seed)

    def hidden(part: _Part) -> HiddenValues:
        law = cross_channel(part.around, part.law)
        return HiddenValues.of(part.asked, part.shown, law, scaling)

    learned = [HiddenValues.joined([hidden(part) for part in one]) for one in zip(*drawn)]
    return FillingExamples(
        tuple(learned), tuple(hidden(part) for part in parts(judges)), family, cross_channel
    )


def _family(data: IrregularSeries, weights: Array, scaling: Scaling, seed: int) -> PriorFamily:
    """Priors with what 500 series at most have in common; each for itself where they are few."""
    if len(data) < _FEWEST_OF_A_POOL:
        return PriorFamily()
    some = np.sort(np.random.default_rng(seed).permutation(len(data))[:_MOST_OF_A_POOL])
    parts = []
    for group in similar_lengths(data.lengths[some]):
        part = data[some[group]]
        own = weights[some[group], : part.times.shape[1]]
        parts.append(tracks_of(part, own, scaling))
    return PriorFamily(pool_of(parts, data.shape[2]))


def _part(
    data: IrregularSeries,
    weights: Array,
    scaling: Scaling,
    family: PriorFamily,
    hiding: Hiding,
    group: Array,
) -> _Part:
    whole, shown = data[group], hiding.shown[group]
    own = weights[group, : whole.times.shape[1]]
    if hiding.shown is data:
        law = smoothed_from_others(whole, own, scaling, family)
    else:
        law = smoothed(shown, own, whole.times, scaling, family)
    around = surroundings(shown, whole.times, scaling, places=len(data) >= _FEWEST_OF_A_POOL)
    return _Part(whole, shown, hiding.values(data)[group], around, law)


def _fitted(drawn: list[list[_Part]], scaling: Scaling, seed: int) -> CrossChannel:
    """Experts of hidden values in several draws of what is hidden."""
    parts = [part for draw in drawn for part in draw]
    n_channels = parts[0].whole.shape[2]

    def flat(values: torch.Tensor) -> torch.Tensor:
        return values.reshape(-1, n_channels)

    law = Normal(
        torch.cat([flat(part.law.mean) for part in parts]),
        torch.cat([flat(part.law.stddev) for part in parts]),
        validate_args=False,
    )
    hidden = [scaling.values.apply(part.asked.values).reshape(-1, n_channels) for part in parts]
    around = Surroundings.joined([part.around.flat() for part in parts])
    return fit_cross_channel(around, law, np.concatenate(hidden), len(drawn), seed)
