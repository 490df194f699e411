"""Forecasts to be read beside ours: simple ones, ridge and boosting on lags, a process, a panel.

Each is a function of the pasts, the later times, the series to learn from and the horizon, and
gives the forecasts of every channel, (B, T, C). None looks at anything else, and none is tuned.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RationalQuadratic, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trajinfer import IrregularSeries

Forecasts = dict[str, np.ndarray]
LAGS = 12
MOST_PAIRS = 20_000
MOST_ROWS = 300


def simple(
    past: IrregularSeries, later: np.ndarray, train: IrregularSeries, _horizon: float
) -> Forecasts:
    """The last value, the mean of the past, the last slope, and the drift of the whole past."""
    center = np.nanmean(train.flat_values, axis=0)
    names = ("last_value", "mean_of_past", "last_slope", "drift")
    found = {name: np.empty((*later.shape, len(past.channels))) for name in names}
    for row, c, clock, x in known_values(past):
        if not len(x):
            clock, x = np.zeros(1), center[c : c + 1]
        span = clock[-1] - clock[0]
        slope = np.diff(x)[-1] / np.diff(clock)[-1] if len(x) > 1 else 0.0
        drift = (x[-1] - x[0]) / span if span > 0 else 0.0
        ahead = later[row] - clock[-1]
        answers = (x[-1], x.mean(), x[-1] + slope * ahead, x[-1] + drift * ahead)
        for name, answer in zip(names, answers, strict=True):
            found[name][row, :, c] = answer
    return found


def ridge(
    past: IrregularSeries, later: np.ndarray, train: IrregularSeries, horizon: float
) -> Forecasts:
    """Ridge on lags, with coefficients of its own in every twelfth of the horizon."""

    def by_lead(lags: np.ndarray, lead: np.ndarray) -> np.ndarray:
        part = np.clip((12 * lead / horizon - 1e-9).astype(int), 0, 11)
        own = (np.eye(12)[part][:, :, None] * lags[:, None, :]).reshape(len(lags), -1)
        return np.column_stack([lags, own, np.eye(12)[part], lead])

    def learn(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
        return model.fit(by_lead(x[:, :-1], x[:, -1]), y).predict

    def design(x: np.ndarray) -> np.ndarray:
        return by_lead(x[:, :-1], x[:, -1])

    return {"ridge": on_lags(past, later, train, horizon, learn, design)}


def boosting(
    past: IrregularSeries, later: np.ndarray, train: IrregularSeries, horizon: float
) -> Forecasts:
    """Boosted trees on lags and the lead, 200 rounds."""

    def learn(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = HistGradientBoostingRegressor(max_iter=200, learning_rate=0.05, random_state=0)
        return model.fit(x, y).predict

    return {"boosting": on_lags(past, later, train, horizon, learn, lambda x: x)}


def gaussian_process(
    past: IrregularSeries, later: np.ndarray, train: IrregularSeries, horizon: float
) -> Forecasts:
    """A Gaussian process in time for each channel, on the last 300 values of a past.

    Its kernel is fitted to training series, laid far apart from each other on one clock.
    """
    found = np.empty((*later.shape, len(past.channels)))
    spans = train.last_times - train.first_times
    far = 1e4 * float(spans.max())
    for c in range(len(past.channels)):
        parts = [
            (k * far + clock[-MOST_ROWS:], x[-MOST_ROWS:])
            for k, channel, clock, x in known_values(train)
            if channel == c and len(x)
        ]
        used = np.cumsum([len(x) for _, x in parts]) <= MOST_ROWS
        used[0] = True
        clock, x = (
            np.concatenate([part[i] for part, use in zip(parts, used, strict=True) if use])
            for i in range(2)
        )
        center, scale = x.mean(), x.std() or 1.0
        kernel = 1.0 * RationalQuadratic(horizon, 1.0, (horizon / 100, 100 * horizon))
        process = GaussianProcessRegressor(kernel + WhiteKernel(0.05, (1e-6, 10.0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # bounds of the kernel are reached
            kernel = process.fit(clock[:, None], (x - center) / scale).kernel_
        for row, channel, own_clock, own in known_values(past):
            if channel != c:
                continue
            answer = np.zeros(later.shape[1])
            if len(own):
                process = GaussianProcessRegressor(kernel, optimizer=None)
                process.fit(own_clock[-MOST_ROWS:, None], (own[-MOST_ROWS:] - center) / scale)
                answer = process.predict(later[row][:, None])
            found[row, :, c] = center + scale * answer
    return {"gaussian_process": found}


def mixed_model(
    past: IrregularSeries, later: np.ndarray, train: IrregularSeries, _horizon: float
) -> Forecasts:
    """A curve in the age of a series, with an intercept and a slope of each series' own."""
    from statsmodels.regression.mixed_linear_model import MixedLM  # slow to import

    unit = float(np.median(train.last_times - train.first_times)) or 1.0
    found = np.empty((*later.shape, len(past.channels)))

    def curve(age: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(age)), age, age**2, age**3])

    for c in range(len(past.channels)):
        rows = [(k, t, x) for k, channel, t, x in known_values(train) if channel == c]
        age = np.concatenate([(t - train.first_times[k]) / unit for k, t, _ in rows])
        y = np.concatenate([x for _, _, x in rows])
        group = np.concatenate([np.full(len(x), k) for k, _, x in rows])
        center, scale = y.mean(), y.std() or 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of convergence and singular covariances
            fit = MixedLM((y - center) / scale, curve(age), group, curve(age)[:, :2]).fit()
        for row, channel, t, x in known_values(past):
            if channel != c:
                continue
            design, ahead = (
                curve((when - past.first_times[row]) / unit) for when in (t, later[row])
            )
            own = design[:, :2] @ fit.cov_re
            noise = own @ design[:, :2].T + fit.scale * np.eye(len(x))
            rest = (x - center) / scale - design @ fit.fe_params
            effect = own.T @ np.linalg.solve(noise, rest)
            found[row, :, c] = center + scale * (ahead @ fit.fe_params + ahead[:, :2] @ effect)
    return {"mixed_model": found}


def on_lags(
    past: IrregularSeries,
    later: np.ndarray,
    train: IrregularSeries,
    horizon: float,
    learn: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    design: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Forecasts of the change since the last value by a regression on lags and the lead."""
    lags, last, _ = lag_table(train)
    cut, target = pairs(train, horizon)
    lead = train.flat_times[target] - train.flat_times[cut]
    asked, level, ends = lag_table(past)
    query = np.repeat(ends, later.shape[1])
    ahead = (later - past.last_times[:, None]).ravel()
    found = np.empty((*later.shape, len(past.channels)))
    for c in range(len(past.channels)):
        change = train.flat_values[target, c] - last[cut, c]
        known = np.isfinite(change)
        answer = learn(np.column_stack([lags[cut], lead])[known], change[known])
        moved = answer(design(np.column_stack([asked[query], ahead])))
        found[:, :, c] = (level[query, c] + moved).reshape(later.shape)
    return found


def lag_table(series: IrregularSeries) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every row: its lags and gaps (N, F), its last values (N, C); and the last row of each."""
    center = np.nanmean(series.flat_values, axis=0)
    ends = np.cumsum(series.lengths) - 1
    first = np.repeat(ends + 1 - series.lengths, series.lengths)
    place = np.arange(len(first))
    known = np.isfinite(series.flat_values)
    recent = np.maximum.accumulate(np.where(known, place[:, None], -1), axis=0)
    filled = np.take_along_axis(series.flat_values, np.maximum(recent, 0), axis=0)
    last = np.where(recent >= first[:, None], filled, center)
    back = np.maximum(place[:, None] - np.arange(1, LAGS + 1), first[:, None])
    changes = (last[back] - last[:, None, :]).reshape(len(place), -1)
    sums = np.vstack([np.zeros(last.shape[1]), np.cumsum(last, axis=0)])
    mean = (sums[place + 1] - sums[first]) / (place - first + 1)[:, None]
    gaps = series.flat_times[:, None] - series.flat_times[back[:, [0, 3, 11]]]
    age = np.log1p(place - first)[:, None]
    return np.column_stack([last, changes, mean - last, gaps, age]), last, ends


def pairs(series: IrregularSeries, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows with later rows within the horizon, all or a random choice of 20 000."""
    times, ends = series.flat_times, np.repeat(np.cumsum(series.lengths), series.lengths)
    cut, target = [], []
    for step in range(1, int(series.lengths.max())):
        rows = np.flatnonzero(np.arange(len(times)) + step < ends)
        near = rows[times[rows + step] - times[rows] <= horizon * (1 + 1e-9)]
        if not len(near):
            break
        cut.append(near)
        target.append(near + step)
    cuts, targets = np.concatenate(cut), np.concatenate(target)
    kept = np.random.default_rng(0).permutation(len(cuts))[:MOST_PAIRS]
    return cuts[kept], targets[kept]


def known_values(
    series: IrregularSeries,
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Number of the series, of the channel, times and values that were observed."""
    for row in range(len(series)):
        n = int(series.lengths[row])
        for c in range(len(series.channels)):
            x = series.values[row, :n, c]
            known = np.isfinite(x)
            yield row, c, series.times[row, :n][known], x[known]
