"""Whether generated series repeat training series, in whole or in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import spawn
from trajinfer.evaluation.generation.exchangeable import random_splits
from trajinfer.evaluation.generation.figure import NORMAL, Figure, around
from trajinfer.evaluation.generation.samples import Samples
from trajinfer.evaluation.generation.verbatim import (
    Match,
    Sequences,
    extension_rate,
    least_evidence,
    longest_matches,
)
from trajinfer.metrics import Memorisation

# chance that the figures of copies, all together, flag an honest sample
_ALPHA = 0.006
_SHUFFLES = 999
_BOOTSTRAPS = 200
_BLOCKS_OF_TIME = 8
_LEFT_OUT = 8
_FAR = 4.5
_COPIES = 0.01
_MARGIN = 0.02
_MOST_NULL = 1024
_TAIL = 0.2
_FEWEST_TAIL = 10


def copy_figures(samples: Samples, seed: int) -> tuple[list[Figure], list[Match]]:
    """Figures of whole paths, of their means over time, and of single stretches and channels.

    Noise added to a copy hides it from the first and averages out in the second; the third finds
    what agrees value by value, wherever it stands and whatever was done to it.
    """
    rngs = [np.random.default_rng(child) for child in spawn(seed, 3)]
    figures: list[Figure] = []
    for prefix, view in (("", _as_they_are), ("smoothed_", _block_means)):
        train, *others = (view(p) for p in (samples.train, samples.hold_out, samples.synthetic))
        distances = Memorisation.of(train, *others)
        real = _shares_of_real_groups(samples, train, others[0], rngs[0])
        figures += _distance_figures(prefix, distances, real, rngs[0])
    figures += _closest_figures(samples, rngs[1])
    stretch, matches = _stretch_figure(samples, rngs[2])
    return [*figures, stretch], matches


def refuse_training_in_hold_out(samples: Samples) -> None:
    """Refuse held-out series that are training series.

    Raises:
        InputError: if more series are on both sides than the training set repeats within itself.
    """
    train, hold_out = samples.rows[0], samples.rows[1]
    moving = [i for i, rows in enumerate(hold_out) if _moves(rows)]
    known: dict[bytes, int] = {}
    repeated = 0
    for rows in train:
        key = rows.tobytes()
        repeated += key in known
        known.setdefault(key, len(known))
    both = [i for i in moving if hold_out[i].tobytes() in known]
    expected = len(hold_out) * (repeated + 1) / (len(train) + 1)
    if len(both) > 3 + 3 * expected:
        raise InputError(
            f"{len(both)} of {len(hold_out)} held-out series are in the training set, such as "
            f"number {both[0]}; hold out series that the generator has not seen"
        )


def _moves(rows: Array) -> bool:
    known = rows[~np.isnan(rows).any(axis=1)]
    return bool(len(known) > 1 and (np.ptp(known, axis=0) > 0).any())


def _stretch_figure(samples: Samples, rng: np.random.Generator) -> tuple[Figure, list[Match]]:
    """The longest stretch that agrees with a training series, beside those of honest series."""
    train, hold_out, synthetic = samples.rows
    scale = samples.scale
    few = np.sort(rng.permutation(len(train))[:_MOST_NULL])
    groups = samples.train_groups
    lengths, evidence, found = [], [], []
    tables = Sequences.of(train, scale, groups)
    own = Sequences.of([train[i] for i in few], scale, groups[few])
    held = Sequences.of(hold_out, scale, -1 - np.arange(len(hold_out)))
    asked = Sequences.of(synthetic, scale, -1 - np.arange(len(synthetic)))
    for table, left_out, others, fake in zip(tables, own, held, asked, strict=True):
        null = [*longest_matches(left_out, table), *longest_matches(others, table)]
        honest = np.array([match.length for match in null])
        rate = extension_rate(table, rng)
        alpha = _ALPHA / (4 * len(tables))
        evidence.append(least_evidence(honest, len(synthetic), rate, alpha))
        found.append(longest_matches(fake, table))
        lengths.append(max(match.length for match in found[-1]))
    excess = [length - least for length, least in zip(lengths, evidence, strict=True)]
    k = int(np.argmax(excess))
    flagged = [m for part, least in zip(found, evidence) for m in part if m.length >= least]
    value = float(lengths[k])
    figure = Figure("longest_match", value, value, value, 0.0, float(evidence[k]) - 0.5, "copies")
    return figure, sorted(flagged, key=lambda match: (-match.length, match.series))


@dataclass(frozen=True)
class _View:
    name: str
    of: Callable[[Array], Array]


def _closest_figures(samples: Samples, rng: np.random.Generator) -> Iterator[Figure]:
    r"""The one series that lies nearest to a training series, as a whole or in one channel.

    Near zero, distances of honest series follow $P(d) \propto d^k$; k and the factor come from the
    smallest fifth of the distances that held-out series, and training series left out of the
    others, have. The figure is -log10 of the chance of a distance as small as the smallest, times
    the number of series and of views.
    """
    n_channels = samples.train.shape[2]
    views = [_View("whole", _as_they_are)]
    if n_channels > 1:
        views += [_View(f"channel {c}", _channel(c)) for c in range(n_channels)]
    worst = 0.0
    for view in views:
        parts = [view.of(p) for p in (samples.train, samples.hold_out, samples.synthetic)]
        few = np.sort(rng.permutation(len(parts[0]))[:_MOST_NULL])
        null = np.concatenate(
            [_left_out(parts[0], few, samples.train_groups), _nearest(parts[1], parts[0], parts[0])]
        )
        smallest = _nearest(parts[2], parts[0], parts[0]).min()
        chance = _tail_chance(null, smallest) * len(parts[2]) * len(views)
        worst = max(worst, -np.log10(max(chance, 1e-300)))
    limit = -np.log10(_ALPHA / 4)
    yield Figure("closest_pair", worst, worst, worst, 0.0, limit, "copies")


def _tail_chance(null: Array, smallest: float) -> float:
    """Chance of a distance below the smallest, from the lower tail of honest distances."""
    if smallest <= 0 and (null <= 0).any():  # ties are part of these data
        return 1.0
    ordered = np.sort(null[null > 0])
    k = max(int(_TAIL * len(ordered)), _FEWEST_TAIL)
    if len(ordered) <= k or smallest >= ordered[k]:
        return 1.0
    logs = np.log(ordered[k] / ordered[:k])
    # the exponent of the power, at the lower end of its error
    exponent = (1 - 2 / np.sqrt(k)) * k / max(logs.sum(), 1e-12)
    share = k / len(null)
    return float(share * (max(smallest, 1e-300) / ordered[k]) ** exponent)


def _left_out(train: Array, chosen: Array, groups: Array) -> Array:
    """Distance of chosen training paths to the nearest one of another group."""
    return _nearest(train[chosen], train, train, groups[chosen], groups)


def _nearest(
    x: Array,
    y: Array,
    units: Array,
    groups_x: Array | None = None,
    groups_y: Array | None = None,
) -> Array:
    """Distance (n,) from paths x to the nearest path of y, in standard deviations of units."""
    scale = units.std(axis=0).ravel()
    scale = np.where(scale > 0, scale, 1.0)
    a, b = (p.reshape(len(p), -1) / scale for p in (x, y))
    size = (b**2).sum(axis=1)
    nearest = np.empty(len(a))
    for rows in np.array_split(np.arange(len(a)), max(1, len(a) * len(b) // 4_000_000)):
        apart = size - 2 * a[rows] @ b.T
        if groups_x is not None and groups_y is not None:
            apart[groups_x[rows][:, None] == groups_y] = np.inf
        nearest[rows] = np.linalg.norm(a[rows] - b[apart.argmin(axis=1)], axis=1)
    return nearest


def _channel(c: int) -> Callable[[Array], Array]:
    return lambda paths: paths[:, :, c : c + 1]


def _shares_of_real_groups(
    samples: Samples, train: Array, hold_out: Array, rng: np.random.Generator
) -> Array:
    """Copy shares that sets of training groups have, left out of the others; () without groups.

    Groups differ: where those held out lie far from the training ones, the next ones may not.
    """
    n_groups = samples.train_groups.max() + 1
    if not samples.grouped or n_groups < 2:
        return np.zeros(0)
    n_parts = min(_LEFT_OUT, n_groups)
    part = (rng.permutation(n_groups) % n_parts)[samples.train_groups]
    shares = [
        Memorisation.of(train[part != k], hold_out, train[part == k]).copy_share
        for k in range(n_parts)
    ]
    return np.array(shares)


def _distance_figures(
    prefix: str, distances: Memorisation, real: Array, rng: np.random.Generator
) -> Iterator[Figure]:
    """Ratio of medians, share of near ones and membership, with limits from relabelling.

    Distances to the training set of honest and of held-out series are exchangeable, and so are the
    distances of training and of held-out series to honest ones.
    """
    n, m = len(distances.synthetic), len(distances.hold_out)
    pooled = np.concatenate([distances.synthetic, distances.hold_out])
    splits = random_splits(pooled, n, _SHUFFLES, rng)
    ratios, shares = _ratio(*splits), _share(*splits)
    alpha = _ALPHA / 8
    fakes, held = _medians(distances.synthetic, rng), _medians(distances.hold_out, rng)
    resampled = fakes / np.maximum(held, 1e-300)
    lower, upper = np.quantile(resampled, [0.025, 0.975])
    yield Figure(
        f"{prefix}nearest_ratio",
        distances.ratio,
        float(lower),
        float(upper),
        1.0,
        float(min(np.quantile(ratios, alpha), 0.95)),
        "copies",
        low_is_bad=True,
    )
    share = float(_share(distances.synthetic, distances.hold_out))
    own = np.sqrt(max(share * (1 - share), 1 / n) / n)
    floor, limit = float(shares.mean()), float(np.quantile(shares, 1 - alpha))
    if len(real) > 1:
        floor = float(real.mean())
        limit = max(limit, floor + _FAR * float(real.std(ddof=1)) / np.sqrt(len(real)))
    # a share counts whole series
    limit = max(limit, _COPIES) + 0.5 / n
    yield Figure(f"{prefix}copy_share", share, *around(share, own), floor, limit, "copies")
    auc, k = distances.membership_auc, len(distances.back_train)
    error = float(np.sqrt((1 / k + 1 / m) / 12))
    limit = 0.5 + max(_FAR * error, NORMAL * error + _MARGIN) + _MARGIN
    yield Figure(f"{prefix}membership_auc", auc, *around(auc, error), 0.5, limit, "copies")


def _ratio(x: Array, y: Array) -> Array:
    return np.asarray(np.median(x, axis=-1) / np.maximum(np.median(y, axis=-1), 1e-300))


def _share(x: Array, y: Array) -> Array:
    """Share of x below the 1 % quantile of y, along the last axis; ties at it are no evidence."""
    return np.asarray((x < np.quantile(y, _COPIES, axis=-1)[..., None]).mean(axis=-1))


def _medians(values: Array, rng: np.random.Generator) -> Array:
    return np.array([np.median(rng.choice(values, len(values))) for _ in range(_BOOTSTRAPS)])


def _as_they_are(paths: Array) -> Array:
    return paths


def _block_means(paths: Array) -> Array:
    blocks = np.array_split(paths, min(_BLOCKS_OF_TIME, paths.shape[1]), axis=1)
    return np.stack([block.mean(axis=1) for block in blocks], axis=1)
