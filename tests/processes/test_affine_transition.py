"""The transition of an affine SDE against scipy's matrix exponential (Van Loan) and itself."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from trajinfer.processes import affine_transition

MATRICES = {
    "zero": np.zeros((2, 2)),
    "one number": np.array([[-0.7]]),
    "rotation": np.array([[-0.5, 2.0], [-2.0, -0.5]]),
    "jordan block": np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, -1.0]]),
    "unstable": np.array([[1.0, 0.3], [0.0, 0.5]]),
    "full": np.random.default_rng(0).standard_normal((5, 5)),
}
OFFSET = np.random.default_rng(1).standard_normal(5)


def problem(name, duration):
    matrix = MATRICES[name]
    dim = len(matrix)
    root = np.random.default_rng(2).standard_normal((dim, dim))
    parts = (matrix, OFFSET[:dim], root @ root.T)
    return *map(torch.as_tensor, parts), torch.tensor(duration, dtype=torch.float64)


def van_loan(matrix, offset, rate, duration):
    """Flow, shift and covariance from two block exponentials."""
    dim = len(matrix)
    block = np.zeros((2 * dim, 2 * dim))
    block[:dim, :dim], block[:dim, dim:], block[dim:, dim:] = -matrix, rate, matrix.T
    exponential = expm(block * duration)
    flow = exponential[dim:, dim:].T
    wide = np.zeros((dim + 1, dim + 1))
    wide[:dim, :dim], wide[:dim, dim] = matrix, offset
    return flow, expm(wide * duration)[:dim, dim], flow @ exponential[:dim, dim:]


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("duration", [0.01, 0.5, 3.0])
def test_van_loan(name, duration):
    given = problem(name, [duration])
    flow, shift, rate = affine_transition(*given)
    expected = van_loan(*(g.numpy() for g in given[:3]), duration)
    np.testing.assert_allclose(flow[0], expected[0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(shift[0], expected[1], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(duration * rate[0], expected[2], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", MATRICES)
def test_two_halves_make_a_whole(name):
    given = problem(name, [1.3, 0.65])
    flow, shift, rate = affine_transition(*given)
    half, drift, spread = flow[1], shift[1], 0.65 * rate[1]
    torch.testing.assert_close(half @ half, flow[0], rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(half @ drift + drift, shift[0], rtol=1e-12, atol=1e-13)
    whole = half @ spread @ half.T + spread
    torch.testing.assert_close(whole, 1.3 * rate[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", MATRICES)
def test_durations_do_not_see_each_other(name):
    together = affine_transition(*problem(name, [0.1, 5.0, 0.7]))
    alone = affine_transition(*problem(name, [0.7]))
    for many, one in zip(together, alone, strict=True):
        torch.testing.assert_close(many[2], one[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", MATRICES)
def test_no_time_is_no_change(name):
    matrix, _, rate, _ = given = problem(name, [0.0])
    flow, shift, spread = affine_transition(*given)
    assert torch.equal(flow[0], torch.eye(len(matrix), dtype=matrix.dtype))
    assert not shift.any()
    torch.testing.assert_close(spread[0], rate, rtol=1e-15, atol=0)


@pytest.mark.parametrize("speed", [1e2, 1e4])
def test_strong_contraction_ends_in_the_stationary_law(speed):
    matrix = -speed * torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=torch.float64)
    offset = torch.tensor([1.0, 2.0], dtype=torch.float64)
    rate = torch.eye(2, dtype=torch.float64)
    flow, shift, spread = affine_transition(matrix, offset, rate, torch.ones(1).double())
    assert flow.abs().max() < 1e-30
    torch.testing.assert_close(matrix @ shift[0], -offset, rtol=1e-10, atol=0)
    covariance = spread[0]
    residual = matrix @ covariance + covariance @ matrix.T + rate
    assert residual.abs().max() < 1e-10
    assert torch.linalg.eigvalsh(covariance).min() > 0


def test_stiff_and_slow_together_stay_positive_definite():
    matrix = torch.diag(torch.tensor([-1e4, 0.0, -1.0], dtype=torch.float64))
    matrix[0, 1], matrix[1, 2] = 5e3, 1.0
    rate = torch.diag(torch.tensor([1e-8, 1.0, 1.0], dtype=torch.float64))
    _, _, spread = affine_transition(
        matrix, torch.zeros(3).double(), rate, torch.tensor([1e-6, 0.1, 10.0]).double()
    )
    assert (torch.linalg.eigvalsh(spread)[:, 0] > 0).all()
    torch.testing.assert_close(spread, spread.mT, rtol=1e-14, atol=0)


def test_gradients_are_right():
    matrix, offset, rate, duration = problem("rotation", [0.9, 2.0])
    inputs = [x.clone().requires_grad_() for x in (matrix, offset, rate)]
    assert torch.autograd.gradcheck(lambda a, c, r: affine_transition(a, c, r, duration), inputs)
