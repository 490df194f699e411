"""One rule of centres, scales and what is constant."""

import numpy as np
import pytest

from trajinfer.data.scaling import Standardisation, is_constant, moments


def test_moments_of_the_known_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, (5, 40, 3))
    values[0, :, 1] = np.nan
    center, deviation = moments(values)
    np.testing.assert_allclose(center, np.nanmean(values, axis=(0, 1)), rtol=1e-13)
    np.testing.assert_allclose(deviation, np.nanstd(values, axis=(0, 1)), rtol=1e-13)


def test_weights_are_repetitions():
    values = np.array([[1.0], [2.0], [5.0]])
    repeated = np.repeat(values, [3, 1, 2], axis=0)
    for one, other in zip(moments(values, np.array([3.0, 1.0, 2.0])), moments(repeated)):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e9, -1e15])
def test_rounding_is_constant_and_data_are_not(offset):
    noise = np.spacing(np.abs(offset)) * np.array([0.0, 1.0, 0.0, 1.0])
    assert is_constant((offset + noise)[:, None])[0] == (offset != 0.0)
    assert not is_constant((offset + np.array([0.0, 1e-9 * max(abs(offset), 1)]))[:, None])[0]


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_any_unit(unit):
    values = unit * np.array([[1.0, 7.0], [3.0, 7.0]])
    scaling = Standardisation.of(values)
    np.testing.assert_allclose(scaling.apply(values)[:, 0], [-1.0, 1.0])
    np.testing.assert_allclose(scaling.invert(scaling.apply(values)), values)


def test_columns_that_say_nothing_keep_their_unit():
    scaling = Standardisation.of(np.array([[5.0, np.nan], [5.0, np.nan]]))
    assert scaling.scale.tolist() == [1.0, 1.0]
    assert scaling.center.tolist() == [5.0, 0.0]
