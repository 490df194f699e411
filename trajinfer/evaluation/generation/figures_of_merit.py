"""One row of the report, and how each family of measures fills its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.seeding import spawn
from trajinfer.evaluation.generation.kernels import (
    Discrepancy,
    path_discrepancy,
    signature_discrepancy,
)
from trajinfer.evaluation.generation.law import LawMeasures, real_pairs
from trajinfer.evaluation.generation.recurrent import discriminative_score, prediction_error
from trajinfer.evaluation.generation.samples import Samples, subset
from trajinfer.evaluation.generation.two_sample import classifier_auc
from trajinfer.metrics import Memorisation, independent_dependence, path_dependence

# A figure is flagged beyond this many standard deviations of what real data give.
_FAR = 4.5
_NORMAL = 1.96
_REAL_PAIRS = 40
_NULL_DRAWS = 199
_BOOTSTRAPS = 200
_BLOCKS_OF_TIME = 8
_LEFT_OUT = 8
_COPIES = 0.01
# Margins below which a difference is not worth a flag however sure it is.
_AUC_MARGIN, _ACCURACY_MARGIN, _PREDICTION_MARGIN = 0.02, 0.1, 0.1
_KINDS = {
    "ks_mean": "marginals",
    "ks_max": "marginals",
    "acf": "dynamics",
    "acf_absolute": "dynamics",
    "correlation": "channels",
    "modes": "modes",
    "time_above": "shape",
    "crossings": "shape",
    "crossing_intervals": "shape",
}


@dataclass(frozen=True)
class Figure:
    """One measure of a generator.

    Attributes:
        metric: its name.
        value: measured on all series given.
        lower, upper: 95 % interval.
        floor: what real series against real series give.
        limit: value beyond which it is flagged; `low_is_bad` tells on which side.
        flag: name of the flag.
        p_value: of a permutation test, where there is one.
        low_is_bad: whether small values are the suspicious ones.
    """

    metric: str
    value: float
    lower: float
    upper: float
    floor: float
    limit: float
    flag: str
    p_value: float | None = None
    low_is_bad: bool = False

    @property
    def flagged(self) -> bool:
        """Whether the value lies beyond the limit."""
        return self.value < self.limit if self.low_is_bad else self.value > self.limit


def law_figures(samples: Samples, n_seeds: int, seed: int) -> Iterator[Figure]:
    """Marginals, memory, channels, modes and excursions, beside pairs of real samples."""
    rng = np.random.default_rng(seed)
    measures = LawMeasures.of(samples.train, seed)
    real = np.concatenate([samples.train, samples.hold_out])
    groups = np.concatenate([samples.train_groups, samples.hold_out_groups])
    sizes = len(samples.synthetic), len(samples.hold_out)
    pairs = real_pairs(groups, *sizes, _REAL_PAIRS, rng)
    floors = [measures.between(real[i], real[j]) for i, j in pairs]
    found = measures.between(samples.synthetic, samples.hold_out)
    errors = _jackknife_errors(samples, measures, 2 * n_seeds, rng)
    for name, value in found.items():
        draws = np.array([floor[name] for floor in floors])
        limit = float(draws.mean() + _FAR * draws.std(ddof=1))
        yield Figure(
            name, value, *_around(value, errors[name]), float(draws.mean()), limit, _KINDS[name]
        )


def classifier_figures(samples: Samples, seeds: Sequence[int]) -> Iterator[Figure]:
    """Gradient boosting and a recurrent network against generated and against real series."""
    fake, held = samples.synthetic, samples.hold_out
    fake_groups, held_groups = samples.synthetic_groups, samples.hold_out_groups
    real, real_groups = _as_many_real(samples, seeds[0])
    auc = classifier_auc(fake, held, fake_groups, held_groups, seeds)
    floor = classifier_auc(real, held, real_groups, held_groups, seeds[:2])
    limit = max(0.5, floor.value) + 3 * max(auc.error, floor.error) + _AUC_MARGIN
    bounds = _around(auc.value, auc.error)
    yield Figure("c2st_auc", auc.value, *bounds, floor.value, limit, "classifier")
    pairs = [
        (
            discriminative_score(fake, held, fake_groups, held_groups, s),
            discriminative_score(real, held, real_groups, held_groups, s),
        )
        for s in seeds[:2]
    ]
    scores, floors = np.array(pairs).T
    limit = max(0.0, floors.mean()) + _ACCURACY_MARGIN
    yield _over_seeds("discriminative", scores, float(floors.mean()), limit, "classifier")


def prediction_figures(samples: Samples, seeds: Sequence[int]) -> Iterator[Figure]:
    """Train on synthetic, test on real, over train on real, test on real."""
    errors = [
        [
            prediction_error(learned, samples.hold_out, samples.train, s)
            for learned in (samples.synthetic, samples.train)
        ]
        for s in seeds[:2]
    ]
    synthetic, real = np.array(errors).T
    ratio = synthetic / np.maximum(real, 1e-12)
    yield _over_seeds("tstr_trtr", ratio, 1.0, 1 + _PREDICTION_MARGIN, "prediction")


def kernel_figures(samples: Samples, seed: int) -> Iterator[Figure]:
    """Maximum mean discrepancies with permutation p-values."""
    kernels = {"path_mmd": path_discrepancy, "signature_mmd": signature_discrepancy}
    for (name, measure), s in zip(kernels.items(), spawn(seed, 2)):
        rng = np.random.default_rng(s)
        found = measure(samples.synthetic, samples.hold_out, rng)
        floor, limit = _kernel_floor(samples, measure, found, rng)
        bounds = _around(found.value, found.null_error)
        yield Figure(name, found.value, *bounds, floor, limit, "paths", found.p_value)


def copy_figures(samples: Samples, seed: int) -> Iterator[Figure]:
    """Distances to the training paths: of the paths, and of their means over blocks of time.

    Noise added to a copy hides it from the first and averages out in the second.
    """
    rng = np.random.default_rng(seed)
    for prefix, view in (("", _as_they_are), ("smoothed_", _block_means)):
        train, *others = (view(p) for p in (samples.train, samples.hold_out, samples.synthetic))
        found = Memorisation.of(train, *others)
        real = _shares_of_real_groups(samples, train, others[0], rng)
        yield from _memorisation_figures(prefix, found, real, rng)


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


def dependence_figures(samples: Samples, neighbours: Array, seed: int) -> Iterator[Figure]:
    """Correlation with the path that each synthetic one was grown from, over all times."""
    value = path_dependence(samples.synthetic, neighbours)
    rng = np.random.default_rng(seed)
    null = independent_dependence(samples.synthetic, neighbours, _NULL_DRAWS, rng)
    error = (1 - value**2) / np.sqrt(len(neighbours))
    p_value = float((1 + (null >= value).sum()) / (1 + len(null)))
    limit = float(null.mean() + _FAR * null.std())
    floor = float(null.mean())
    yield Figure("dependence", value, *_around(value, error), floor, limit, "dependence", p_value)


def _memorisation_figures(
    prefix: str, found: Memorisation, real: Array, rng: np.random.Generator
) -> Iterator[Figure]:
    n, m = len(found.synthetic), len(found.hold_out)
    fakes, held = _medians(found.synthetic, rng), _medians(found.hold_out, rng)
    ratios = fakes / np.maximum(held, 1e-300)
    lower, upper = np.quantile(ratios, [0.025, 0.975])
    # What a held-out sample of the size of the synthetic one would scatter by.
    error = float(held.std() / held.mean() * np.sqrt(1 + m / n))
    limit = 1 - max(_FAR * error, 0.05)
    yield Figure(
        f"{prefix}nearest_ratio",
        found.ratio,
        float(lower),
        float(upper),
        1.0,
        limit,
        "copies",
        low_is_bad=True,
    )
    share = found.copy_share
    spread = np.sqrt(_COPIES * (1 - _COPIES) * (1 / n + 1 / m))
    own = np.sqrt(max(share * (1 - share), 1 / n) / n)
    floor, limit = _COPIES, _COPIES + _FAR * spread
    if len(real) > 1:
        floor = float(real.mean())
        limit = max(limit, floor + _FAR * float(real.std(ddof=1)) / np.sqrt(len(real)))
    yield Figure(f"{prefix}copy_share", share, *_around(share, own), floor, limit, "copies")
    auc, k = found.membership_auc, len(found.back_train)
    error = float(np.sqrt((1 / k + 1 / m) / 12))
    limit = 0.5 + _FAR * error + _AUC_MARGIN
    yield Figure(f"{prefix}membership_auc", auc, *_around(auc, error), 0.5, limit, "copies")


def _kernel_floor(
    samples: Samples,
    measure: Callable[[Array, Array, np.random.Generator], Discrepancy],
    found: Discrepancy,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Zero and the null's spread; with groups, what real pairs of whole groups give if more."""
    limit = _FAR * found.null_error
    if not samples.grouped:
        return 0.0, limit
    real = np.concatenate([samples.train, samples.hold_out])
    groups = np.concatenate([samples.train_groups, samples.hold_out_groups])
    pairs = real_pairs(groups, len(samples.synthetic), len(samples.hold_out), 8, rng)
    draws = np.array([measure(real[i], real[j], rng).value for i, j in pairs])
    return float(draws.mean()), float(max(limit, draws.mean() + _FAR * draws.std(ddof=1)))


def _jackknife_errors(
    samples: Samples, measures: LawMeasures, n_parts: int, rng: np.random.Generator
) -> dict[str, float]:
    """Standard errors from leaving out one of `n_parts` sets of groups of both samples."""
    fake = rng.integers(n_parts, size=samples.synthetic_groups.max() + 1)
    held = rng.permutation(samples.hold_out_groups.max() + 1) % n_parts
    left = []
    for part in range(n_parts):
        x = samples.synthetic[fake[samples.synthetic_groups] != part]
        y = samples.hold_out[held[samples.hold_out_groups] != part]
        if len(x) > 2 and len(y) > 2:
            left.append(measures.between(x, y))
    k = len(left)
    return {name: float(np.sqrt((k - 1) * np.var([one[name] for one in left]))) for name in left[0]}


def _as_many_real(samples: Samples, seed: int) -> tuple[Array, Array]:
    """Training paths, as many as there are synthetic ones if possible, and their groups."""
    n = min(len(samples.train), len(samples.synthetic))
    kept = subset(np.arange(len(samples.train)), n, np.random.default_rng(seed))
    return samples.train[kept], samples.train_groups[kept]


def _over_seeds(name: str, values: Array, floor: float, limit: float, flag: str) -> Figure:
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Figure(name, mean, *_around(mean, error), floor, limit, flag)


def _around(value: float, error: float) -> tuple[float, float]:
    return value - _NORMAL * error, value + _NORMAL * error


def _medians(values: Array, rng: np.random.Generator) -> Array:
    return np.array([np.median(rng.choice(values, len(values))) for _ in range(_BOOTSTRAPS)])


def _as_they_are(paths: Array) -> Array:
    return paths


def _block_means(paths: Array) -> Array:
    blocks = np.array_split(paths, min(_BLOCKS_OF_TIME, paths.shape[1]), axis=1)
    return np.stack([block.mean(axis=1) for block in blocks], axis=1)
