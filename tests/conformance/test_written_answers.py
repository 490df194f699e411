"""Answers written to a folder in pieces: whole, the same after a kill, no piece like another."""

import inspect
from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.conformance import estimators as cases
from trajinfer import IrregularSeries, JumpSeries
from trajinfer._core.errors import InputError
from trajinfer.data import (
    written_draws,
    written_forecasts,
    written_positions,
    written_predictions,
)

TINY = {"hidden": 2, "layers": 1, "max_epochs": 1, "n_samples": 1, "step": 2.0}
MAKERS = {
    "MarkovJumpProcess": partial(cases.MarkovJumpProcess, 2, method="mle"),
    "StochasticInterpolant": partial(cases.StochasticInterpolant, model="mixture", n_components=1),
    "NeuralSDEInterpolator": partial(cases.NeuralSDEInterpolator, "gru", n_hidings=1, **TINY),
    "NeuralSDEForecaster": partial(cases.NeuralSDEForecaster, "gru", horizon=1.5, **TINY),
    "DirectedChainGenerator": partial(
        cases.DirectedChainGenerator,
        hidden=(4,),
        loss=cases.TransitionLikelihood(n_steps=2, batch_size=16),
    ),
}
FITTED = {}
VERBS = {
    "sample": (
        "MarkovJumpProcess",
        "FractionalSDE",
        "ScoreSeries",
        "SchrodingerBridge",
        "StochasticInterpolant",
        "DirectedChainGenerator",
    ),
    "forecast": ("NeuralSDEForecaster", "FractionalSDE", "ScoreSeries", "SchrodingerBridge"),
    "interpolate": ("NeuralSDEInterpolator", "FractionalSDE", "ScoreSeries"),
}
WRITTEN = [(verb, name) for verb, names in VERBS.items() for name in names]
pytestmark = [
    pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning"),
    pytest.mark.filterwarnings("ignore:.*did not converge"),
]


def fitted(name):
    """A small fit, made once."""
    if name not in FITTED:
        (case,) = (case for case in cases.CASES if case.name == name)
        FITTED[name] = MAKERS.get(name, case.make)(random_state=0).fit(*case.data())
    return FITTED[name]


def asked(verb, name):
    """The question: 7 draws, or paths of 7 series that are alike but for their names."""
    if verb == "sample":
        times = [0.0, 0.5, 1.0]
        return partial(getattr(fitted(name), verb), 7, times)
    if name == "SchrodingerBridge":
        return partial(fitted(name).forecast, [3.0, 3.5], n=7)
    (walks,) = cases.random_walks()
    same = IrregularSeries.from_arrays(
        np.repeat(walks.times[:1], 7, axis=0), np.repeat(walks.values[:1], 7, axis=0)
    )
    times = [4.0, 4.5] if verb == "forecast" else [0.5, 2.0]
    return partial(getattr(fitted(name), verb), same, times, n=5)


@pytest.mark.parametrize(("verb", "name"), WRITTEN)
def test_answers_are_whole_and_a_killed_call_goes_on(verb, name, tmp_path, monkeypatch):
    monkeypatch.setattr(written_draws, "PIECE", 3)
    monkeypatch.setattr(written_forecasts, "PIECE", 3)
    ask = asked(verb, name)
    table = pd.read_parquet(ask(random_state=1, out=tmp_path / "whole"))
    owner = "path" if "path" in table else "id"
    assert list(pd.unique(table[owner])) == list(range(7))
    numbers = table.drop(columns=owner)
    parts = [part.reset_index(drop=True) for _, part in numbers.groupby(table[owner])]
    if name != "MarkovJumpProcess":  # two paths of labels may be the same
        assert not any(one.equals(other) for k, one in enumerate(parts) for other in parts[k + 1 :])

    write, written = pd.DataFrame.to_parquet, []

    def stopping(self, *arguments, **options):
        written.append(len(self))
        if len(written) == 2:
            raise KeyboardInterrupt
        return write(self, *arguments, **options)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", stopping)
    with pytest.raises(KeyboardInterrupt):
        ask(random_state=1, out=tmp_path / "killed")
    again = ask(random_state=1, out=tmp_path / "killed")
    assert len(written) == 4
    pd.testing.assert_frame_equal(pd.read_parquet(again), table)
    with pytest.raises(InputError, match="another fit: seed differ"):
        ask(random_state=2, out=tmp_path / "killed")


PREDICTED = {
    "NeuralSDEForecaster": {"ts": [4.0, 4.5]},
    "FractionalSDE": {"ts": [4.0, 4.5]},
    "NeuralSDEInterpolator": {"ts": [0.5, 2.0]},
    "ScoreSeries": {"ts": [0.5, 2.0]},
    "NeuralSDEClassifier": {},
    "NeuralSDERegressor": {},
}


@pytest.mark.parametrize("name", PREDICTED)
def test_predictions_are_those_of_memory(name, tmp_path, monkeypatch):
    monkeypatch.setattr(written_predictions, "PIECE", 3)
    model, question, (walks,) = fitted(name), PREDICTED[name], cases.random_walks()
    series = walks[:7]
    table = pd.read_parquet(model.predict(series, **question, out=tmp_path / "whole"))
    assert len([*(tmp_path / "whole").glob("part-*")]) == 3
    answers = np.ravel(model.predict(series, **question))
    assert list(table["id"].unique()) == list(series.ids)
    found = table["mean" if question else "predicted"].to_numpy()
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, answers, rtol=1e-5, atol=1e-6)
    else:
        assert list(found) == list(answers)
    if name == "NeuralSDEClassifier":
        shares = table.filter(like="probability of")
        np.testing.assert_allclose(shares, model.predict_proba(series), rtol=1e-5, atol=1e-6)
    times = [[0.0, 1.0]] * 7
    with pytest.raises(InputError, match="out="):
        model.predict(series, times, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_points_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(written_draws, "PIECE", 3)
    frame = pd.DataFrame({"a": np.linspace(0, 1, 40), "b": np.linspace(1, 0, 40) ** 2})
    density = cases.ScoreDensity("mixture", n_components=1, random_state=0).fit(frame)
    table = pd.read_parquet(density.sample(7, random_state=1, out=tmp_path / "whole"))
    assert list(table) == ["a", "b"]
    assert len(table.drop_duplicates()) == 7
    again = pd.read_parquet(density.sample(7, random_state=1, out=tmp_path / "again"))
    pd.testing.assert_frame_equal(table, again)


@pytest.mark.parametrize(("verb", "name"), WRITTEN)
def test_a_question_that_cannot_be_answered_leaves_no_folder(verb, name, tmp_path):
    model, out = fitted(name), tmp_path / "none"
    (walks,) = cases.random_walks()
    first = [] if (verb, name) == ("forecast", "SchrodingerBridge") else [walks]
    with pytest.raises(InputError):
        getattr(model, verb)(*([3] if verb == "sample" else first), [np.nan], out=out)
    assert not out.exists()


def test_every_verb_with_answers_larger_than_its_question_writes_them():
    """`ValueFunction.predict` gives one number for every state that it is given."""
    verbs = {*VERBS, "predict", "predict_proba"}
    offered = {
        (case.name, verb): inspect.signature(method).parameters
        for case in cases.CASES
        for verb, method in inspect.getmembers(type(case.make()), inspect.isfunction)
        if verb in verbs
    }
    assert len(offered) > 20
    assert [door for door, words in offered.items() if "out" not in words] == []


@pytest.mark.parametrize("name", ["SchrodingerBridge", "StochasticInterpolant"])
def test_mean_positions_are_those_of_memory(name, tmp_path, monkeypatch):
    monkeypatch.setattr(written_positions, "PIECE", 3)
    model, question = fitted(name), {"t0": 0.0, "ts": [2.5, 0.5, 1.0]}
    X, _ = cases.stacked_snapshots()
    X = X[:7]
    means = model.predict(X, **question)
    table = pd.read_parquet(model.predict(X, **question, out=tmp_path / "whole"))
    assert list(table["id"]) == list(np.repeat(np.arange(7), 3))
    assert list(table["time"]) == question["ts"] * 7
    np.testing.assert_allclose(table[["x0", "x1"]], means.reshape(-1, 2), rtol=1e-9, atol=1e-12)
    assert len([*(tmp_path / "whole").glob("part-*")]) == 3
    with pytest.raises(InputError, match="ts must not lie before"):
        model.predict(X, t0=1.0, ts=[0.5], out=tmp_path / "none")
    with pytest.raises(InputError, match="X has 1 features"):
        model.predict(X[:, :1], **question, out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_mean_positions_bear_the_names_of_a_table(tmp_path):
    X, times = cases.stacked_snapshots()
    frame = pd.DataFrame(X, columns=["a", "b"], index=[f"cell {k}" for k in range(len(X))])
    bridge = cases.SchrodingerBridge(random_state=0).fit(frame, times)
    table = pd.read_parquet(bridge.predict(frame[3:5], out=tmp_path / "means"))
    assert list(table) == ["id", "time", "a", "b"]
    assert list(table["id"]) == ["cell 3", "cell 4"]


def test_probabilities_of_states_are_those_of_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(written_predictions, "PIECE", 25)
    model, ts = fitted("MarkovJumpProcess"), [1.5, 1.0]
    (paths,) = cases.labelled_paths()
    table = pd.read_parquet(model.predict_proba(paths, ts, out=tmp_path / "whole"))
    assert list(table["id"]) == list(np.repeat(list(paths.ids), 2))
    assert list(table["time"]) == ts * len(paths)
    found = table[[f"probability of {state}" for state in model.states_]].to_numpy()
    expected = model.predict_proba(paths, ts).reshape(-1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    frame = paths.to_frame()
    frame.to_parquet(tmp_path / "paths.parquet")
    opened = JumpSeries.open(tmp_path / "paths.parquet", id="id", time="time", state="state")
    again = pd.read_parquet(model.predict_proba(opened, ts, out=tmp_path / "opened"))
    pd.testing.assert_frame_equal(again, table)
    with pytest.raises(InputError, match="first observation"):
        model.predict_proba(paths, [-1.0], out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_probabilities_of_classes_stand_beside_the_classes(tmp_path):
    model, (walks,) = fitted("NeuralSDEClassifier"), cases.random_walks()
    classes = pd.read_parquet(model.predict(walks[:3], out=tmp_path / "classes"))
    shares = pd.read_parquet(model.predict_proba(walks[:3], out=tmp_path / "shares"))
    pd.testing.assert_frame_equal(classes, shares)
    with pytest.raises(InputError, match="leave ts= out"):
        model.predict_proba(walks[:3], [1.0], out=tmp_path / "none")
