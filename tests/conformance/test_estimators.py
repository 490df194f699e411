"""What every estimator must do, whatever it estimates."""

import copy
import inspect
import pickle
from contextlib import suppress

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import trajinfer
from tests.conformance.estimators import CASES, FIRST_OF_TWINS, TWINS, VALUES, WITH_VALUES
from trajinfer import InputError
from trajinfer._core import checkpoint_folder
from trajinfer.processes import Process

EXPECTED = {case.name: case.expected_failures for case in CASES}

# these draw from numpy's global generator themselves
SHUFFLING_CHECKS = {"check_methods_sample_order_invariance"}


def test_every_exported_estimator_has_a_case():
    members = {name: getattr(trajinfer, name) for name in trajinfer.__all__}
    exported = {
        name
        for name, value in members.items()
        if inspect.isclass(value) and issubclass(value, BaseEstimator)
    }
    assert exported == {case.name for case in (*CASES, VALUES)}


def checks_of(*, twin):
    """Checks of scikit-learn of every estimator, or of those that share all doors with another."""
    chosen = [case for case in CASES if (case.name in TWINS) == twin]
    return parametrize_with_checks(
        [(case.checked or case.make)() for case in chosen if not case.unlike_scikit_learn],
        expected_failed_checks=lambda estimator: EXPECTED[type(estimator).__name__],
    )


@checks_of(twin=False)
@pytest.mark.filterwarnings("ignore::trajinfer._core.errors.ExtrapolationWarning")
@pytest.mark.filterwarnings("ignore:no times were given:UserWarning")
def test_scikit_learn_conventions(estimator, check, request):
    _check(estimator, check, request)


@pytest.mark.slow
@checks_of(twin=True)
@pytest.mark.filterwarnings("ignore:no times were given:UserWarning")
def test_scikit_learn_conventions_of_twins(estimator, check, request):
    _check(estimator, check, request)


@pytest.mark.slow
@parametrize_with_checks(
    [VALUES.checked(random_state=0)], expected_failed_checks=lambda _: VALUES.expected_failures
)
def test_scikit_learn_conventions_of_values(estimator, check, request):
    _check(estimator, check, request)


def _check(estimator, check, request):
    state = np.random.get_state()  # noqa: NPY002
    expected, failed = request.node.get_closest_marker("xfail"), False
    try:
        check(estimator)
    except Exception:
        if expected is None:
            raise
        failed = True
    if failed:  # its way through scikit-learn is not traced line by line
        pytest.xfail(expected.kwargs["reason"])
    if check.func.__name__ in SHUFFLING_CHECKS:
        np.random.set_state(state)  # noqa: NPY002


@WITH_VALUES
def test_settings_round_trip(case):
    estimator = case.make()
    settings = estimator.get_params()
    assert case.make(**settings).get_params() == settings
    assert clone(estimator).get_params() == settings
    names = list(inspect.signature(type(estimator)).parameters)
    assert sorted(names) == sorted(estimator.get_params(deep=False))


@WITH_VALUES
def test_fit_returns_the_estimator_and_leaves_its_settings(fit_of, case):
    fit = fit_of(case.name)
    assert fit.answer is fit.model
    assert fit.model.get_params() == fit.settings_before


@WITH_VALUES
def test_seeds(fitted, case):
    """That a seed repeats itself bit for bit is asked where it is a numpy integer (test_words)."""
    one, _ = fitted(case.name)
    other = case.make(random_state=1).fit(*case.data())
    assert not np.array_equal(case.draw(one), case.draw(other))


class Stop(BaseException):
    """The end of a process, as far as a fit can tell."""


@FIRST_OF_TWINS
def test_a_fit_that_was_broken_off_goes_on(fitted, case, tmp_path, monkeypatch):
    """Broken off after every fourth file that it writes, it ends with the same draws."""
    write, written = checkpoint_folder.write_bytes, []

    def counting(*args):
        write(*args)
        written.append(args)
        if len(written) % 4 == 0:
            raise Stop

    monkeypatch.setattr(checkpoint_folder, "write_bytes", counting)
    for _ in range(20):
        with suppress(Stop):
            model = case.make(random_state=0, checkpoint=tmp_path / "fit").fit(*case.data())
            break
    assert len(written) >= 2
    assert np.array_equal(case.draw(model), case.draw(fitted(case.name)[0]))
    assert {path.suffix for path in (tmp_path / "fit").iterdir()} <= {"", ".json", ".safetensors"}
    with pytest.raises(InputError, match="another fit: random_state differ"):
        case.make(random_state=1, checkpoint=tmp_path / "fit").fit(*case.data())


@WITH_VALUES
def test_input_is_not_changed(fit_of, case):
    fit = fit_of(case.name)
    for given, before in zip(fit.data, fit.data_before, strict=True):
        for part, same in zip(_arrays(given), _arrays(before), strict=True):
            assert np.array_equal(part, same, equal_nan=True)


@WITH_VALUES
def test_copies_give_the_same_draws(fitted, case):
    estimator, _ = fitted(case.name)
    for other in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert np.array_equal(case.draw(other), case.draw(estimator))


@WITH_VALUES
def test_saved_and_loaded_gives_the_same_draws(fitted, case, tmp_path):
    estimator, _ = fitted(case.name)
    path = estimator.save(tmp_path / "model")
    assert sorted(p.name for p in path.iterdir()) == ["config.json", "model.safetensors"]
    assert np.array_equal(case.draw(trajinfer.load(path)), case.draw(estimator))


@WITH_VALUES
def test_nothing_is_drawn_or_saved_before_the_fit(case, tmp_path):
    with pytest.raises(NotFittedError):
        case.draw(case.make())
    with pytest.raises(NotFittedError):
        case.make().save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def _arrays(data):
    if isinstance(data, trajinfer.JumpSeries):
        return (data.flat_times, data.flat_states)
    if isinstance(data, Process):
        return tuple(np.array(value) for value in data.parameters_dict().values())
    return (data.times, data.values) if isinstance(data, trajinfer.IrregularSeries) else (data,)
