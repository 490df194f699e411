"""Exponentials of small matrices against scipy, one matrix at a time."""

import numpy as np
import pytest
from scipy.linalg import expm

from trajinfer._core.matrix_exponential import REACH, matrix_exponential, short_exponential


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_matrix_is_scaled_by_its_own_norm(rng, n):
    """Norms from 1e-8 to 1e4 in one batch; small ones keep all digits beside large ones."""
    rates = rng.random((60, n, n)) * 10.0 ** rng.uniform(-8, 4, (60, 1, 1))
    rates -= np.eye(n) * rates.sum(axis=2, keepdims=True)
    found = matrix_exponential(rates)
    for matrix, exponential in zip(rates, found, strict=True):
        truth = expm(matrix)
        np.testing.assert_allclose(exponential, truth, rtol=1e-10, atol=1e-14)
        if np.abs(matrix).max() < 1e-3:
            np.testing.assert_allclose(exponential - np.eye(n), truth - np.eye(n), atol=5e-16)


def test_the_series_is_exact_where_it_is_used(rng):
    x = rng.standard_normal((20, 3, 3))
    x *= REACH / np.abs(x).sum(axis=2).max(axis=1)[:, None, None]
    found = short_exponential(x, np.eye(3))
    np.testing.assert_allclose(found, [expm(m) for m in x], rtol=1e-14, atol=1e-15)


def test_growth_rotation_and_defective_matrices():
    jordan, turn = np.eye(3) + np.eye(3, k=1), np.zeros((3, 3))
    turn[0, 1], turn[1, 0] = 40.0, -40.0
    batch = np.stack([jordan, 30 * jordan, turn, np.zeros((3, 3))])
    found = matrix_exponential(batch)
    for matrix, exponential in zip(batch, found, strict=True):
        np.testing.assert_allclose(exponential, expm(matrix), rtol=1e-12, atol=1e-13)


def test_what_is_not_finite_stays_so_and_alone():
    batch = np.stack([np.full((2, 2), np.nan), np.full((2, 2), np.inf), np.eye(2)])
    found = matrix_exponential(batch)
    assert not np.isfinite(found[:2]).any()
    np.testing.assert_allclose(found[2], np.e * np.eye(2))
    assert matrix_exponential(np.zeros((0, 2, 2))).shape == (0, 2, 2)
