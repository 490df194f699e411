"""Where a search starts: rates counted from the labels, at every scale of the gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trajinfer._core.checks import Array
from trajinfer.markov.emission import EmissionModel
from trajinfer.markov.likelihood import Transitions
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import with_diagonal

_OCTAVES = 3.0
_MOST_SCALES = 6
_FEWEST_PAIRS = 5
_ERRORS = (0.05, 1e-3, 0.2)
_EQUAL = 0.2


def counting_rates(pairs: Transitions, n_states: int, links: Array | None = None) -> Array:
    """A first guess, (observed changes + 1/2) / (dwell + S/2 of the smallest gap).

    The time between two observations is attributed half to each of their states. States that are
    never observed get the typical rate.
    """
    changes = pairs.table(n_states)
    np.fill_diagonal(changes, 0.0)
    dwell = pairs.dwell(n_states)
    if not len(pairs.gap) or dwell.sum() <= 0:
        return with_diagonal(np.ones((n_states, n_states)))
    rates = (changes + 0.5) / (dwell + 0.5 * n_states * pairs.gap.min())[:, None]
    rates[dwell == 0] = typical_rate(pairs, n_states) / max(n_states - 1, 1)
    return with_diagonal(rates if links is None else np.where(links, rates, 0.0))


def typical_rate(pairs: Transitions, n_states: int) -> float:
    """1 / tau: one plus the number of observed changes over the total time."""
    table = pairs.table(n_states)
    total = float((pairs.gap * pairs.weight).sum())
    return float((table.sum() - np.trace(table) + 1) / total) if total > 0 else 1.0


def gap_scales(gaps: Array) -> list[float]:
    """Upper ends of groups of gaps that lie factors of eight apart, the largest first."""
    positive = np.sort(gaps[gaps > 0])
    if not len(positive):
        return []
    group = np.floor(np.log2(positive / positive[0]) / _OCTAVES + 1e-9)
    ends = positive[np.flatnonzero(np.diff(group, append=np.inf))]
    enough = [end for end in ends if (positive <= end).sum() >= _FEWEST_PAIRS]
    scales = enough or [float(positive[-1])]
    chosen = np.unique(np.linspace(0, len(scales) - 1, _MOST_SCALES).astype(int))
    return [float(scales[k]) for k in chosen[::-1]]


def starting_rates(
    pairs: Transitions, n_states: int, links: Array, *, gaps: Array, alike: Array
) -> list[Array]:
    """Rates (S, S) counted from the gaps up to every scale, without repetitions.

    Args:
        pairs: consecutive known labels.
        n_states: S.
        links: (S, S) bool, possible jumps.
        gaps: of all intervals, also of those whose ends are not known.
        alike: (S,) bool, states that no single label tells apart from another one. Their labels
            are no guide to the scale, so that one jump per gap of every scale is tried as well,
            with unequal rates, since from equal ones a search cannot tell such states apart.
    """
    out = [counting_rates(pairs, n_states, links)]
    for scale in gap_scales(pairs.gap)[1:]:
        short = pairs.gap <= scale
        out.append(counting_rates(_chosen(pairs, short), n_states, links))
    if alike.any() or not len(pairs.gap):
        uneven = 1 + 0.5 * np.sin(1.0 + np.arange(n_states**2)).reshape(n_states, n_states)
        share = 1 / np.maximum(links.sum(axis=1, keepdims=True), 1)
        for scale in gap_scales(gaps):
            for jumps_per_gap in (0.03, 0.3):
                rates = jumps_per_gap / scale * share * uneven
                out.append(with_diagonal(np.where(links, rates, 0.0)))
    return _without_repetitions(out, links)


def _chosen(pairs: Transitions, rows: Array) -> Transitions:
    return replace(
        pairs,
        gap=pairs.gap[rows],
        start=pairs.start[rows],
        end=pairs.end[rows],
        kind=pairs.kind[rows],
        weight=pairs.weight[rows],
        row=pairs.row[rows],
    )


def _without_repetitions(several: list[Array], links: Array) -> list[Array]:
    distinct: list[Array] = []
    for rates in several:
        logs = np.log(np.maximum(rates[links], 1e-300))
        others = [np.log(np.maximum(other[links], 1e-300)) for other in distinct]
        if all(np.abs(logs - other).max(initial=0.0) > _EQUAL for other in others):
            distinct.append(rates)
    return distinct or several[:1]


def starting_points(
    rates: list[Array], initial: Array, emission: EmissionModel
) -> list[Parameters]:
    """Starts for every rate matrix and, where the error of labels is learned, several errors."""
    errors = [replace(emission, error=e) for e in _ERRORS] if emission.learn_error else [emission]
    return [Parameters(matrix, initial, labels) for matrix in rates for labels in errors]
