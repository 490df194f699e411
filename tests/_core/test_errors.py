import inspect
import pickle

import pytest

from trajinfer._core import errors
from trajinfer._core.errors import (
    InputError,
    MissingExtra,
    NonFiniteState,
    NotConverged,
    SolverError,
    TimeGridError,
    TrajinferError,
    nearest,
)
from trajinfer._core.extras import import_extra

ALL_ERRORS = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, Exception) and not issubclass(value, Warning)
]


@pytest.mark.parametrize("error", ALL_ERRORS, ids=lambda e: e.__name__)
def test_every_error_is_caught_by_the_base_class(error):
    assert issubclass(error, TrajinferError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (InputError, ValueError),
        (TimeGridError, ValueError),
        (MissingExtra, ImportError),
        (NotConverged, RuntimeError),
        (SolverError, RuntimeError),
    ],
)
def test_errors_are_also_what_python_calls_them(error, builtin):
    assert issubclass(error, builtin)


def test_a_solver_error_carries_where_it_happened():
    error = SolverError("too bad", t=1.5, step=3, method="euler", h=0.1)
    assert (error.t, error.step, error.method, error.h) == (1.5, 3, "euler", 0.1)
    assert str(error) == "too bad [t=1.5, step=3, method=euler, h=0.1]"


def test_what_is_not_known_is_left_out_of_the_message():
    assert str(SolverError("too bad")) == "too bad"
    assert str(SolverError("too bad", step=0)) == "too bad [step=0]"


def test_a_non_finite_state_says_which_paths():
    error = NonFiniteState("NaN", which="drift", samples=(2, 5), t=0.0)
    assert error.which == "drift"
    assert error.samples == (2, 5)
    assert error.t == 0.0


def test_plain_errors_cross_process_borders():
    error = pickle.loads(pickle.dumps(InputError("expected a number")))
    assert str(error) == "expected a number"


def test_the_nearest_name_is_suggested():
    assert nearest("volatilty", ["volatility", "drift"]) == "did you mean 'volatility'?"
    assert nearest("qqq", ["volatility", "drift"]) == "known: volatility, drift"


def test_names_may_come_from_an_iterator_and_need_not_be_strings():
    assert nearest("qqq", iter(["a", "b"])) == "known: a, b"


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(MissingExtra, match=r"pip install 'trajinfer\[plot\]'"):
        import_extra("no_such_module_of_this_name.part", "plot")


def test_a_present_module_is_handed_over():
    assert import_extra("math", "plot").pi > 3
