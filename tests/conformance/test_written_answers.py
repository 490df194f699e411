"""Answers written to a folder in pieces: whole, the same after a kill, no piece like another."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.conformance import estimators as cases
from trajinfer import IrregularSeries
from trajinfer._core.errors import InputError
from trajinfer.data import written_draws, written_forecasts, written_predictions

TINY = {"hidden": 2, "layers": 1, "max_epochs": 1, "n_samples": 1, "step": 2.0}
MAKERS = {
    "MarkovJumpProcess": partial(cases.MarkovJumpProcess, 2, method="mle"),
    "StochasticInterpolant": partial(cases.StochasticInterpolant, model="mixture", n_components=1),
    "NeuralSDEInterpolator": partial(cases.NeuralSDEInterpolator, "gru", n_hidings=1, **TINY),
    "NeuralSDEForecaster": partial(cases.NeuralSDEForecaster, "gru", horizon=1.5, **TINY),
}
FITTED = {}
VERBS = {
    "sample": (
        "MarkovJumpProcess",
        "FractionalSDE",
        "ScoreSeries",
        "SchrodingerBridge",
        "StochasticInterpolant",
    ),
    "forecast": ("NeuralSDEForecaster", "FractionalSDE", "ScoreSeries"),
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
    with pytest.raises(InputError):
        getattr(model, verb)(3 if verb == "sample" else walks, [np.nan], out=out)
    assert not out.exists()
