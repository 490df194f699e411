"""The same words mean the same in every estimator: data, times, draws, predictions, results."""

import copy
import inspect
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import trajinfer
from tests.conformance.estimators import CASES, EVERY_CASE, FIRST_OF_TWINS
from tests.conformance.questions import ASKED_ELSEWHERE, QUESTIONS
from trajinfer import InputError

OF_DATA = ("fit", "predict", "predict_proba", "score", "interpolate", "fill", "log_likelihood")

every_question = pytest.mark.parametrize(
    "question", QUESTIONS, ids=lambda q: f"{q.estimator}.{q.verb}"
)


def verbs(case):
    """The public methods of an estimator, by name."""
    kind = type(case.make())
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and not name.endswith("_request")  # scikit-learn's routing
    }


@EVERY_CASE
def test_data_come_first_and_are_called_X(case):
    for name, verb in verbs(case).items():
        first = list(inspect.signature(verb).parameters)[1:2]
        if name in OF_DATA and verb.__module__.startswith("trajinfer"):
            assert first == ["X"], name


@EVERY_CASE
def test_drawing_takes_a_random_state_and_predicting_none(case):
    for name, verb in verbs(case).items():
        words = inspect.signature(verb).parameters
        if name in ("sample", "forecast", "interpolate", "bootstrap", "draw_rates", "walk"):
            assert "random_state" in words, name
        if name.startswith(("predict", "score")):
            assert "random_state" not in words, name


@EVERY_CASE
def test_every_verb_with_times_has_a_question(case):
    asked = {q.verb for q in QUESTIONS if q.estimator == case.name}
    takes_times = {n for n, v in verbs(case).items() if "ts" in inspect.signature(v).parameters}
    elsewhere = {verb for name, verb in ASKED_ELSEWHERE if name == case.name}
    assert takes_times - elsewhere <= asked


def _ask(fitted, question, ts, **words):
    model, data = fitted(question.estimator)
    if question.draws:
        words.setdefault("random_state", 3)
    return np.asarray(question.ask(model, data[0], ts, **words))


@every_question
def test_one_time_is_one_time(fitted, question):
    t = question.times[1]
    one = _ask(fitted, question, t)
    np.testing.assert_array_equal(one, _ask(fitted, question, [t]))
    assert one.shape[question.time_axis] == 1


@every_question
def test_times_are_answered_in_the_order_asked_and_may_repeat(fitted, question):
    times = np.array(question.times)
    order = np.array([2, 0, 2, 1])
    straight = _ask(fitted, question, np.sort(times[order]))
    mixed = _ask(fitted, question, times[order])
    rank = np.argsort(np.argsort(order, kind="stable"))
    np.testing.assert_array_equal(mixed, np.take(straight, rank, axis=question.time_axis))
    repeated = np.take(mixed, [0, 2], axis=question.time_axis)
    noisy = ("FractionalSDE", "NeuralSDEInterpolator")  # their draws are observations
    if not (question.estimator in noisy and question.draws):
        first, second = np.split(repeated, 2, axis=question.time_axis)
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5)  # of single floats


@every_question
@pytest.mark.parametrize("empty", [[], np.zeros(0), np.zeros((2, 0))], ids=["list", "row", "rows"])
def test_no_times_are_refused(fitted, question, empty):
    with pytest.raises(InputError, match="ts"):
        _ask(fitted, question, empty)


@every_question
def test_times_that_are_no_numbers_are_refused(fitted, question):
    for bad in ([np.nan], ["soon"], [[0.0], [1.0], [2.0]], [np.inf]):
        with pytest.raises(InputError):
            _ask(fitted, question, bad)


@every_question
def test_the_same_question_has_the_same_answer(fitted, question):
    once, again = (_ask(fitted, question, list(question.times)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    if question.draws:
        other = _ask(fitted, question, list(question.times), random_state=4)
        assert not np.array_equal(once, other)


@pytest.mark.parametrize(
    "question",
    [q for q in QUESTIONS if q.series_axis is not None and not q.draws],
    ids=lambda q: f"{q.estimator}.{q.verb}",
)
def test_the_answer_for_a_series_does_not_depend_on_the_others(fitted, question):
    model, data = fitted(question.estimator)
    whole = np.asarray(question.ask(model, data[0], list(question.times)))
    if question.estimator == "SchrodingerBridge":
        order = [3, 1]
        part = question.ask(model, data[0][:5][order], list(question.times))
    else:
        order = [4, 0, 2]
        part = question.ask(model, data[0][order], list(question.times))
    np.testing.assert_allclose(np.asarray(part), whole[order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "question",
    [q for q in QUESTIONS if q.series_axis is not None and q.draws],
    ids=lambda q: f"{q.estimator}.{q.verb}",
)
def test_draws_of_different_series_are_independent(fitted, question):
    """Correlation between two series of 400 draws: beyond 5 / sqrt(400) once in 1.7 million."""
    model, data = fitted(question.estimator)
    verb = getattr(model, question.verb)
    drawn = verb(data[0][[0, 0, 1]], [question.times[-1]], n=400, random_state=1).samples
    for c in range(drawn.shape[-1]):
        for other in (1, 2):
            pair = np.corrcoef(drawn[0, :, 0, c], drawn[other, :, 0, c])[0, 1]
            assert abs(pair) < 5 / np.sqrt(400)


@EVERY_CASE
def test_what_a_fit_leaves(fitted, case):
    model, _ = fitted(case.name)
    assert isinstance(model.n_features_in_, int)
    if not isinstance(fitted(case.name)[1][0], np.ndarray):  # columns of arrays have no names
        assert len(model.feature_names_in_) == model.n_features_in_
    assert isinstance(model.seed_, int)
    assert isinstance(model.n_iter_, int)
    assert isinstance(model.converged_, bool)
    assert isinstance(model.history_, list)
    assert all(isinstance(record, dict) for record in model.history_)


RANDOM_STATES = {
    "None": lambda: None,
    "numpy generator": lambda: np.random.default_rng(2),
    "torch generator": lambda: torch.Generator().manual_seed(2),
}


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        # each estimator is quickly asked for one kind, and each kind of several
        pytest.param(c, kind, marks=() if (i + k) % 3 == 0 else pytest.mark.slow)
        for i, c in enumerate(CASES)
        for k, kind in enumerate(RANDOM_STATES)
    ],
    ids=[f"{c.name}-{kind}" for c in CASES for kind in RANDOM_STATES],
)
def test_any_random_state_is_saved(case, kind, tmp_path):
    state = RANDOM_STATES[kind]()
    model = case.make(random_state=state).fit(*case.data())
    again = trajinfer.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(case.draw(again), case.draw(model))
    if state is None:
        assert again.random_state is None
    assert again.history_ == model.history_
    assert again.seed_ == model.seed_


@FIRST_OF_TWINS
def test_numpy_scalars_in_settings_are_the_numbers_they_are(fitted, case, tmp_path):
    """The seed is one of them."""
    settings = case.make(random_state=0).get_params(deep=False)
    numpy_settings = {
        name: np.int64(value) if isinstance(value, int) else np.float64(value)
        for name, value in settings.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    model = case.make(**{**settings, **numpy_settings}).fit(*case.data())
    again = trajinfer.load(model.save(tmp_path / "model"))
    assert "random_state" in numpy_settings
    assert all(again.get_params()[name] == value for name, value in numpy_settings.items())
    np.testing.assert_array_equal(case.draw(again), case.draw(fitted(case.name)[0]))


SIZES_AND_RATES = ("hidden", "lr", "step", "weight_decay")  # None stands for some of them


@EVERY_CASE
def test_settings_that_are_no_numbers_are_refused_by_name(case):
    defaults = inspect.signature(type(case.make())).parameters
    numbers = [
        name
        for name, parameter in defaults.items()
        if name in SIZES_AND_RATES
        or (isinstance(parameter.default, (int, float)) and not isinstance(parameter.default, bool))
    ]
    for name in set(numbers) - {"verbose"}:
        for value in ("a", -1, []):
            with pytest.raises(InputError, match=name):
                case.make().set_params(**{name: value}).fit(*case.data())


@contextmanager
def torch_of_others():
    """Coarse numbers elsewhere, no gradients, everything cast, and numpy raises at underflow."""
    torch.set_default_dtype(torch.bfloat16)
    torch.set_default_device("meta")
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), np.errstate(all="raise"):
            yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@FIRST_OF_TWINS
def test_the_global_state_of_torch_and_numpy_changes_nothing(fitted, case):
    expected = case.draw(fitted(case.name)[0])
    before = torch.get_rng_state()
    with torch_of_others():
        drawn = case.draw(case.make(random_state=0).fit(*case.data()))
        assert torch.get_default_dtype() == torch.bfloat16
        assert torch.empty(0).device.type == "meta"
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), before)


@FIRST_OF_TWINS
def test_fits_in_threads_are_those_of_a_fit_alone(fitted, case):
    expected, drawn = case.draw(fitted(case.name)[0]), []

    def work():
        drawn.append(case.draw(case.make(random_state=0).fit(*case.data())))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 2
    for values in drawn:
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)


@EVERY_CASE
def test_a_refused_refit_leaves_the_old_model(fitted, case):
    model, data = copy.deepcopy(fitted(case.name))
    before = case.draw(model)
    with pytest.raises((InputError, ValueError)):
        model.fit(data[0][:0] if isinstance(data[0], np.ndarray) else "no data", *data[1:])
    np.testing.assert_array_equal(case.draw(model), before)


@EVERY_CASE
def test_a_fit_is_reported_with_its_settings_and_seed(case, fitted, tmp_path):
    model = fitted(case.name)[0]
    text = model.report(tmp_path / "fit.html").read_text(encoding="utf-8")
    assert f"{case.name}: report of a fit" in text
    assert f"seed {model.seed_}" in text
    assert all(f"<td>{name}</td>" in text for name in model.get_params(deep=False))
