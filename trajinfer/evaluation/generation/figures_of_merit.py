"""How each family of measures of the law fills its rows of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from trajinfer._core.checks import Array
from trajinfer._core.parallel import Task, fan_out
from trajinfer._core.seeding import spawn
from trajinfer.evaluation.generation.exchangeable import joint_limits, permuted_draws
from trajinfer.evaluation.generation.figure import Figure, around
from trajinfer.evaluation.generation.kernels import (
    Discrepancy,
    path_discrepancy,
    signature_discrepancy,
)
from trajinfer.evaluation.generation.law import LawMeasures, real_pairs
from trajinfer.evaluation.generation.prediction import prediction_ratio
from trajinfer.evaluation.generation.reservoir import discriminative_score
from trajinfer.evaluation.generation.samples import Samples, subset
from trajinfer.evaluation.generation.two_sample import classifier_auc
from trajinfer.metrics import independent_dependence, path_dependence

# A figure is flagged beyond this many standard deviations of what real data give.
_FAR = 4.5
_FAR_KERNEL = 3.5
_AUC_FAR, _ACCURACY_FAR = 3.3, 3.5
# chance that measures of the law, all together, flag an honest sample
_ALPHA_LAW = 0.01
_REAL_PAIRS = 40
_NULL_DRAWS = 199
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


def law_figures(samples: Samples, n_seeds: int, seed: int) -> Iterator[Figure]:
    """Marginals, memory, channels, modes and excursions, beside what one law gives.

    Independent series are relabelled: all measures together exceed their limits in one of a hundred
    honest samples. Grouped ones are held against pairs of real samples of whole groups.
    """
    rng = np.random.default_rng(seed)
    measures = LawMeasures.of(samples.train, seed)
    values = measures.between(samples.synthetic, samples.hold_out)
    if samples.grouped:
        draws = _draws_of_groups(samples, measures, rng)
        limits = {k: float(v.mean() + _FAR * v.std(ddof=1)) for k, v in draws.items()}
    else:
        draws = permuted_draws(measures.between, samples.synthetic, samples.hold_out, rng)
        limits = joint_limits(draws, _ALPHA_LAW)
    errors = _jackknife_errors(samples, measures, 2 * n_seeds, rng)
    for name, value in values.items():
        floor = float(draws[name].mean())
        yield Figure(name, value, *around(value, errors[name]), floor, limits[name], _KINDS[name])


def _draws_of_groups(
    samples: Samples, measures: LawMeasures, rng: np.random.Generator
) -> dict[str, Array]:
    real = np.concatenate([samples.train, samples.hold_out])
    groups = np.concatenate([samples.train_groups, samples.hold_out_groups])
    sizes = len(samples.synthetic), len(samples.hold_out)
    pairs = real_pairs(groups, *sizes, _REAL_PAIRS, rng)
    floors = [measures.between(real[i], real[j]) for i, j in pairs]
    return {name: np.array([floor[name] for floor in floors]) for name in floors[0]}


def classifier_figures(samples: Samples, seeds: Sequence[int]) -> Iterator[Figure]:
    """Gradient boosting and a recurrent network against generated and against real series."""
    fake, held = samples.synthetic, samples.hold_out
    fake_groups, held_groups = samples.synthetic_groups, samples.hold_out_groups
    real, real_groups = _as_many_real(samples, seeds[0])
    auc = classifier_auc(fake, held, fake_groups, held_groups, seeds)
    floor = classifier_auc(real, held, real_groups, held_groups, seeds[:2])
    chance = np.sqrt((len(fake) + len(held) + 1) / (12 * len(fake) * len(held)))
    error = max(auc.error, floor.error, float(chance))
    limit = max(0.5, floor.value) + _AUC_FAR * error + _AUC_MARGIN
    yield Figure(
        "c2st_auc", auc.value, *around(auc.value, auc.error), floor.value, limit, "classifier"
    )
    tasks = (
        Task(f"recurrent classifier (seed {s})", (fake, held, fake_groups, held_groups, s))
        for s in seeds
    )
    scores = np.array(fan_out(discriminative_score, tasks))
    level = 0.0
    if samples.grouped:
        level = float(
            np.mean([discriminative_score(real, held, real_groups, held_groups, s) for s in seeds])
        )
    # of the mean of two shares, of a third of the paths each
    error = float(np.sqrt(sum(0.75 / len(p) for p in (fake, held))) / 2)
    limit = max(0.0, level) + max(_ACCURACY_MARGIN, _ACCURACY_FAR * error)
    yield _over_seeds("discriminative", scores, level, limit, "classifier")


def prediction_figures(samples: Samples, seed: int) -> Iterator[Figure]:
    """Train on synthetic, test on real, over train on as much real, test on real."""
    ratio, null = prediction_ratio(
        samples.synthetic, samples.train, samples.hold_out, np.random.default_rng(seed)
    )
    error = float(null.std(ddof=1))
    limit = 1 + max(
        _PREDICTION_MARGIN, float(np.quantile(null, 1 - _ALPHA_LAW / 4)) - 1, 3.5 * error
    )
    yield Figure("tstr_trtr", ratio, *around(ratio, error), float(null.mean()), limit, "prediction")


def kernel_figures(samples: Samples, seed: int) -> Iterator[Figure]:
    """Maximum mean discrepancies with permutation p-values."""
    kernels = {"path_mmd": path_discrepancy, "signature_mmd": signature_discrepancy}
    for (name, measure), s in zip(kernels.items(), spawn(seed, 2)):
        rng = np.random.default_rng(s)
        measured = measure(samples.synthetic, samples.hold_out, rng)
        floor, limit = _kernel_floor(samples, measure, measured, rng)
        bounds = around(measured.value, measured.null_error)
        yield Figure(name, measured.value, *bounds, floor, limit, "paths", measured.p_value)


def dependence_figures(samples: Samples, neighbours: Array, seed: int) -> Iterator[Figure]:
    """Correlation with the path that each synthetic one was grown from, over all times."""
    value = path_dependence(samples.synthetic, neighbours)
    rng = np.random.default_rng(seed)
    null = independent_dependence(samples.synthetic, neighbours, _NULL_DRAWS, rng)
    error = (1 - value**2) / np.sqrt(len(neighbours))
    p_value = float((1 + (null >= value).sum()) / (1 + len(null)))
    limit = float(null.mean() + _FAR * null.std())
    floor = float(null.mean())
    yield Figure("dependence", value, *around(value, error), floor, limit, "dependence", p_value)


def _kernel_floor(
    samples: Samples,
    measure: Callable[[Array, Array, np.random.Generator], Discrepancy],
    measured: Discrepancy,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Zero and the null's spread; with groups, what real pairs of whole groups give if more."""
    limit = max(measured.null_limit, _FAR_KERNEL * measured.null_error)
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
    return Figure(name, mean, *around(mean, error), floor, limit, flag)
