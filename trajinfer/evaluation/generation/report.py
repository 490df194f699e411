"""The report on generated series: every figure with an interval and what real data give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from trajinfer._core.ambient import independent_of_global_state
from trajinfer._core.checks import require_integer
from trajinfer._core.errors import InputError
from trajinfer._core.seeding import RandomState, seed_from, spawn
from trajinfer.data import Trajectories
from trajinfer.evaluation.generation.copies import copy_figures, refuse_training_in_hold_out
from trajinfer.evaluation.generation.figure import Figure
from trajinfer.evaluation.generation.figures_of_merit import (
    classifier_figures,
    dependence_figures,
    kernel_figures,
    law_figures,
    prediction_figures,
)
from trajinfer.evaluation.generation.samples import Samples
from trajinfer.evaluation.generation.support import support_figures
from trajinfer.evaluation.generation.verbatim import Match
from trajinfer.metrics import as_paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Progress = Callable[[str], None]
_SHOWN = 5


@dataclass(frozen=True)
class GenerationReport:
    """What is known about a generator after one sample of it.

    Attributes:
        figures: one per measure.
        sizes: numbers of training, held-out and synthetic series.
        n_seeds: repetitions of what depends on a seed.
        grouped: whether folds and floors kept groups whole.
        matches: stretches of generated series that repeat training series, the longest first.
    """

    figures: tuple[Figure, ...]
    sizes: dict[str, int]
    n_seeds: int
    grouped: bool
    matches: tuple[Match, ...] = ()

    def __getitem__(self, metric: str) -> Figure:
        """The figure of a name; InputError where it was not measured."""
        for figure in self.figures:
            if figure.metric == metric:
                return figure
        known = ", ".join(figure.metric for figure in self.figures)
        raise InputError(f"no figure '{metric}' in this report; it has {known}")

    @property
    def flags(self) -> set[str]:
        """Names of what is wrong; empty where nothing was found."""
        return {figure.flag for figure in self.figures if figure.flagged}

    def to_frame(self) -> pd.DataFrame:
        """One row per measure: value, interval, floor, limit, p-value, flag, flagged."""
        rows = [{**asdict(figure), "flagged": figure.flagged} for figure in self.figures]
        return pd.DataFrame(rows).drop(columns="low_is_bad").set_index("metric")

    def to_json(self) -> str:
        """The same as JSON, with the sizes and the sorted flags."""
        rows = self.to_frame().reset_index().to_dict(orient="records")
        plain = [{k: None if _is_nan(v) else v for k, v in row.items()} for row in rows]
        document = {
            "flags": sorted(self.flags),
            "sizes": self.sizes,
            "n_seeds": self.n_seeds,
            "grouped": self.grouped,
            "figures": plain,
            "matches": [asdict(match) for match in self.matches],
        }
        return json.dumps(document, indent=2)

    def __str__(self) -> str:
        table = self.to_frame()[["value", "lower", "upper", "floor", "limit", "p_value", "flagged"]]
        found = ", ".join(sorted(self.flags)) or "nothing found"
        sizes = ", ".join(f"{n} {name}" for name, n in self.sizes.items())
        least = int(np.ceil(self["longest_match"].limit))
        power = f"copied stretches are recognised from {least} rows on"
        lines = [table.round(4).to_string(na_rep=""), sizes, power, f"flags: {found}"]
        lines += [f"copy: {match}" for match in self.matches[:_SHOWN]]
        if len(self.matches) > _SHOWN:
            lines.append(f"and {len(self.matches) - _SHOWN} more series with copied stretches")
        return "\n".join(lines)

    def plot(self, **options: Any) -> Axes:
        """Draw value, interval and floor of every measure; see `trajinfer.plot.generation`."""
        from trajinfer import plot

        axes: Axes = plot.generation(self.to_frame(), **options)
        return axes


@independent_of_global_state
def generation_report(
    real_train: Any,
    real_holdout: Any,
    synthetic: Any,
    *,
    groups: Any = None,
    neighbours: Any = None,
    n_seeds: int = 5,
    random_state: RandomState = 0,
    progress: Progress | None = None,
) -> GenerationReport:
    r"""Judge generated series against held-out ones, and look for copies of the training series.

    Every measure stands beside a floor, the value that real series against other real series of
    the same sizes give, and is flagged only beyond what chance gives. Limits come from relabelling
    series that share one law, so that an honest sample of any size is flagged in at most one report
    of twenty; with groups, from pairs of real samples of whole groups.

    Series with times or holes of their own are compared on places along each series, with channels
    that show the visits.

    | flag | raised by |
    |---|---|
    | marginals | Kolmogorov-Smirnov distances per time and channel |
    | dynamics | autocorrelation of increments and of their sizes |
    | channels | correlations between channels at the last time |
    | modes | shares of two clusters of the training paths |
    | shape | time above the median, crossings of it and the intervals between them |
    | paths | discrepancies by the path kernel and the signature kernel |
    | classifier | gradient boosting on levels, increments, summaries; a recurrent network |
    | prediction | a predictor trained on synthetic series does worse on real ones |
    | copies | synthetic paths, or stretches of them, that repeat training paths |
    | support | values that real series never take, such as negative or broken ones |
    | dependence | correlation with the path each was grown from |

    Args:
        real_train: series the generator learned from: (n, T, C), (n, T), `Trajectories` or
            `IrregularSeries`.
        real_holdout: series of the same law that it has not seen.
        synthetic: generated series; as many as held out, or more. All three on one grid, in the
            representation in which they are to be compared (relative windows for prices).
        groups: None for independent series; else (groups of training, groups of hold-out), such as
            blocks of time for overlapping windows. Folds and floors then keep groups whole, and
            synthetic series get twelve groups at random.
        neighbours: the seed path of each synthetic series, on the same grid.
        n_seeds: repetitions of the classifiers, at least 2.
        random_state: seed of folds, networks and permutations.
        progress: called with a line of text before every family of measures.

    Returns:
        The report; `print` it, or see its `flags`, `to_frame`, `to_json`, `plot`.

    Raises:
        InputError: for fewer than 20 series, fewer than three times, arrays with missing values or
            of unequal shapes, groups that are on both sides, or held-out series that are training
            series.

    References:
        Lopez-Paz, Oquab, ICLR 2017 (classifier two-sample tests); Gretton et al., JMLR 13 (2012);
        Yoon, Jarrett, van der Schaar, NeurIPS 2019 (discriminative and predictive scores).
    """
    n_seeds = require_integer(n_seeds, "n_seeds", least=2)
    seeds = spawn(seed_from(random_state), n_seeds + 5)
    rng = np.random.default_rng(seeds[0])
    samples = Samples.of(real_train, real_holdout, synthetic, groups, rng)
    refuse_training_in_hold_out(samples)
    partners = None if neighbours is None else _partners(neighbours, samples)
    matches: list[Match] = []

    def copies() -> list[Figure]:
        rows, stretches = copy_figures(samples, seeds[3])
        matches.extend(stretches)
        return rows

    families: dict[str, Callable[[], Iterable[Figure]]] = {
        "marginals, memory, modes": lambda: law_figures(samples, n_seeds, seeds[1]),
        "kernels": lambda: kernel_figures(samples, seeds[2]),
        "support": lambda: support_figures(samples),
        "copies": copies,
        "classifiers": lambda: classifier_figures(samples, seeds[5:]),
        "prediction": lambda: prediction_figures(samples, seeds[4]),
    }
    if partners is not None:
        families["dependence"] = lambda: dependence_figures(samples, partners, seeds[4])
    figures: list[Figure] = []
    for name, measure in families.items():
        if progress is not None:
            progress(f"measuring {name}")
        figures += measure()
    sizes = {
        "training": len(samples.train),
        "held out": len(samples.hold_out),
        "synthetic": len(samples.synthetic),
    }
    return GenerationReport(tuple(figures), sizes, n_seeds, samples.grouped, tuple(matches))


def _partners(neighbours: Any, samples: Samples) -> Any:
    given = neighbours.values if isinstance(neighbours, Trajectories) else neighbours
    paths = as_paths(given, "neighbours")
    if paths.shape != samples.synthetic.shape:
        raise InputError(
            "neighbours must hold one seed path per synthetic series, of shape "
            f"{samples.synthetic.shape}, got {paths.shape}"
        )
    return paths


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)
