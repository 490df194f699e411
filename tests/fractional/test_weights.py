"""Weights of the Markov approximation against 50-digit values and first principles."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.integrate import quad
from scipy.special import gamma

from trajinfer import InputError, fractional
from trajinfer.cli.files import every_digit
from trajinfer.fractional import approximation_error, default_nodes, symmetric_nodes, weights
from trajinfer.fractional.weights import _projection_type_1, weights_derivative

EVERY_H = (0.1, 0.3, 0.5, 0.7, 0.9)


def table(shared_data, name):
    path = shared_data / "fractional" / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return pd.read_csv(path, **every_digit(pd.__version__))


def numbered(kind):
    return {"I": 1, "II": 2}[kind]


def test_weights_agree_with_high_precision_values(shared_data):
    for (kind, hurst, n), rows in table(shared_data, "omega_reference").groupby(
        ["type", "hurst", "K"]
    ):
        found = weights(hurst, rows["gamma"], 1.0, numbered(kind))
        error = np.abs(found - rows["omega"]).max() / np.abs(rows["omega"]).max()
        bar = {"I": 1e-9, "II": 1e-11 if n <= 5 else 1e-8}[kind]
        assert error < bar, (kind, hurst, n)


def test_errors_agree_with_high_precision_values(shared_data):
    for (kind, hurst, n), rows in table(shared_data, "omega_reference").groupby(
        ["type", "hurst", "K"]
    ):
        found = approximation_error(hurst, rows["gamma"], 1.0, numbered(kind))
        expected = rows["rel_integrated_mse"].iloc[0]
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-14), (kind, hurst, n)


def test_derivatives_agree_with_high_precision_values(shared_data):
    for (kind, hurst, n), rows in table(shared_data, "domega_dhurst").groupby(
        ["type", "hurst", "K"]
    ):
        nodes = symmetric_nodes(n, rows["gamma_max"].iloc[0])
        found = weights_derivative(hurst, nodes, 1.0, numbered(kind))
        expected = rows["domega_dhurst"].to_numpy()
        error = np.abs(found - expected).max() / np.abs(expected).max()
        assert error < 1e-6, (kind, hurst, n)


def test_errors_of_other_grids_agree_with_high_precision_values(shared_data):
    rows = table(shared_data, "grid_errors")
    for row in rows[rows["best_gamma_min"] > 0].itertuples():
        kind = numbered(row.type)
        symmetric = approximation_error(row.hurst, symmetric_nodes(row.K), 1.0, kind)
        assert symmetric == pytest.approx(row.rel_mse_symmetric_gamma_max_20, rel=1e-3)
        grid = np.geomspace(row.best_gamma_min, row.best_gamma_max, row.K)
        # the ends of the grid are printed with three digits; the weights are then large
        assert approximation_error(row.hurst, grid, 1.0, kind) == pytest.approx(
            float(row.rel_mse_best_geometric_found), rel=2e-2
        )


@pytest.mark.parametrize("normalization", ["kernel", "unit"])
@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("hurst", [0.05, 0.3, 0.7, 0.95])
def test_derivative_is_that_of_central_differences(hurst, kind, normalization):
    nodes, step = default_nodes(8, 2.0, kind), 1e-4
    ends = [
        weights(hurst + s, nodes, 2.0, kind, normalization=normalization) for s in (-step, step)
    ]
    found = weights_derivative(hurst, nodes, 2.0, kind, normalization=normalization)
    error = np.abs(found - (ends[1] - ends[0]) / (2 * step)).max()
    assert error < 1e-4 * np.abs(found).max()


def test_gradient_flows_through_the_weights():
    hurst = torch.tensor([0.3, 0.6], dtype=torch.float64, requires_grad=True)
    nodes = default_nodes(6, 1.0)
    weights(hurst, nodes, 1.0, normalization="unit").sum().backward()
    expected = weights_derivative([0.3, 0.6], nodes, 1.0, normalization="unit").sum(-1)
    np.testing.assert_allclose(hurst.grad.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("hurst", EVERY_H)
@pytest.mark.parametrize("span", [0.01, 7.0, 1e4])
def test_time_scales_as_fractional_brownian_motion_does(hurst, kind, span):
    nodes = default_nodes(8, span, kind)
    scaled = span ** (hurst - 0.5) * weights(hurst, nodes * span, 1.0, kind)
    np.testing.assert_allclose(weights(hurst, nodes, span, kind), scaled, rtol=1e-10)


@pytest.mark.parametrize("rate", [1e-3, 0.4, 2.9, 3.1, 40.0, 900.0])
@pytest.mark.parametrize("hurst", [0.1, 0.45, 0.9])
def test_projection_on_a_node_is_the_integral_of_the_covariance(rate, hurst):
    """b from the covariance of B(t) and Y(t) - Y(0), both as integrals over the noise."""
    a = hurst + 0.5

    def fresh(u):
        return (1 - u) * u ** (a - 1) * np.exp(-rate * u) / gamma(a)

    # noise before time 0, at the distance u from it
    def before(u):
        inner = quad(
            lambda t: ((t + u) ** (a - 1) - u ** (a - 1)) * np.expm1(-rate * t), 0, 1, epsabs=1e-13
        )[0]
        return inner * np.exp(-rate * u) / gamma(a)

    singular = 1e-12
    expected = quad(fresh, singular, 1, limit=400, epsabs=1e-12)[0]
    expected += quad(before, singular, 1 / rate, limit=400, epsabs=1e-12)[0]
    expected += quad(before, 1 / rate, 50 / rate, limit=400, epsabs=1e-12)[0]
    found = _projection_type_1(
        torch.tensor(hurst, dtype=torch.float64), torch.tensor([rate], dtype=torch.float64)
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_default_grid_is_accurate_for_every_hurst_index():
    nodes = default_nodes(12, 1.0)
    bars = {0.1: 0.10, 0.3: 5e-4, 0.7: 3e-4, 0.9: 0.065}
    for hurst, bar in bars.items():
        assert 0 < approximation_error(hurst, nodes, 1.0) <= bar
    assert abs(approximation_error(0.5, nodes, 1.0)) < 1e-14
    assert approximation_error(0.3, default_nodes(8, 1.0, 2), 1.0, 2) < 1e-3


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("hurst", EVERY_H)
def test_more_nodes_never_hurt(hurst, kind):
    nested = [np.geomspace(1e-2, 1e2, n) for n in (3, 5, 9)]
    errors = [approximation_error(hurst, nodes, 1.0, kind) for nodes in nested]
    # weights of 9 nodes are so large that the last digits of the error are noise
    assert errors[0] > errors[1] > errors[2] - 1e-9


@pytest.mark.parametrize("kind", [1, 2])
def test_brownian_motion_is_the_node_at_zero(kind):
    found = weights(0.5, default_nodes(12, 3.0, kind), 3.0, kind, normalization="unit")
    np.testing.assert_allclose(found, np.eye(12)[0], atol=1e-9)


def test_a_node_near_zero_is_the_limit():
    for hurst in (0.2, 0.8):
        at, near = (weights(hurst, [zero, 1.0, 30.0], 1.0) for zero in (0.0, 1e-13))
        np.testing.assert_allclose(at, near, rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, [1.0], 1.0), "strictly between 0 and 1"),
        ((1.2, [1.0], 1.0), "strictly between 0 and 1"),
        ((float("nan"), [1.0], 1.0), "finite"),
        ((0.5, [1.0], 0.0), "positive, finite duration"),
        ((0.5, [1.0], -1.0), "positive, finite duration"),
        ((0.5, [2.0, 1.0], 1.0), "ascending"),
        ((0.5, [-1.0, 1.0], 1.0), "non-negative"),
        ((0.5, [1.0], 1.0, 3), "fbm_type must be 1"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        weights(*arguments)
    with pytest.raises(InputError, match="'kernel' or 'unit'"):
        weights(0.5, [1.0], 1.0, normalization="none")


def test_grids_refuse_unusable_sizes():
    for n_ou in (0, 2.5):
        with pytest.raises(InputError, match="n_ou"):
            default_nodes(n_ou, 1.0)
    assert fractional.default_nodes(1, 1.0).tolist() == [0.0]
