import numpy as np
import pytest
import scipy.sparse
import torch

from trajinfer._core.checks import (
    as_array,
    check_shape,
    require_finite,
    require_increasing,
    require_weights,
)
from trajinfer._core.errors import InputError


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2], dtype=np.int32),
        np.float32([1, 2]),
        torch.tensor([1, 2]),
    ],
)
def test_numbers_of_every_kind_become_float64(value):
    array = as_array(value, "x")
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


def test_the_result_is_a_copy():
    given = np.array([1.0, 2.0])
    as_array(given, "x")[0] = 9.0
    assert given[0] == 1.0


def test_a_tensor_that_needs_gradients_is_read():
    assert as_array(torch.ones(2, requires_grad=True), "x").tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "b"], "x must hold real numbers"),
        ([[1.0], [1.0, 2.0]], "x must hold real numbers"),
        (np.array([1 + 1j]), "complex"),
        (scipy.sparse.eye(2).tocsr(), r"sparse matrix.*x\.toarray\(\)"),
        ([{}, {}], "x must hold real numbers"),
    ],
)
def test_what_is_not_real_numbers_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        as_array(value, "x")


def test_the_number_of_axes_is_checked_and_a_cure_named():
    with pytest.raises(InputError, match=r"x must have 2 axes, got shape \(3,\).*reshape\(-1, 1\)"):
        as_array([1, 2, 3], "x", ndim=2)


@pytest.mark.parametrize(("bad", "kind"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_the_first_value_that_is_not_finite_is_named(bad, kind):
    array = np.zeros((4, 2))
    array[2, 1] = bad
    array[3, 0] = bad
    with pytest.raises(InputError, match=rf"found {kind} at index \(2, 1\) \(2 row"):
        require_finite(array, "x")


def test_finite_values_pass():
    require_finite(np.zeros((2, 2)), "x")
    require_finite(np.zeros(0), "x")


def test_repeated_and_unsorted_times_are_told_apart():
    with pytest.raises(InputError, match=r"1 is followed by 1 \(repeated at index 2\)"):
        require_increasing(np.array([0.0, 1.0, 1.0]), "times")
    with pytest.raises(InputError, match=r"2 is followed by 1 \(not in order at index 2\)"):
        require_increasing(np.array([0.0, 2.0, 1.0]), "times")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"shape \(3,\), got \(2,\)"),
        ([1.0, -1.0, 1.0], "non-negative"),
        ([0.0, 0.0, 0.0], "positive sum"),
        ([1.0, np.nan, 1.0], "NaN"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(InputError, match=message):
        require_weights(np.array(weights), 3, "weights")


def test_shapes_are_matched_by_letters():
    assert check_shape(torch.zeros(4, 3), "B D", D=3) == {"B": 4, "D": 3}
    with pytest.raises(InputError, match=r"expected a tensor of shape \(B, D=2\), got \(4, 3\)"):
        check_shape(torch.zeros(4, 3), "B D", D=2)
    with pytest.raises(InputError, match=r"got \(4,\)"):
        check_shape(torch.zeros(4), "B D")
