"""One small table in every layout gives the same fit: containers, tables, arrays, lists, masks."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest

from trajinfer import (
    DirectedChainGenerator,
    FractionalSDE,
    IrregularSeries,
    JumpSeries,
    MarkovJumpProcess,
    NeuralSDEClassifier,
    NeuralSDEForecaster,
    NeuralSDEInterpolator,
    NeuralSDERegressor,
    SchrodingerBridge,
    ScoreSeries,
    Snapshots,
    StochasticInterpolant,
)
from trajinfer.data.input import as_jump_series, as_series, as_snapshots

B, T, C = 22, 5, 2
NAMES = ("x0", "x1")
READ = IrregularSeries.from_frame


def walks():
    """Values (B, T, C) at whole times, one in ten of the cells not observed."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(B, T, C)).cumsum(axis=1)
    values[rng.random((B, T, C)) < 0.1] = np.nan
    values[:, 0] = rng.normal(size=(B, C))
    return values


def wide():
    index = pd.MultiIndex.from_product([range(B), np.arange(float(T))], names=["id", "time"])
    return pd.DataFrame(walks().reshape(-1, C), index, NAMES).reset_index()


def long():
    table = wide().melt(["id", "time"], var_name="what", value_name="size")
    return table.dropna().sample(frac=1.0, random_state=0)


def polars():
    return pytest.importorskip("polars").from_pandas(wide())


def arrow():
    return pytest.importorskip("pyarrow").Table.from_pandas(wide())


def masked():
    values = walks()
    return np.ma.array(np.nan_to_num(values, nan=-9999.0), mask=np.isnan(values))


def nested():
    values = walks()
    rows = [[pd.Series(values[b, :, c]).dropna() for c in range(C)] for b in range(B)]
    return pd.DataFrame(rows, columns=list(NAMES))


def as_dates():
    table = wide()
    return table.assign(time=pd.Timestamp("2024-01-01") + pd.to_timedelta(table["time"], unit="D"))


COLUMNS = {"id": "id", "time": "time"}
SERIES = {
    "container": lambda: IrregularSeries.from_arrays(np.arange(float(T)), walks()),
    "wide": lambda: READ(wide(), **COLUMNS),
    "shuffled": lambda: READ(wide().sample(frac=1.0, random_state=1), **COLUMNS),
    "text times": lambda: READ(wide().assign(time=wide()["time"].astype(str)), **COLUMNS),
    "nullable": lambda: READ(wide().convert_dtypes(), **COLUMNS),
    "categories": lambda: READ(wide().astype({"id": "category", "time": "category"}), **COLUMNS),
    "long": lambda: READ(long(), variable="what", value="size", **COLUMNS),
    "polars": lambda: READ(polars(), **COLUMNS),
    "pyarrow": lambda: READ(arrow(), **COLUMNS),
    "dates": lambda: READ(as_dates(), **COLUMNS),
    "array": walks,
    "tensor": lambda: __import__("torch").tensor(walks()),
    "masked": masked,
    "list": lambda: list(walks()),
    "pairs": lambda: [(np.arange(float(T)), row) for row in walks()],
    "nested": nested,
    "two-level index": lambda: wide().set_index(["id", "time"]),
}


def points():
    """Rows (N, 2) at three times."""
    rng = np.random.default_rng(1)
    times = np.repeat([0.0, 1.0, 3.0], 12)
    return rng.normal(size=(36, 2)) + times[:, None], times


def cells():
    X, times = points()
    return pd.DataFrame(X, columns=list(NAMES)).assign(day=times)


def cell_atlas():
    X, times = points()
    names = [f"cell{k}" for k in range(len(X))]
    obs = pd.DataFrame({"day": times}, index=names)
    return pytest.importorskip("anndata").AnnData(X, obs=obs)


SNAPSHOTS = {
    "container": lambda: (Snapshots.from_arrays(*points()),),
    "rows": points,
    "masked": lambda: (np.ma.array(points()[0]), np.ma.array(points()[1])),
    "tensors": lambda: tuple(map(__import__("torch").tensor, points())),
    "table": lambda: (cells(),),
    "shuffled columns": lambda: (cells()[["day", "x0", "x1"]],),
    "text times": lambda: (cells().assign(day=cells()["day"].astype(str)),),
    "polars": lambda: (pytest.importorskip("polars").from_pandas(cells()),),
    "pyarrow": lambda: (pytest.importorskip("pyarrow").Table.from_pandas(cells()),),
    "AnnData": lambda: (cell_atlas(),),
}


def as_cells(data):
    """Snapshots from what `fit` takes."""
    return (
        as_snapshots(*data, None, None)
        if len(data) == 2
        else as_snapshots(*data, None, None, "day")
    )


def labels():
    """States (30, 4) of two kinds."""
    return np.random.default_rng(2).choice(["a", "b"], (30, 4), p=[0.6, 0.4])


def visits():
    index = pd.MultiIndex.from_product([range(30), np.arange(4.0)], names=["id", "time"])
    return pd.DataFrame({"state": labels().ravel()}, index).reset_index()


PATHS = {
    "container": lambda: JumpSeries.from_arrays(np.arange(4.0), labels()),
    "table": visits,
    "shuffled": lambda: visits().sort_values("time", ascending=False, kind="stable"),
    "categories": lambda: visits().astype({"state": "category"}),
    "polars": lambda: pytest.importorskip("polars").from_pandas(visits()),
    "pyarrow": lambda: pytest.importorskip("pyarrow").Table.from_pandas(visits()),
    "pair": lambda: (np.arange(4.0), labels()),
    "labels": labels,
    "lists": lambda: JumpSeries.from_arrays([np.arange(4.0)] * 30, [list(row) for row in labels()]),
    "folds": lambda: [
        JumpSeries.from_arrays(np.arange(4.0), labels()[part])
        for part in np.split(np.arange(30), 3)
    ],
}


EVERY = [
    *(pytest.param(as_series, SERIES, name, id=f"series {name}") for name in SERIES),
    *(pytest.param(as_jump_series, PATHS, name, id=f"paths {name}") for name in PATHS),
    *(pytest.param(as_cells, SNAPSHOTS, name, id=f"snapshots {name}") for name in SNAPSHOTS),
]


def rows_of(container):
    """Times, values and lengths of what a container holds, without its names."""
    if isinstance(container, Snapshots):
        return np.asarray(container.times), *container.points
    values = "flat_states" if isinstance(container, JumpSeries) else "flat_values"
    times = container.flat_times - container.flat_times.min()
    return times, getattr(container, values), container.lengths


@pytest.mark.parametrize(("door", "layouts", "name"), EVERY)
@pytest.mark.filterwarnings("ignore:no times were given", "ignore:the times of a series")
def test_every_layout_is_read_as_the_same_data(door, layouts, name):
    read, expected = (door(layouts[one]()) for one in (name, "container"))
    for found, wanted in zip(rows_of(read), rows_of(expected), strict=True):
        np.testing.assert_array_equal(found, wanted)


OF_SERIES = {
    "DirectedChainGenerator": partial(DirectedChainGenerator, transform="rows"),
    "FractionalSDE": partial(FractionalSDE, hurst=0.7, n_ou=6),
    "NeuralSDEForecaster": partial(NeuralSDEForecaster, horizon=1.0),
    "NeuralSDEInterpolator": partial(NeuralSDEInterpolator, n_hidings=1, hidden=4, max_epochs=2),
    "ScoreSeries": ScoreSeries,
}
LABELLED = {
    "NeuralSDEClassifier": NeuralSDEClassifier,
    "NeuralSDERegressor": NeuralSDERegressor,
}
OF_SNAPSHOTS = {
    "SchrodingerBridge": partial(SchrodingerBridge, n_refinements=0),
    "StochasticInterpolant": partial(StochasticInterpolant, model="mixture", n_components=1),
}
OF_PATHS = {
    "MarkovJumpProcess": MarkovJumpProcess,
    "MarkovJumpProcess by mle": partial(MarkovJumpProcess, method="mle"),
}


unordered = pytest.mark.filterwarnings("ignore:the times of a series were not in order")


def matrix(estimators, layouts):
    """Every estimator with every layout."""
    return pytest.mark.parametrize(
        ("make", "data"),
        [
            pytest.param(make, layout, id=f"{name} {word}")
            for name, make in estimators.items()
            for word, layout in layouts.items()
        ],
    )


def score(make, fed, held_out, *, weighed=(), **words):
    """The score on the same data in one container of a model that was fitted to any layout."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # times that are made up, samples that are few
        model = make(random_state=0).fit(*fed, *weighed, **words)
        if isinstance(model, DirectedChainGenerator):  # whose score wants complete series
            return float(np.nanmean(model.sample(20).values))
        return model.score(*held_out, *weighed)


@pytest.mark.slow
@unordered
@matrix(OF_SERIES, SERIES)
def test_series_in_every_layout_give_the_same_fit(make, data):
    expected, given = SERIES["container"](), data()
    own = as_series(given) if data is SERIES["dates"] else expected
    found = score(make, (given,), (own,))
    assert found == pytest.approx(score(make, (expected,), (expected,)), rel=1e-6)


@pytest.mark.slow
@unordered
@matrix(LABELLED, SERIES)
def test_labelled_series_in_every_layout_give_the_same_fit(make, data):
    small = partial(make, hidden=2, max_epochs=1, n_samples=1, step=2.0, experts=("linear",))
    y, expected, given = (np.arange(B) % 2,), SERIES["container"](), data()
    own = as_series(given) if data is SERIES["dates"] else expected
    found = score(small, (given,), (own,), weighed=y)
    assert found == pytest.approx(score(small, (expected,), (expected,), weighed=y), rel=1e-6)


@pytest.mark.slow
@unordered
@matrix(OF_SNAPSHOTS, SNAPSHOTS)
def test_snapshots_in_every_layout_give_the_same_fit(make, data):
    given = data()
    words = {"time": "day"} if len(given) == 1 and not isinstance(given[0], Snapshots) else {}
    found = score(make, given, points(), **words)
    assert found == pytest.approx(score(make, points(), points()), rel=1e-6)


@pytest.mark.slow
@unordered
@matrix(OF_PATHS, PATHS)
def test_paths_in_every_layout_give_the_same_fit(make, data):
    expected = (PATHS["container"](),)
    assert score(make, (data(),), expected) == pytest.approx(
        score(make, expected, expected), rel=1e-6
    )
