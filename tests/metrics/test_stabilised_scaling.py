"""The scaling of one large coupling against plain iterations in the log domain, run to the end."""

import numpy as np
import pytest
import torch

from trajinfer.metrics.stabilised_scaling import scale

TOLERANCE = 1e-11


def _problem(n, m, spread, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
    cost = spread * ((x[:, None] - y[None]) ** 2).sum(-1)
    a, b = rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, m)
    return (torch.as_tensor(part) for part in (cost, a / a.sum(), b / b.sum()))


def _plan(cost, b, f):
    """The plan whose column sums are b, at potentials f of the rows."""
    exponent = f[:, None] - cost
    return (exponent - torch.logsumexp(exponent, dim=0) + b.log()).exp()


def _iterated(cost, a, b, n=500):
    f = torch.zeros_like(a)
    for _ in range(n):
        g = b.log() - torch.logsumexp(f[:, None] - cost, dim=0)
        f = a.log() - torch.logsumexp(g - cost, dim=1)
    return f - f.mean()


def test_potentials_are_those_of_plain_iterations():
    cost, a, b = _problem(20, 30, 2.0, 0)
    f, _ = scale(cost, a, b, None, TOLERANCE, 100)
    torch.testing.assert_close(f - f.mean(), _iterated(cost, a, b), rtol=0, atol=1e-8)


@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_both_margins_are_met(spread):
    """Steep costs leave few entries that matter, which are multiplied as a sparse matrix."""
    cost, a, b = _problem(60, 80, spread, 1)
    f, n_steps = scale(cost, a, b, None, TOLERANCE, 200)
    plan = _plan(cost, b, f)
    assert float((plan.sum(1) - a).abs().sum()) <= 100 * TOLERANCE
    assert float((plan.sum(0) - b).abs().sum()) <= 1e-12
    assert n_steps < 300


def test_newton_steps_end_what_sweeps_would_go_on_with():
    cost, a, b = _problem(60, 80, 100.0, 2)
    start, few = scale(cost, a, b, None, TOLERANCE, 0)
    end, _ = scale(cost, a, b, None, TOLERANCE, 100)
    errors = [float((_plan(cost, b, f).sum(1) - a).abs().sum()) for f in (start, end)]
    assert errors[1] < 1e-6 * errors[0]
    assert few > 0


def test_a_start_that_is_the_answer_is_kept():
    cost, a, b = _problem(20, 30, 5.0, 3)
    f, _ = scale(cost, a, b, None, TOLERANCE, 100)
    again, n_steps = scale(cost, a, b, f.clone(), TOLERANCE, 100)
    torch.testing.assert_close(again - again.mean(), f - f.mean(), rtol=0, atol=1e-8)
    assert n_steps <= 21


def test_a_column_out_of_reach_of_all_rows_gets_its_mass():
    cost, a, b = _problem(10, 12, 1.0, 4)
    cost[:, 3] += 5000.0
    f, _ = scale(cost, a, b, torch.zeros(10, dtype=torch.float64), TOLERANCE, 100)
    plan = _plan(cost, b, f)
    torch.testing.assert_close(plan.sum(1), a, rtol=0, atol=1e-9)
    torch.testing.assert_close(plan[:, 3].sum(), b[3], rtol=0, atol=1e-12)
