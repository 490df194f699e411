"""Samplers: identities, orders, laws."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.scores.laws import ring, rms, sixteen
from trajinfer import InputError
from trajinfer.diffusion.blocks import symmetric_noise
from trajinfer.diffusion.normals import standard_normals
from trajinfer.diffusion.samplers import multistep
from trajinfer.scores import (
    BlockPath,
    ColouredMixture,
    CosinePath,
    GaussianMixture,
    MeanReverting,
    OUNoise,
    SolverPlan,
    StraightPath,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
    WienerDenoiser,
    convert,
    invert,
    kinetic_optimal,
    sample,
    step_weights,
)

PATHS = [
    VarianceExploding(),
    VariancePreserving(),
    SubVariancePreserving(),
    CosinePath(),
    StraightPath(),
    MeanReverting(mean=1.0, scale=1.5),
]


@pytest.fixture(scope="module")
def flow():
    """A law, starts at rho 80, and the exact flow's end at .002."""
    law = ring()
    start = law.sample(64, 80.0, random_state=3)
    settings = {"levels": (80.0, 0.002), "start": start, "grid": "lambda", "jump": False}
    end = sample(law, method="singlestep", order=3, n_evaluations=900, **settings)
    return law, settings, end


@pytest.mark.parametrize("churn", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_weights_of_a_step_sum_to_what_the_state_loses(order, churn):
    for h in (0.01, 1.0, 9.0):
        nodes = [0.3 - 0.7 * h * j for j in range(order)]
        total = step_weights(nodes, 0.3, 0.3 + h, churn).sum()
        assert total == pytest.approx(-np.expm1(-(1 + churn**2) * h), abs=1e-12)


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_a_corrected_step_is_exact_on_polynomials_of_its_order(churn):
    """D = lam^o: the mean obeys y' = k (lam^o - y), whose particular solution is a polynomial."""
    k, order, a, b = 1 + churn**2, 3, 0.2, 1.1
    nodes = [b, a, a - 0.5, a - 0.9]
    solution = np.polynomial.Polynomial([0.0])
    for m in range(order + 1):  # sum_m (-1/k)^m (lam^o)^(m)
        solution = solution + (-1 / k) ** m * np.polynomial.Polynomial.basis(order).deriv(m)
    exact = solution(b) - np.exp(-k * (b - a)) * solution(a)
    got = step_weights(nodes, a, b, churn) @ np.array(nodes) ** order
    assert got == pytest.approx(exact, abs=1e-12)


@pytest.fixture(scope="module")
def smooth():
    """A smooth law in one dimension, starts, and the end of its exact flow."""
    law = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.3]], [[0.2]]])
    start = law.sample(60, 80.0, random_state=0)
    settings = {"levels": (80.0, 0.1), "start": start, "grid": "lambda", "jump": False}
    end = sample(law, method="singlestep", order=3, n_evaluations=1500, **settings)
    return law, settings, end


@pytest.mark.parametrize(
    ("choice", "slope"),
    [
        ({"order": 1, "corrector": False}, 1),
        ({"order": 2, "corrector": False}, 2),
        ({"order": 3, "corrector": False}, 3),
        ({"order": 2}, 3),
        ({"method": "singlestep", "order": 2}, 2),
        ({"method": "heun"}, 2),
    ],
    ids=str,
)
def test_orders(smooth, choice, slope):
    """Slope of the error between 40 and 160 steps."""
    law, settings, end = smooth
    cost = 2 if "method" in choice else 1
    errors = [
        rms(sample(law, n_evaluations=cost * n, **choice, **settings) - end) for n in (40, 160)
    ]
    assert np.log2(errors[0] / errors[1]) / 2 == pytest.approx(slope, abs=0.2)


def test_the_exact_flow_is_met(flow):
    law, settings, end = flow
    assert rms(sample(law, n_evaluations=160, order=2, **settings) - end) < 2e-3


@pytest.mark.parametrize("churn", [0.5, 1.0])
def test_churn_keeps_the_variance_of_data_at_zero(churn):
    start = 5.0 * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    end = sample(
        lambda y, rho: torch.zeros_like(y),
        start=start.double(),
        levels=(5.0, 0.5),
        n_evaluations=3,
        churn=churn,
        order=1,
        random_state=1,
    )
    assert end.std().item() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(40_000))


@pytest.mark.parametrize("noise", ["white", "ou"])
def test_the_jump_is_exact_for_gaussian_data(noise):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    law = None if noise == "white" else OUNoise(0.5).on([0.0, 0.1, 0.5, 0.9])
    wiener = WienerDenoiser(rng.normal(size=4), root @ root.T, law)
    start = wiener.draw(50, 30.0, torch.Generator().manual_seed(0))
    ends = [wiener.flow(wiener.flow(start, 30.0, rho), rho, 0.1) for rho in (0.5, 5.0, 20.0)]
    for end in ends:
        assert torch.allclose(end, wiener.flow(start, 30.0, 0.1), atol=1e-10)
    solved = start
    for high, low in zip(np.geomspace(30, 0.1, 200)[:-1], np.geomspace(30, 0.1, 200)[1:]):
        settings = {"levels": (high, low), "jump": False, "method": "singlestep", "order": 3}
        extra = {} if law is None else {"noise": law}
        solved = sample(wiener, start=solved, n_evaluations=3, **settings, **extra)
    assert torch.allclose(solved, ends[0], atol=1e-5)


def test_all_paths_give_the_same_samples_on_the_same_levels():
    law = ring()
    rhos = np.geomspace(9.0, 0.05, 13)
    start = law.sample(10, 9.0, random_state=0)
    straight = sample(law, start=start, grid=rhos, n_evaluations=12)
    for path in PATHS:
        if isinstance(path, MeanReverting):
            continue
        by_path = [path.rho(path.level(rho)) for rho in rhos]
        again = sample(law, start=start, grid=by_path, n_evaluations=12)
        assert torch.allclose(again, straight, atol=1e-7)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: type(p).__name__)
def test_levels_and_rates_of_paths(path):
    for u in (0.15, 0.5, 0.9):
        assert path.rho(u) == pytest.approx(path.sigma(u) / path.alpha(u), rel=1e-12)
        assert path.level(path.rho(u)) == pytest.approx(u, abs=1e-12)
        for value, rate in ((path.alpha, path.alpha_rate), (path.sigma, path.sigma_rate)):
            slope = (value(u + 1e-5) - value(u - 1e-5)) / 2e-5
            assert rate(u) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    grid = path.grid(5, path.rho(0.1), path.rho(0.9))
    assert len(grid) == 6
    assert (np.diff(grid) < 0).all()


@pytest.mark.parametrize("path", PATHS[:5], ids=lambda p: type(p).__name__)
def test_conversions_go_there_and_back(path):
    rng = np.random.default_rng(0)
    clean, x = torch.as_tensor(rng.normal(size=(2, 4, 3)))
    for word in ("eps", "velocity", "score"):
        there = convert(clean, x, 0.4, path, source="x", target=word)
        back = convert(there, x, 0.4, path, source=word, target="x")
        assert torch.allclose(back, clean, atol=1e-10)


def test_velocity_is_that_of_the_path():
    """For one point of data the conditional velocity is alpha' x + sigma' xi."""
    path, x0, xi = CosinePath(), torch.ones(1, 1), torch.full((1, 1), 0.5)
    state = path.alpha(0.3) * x0 + path.sigma(0.3) * xi
    velocity = convert(x0, state, 0.3, path, source="x", target="velocity")
    expected = path.alpha_rate(0.3) * x0 + path.sigma_rate(0.3) * xi
    assert torch.allclose(velocity, expected)


@pytest.mark.parametrize("law", [ring(), sixteen()], ids=["ring", "sixteen"])
def test_inversion_is_exact(law):
    start = law.sample(50, 40.0, random_state=1)
    for n in (2, 20, 60):
        _, state = sample(
            law, start=start, levels=(40.0, 0.02), n_evaluations=n, method="bdia", return_state=True
        )
        assert rms(invert(law, state) - start) / 40 <= 1e-11


def test_inversion_is_as_accurate_as_the_second_order(flow):
    law, settings, end = flow
    both = {**settings, "n_evaluations": 100}
    first, second = (sample(law, order=order, corrector=False, **both) for order in (1, 2))
    error = rms(sample(law, method="bdia", **both) - end)
    assert error < 0.25 * rms(first - end)
    assert error < 1.5 * rms(second - end)


def test_blocks_with_schedules_of_their_own_converge_in_order_two():
    law = sixteen().affine(np.eye(6, 16))
    blocks = BlockPath(
        {"a": VarianceExploding(20, 0.1), "b": VarianceExploding(10, 0.2)},
        {"a": [0, 1, 2], "b": [3, 4, 5]},
    )
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    start = law.sample(40, random_state=0) + torch.as_tensor(blocks.rho(0.0)) * z
    levels = lambda n: np.linspace(0, 1, n + 1)  # noqa: E731
    ends = {
        n: sample(
            law,
            start=start,
            grid=blocks.grid(n, levels(n) ** 1.2),
            n_evaluations=n,
            order=2,
            corrector=False,
        )
        for n in (40, 80, 400)
    }
    errors = [rms(ends[n] - ends[400]) for n in (40, 80)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)


def test_symmetric_noise_has_variance_one_everywhere():
    z = symmetric_noise(20_000, 3, torch.Generator().manual_seed(0))
    assert torch.equal(z, z.mT)
    assert torch.allclose(z.square().mean(0), torch.ones(3, 3).double(), atol=0.05)


def test_a_process_as_noise_gives_the_same_law():
    """Draws under OU noise have the moments of the mixture."""
    law = sixteen().affine(np.eye(4, 16))
    noise = OUNoise(0.4).on([0.0, 0.2, 0.3, 0.8])
    draws = sample(ColouredMixture(law, noise), 4000, n_evaluations=40, noise=noise, random_state=0)
    assert torch.allclose(draws.mean(0), law.mean, atol=0.1)
    assert torch.allclose(torch.cov(draws.T), law.covariance, atol=0.15)


@pytest.mark.parametrize("churn", [0.0, 0.5, 1.0])
def test_samples_have_the_law_of_the_mixture(churn):
    law = ring()
    draws = sample(law, 4000, n_evaluations=60, churn=churn, random_state=0)
    part = law.responsibilities(draws, 0.02).argmax(1)
    share = torch.bincount(part, minlength=8) / 4000
    assert torch.allclose(share.double(), law.weights, atol=4 * 0.0055)
    radius = draws.norm(dim=1)
    assert radius.mean().item() == pytest.approx(
        law.sample(40_000, random_state=1).norm(dim=1).mean().item(), abs=0.01
    )


def test_the_centre_of_a_gaussian_is_its_mean():
    wiener = WienerDenoiser([1.0, -2.0], [[2.0, 0.5], [0.5, 1.0]])
    assert torch.allclose(sample(wiener, start="center"), wiener.mean[None], atol=1e-10)


def test_the_kinetic_length_of_known_laws():
    assert kinetic_optimal(GaussianMixture([1.0], [[0.0]], [[[1.0]]]), 500, 0).phi < 0.05
    optimal = kinetic_optimal(ring(), 1500, random_state=0)
    assert optimal.phi == pytest.approx(0.5085, abs=0.012)
    assert optimal.energy == pytest.approx(2 - 2 * np.cos(optimal.phi))
    assert optimal.alpha(0.0) == pytest.approx(0.0, abs=1e-9)
    assert optimal.sigma(1.0) == pytest.approx(0.0, abs=1e-9)
    for u in (0.2, 0.5, 0.8):
        assert optimal.level(optimal.rho(u)) == pytest.approx(u, abs=1e-3)


def test_a_plan_spends_its_evaluations_and_no_more():
    law, calls = ring(), []

    def counted(y, rho):
        calls.append(rho)
        return law.denoise(y, rho)

    start = law.sample(5, 10.0, random_state=0)
    plan = SolverPlan.fixed(np.geomspace(10, 0.1, 8), (10.0, 0.1), 3, corrector=True)
    sample(counted, start=start, levels=(10.0, 0.1), n_evaluations=7, plan=plan)
    assert len(calls) == 7
    assert plan.orders == (1, 2, 3, 3, 3, 2, 1)


@pytest.mark.parametrize("churn", [0.0, 0.8])
def test_a_multistep_is_a_prediction_and_its_correction(churn):
    """Steps that carry the correction of the one before, beside both written out."""
    law = sixteen()
    rhos = np.geomspace(20.0, 0.1, 9)
    orders = (1, 2, 2, 3, 1, 3, 2, 1)
    corrections = (True, False, True, True, True, False, True, False)
    plan = SolverPlan(rhos, orders, corrections, (20.0, 0.1))
    start = law.sample(7, 20.0, random_state=0)
    got = multistep(law, start, plan, churn=churn, generator=torch.Generator().manual_seed(1))
    generator, k, lams = torch.Generator().manual_seed(1), 1 + churn**2, -np.log(rhos)
    base = predicted = start
    values = []

    def moved(base, i, nodes):
        weights = step_weights(lams[nodes][::-1], lams[i], lams[i + 1], churn)
        return base + sum(w * v for w, v in zip(weights, values))

    for i, (order, h) in enumerate(zip(orders, np.diff(lams), strict=True)):
        values.insert(0, law.denoise(predicted, float(rhos[i])))
        state = predicted
        if i and corrections[i - 1]:
            state = moved(base, i - 1, slice(i - orders[i - 1], i + 1))
        z = standard_normals(start.shape, generator, start) if churn else 0.0
        base = np.exp(-k * h) * state
        base = base + np.exp(-lams[i + 1]) * np.sqrt(-np.expm1(-2 * churn**2 * h)) * z
        predicted = moved(base, i, slice(i - order + 1, i + 1))
    assert torch.allclose(got, predicted, rtol=0, atol=1e-12)


def test_noise_in_single_precision_is_standard_normal():
    like = torch.zeros((), dtype=torch.float64)
    z = standard_normals((200_000, 2), torch.Generator().manual_seed(0), like)
    assert z.dtype == torch.float64
    flat = z.flatten().numpy()
    n = len(flat)
    assert stats.kstest(flat, "norm").pvalue > 1e-5
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((flat**power).mean() - moment) < 4.5 * np.sqrt(variance / n)
    assert abs(z.prod(1).mean()) < 4.5 / np.sqrt(n / 2)
    assert 4.2 < np.abs(flat).max() < 5.8


def test_churn_without_a_stream_of_noise_is_refused():
    plan = SolverPlan.fixed(np.geomspace(10, 0.1, 5), (10.0, 0.1), 2, corrector=True)
    with pytest.raises(InputError, match="churn adds noise: give generator="):
        multistep(ring(), torch.zeros(3, 2), plan, churn=1.0)
