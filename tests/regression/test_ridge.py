"""Ridge and kernel ridge: exact leave-one-out, parts held out, what is not linear."""

import numpy as np
import pytest

from trajinfer.regression.kernel_ridge import fit_kernel_ridge
from trajinfer.regression.ridge import fit_ridge, solve_ridge
from trajinfer.regression.ridge_by_parts import PENALTIES, fit_ridge_by_parts


@pytest.mark.parametrize("shape", [(12, 4), (8, 20)])
def test_leave_one_out_of_ridge_is_that_of_refits(rng, shape):
    x, y, weights = (
        rng.normal(size=shape),
        rng.normal(size=(shape[0], 2)),
        rng.uniform(1, 2, shape[0]),
    )
    coefficients, offset, held_out = solve_ridge(x, y, weights)
    # the penalty that was chosen follows from the normal equations of the whole fit
    share = weights / weights.sum()
    centred, target = x - share @ x, y - share @ y
    gradient = centred.T @ (share[:, None] * (target - centred @ coefficients))
    penalty = float((gradient * coefficients).sum() / (coefficients**2).sum())
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        inner = share[rest]
        mean_x, mean_y = inner @ x[rest] / inner.sum(), inner @ y[rest] / inner.sum()
        a = (x[rest] - mean_x).T * inner
        own = np.linalg.solve(
            a @ (x[rest] - mean_x) + penalty * np.eye(shape[1]), a @ (y[rest] - mean_y)
        )
        np.testing.assert_allclose(held_out[i], mean_y + (x[i] - mean_x) @ own, atol=1e-8)
    np.testing.assert_allclose(offset, share @ y - share @ x @ coefficients)


def test_kernel_ridge_learns_what_is_not_linear(rng):
    x = rng.normal(size=(200, 2))
    y = np.sin(2 * x[:, :1]) * x[:, 1:]
    model, held_out = fit_kernel_ridge(x, y, np.ones(200), 0)
    linear = fit_ridge(x, y, np.ones(200))[1]
    assert np.mean((held_out - y) ** 2) < 0.3 * np.mean((linear - y) ** 2)
    other = rng.normal(size=(200, 2))
    truth = np.sin(2 * other[:, :1]) * other[:, 1:]
    assert np.mean((model(other) - truth) ** 2) < 0.3 * truth.var()


@pytest.mark.parametrize("sizes", [None, 1.0])
def test_parts_are_predicted_by_refits_without_them(rng, sizes):
    """Two targets, one with holes; the penalty is the one of the smallest held-out error."""
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 5))])
    y = x[:, 1:3] + rng.normal(size=(60, 2))
    y[::7, 1] = np.nan
    held = np.arange(60) % 3
    trains = [held != part for part in range(3)]
    size = None if sizes is None else np.exp(sizes * rng.normal(size=60))
    maps, predicted = fit_ridge_by_parts(x, y, held, trains, (np.arange(6),) * 2, size)
    weight = np.ones(60) if size is None else size**2
    for c in range(2):
        known = ~np.isnan(y[:, c])
        errors, answers = [], []
        for penalty in PENALTIES:
            shrink = np.diag([0.0, *[penalty] * 5])
            answer = np.empty(60)
            for part in range(3):
                rows = known & trains[part]
                left = x[rows].T * weight[rows]
                own = np.linalg.solve(left @ x[rows] + shrink, left @ y[rows, c])
                answer[held == part] = x[held == part] @ own
            answers.append(answer)
            errors.append(np.mean(weight[known] * (answer - y[:, c])[known] ** 2))
        np.testing.assert_allclose(predicted[:, c], answers[int(np.argmin(errors))], atol=1e-4)
    np.testing.assert_allclose(maps[1](x)[held == 1], predicted[held == 1], atol=1e-10)
