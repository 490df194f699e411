"""The Kalman filter over nodes against dense Gaussian processes and known values."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from trajinfer.fractional import default_nodes, symmetric_nodes, weights
from trajinfer.fractional.bridge import conditioned_start
from trajinfer.fractional.covariance import (
    markov_covariance,
    stationary_fou_autocovariance,
)
from trajinfer.fractional.evidence import log_evidence, whitened
from trajinfer.fractional.kalman import (
    posterior_draws,
    posterior_means,
    prior_draws,
    run_filter,
    smoothed,
)
from trajinfer.fractional.linear_model import LinearFractionalModel


def log_density(found, observed):
    """Log-density of every column of the observations of a filter, (..., M)."""
    square = found.innovations.square() / found.variances[..., None]
    count = observed.to(square.dtype).sum(-1)[..., None]
    logs = found.variances.log().sum(-1)[..., None]
    return -0.5 * (square.sum(-2) + logs + count * math.log(2 * math.pi))


def tensor(values):
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def model(hurst=0.7, theta=1.3, noise=0.2, start_sd=math.nan, kind=1, horizon=3.0, sigma=1.0):
    nodes = default_nodes(12, horizon, kind)
    omega = sigma * weights(tensor(hurst), nodes, horizon, kind, normalization="unit")
    return LinearFractionalModel(
        tensor(nodes), omega, tensor(theta), tensor(noise), tensor(start_sd), kind
    )


TIMES = tensor([0.0, 0.01, 0.4, 0.41, 1.0, 1.9, 3.0])
OBSERVED = torch.tensor([True, True, False, True, True, True, False])
VALUES = tensor([0.3, 0.2, 9.0, -0.5, 0.4, 1.0, 9.0])


def dense_log_density(covariance, values):
    factor = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(factor, values[:, None], upper=False)
    return (
        -0.5 * white.square().sum()
        - factor.diagonal().log().sum()
        - 0.5 * len(values) * math.log(2 * math.pi)
    )


@pytest.mark.parametrize("start_sd", [math.nan, 0.0, 0.7])
@pytest.mark.parametrize("theta", [1e-3, 1.3, 40.0])
@pytest.mark.parametrize("hurst", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_filter_evidence_is_that_of_a_dense_gaussian_process(hurst, theta, start_sd):
    found_model = model(hurst, theta, start_sd=start_sd)
    found = run_filter(found_model, TIMES, VALUES[:, None], OBSERVED)
    dense = found_model.covariance(TIMES)[OBSERVED][:, OBSERVED]
    dense = dense + 0.04 * torch.eye(len(dense), dtype=torch.float64)
    expected = dense_log_density(dense, VALUES[OBSERVED])
    assert float(log_density(found, OBSERVED)) == pytest.approx(float(expected), abs=1e-8)


@pytest.mark.parametrize("hurst", [0.1, 0.5, 0.9])
def test_covariance_without_return_is_that_of_the_markov_approximation(hurst):
    """A second derivation: closed forms of the covariances of the nodes, no transition."""
    found_model = model(hurst, 0.0, start_sd=0.0)
    found = found_model.covariance(TIMES)
    grid = TIMES.numpy()
    expected = markov_covariance(
        found_model.omega.numpy(), found_model.nodes.numpy(), grid[:, None], grid
    )
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_a_start_of_its_own_adds_its_variance():
    """Without return it stays for ever; with it, it decays."""
    for theta in (0.0, 1.3):
        pinned, free = (model(0.7, theta, start_sd=s).covariance(TIMES) for s in (0.0, 0.7))
        kept = torch.exp(-theta * (TIMES[:, None] + TIMES))
        torch.testing.assert_close(free - pinned, 0.49 * kept, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("hurst", [0.3, 0.7])
def test_stationary_covariance_is_near_that_of_fractional_ornstein_uhlenbeck(hurst):
    found = model(hurst, 2.0).covariance(TIMES).numpy()
    lags = TIMES.numpy()[:, None] - TIMES.numpy()
    exact = stationary_fou_autocovariance(hurst, 2.0, lags)
    np.testing.assert_allclose(found, exact, atol=0.01 * exact.max())


def test_no_pole_where_the_rate_of_return_meets_a_node():
    node = float(default_nodes(12, 3.0)[6])
    near = [
        log_density(run_filter(model(0.7, t), TIMES, VALUES[:, None], OBSERVED), OBSERVED)
        for t in (node * (1 - 1e-7), node, node * (1 + 1e-7))
    ]
    assert float((near[0] - near[1]).abs()) < 1e-5
    assert float((near[0] + near[2] - 2 * near[1]).abs()) < 1e-8


def test_smoother_is_the_conditional_mean_of_a_dense_gaussian_process():
    found_model = model()
    found = smoothed(run_filter(found_model, TIMES, VALUES[:, None], OBSERVED))[:, 0, 0]
    dense = found_model.covariance(TIMES)
    seen = dense[OBSERVED][:, OBSERVED] + 0.04 * torch.eye(int(OBSERVED.sum()))
    expected = dense[:, OBSERVED] @ torch.linalg.solve(seen, VALUES[OBSERVED])
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_posterior_draws_have_the_conditional_law():
    found_model, n = model(), 20_000
    normals = np.random.default_rng(0).normal(size=(len(TIMES), len(found_model.nodes) + 2, n))
    drawn = posterior_draws(found_model, TIMES, VALUES, OBSERVED, torch.as_tensor(normals))
    dense = found_model.covariance(TIMES)
    seen = dense[OBSERVED][:, OBSERVED] + 0.04 * torch.eye(int(OBSERVED.sum()))
    mean = dense[:, OBSERVED] @ torch.linalg.solve(seen, VALUES[OBSERVED])
    cov = dense - dense[:, OBSERVED] @ torch.linalg.solve(seen, dense[OBSERVED])
    error = cov.diagonal().sqrt()
    assert float(((drawn.mean(1) - mean) / error).abs().max()) < 4 / math.sqrt(n)
    ratio = torch.cov(drawn).diagonal() / cov.diagonal()
    assert float((ratio - 1).abs().max()) < 4 * math.sqrt(2 / n)


def test_posterior_means_are_those_of_the_smoother():
    smooth = smoothed(run_filter(model(), TIMES, VALUES[:, None], OBSERVED))[:, 0, 0]
    torch.testing.assert_close(posterior_means(model(), TIMES, VALUES, OBSERVED), smooth)


def test_prior_draws_have_the_prior_covariance():
    found_model, n = model(0.3), 20_000
    drawn = prior_draws(found_model, TIMES, n, torch.Generator().manual_seed(0))
    dense = found_model.covariance(TIMES)
    size = dense.diagonal().sqrt()
    error = (drawn @ drawn.T / n - dense) / (size[:, None] * size)
    assert float(error.abs().max()) < 4 * math.sqrt(2 / n)


def test_padding_and_batches_change_nothing():
    padded = torch.cat([TIMES, TIMES[-1:].expand(3)])
    seen = torch.cat([OBSERVED, torch.zeros(3, dtype=torch.bool)])
    more = torch.cat([VALUES, tensor([7.0, 7.0, 7.0])])
    alone = log_density(run_filter(model(), TIMES, VALUES[:, None], OBSERVED), OBSERVED)
    both = run_filter(
        model(),
        torch.stack([padded, padded * 0.5]),
        torch.stack([more, more])[..., None],
        torch.stack([seen, seen]),
    )
    found = log_density(both, torch.stack([seen, seen]))
    torch.testing.assert_close(found[0], alone, rtol=1e-10, atol=1e-10)
    assert float((found[1] - alone).abs()) > 1e-3


def test_parameters_are_taken_in_batches():
    several = model([0.3, 0.7])
    found = run_filter(several, TIMES, VALUES[:, None], OBSERVED)
    for k, hurst in enumerate((0.3, 0.7)):
        alone = run_filter(model(hurst), TIMES, VALUES[:, None], OBSERVED)
        torch.testing.assert_close(log_density(found, OBSERVED)[k], log_density(alone, OBSERVED))


def test_gradient_of_the_evidence_is_its_slope():
    def evidence(p):
        nodes = default_nodes(8, 3.0)
        omega = p[1].exp() * weights(p[0], nodes, 3.0, normalization="unit")
        found = LinearFractionalModel(tensor(nodes), omega, p[2].exp(), p[3].exp())
        return log_density(run_filter(found, TIMES, VALUES[:, None], OBSERVED), OBSERVED).sum()

    point = tensor([0.65, 0.1, 0.2, -1.5]).requires_grad_()
    (gradient,) = torch.autograd.grad(evidence(point), point)
    for k in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[k] = 1e-5
        with torch.no_grad():
            slope = (evidence(point + step) - evidence(point - step)) / 2e-5
        assert float(gradient[k]) == pytest.approx(float(slope), rel=1e-5, abs=1e-7)


def test_bridge_quantities_agree_with_known_values(shared_data):
    path = shared_data / "fractional" / "bridge_oracles.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    for row in pd.read_csv(path).itertuples():
        nodes = symmetric_nodes(row.K, row.gamma_max)
        omega = weights(tensor(row.hurst), nodes, row.omega_horizon)
        bridge = LinearFractionalModel(
            tensor(nodes), omega, tensor(row.theta), tensor(row.sigma), tensor(0.0)
        )
        end = tensor(row.T)
        times = tensor([0.0, row.T / 4, row.T / 2, 3 * row.T / 4, row.T])
        dense = bridge.covariance(times)
        prior = float(dense[-1, -1])
        assert prior == pytest.approx(row.prior_var_XT, abs=1e-6)
        given = float(bridge.transition(end).spread[0, 0])
        assert given == pytest.approx(row.prior_var_XT_given_y0, abs=1e-6)
        seen = torch.tensor([False, False, False, False, True])
        found = run_filter(bridge, times, torch.full((5, 1), row.obs, dtype=torch.float64), seen)
        normaliser = -0.5 * math.log(2 * math.pi * row.sigma**2)
        least = normaliser - float(log_density(found, seen))
        assert least == pytest.approx(row.min_loss, abs=1e-6)
        share = (prior - given) / (given + row.sigma**2)
        gap = 0.5 * (share - math.log1p(share))
        assert least + gap == pytest.approx(row.min_loss_if_q_y0_equals_prior, abs=1e-6)
        column = dense[:, -1] / (dense[-1, -1] + row.sigma**2)
        left = dense.diagonal() - column * dense[-1]
        expected = [row.post_var_T4, row.post_var_T2, row.post_var_3T4, row.post_var_T]
        np.testing.assert_allclose(left[1:].numpy(), expected, atol=1e-6)
        mean, cov = conditioned_start(bridge, end, tensor(row.obs))
        assert not mean.any()
        shift = bridge.transition(end).flow[0, 1:]
        assert float(shift @ cov @ shift) == pytest.approx(
            (prior - given) * (given + row.sigma**2) / (prior + row.sigma**2), rel=1e-6
        )


@pytest.mark.parametrize("start_sd", [math.nan, 0.3])
def test_many_irregular_steps_are_interpolated_to_rounding(start_sd):
    generator = np.random.default_rng(0)
    times = tensor(np.sort(generator.uniform(0, 3, (3, 120)), axis=1))
    times[1, 100:] = times[1, 100]
    values, seen = tensor(generator.normal(size=(3, 120, 1))), torch.ones(3, 120, dtype=torch.bool)
    shared = model([[0.3], [0.8]], [[0.5], [20.0]], start_sd=start_sd)
    assert len(torch.unique(times.diff(dim=1))) > 300
    found = log_density(run_filter(shared, times, values, seen), seen)[..., 0]
    for k, (hurst, theta) in enumerate(((0.3, 0.5), (0.8, 20.0))):
        for b in range(3):
            alone = model(hurst, theta, start_sd=start_sd)
            expected = log_density(run_filter(alone, times[b], values[b], seen[b]), seen[b])[0]
            assert float(found[k, b]) == pytest.approx(float(expected), abs=1e-8)


@pytest.mark.parametrize("start_sd", [math.nan, 0.3, 0.0])
@pytest.mark.parametrize("noise", [0.1, 1e-3])
@pytest.mark.parametrize(
    ("n_series", "length", "shared"),
    [(3, 20, True), (3, 20, False), (2, 150, True), (2, 150, False), (1, 310, True)],
)
def test_whitening_in_blocks_is_that_of_the_filter(n_series, length, shared, noise, start_sd):
    """For five sets of parameters at once, one of them with theta at a node."""
    nodes = torch.as_tensor(default_nodes(12, 1.0))
    hurst = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    theta = torch.stack([*torch.linspace(0.5, 30, 4, dtype=torch.float64), nodes[7]])
    several = LinearFractionalModel(
        nodes,
        weights(hurst, nodes, 1.0, normalization="unit")[:, None],
        theta[:, None],
        tensor(noise).expand(5, 1),
        tensor(start_sd).expand(5, 1),
    )
    rng = torch.Generator().manual_seed(0)
    shape = (length,) if shared else (n_series, length)
    times = torch.rand(shape, generator=rng, dtype=torch.float64).sort(-1).values
    rows = 1 if shared else n_series
    observed = torch.rand(rows, length, generator=rng) < 0.9
    columns = torch.randn(n_series, length, 2, generator=rng, dtype=torch.float64).cumsum(1)
    found = run_filter(several, times, columns, observed)
    white = found.innovations / found.variances.sqrt()[..., None]
    sums = whitened(several, times, columns, observed)
    expected = white.mT @ white
    size = expected.abs().amax((-1, -2), keepdim=True)
    torch.testing.assert_close(sums.gram / size, expected / size, rtol=0, atol=1e-9)
    log_det = found.variances.log().sum(-1)
    torch.testing.assert_close(sums.log_det.expand_as(log_det), log_det, rtol=0, atol=1e-9)
    evidence = log_evidence(several, times, columns[..., 0], observed)
    expected = log_density(found, observed)[..., 0]
    torch.testing.assert_close(evidence, expected, rtol=1e-9, atol=1e-9)


def test_closed_forms_and_quadrature_agree_beside_a_pole():
    nodes = torch.as_tensor(default_nodes(12, 1.0))
    hurst = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    omega = weights(hurst, nodes, 1.0, normalization="unit")
    steps = torch.logspace(-5, 0, 11, dtype=torch.float64)
    for share, rtol in ((1.009, 1e-7), (1.011, 1e-7), (1.5, 1e-7)):
        theta = (nodes[6] * share).expand(3)
        near = LinearFractionalModel(nodes, omega, theta, torch.ones_like(theta)).per_step()
        assert bool(near._near_a_pole().any()) == (share < 1.01)
        own, with_y = near._by_quadrature(steps)
        moves = near.moves(steps)
        torch.testing.assert_close(moves.own, own, rtol=rtol, atol=0)
        size = (own[..., None] * moves.among.diagonal(dim1=-2, dim2=-1)).sqrt()
        torch.testing.assert_close(moves.with_y / size, with_y / size, rtol=0, atol=rtol)
