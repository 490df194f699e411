"""What a class says it accepts it is fed, and answers; what it does not, it refuses."""

import inspect
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import trajinfer
from tests.conformance.estimators import EVERY_CASE
from trajinfer import InputError
from trajinfer._core.accepted_data import AcceptedData

LABELLED = ("NeuralSDEClassifier", "NeuralSDERegressor")
AHEAD = ("FractionalSDE", "NeuralSDEForecaster")  # they predict what comes after the data
KINDS = ("missing", "unequal", "dates", "alone", "statics", "weights", "opened")


def table_of(container, features, seed=0):
    """Rows of 30 walks (of one long walk, where it is alone) with the features asked for."""
    rng = np.random.default_rng(0)
    n, most = (1, 60) if "alone" in features else (30, 6)
    lengths = np.where(np.arange(n) % 3, most, most - 2) if "unequal" in features else [most] * n
    ids = np.repeat(np.arange(n), lengths)
    count = np.concatenate([np.arange(size) for size in lengths])
    own = rng.uniform(0.0, 0.4, len(ids)) if "unequal" in features else 0.0
    times = count + (0 if container == "Snapshots" else own)
    walk = pd.DataFrame(rng.normal(size=(len(ids), 2)), columns=["x", "y"]).groupby(ids).cumsum()
    table = pd.DataFrame({"id": ids, "time": times, **walk})
    table["sex"] = np.random.default_rng(seed).integers(0, 2, n)[ids].astype(float)
    table["state"] = np.where(table["x"] > 0, "up", "down")
    if "missing" in features:
        table.loc[count == 1, "x"] = np.nan
        table["state"] = table["state"].mask(count == 1, None)
    if "dates" in features:
        table["time"] = pd.Timestamp("2020-03-01") + pd.to_timedelta(table["time"], unit="D")
    return table


def read(container, table, features, folder=None):
    """The container of a table, or the table opened on disk."""
    if container == "array":
        return table[["time" if "dates" in features else "x", "y"]].to_numpy()
    columns = {"time": "time"}
    if container == "Snapshots":
        columns |= {"features": ["x", "y"]} if folder is None else {}
        table = table[["time", "x", "y"]]
    else:
        columns |= {"id": "id"}
    if container == "IrregularSeries":
        columns |= {"channels": ["x", "y"]}
        columns |= {"statics": ["sex"]} if "statics" in features else {}
    if container == "JumpSeries":
        columns |= {"state": "state"}
        columns |= {"covariates": ["sex"]} if "statics" in features else {}
    kind = getattr(trajinfer, container)
    if folder is None:
        return kind.from_frame(table, **columns)
    pytest.importorskip("pyarrow")
    table.to_parquet(folder / "table.parquet")
    return kind.open(folder / "table.parquet", **columns)


def fitted_to(case, features, *, seed=0, folder=None, **words):
    """The estimator fitted to data with these features, and the data."""
    model = case.make(random_state=0)
    if "statics" in features and case.name == "MarkovJumpProcess":
        model.set_params(covariates="all")
    data = read(
        model.accepts.container, table_of(model.accepts.container, features, seed), features
    )
    if folder is not None:
        data = read(
            model.accepts.container, table_of(model.accepts.container, features), (), folder
        )
    n_series = 1 if "alone" in features else 30
    labels = (np.arange(n_series) % 2,) if case.name in LABELLED else ()
    return model.fit(data, *labels, **words), data


def numbers(case, model, data):
    """Some answer of a fitted estimator."""
    if case.name == "NeuralSDEClassifier":
        return model.predict_proba(data)
    if case.name == "NeuralSDERegressor":
        return model.predict(data)
    if case.name == "MarkovJumpProcess":
        return model.rates_
    if model.accepts.container == "Snapshots":
        return model.sample(20).values
    if hasattr(model, "predict"):
        ts = data.last_times + 1.0 if case.name in AHEAD else data.times[:, 1:3].mean(axis=1)
        return model.predict(data, np.asarray(data.axis.decode(ts))[:, None])
    return model.sample(20) if case.name == "ScoreDensity" else model.sample(20).values


def accepted(case):
    """The features that the class says it accepts."""
    accepts = type(case.make()).accepts
    return {kind for kind in KINDS if getattr(accepts, kind)}


def test_the_kinds_are_those_of_the_class():
    assert {"container", *KINDS} == {field.name for field in fields(AcceptedData)}


@EVERY_CASE
def test_all_that_is_accepted_is_accepted_together(case):
    together = accepted(case) & {"missing", "unequal", "dates", "statics"}
    model, data = fitted_to(case, together)
    assert np.isfinite(numbers(case, model, data)).all()


@EVERY_CASE
def test_what_is_not_accepted_is_refused(case):
    kinds = {"missing", "alone"} if type(case.make()).accepts.container != "array" else {"missing"}
    if type(case.make()).accepts.container == "Snapshots":
        kinds -= {"alone"}  # snapshots hold no series
    for kind in kinds - accepted(case):
        with pytest.raises(InputError):
            fitted_to(case, {kind})


@EVERY_CASE
def test_weights_are_accepted_where_the_fit_takes_them(case):
    takes = "sample_weight" in inspect.signature(case.make().fit).parameters
    assert takes == ("weights" in accepted(case))


@pytest.mark.slow
@EVERY_CASE
@pytest.mark.parametrize("kind", ["missing", "unequal", "dates", "alone"])
def test_each_kind_alone_is_accepted(case, kind):
    if kind not in accepted(case):
        pytest.skip("is refused, see above")
    model, data = fitted_to(case, {kind})
    assert np.isfinite(numbers(case, model, data)).all()


@pytest.mark.slow
@EVERY_CASE
def test_statics_change_the_answers_where_they_are_used(case):
    if type(case.make()).accepts.container in ("Snapshots", "array"):
        pytest.skip("there are no series")
    one, other = (numbers(case, *fitted_to(case, {"statics"}, seed=seed)) for seed in (1, 2))
    assert np.array_equal(one, other) == ("statics" not in accepted(case))


@pytest.mark.slow
@EVERY_CASE
def test_tables_on_disk_are_read_where_they_are_accepted(case, tmp_path):
    if "opened" not in accepted(case):
        assert type(case.make()).accepts.container == "array"
        return
    model, _ = fitted_to(case, (), folder=tmp_path)
    assert model.n_features_in_
