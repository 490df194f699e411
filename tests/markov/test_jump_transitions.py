"""Transition matrices by independent methods, and Van Loan's integral."""

import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.linalg import expm

from trajinfer._core.errors import InputError
from trajinfer.markov.rates import with_diagonal
from trajinfer.markov.regime_table import RegimeTable
from trajinfer.markov.transitions import (
    GapTable,
    convolution,
    distinct_gaps,
    transition_matrices,
    uniformised_transition_matrices,
)


def random_rates(n, seed=0):
    return with_diagonal(np.random.default_rng(seed).exponential(size=(n, n)))


@pytest.mark.parametrize("n", [2, 6, 30])
def test_exponentials_against_uniformisation(n):
    rates = random_rates(n)
    gaps = np.array([1e-6, 0.01, 0.3, 2.0, 9.0])
    one, two = transition_matrices(rates, gaps), uniformised_transition_matrices(rates, gaps)
    assert np.abs(one - two).max() < 1e-10
    assert np.allclose(one.sum(axis=2), 1, atol=1e-12)


@pytest.mark.parametrize("scale", [0.05, 3.0, 60.0])
def test_panels_against_exponentials(scale):
    """Also for a one-way cycle, whose eigenvalues are as complex as they can be."""
    gaps = np.random.default_rng(1).exponential(scale, 2000) + 1e-4
    cycle = 2.0 * np.roll(np.eye(12), 1, axis=1)
    for rates in (random_rates(6), with_diagonal(cycle)):
        table = GapTable.of(gaps, float(-np.diag(rates).min()))
        assert len(table.nodes) < len(gaps)
        spread = table.spread(transition_matrices(rates, table.nodes), slice(None))
        assert np.abs(spread - transition_matrices(rates, gaps)).max() < 1e-10


def test_panels_carry_weights_back():
    """The transposed interpolation is the exact adjoint."""
    generator = np.random.default_rng(2)
    gaps = generator.exponential(size=900) + 1e-3
    left, right = generator.random((2, 900, 4))
    rates = random_rates(4)
    table = RegimeTable(gaps, np.zeros(900, dtype=np.int64), 1, 10.0)
    matrices = table.matrices(rates[None])
    direct = np.einsum("ni,nij,nj", left, table.spread(matrices, np.arange(900)), right)
    assert np.einsum("mij,mij", table.collect(left, right), matrices) == pytest.approx(
        direct, rel=1e-11
    )


def test_van_loan_against_quadrature():
    rates, gaps = random_rates(3, 4), np.array([0.4, 2.0])
    weights = np.random.default_rng(5).normal(size=(2, 3, 3))
    total = np.zeros((3, 3))
    for gap, weight in zip(gaps, weights):
        total += quad_vec(
            lambda s, d=gap, w=weight: expm(rates.T * s) @ w @ expm(rates.T * (d - s)), 0, gap
        )[0]
    assert np.allclose(convolution(rates, gaps, weights), total, rtol=1e-8, atol=1e-12)


def test_jitter_of_a_regular_grid_is_one_gap():
    gaps = np.diff(np.linspace(0, 2.5, 100))
    assert len(np.unique(gaps)) > 1
    unique, index = distinct_gaps(gaps)
    assert len(unique) == 1
    assert (index == 0).all()


def test_uniformisation_refuses_long_gaps():
    with pytest.raises(InputError, match="jumps per gap"):
        uniformised_transition_matrices(random_rates(2), np.array([1e5]))


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1e15, 1e200])
def test_units_of_time_however_far_apart_lose_no_digits(unit):
    """A recording of days in nanoseconds has gaps of 1e15."""
    rates, gaps = random_rates(4), np.random.default_rng(2).exponential(1.0, 500) + 0.01
    weights = np.random.default_rng(1).random((500, 4, 4))
    one = convolution(rates, gaps, weights)
    other = convolution(rates / unit, gaps * unit, weights)
    assert np.allclose(other / unit, one, rtol=1e-11)
    nodes = GapTable.of(gaps, 3.0).nodes
    assert np.allclose(GapTable.of(gaps * unit, 3.0 / unit).nodes / unit, nodes, rtol=1e-11)
