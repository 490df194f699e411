"""142 countries: which is which is forgotten, and inferred again."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from trajinfer._core.checks import Array
from trajinfer._core.extras import import_extra
from trajinfer._core.text import table_text
from trajinfer.bridges import SchrodingerBridge
from trajinfer.data import Snapshots
from trajinfer.datasets import load_snapshots
from trajinfer.evaluation.individuals import (
    forecast_scores,
    individual_scores,
    interval_coverage,
    mistaken_pairs,
    successor_counts,
    true_pair_dynamics,
)
from trajinfer.plot.style import BLUE, GREEN, GREY, ORANGE, VERMILION
from trajinfer.processes import AffineDrift

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST_YEAR, YEARS_PER_UNIT = 1952, 10
COVERAGE_LEVEL = 0.9
_LABEL_GAP = 0.35  # of life expectancy, in standard deviations
_DOLLARS = (300, 1_000, 3_000, 10_000, 30_000, 100_000)
_METHODS = {
    "nearest": "nearest country",
    "exact_ot": "exact OT",
    "bridge": "bridge",
    "exact_ot_learned_units": "exact OT, learned units",
}
_COLORS = {
    "nearest": GREY,
    "exact_ot": ORANGE,
    "bridge": BLUE,
    "exact_ot_learned_units": GREEN,
}


@dataclass(frozen=True)
class Countries:
    """Gapminder in standardised units, time in decades since 1952.

    Attributes:
        train, held_out, later: the snapshots by what they are for.
        names: of the countries, in the order of the rows.
        center, scale: (D,) of the original coordinates.
    """

    train: Snapshots
    held_out: Snapshots
    later: Snapshots
    names: tuple[str, ...]
    center: Array
    scale: Array

    @classmethod
    def load(cls) -> Countries:
        """The data set of that name, standardised over all rows and years."""
        dataset = load_snapshots("gapminder")
        snapshots = dataset.snapshots
        rows, _ = snapshots.stacked()
        center, scale = rows.mean(axis=0), rows.std(axis=0)
        standard = Snapshots(
            (snapshots.times - FIRST_YEAR) / YEARS_PER_UNIT,
            tuple((points - center) / scale for points in snapshots.points),
            features=snapshots.features,
        )
        train, held_out, later = (
            standard.select(standard.times[[role == wanted for role in dataset.split]])
            for wanted in ("train", "held_out", "forecast")
        )
        return cls(train, held_out, later, dataset.individuals or (), center, scale)

    def original(self, points: Array) -> Array:
        """Back to log10 dollars, years and log10 persons."""
        return np.asarray(points * self.scale + self.center)


@dataclass(frozen=True)
class CountriesReport:
    """Everything the demo says about the countries.

    Attributes:
        bridge: the fitted bridge.
        data: what it was fitted to.
        tables: by name; they are written as csv files.
    """

    bridge: SchrodingerBridge
    data: Countries
    tables: dict[str, pd.DataFrame]

    @classmethod
    def make(cls, data: Countries, *, random_state: int, verbose: int) -> CountriesReport:
        """Fit and compare; the pairing is used in the comparison only."""
        bridge = SchrodingerBridge(
            AffineDrift(3, volatility=0.25),
            volatility="likelihood",
            n_refinements=8,
            n_jobs=1,
            random_state=random_state,
            verbose=verbose,
        )
        with warnings.catch_warnings():
            # eight rounds are a choice here: the volatility goes on falling slowly
            warnings.simplefilter("ignore", ConvergenceWarning)
            bridge.fit(data.train)
        segments = range(len(data.train) - 1)
        mistakes = pd.concat([mistaken_pairs(bridge, data.names, k) for k in segments])
        tables = {
            "held_out": individual_scores(bridge, data.held_out),
            "successors": successor_counts(bridge),
            "mistakes": mistakes.reset_index(drop=True),
            "forecast": forecast_scores(bridge, data.later),
            "coverage": interval_coverage(bridge, data.held_out, level=COVERAGE_LEVEL),
            "dynamics": _dynamics(bridge, data.train),
        }
        for table in tables.values():
            _restore_years(table)
        return cls(bridge, data, tables)

    def shares(self) -> pd.DataFrame:
        """Share of countries whose true successor is found, over all decades."""
        counts = self.tables["successors"]
        columns = [*_METHODS, "bridge_top_three"]
        values = [counts[column].sum() / counts["n"].sum() for column in columns]
        labels = [*_METHODS.values(), "bridge, among its top three"]
        return pd.DataFrame({"method": labels, "true successor found": values})

    def means(self, table: str) -> pd.DataFrame:
        """Mean scores over the times of a table, in the order of its methods."""
        scores = self.tables[table]
        grouped = scores.groupby("method", sort=False)[["w1", "w2", "rmse"]].mean()
        return grouped.reset_index()

    def summary(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "held_out": self.means("held_out"),
            "successors": self.shares(),
            "forecast": self.means("forecast"),
            "coverage": float(self.tables["coverage"]["coverage"].mean()),
            "volatility": self.bridge.volatility_,
            "dynamics": self.tables["dynamics"],
        }

    def text(self) -> str:
        """The report, for people."""
        coverage = self.tables["coverage"].groupby("coordinate", sort=False)["coverage"].mean()
        spread = ", ".join(f"{name} {share:.1%}" for name, share in coverage.items())
        decades = self.tables["successors"].drop(columns=["bridge_top_three"])
        return "\n".join(
            [
                "GAPMINDER: 142 countries; which is which is forgotten, and inferred again.",
                "Learned from 1952, 62, ..., 2002; standardised units; an affine drift with one",
                "volatility per coordinate, both learned.",
                "",
                "Held-out years 1957, 67, 77, 87, 97 (means; each country predicted from the",
                "decade before):",
                table_text(self.means("held_out")),
                self._where_the_line_wins(),
                "",
                "Is the true successor ten years on the one with the largest weight?",
                table_text(self.shares()),
                "",
                "The same as numbers of countries, decade by decade:",
                table_text(decades),
                self._where_the_bridge_wins(),
                "",
                "Taken for another country (the surest mistakes):",
                self._mistakes(),
                "",
                "Dynamics per decade, learned without knowing the pairs and from the true pairs:",
                table_text(self.tables["dynamics"]),
                "",
                f"Intervals of {COVERAGE_LEVEL:.0%} hold the true position at held-out years in",
                f"{spread}:",
                "the volatility is learned too large from so few points, so they are conservative.",
                "",
                "Forecast of 2007 from 2002:",
                table_text(self.means("forecast")),
            ]
        )

    def _where_the_line_wins(self) -> str:
        w2 = self.means("held_out").set_index("method")["w2"]
        line, means, samples = (
            w2[name] for name in ("exact_ot_line", "bridge_means", "bridge_samples")
        )
        verdict = "wins" if line < min(means, samples) else "does not win"
        return (
            f"The line {verdict} here: W2 {line:.3f} against {means:.3f} (bridge means) and "
            f"{samples:.3f} (bridge samples), because\nthe same 142 individuals stand in every "
            "snapshot and honest noise costs distance."
        )

    def _where_the_bridge_wins(self) -> str:
        share = self.shares().set_index("method")["true successor found"]
        forecast = self.means("forecast").set_index("method")["w2"]
        return (
            f"The bridge knows which coordinate to trust: {share['bridge']:.1%} found by its "
            f"weights, {share['exact OT, learned units']:.1%} by exact OT\nin its units, "
            f"{share['exact OT']:.1%} by exact OT without it; and it forecasts 2007 with W2 "
            f"{forecast['bridge_means']:.3f} (line {forecast['exact_ot_line']:.3f})."
        )

    def _mistakes(self, n: int = 8) -> str:
        table = self.tables["mistakes"].sort_values("weight", ascending=False).head(n)
        return "\n".join(
            f"  {row.start}-{row.start + YEARS_PER_UNIT}: {row.individual} -> {row.taken_for} "
            f"(weight {row.weight:.2f}, the truth {row.weight_of_truth:.2f})"
            for row in table.itertuples()
        )

    def draw(self, figure: Figure) -> None:
        """Two panels on an empty figure: the paths, and the share identified again."""
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1.0])
        self._draw_paths(left)
        self._draw_shares(right)

    def _draw_paths(self, ax: Any) -> None:
        train, data = self.data.train, self.data
        truth = data.original(np.stack(train.points, axis=1))
        for country in truth:
            ax.plot(10 ** country[:, 0], country[:, 1], color="0.75", lw=0.6, zorder=1)
        found, mistaken = [], []
        for k, (t0, t1) in enumerate(zip(train.times[:-1], train.times[1:], strict=True)):
            pieces = self._mean_paths(k, t0, t1)
            right = _largest(self.bridge.coupling(k)) == np.arange(len(pieces))
            found += list(pieces[right])
            mistaken += list(pieces[~right])
        total = len(found) + len(mistaken)
        _lines(ax, found, BLUE, 0.4, f"bridge, successor found ({len(found)} of {total} decades)")
        _lines(ax, mistaken, VERMILION, 0.85, f"bridge, taken for another ({len(mistaken)})")
        ax.plot([], [], color="0.75", lw=1.0, label="true paths")
        self._name_some(ax)
        ax.set_xscale("log")
        ax.set_xticks(_DOLLARS, [f"{dollars:,}" for dollars in _DOLLARS])
        ax.minorticks_off()
        ax.set_xlabel("GDP per head (international dollars)")
        ax.set_ylabel("life expectancy (years)")
        ax.set_title("142 countries, 1952 to 2002, ten years at a time", fontsize="medium")
        ax.legend(loc="lower right", fontsize="small", framealpha=0.9)

    def _mean_paths(self, k: int, t0: float, t1: float) -> Array:
        """Mean way (N, T, 2) of every country through one decade, in plotted units."""
        grid = np.linspace(t0, t1, 9)
        ways = self.bridge.predict(self.data.train.points[k], t0, grid)
        original = self.data.original(cast(Array, ways))
        return np.stack([10 ** original[..., 0], original[..., 1]], axis=-1)

    def _name_some(self, ax: Any, n: int = 5) -> None:
        """Names at the surest mistakes that stand far enough apart to be read."""
        effects = import_extra("matplotlib.patheffects", "plot")
        taken: list[Array] = []
        for row in self.tables["mistakes"].sort_values("weight", ascending=False).itertuples():
            k = round((row.start - FIRST_YEAR) / YEARS_PER_UNIT)
            at = self.data.train.points[k][self.data.names.index(row.individual)]
            if len(taken) == n or any(abs(at[1] - other[1]) < _LABEL_GAP for other in taken):
                continue
            taken.append(at)
            original = self.data.original(at)
            ax.annotate(
                f"{row.individual} → {row.taken_for}, {row.start}",
                (10 ** original[0], original[1]),
                xytext=(14, -10),
                textcoords="offset points",
                fontsize="small",
                color="black",
                path_effects=[effects.withStroke(linewidth=2.5, foreground="white")],
                arrowprops={"arrowstyle": "-", "color": "black", "lw": 0.6},
                zorder=4,
            )

    def _draw_shares(self, ax: Any) -> None:
        counts = self.tables["successors"]
        decades = [f"{a}–{b}" for a, b in zip(counts["start"], counts["end"], strict=True)]
        for column, label in _METHODS.items():
            share = counts[column] / counts["n"]
            mean = counts[column].sum() / counts["n"].sum()
            ax.plot(decades, share, "o-", color=_COLORS[column], label=f"{label} ({mean:.1%})")
        ax.set_ylim(0, 1.02)
        ax.set_ylabel("share whose true successor is found")
        ax.set_title("Identified again after ten years", fontsize="medium")
        ax.legend(loc="lower left", fontsize="small", framealpha=0.9)
        ax.grid(axis="y", alpha=0.3)


def _largest(weights: Any) -> Array:
    dense = weights.toarray() if hasattr(weights, "toarray") else weights
    return np.asarray(dense.argmax(axis=1))


def _lines(ax: Any, pieces: list[Array], color: str, alpha: float, label: str) -> None:
    for i, piece in enumerate(pieces):
        ax.plot(
            *piece.T, color=color, alpha=alpha, lw=1.0, zorder=2, label=label if not i else None
        )


def _dynamics(bridge: SchrodingerBridge, train: Snapshots) -> pd.DataFrame:
    """Learned drift and volatility beside those of the true pairs."""
    matrix, offset, volatility = true_pair_dynamics(train)
    learned = bridge.parameters_
    names = train.features or ()
    rows = [
        (f"drift of {a} by {b}", np.asarray(learned["matrix"])[i, j], matrix[i, j])
        for i, a in enumerate(names)
        for j, b in enumerate(names)
    ]
    rows += [
        (f"drift of {a}", np.asarray(learned["offset"])[i], offset[i]) for i, a in enumerate(names)
    ]
    rows += [
        (f"volatility of {a}", bridge.volatility_[i], volatility[i]) for i, a in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=["quantity", "learned", "true pairs"])


def _restore_years(table: pd.DataFrame) -> None:
    """Calendar years instead of decades since 1952, in place."""
    for column in ("time", "start", "end"):
        if column in table:
            years = table[column] * YEARS_PER_UNIT + FIRST_YEAR
            table[column] = years.round().astype(int)
