"""Models that version 0.1 saved load, and answer as they did."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import trajinfer
from tests.persistence.questions import LAWS, MEANS, QUESTIONS

ARCHIVES = Path(__file__).parent / "archives_0_1"
NETWORKS = ("classifier", "regressor", "forecaster", "interpolator", "generator")
N_DRAWS = 4000
N_KEPT = 200_000

every_model = pytest.mark.parametrize("name", QUESTIONS)


def answers(name):
    """What version 0.1 answered."""
    with np.load(ARCHIVES / name / "answers.npz") as stored:
        return dict(stored)


def loaded(name):
    return trajinfer.load(ARCHIVES / name)


def test_every_archive_is_of_version_0_1_and_asked():
    folders = {path.name for path in ARCHIVES.iterdir()}
    assert folders == set(QUESTIONS)
    for name in folders:
        config = json.loads((ARCHIVES / name / "config.json").read_text(encoding="utf-8"))
        assert config["versions"]["trajinfer"] == "0.1.0"
        keys = {key.split(".")[1] for key in answers(name)}
        assert keys == {*QUESTIONS[name], *LAWS.get(name, ()), *MEANS.get(name, ())}


def test_every_estimator_of_version_0_1_has_an_archive():
    saved = {type(loaded(name)).__name__ for name in QUESTIONS}
    assert saved == {
        "DirectedChainGenerator",
        "FractionalSDE",
        "MarkovJumpProcess",
        "NeuralSDEClassifier",
        "NeuralSDEForecaster",
        "NeuralSDEInterpolator",
        "NeuralSDERegressor",
        "SchrodingerBridge",
    }


@every_model
def test_answers_are_those_of_version_0_1(name):
    """Up to rounding, which reaches further where networks compute in single precision."""
    rtol = 1e-5 if name.startswith(NETWORKS) else 1e-6
    model, stored = loaded(name), answers(name)
    for key, ask in QUESTIONS[name].items():
        now, before = np.asarray(ask(model)), stored[f"answer.{key}"]
        assert now.shape == before.shape, key
        if before.dtype.kind in "biUS":
            assert (now == before).all(), key
        else:
            size = np.abs(before[np.isfinite(before)]).max(initial=0.0)
            assert np.allclose(now, before, rtol=rtol, atol=rtol * size, equal_nan=True), key


@pytest.mark.parametrize("name", LAWS)
def test_laws_are_those_of_version_0_1(name):
    """Means and standard deviations of 4000 draws within 5 standard errors of those of 200 000.

    The standard errors are 1 / sqrt(N) and, of Gaussian draws, 1 / sqrt(2 N) standard deviations.
    At most 24 comparisons a model: a false alarm in 70 000 changes of the draws.
    """
    model, stored = loaded(name), answers(name)
    rate = np.sqrt(1 / N_DRAWS + 1 / N_KEPT)
    for key, ask in LAWS[name].items():
        mean, sd = stored[f"mean.{key}"], stored[f"sd.{key}"]
        drawn = ask(model, N_DRAWS)
        assert (np.abs(drawn.mean(axis=1) - mean) < 5 * rate * sd).all(), key
        assert (np.abs(drawn.std(axis=1) / sd - 1) < 5 * rate / np.sqrt(2)).all(), key


@pytest.mark.parametrize("name", MEANS)
def test_means_of_draws_are_those_of_version_0_1(name):
    """Within 5 standard errors of a difference of means of 100 draws."""
    model, stored = loaded(name), answers(name)
    for key, (ask, draw) in MEANS[name].items():
        error = draw(model, 400).std(axis=1) * np.sqrt(2 / 100)
        assert (np.abs(ask(model) - stored[f"answer.{key}"]) < 5 * error).all(), key


@every_model
def test_saved_again_they_answer_the_same(name, tmp_path):
    """A model of version 0.1 that is saved now reads as one of today."""
    first = loaded(name)
    again = trajinfer.load(first.save(tmp_path / "model"))
    for key, ask in QUESTIONS[name].items():
        assert np.array_equal(*_comparable(ask(first), ask(again))), key


@every_model
def test_loading_and_reading_settings_warns_of_nothing(name):
    """Settings of version 0.1 become those of today without a word about old names."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = loaded(name)
        assert clone(model).get_params(deep=False).keys() == model.get_params(deep=False).keys()


def _comparable(one, other):
    pair = np.asarray(one), np.asarray(other)
    return tuple(
        np.nan_to_num(part, nan=-1e300) if part.dtype.kind == "f" else part for part in pair
    )
