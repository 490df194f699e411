"""Answers written to a folder in pieces: whole, the same after a kill, no piece like another."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.conformance import estimators as cases
from trajinfer import IrregularSeries
from trajinfer._core.errors import InputError
from trajinfer.data import written_draws, written_forecasts

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


@pytest.mark.parametrize(("verb", "name"), WRITTEN)
def test_a_question_that_cannot_be_answered_leaves_no_folder(verb, name, tmp_path):
    model, out = fitted(name), tmp_path / "none"
    (walks,) = cases.random_walks()
    with pytest.raises(InputError):
        getattr(model, verb)(3 if verb == "sample" else walks, [np.nan], out=out)
    assert not out.exists()
