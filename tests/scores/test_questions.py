"""Densities, residuals, correctors and conditioning against closed forms."""

import numpy as np
import pytest
import torch

from tests.scores.laws import ring, rms, sixteen, wrong
from trajinfer import InputError, NotConverged, solve
from trajinfer._core.errors import IncompatibleSolver
from trajinfer.scores import (
    DiffusionSDE,
    GaussianMixture,
    LinearObservation,
    LogTransform,
    OUNoise,
    Reward,
    White,
    WienerDenoiser,
    condition,
    denoising_mcmc,
    invert,
    langevin,
    log_likelihood,
    multiplicative_score,
    sample,
    score,
    score_fpe_residual,
)


@pytest.mark.parametrize(("n_evaluations", "bound"), [(100, 3e-3), (200, 2e-4)], ids=["100", "200"])
def test_log_density_of_the_flow(n_evaluations, bound):
    law = ring()
    x = law.sample(30, 0.02, random_state=5)
    got = log_likelihood(law, x, n_evaluations=n_evaluations, levels=(30.0, 0.02))
    assert (got - law.log_prob(x, 0.02)).square().mean().sqrt().item() <= bound


def test_log_density_under_a_process_as_noise():
    """For Gaussian data the density is known; log det L counts."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    noise = OUNoise(0.5).on([0.0, 0.3, 0.4])
    law = WienerDenoiser(np.zeros(3), root @ root.T + 0.1 * np.eye(3), noise)
    x = law.draw(5, 0.05, torch.Generator().manual_seed(0))
    got = log_likelihood(law, x, n_evaluations=200, levels=(20.0, 0.05), noise=noise)
    assert torch.allclose(got, law.log_prob(x, 0.05), atol=1e-3)
    eye = torch.eye(3, dtype=torch.float64)
    total = law.covariance + 0.05**2 * (noise.colour(eye).T @ noise.colour(eye))
    dense = torch.distributions.MultivariateNormal(law.mean, total)
    assert torch.allclose(law.log_prob(x, 0.05), dense.log_prob(x), atol=1e-9)


@pytest.mark.filterwarnings("ignore:rho_min")
def test_probes_are_unbiased():
    law = ring()
    x = law.sample(20, 0.1, random_state=0)
    settings = {"n_evaluations": 48, "levels": (20.0, 0.1)}
    exact = log_likelihood(law, x, **settings)
    probed = log_likelihood(law, x, trace="hutchinson", n_probes=400, **settings)
    assert (probed - exact).abs().max() < 0.2


def test_the_denoiser_at_the_ends():
    law = sixteen()
    y = law.sample(5, random_state=0)
    assert torch.allclose(law.denoise(y, 1e-7), y, atol=1e-10)
    assert torch.allclose(law.denoise(y, 1e8), law.mean.expand(5, -1), atol=1e-10)


def test_score_is_the_gradient_of_the_log_density():
    law = ring()
    y = law.sample(20, 0.5, random_state=0).requires_grad_()
    gradient = torch.autograd.grad(law.log_prob(y, 0.5).sum(), y)[0]
    assert torch.allclose(score(law, y, 0.5), gradient, atol=1e-9)


def test_levels_by_entry_agree_with_one_level():
    law = sixteen()
    y = law.sample(6, 0.5, random_state=0)
    assert torch.allclose(law.denoise(y, torch.full((16,), 0.5)), law.denoise(y, 0.5), atol=1e-10)
    rhos = torch.full((6, 16), 0.5)
    rhos[:, :4] = 0.0
    given = LinearObservation(np.eye(4, 16), y[0, :4], 1e-10)
    rest = law.posterior(given).denoise(y[:1], torch.tensor([1e-4] * 4 + [0.5] * 12))
    assert torch.allclose(law.denoise(y, rhos)[:1, 4:], rest[:, 4:], atol=1e-4)


def test_the_posterior_is_that_of_brute_force_weights():
    law = ring()
    observation = LinearObservation([[1.0, 0.5]], [0.7], 0.2)
    draws = law.sample(400_000, random_state=0)
    weights = torch.softmax(observation.log_likelihood(draws), 0)
    posterior = law.posterior(observation)
    assert torch.allclose(weights @ draws, posterior.mean, atol=0.02)
    evidence = observation.log_likelihood(draws).exp().mean().log().item()
    assert law.log_evidence(observation) == pytest.approx(evidence, abs=0.01)
    grid = law.sample(5, random_state=1)
    bayes = law.log_prob(grid) + observation.log_likelihood(grid) - law.log_evidence(observation)
    assert torch.allclose(posterior.log_prob(grid), bayes, atol=1e-10)


def test_the_tilted_law_is_proportional_to_the_exponential():
    law, b = ring(), torch.tensor([0.5, 0.15]).double()
    x = law.sample(5, random_state=1)
    ratio = law.tilt(b).log_prob(x) - law.log_prob(x) - x @ b
    assert torch.allclose(ratio, ratio[:1].expand(5), atol=1e-10)


def test_multiplicative_noise_is_additive_in_the_logarithm():
    law = GaussianMixture([0.6, 0.4], [[-0.5], [2.0]], [[[0.09]], [[0.64]]])
    x = torch.tensor([[0.5], [3.0]]).double().requires_grad_()
    log_p = law.log_prob(x.log()) - x.log().sum(-1)
    of_x = torch.autograd.grad(log_p.sum(), x)[0]
    z = x.detach().log().requires_grad_()
    of_z = torch.autograd.grad(law.log_prob(z).sum(), z)[0]
    assert torch.allclose(multiplicative_score(of_z, x.detach()), of_x, atol=1e-12)
    with pytest.raises(InputError, match=r"column 'b' has 2"):
        LogTransform().apply(np.array([[1.0, 0.0], [2.0, -1.0]]), np.array(["a", "b"]))


def test_the_residual_finds_scores_of_no_density():
    truth = GaussianMixture([0.4, 0.6], [[-1.0], [1.2]], [[[0.04]], [[0.09]]])
    other = GaussianMixture([0.7, 0.3], [[-0.5], [2.0]], [[[0.09]], [[0.04]]])
    x, rhos = truth.sample(300, random_state=0), np.geomspace(0.05, 10, 12)
    size = {
        (kind, eps): score_fpe_residual(wrong(kind, eps, truth, other), x, rhos).item()
        for kind, eps in [("bump", 0.1), ("bump", 0.2), ("scale", 0.1), ("scale", 0.2)]
    }
    assert score_fpe_residual(truth, x, rhos) <= 1e-5
    assert score_fpe_residual(wrong("other", 1.0, truth, other), x, rhos) <= 1e-3
    assert size["bump", 0.2] / size["bump", 0.1] == pytest.approx(2, abs=0.2)
    assert min(size.values()) > 0.03


def test_the_residual_in_many_dimensions_and_single_precision():
    law = sixteen()
    assert score_fpe_residual(law, law.sample(50, random_state=0), [0.3, 1.0]) < 1e-4
    single = ring().sample(100, random_state=0).float()
    assert score_fpe_residual(ring(), single, [0.5, 1.0]) < 5e-2


@pytest.mark.parametrize("curvature", [None, "damped"])
def test_langevin_keeps_the_law(curvature):
    wiener = WienerDenoiser([0.0, 1.0], [[1.0, 0.3], [0.3, 0.5]])
    start = wiener.draw(20_000, 0.3, torch.Generator().manual_seed(0))
    end = langevin(wiener, start, 0.3, n_steps=20, step=0.1, curvature=curvature, random_state=1)
    total = wiener.covariance + 0.09 * torch.eye(2)
    assert torch.allclose(torch.cov(end.T), total, rtol=0.12, atol=0.03)
    assert torch.allclose(end.mean(0), wiener.mean, atol=0.05)


def test_damped_curvature_needs_a_fifth_of_the_moves():
    """Start with the right parts and the wrong shape; the widest directions are slow."""
    wiener = WienerDenoiser(np.zeros(16), np.diag(np.geomspace(0.05, 1, 16) ** 2))
    start = 0.05 * torch.randn(3000, 16, generator=torch.Generator().manual_seed(0)).double()
    target = wiener.covariance.diagonal() + 0.05**2

    def off(**settings):
        end = langevin(wiener, start, 0.05, random_state=1, **settings)
        return (end.var(0) / target).log().abs().mean().item()

    assert off(n_steps=8, curvature="damped") < off(n_steps=40)


def test_chains_over_levels_have_the_law():
    law = ring()
    chains = denoising_mcmc(
        law, 100, 60, levels=(8.0, 0.02), n_levels=14, below=0.8, random_state=0
    )
    assert chains.samples.shape[0] == chains.chain.shape[0] > 200
    radius = chains.samples.norm(dim=1).mean().item()
    assert radius == pytest.approx(
        law.sample(20_000, random_state=1).norm(dim=1).mean().item(), abs=0.05
    )
    assert chains.occupation.sum().item() == pytest.approx(1.0)


@pytest.mark.slow
def test_evidence_is_unbiased():
    """One Gaussian part: the mean of 20 evidences within four standard errors."""
    law = GaussianMixture([1.0], [[0.5, -0.5]], [[[1.0, 0.3], [0.3, 0.5]]])
    observation = LinearObservation([[1.0, 0.0]], [1.2], 0.3)
    exact = law.log_evidence(observation)
    ratios = [
        np.exp(
            condition(law, observation, n_particles=100, n_steps=200, random_state=s).log_evidence
            - exact
        )
        for s in range(20)
    ]
    assert np.mean(ratios) == pytest.approx(1.0, abs=4 * np.std(ratios) / np.sqrt(20) + 0.01)


@pytest.mark.slow
def test_smc_in_sixteen_dimensions():
    """Medians over five seeds: of one, the mean varies by half of its bar."""
    law = sixteen()
    truth = law.sample(1, random_state=7)[0]
    H = np.random.default_rng(3).normal(size=(6, 16)) / 4
    y = torch.as_tensor(H) @ truth + 0.3 * torch.randn(
        6, generator=torch.Generator().manual_seed(1)
    )
    observation = LinearObservation(H, y, 0.09)
    posterior = law.posterior(observation)
    settings = {"n_particles": 2000, "n_steps": 100}
    guided = condition(law, observation, method="guidance", random_state=0, **settings)
    assert np.isnan(guided.log_evidence)
    far = (guided.covariance() - posterior.covariance).norm().item()
    found = []
    for seed in range(5):
        given = condition(law, observation, random_state=seed, **settings)
        error = (given.mean() - posterior.mean) / posterior.covariance.diagonal().sqrt()
        evidence = abs(given.log_evidence - law.log_evidence(observation))
        near = (given.covariance() - posterior.covariance).norm().item()
        found.append([error.square().mean().sqrt(), evidence, near / far, given.ess.min()])
    mean, log_evidence, covariance, share = np.median(found, axis=0)
    assert mean <= 0.08
    assert log_evidence <= 0.3
    assert covariance <= 0.2
    assert share >= 0.1


def test_smc_on_the_ring():
    law = ring()
    observation = LinearObservation([[1.0, 0.3]], [1.0], 0.09)
    posterior = law.posterior(observation)
    given = condition(law, observation, n_particles=1000, n_steps=60, random_state=0)
    sd = posterior.covariance.diagonal().sqrt()
    assert ((given.mean() - posterior.mean) / sd).abs().max() < 0.15
    assert given.log_evidence == pytest.approx(law.log_evidence(observation), abs=0.15)
    assert given.sample(10, random_state=0).shape == (10, 2)


def test_a_linear_reward_tilts():
    law, b = ring(), torch.tensor([1.0, 0.3]).double()
    given = condition(
        law, Reward(lambda x: x @ b, 0.5), n_particles=2000, n_steps=40, random_state=0
    )
    exact = law.tilt(0.5 * b).mean @ b
    assert (given.mean() @ b).item() == pytest.approx(exact.item(), abs=0.1)


def test_observations_that_contradict_the_model_collapse():
    law = ring()
    with pytest.raises(NotConverged, match="contradict the model"):
        condition(
            law,
            LinearObservation(np.eye(2), [0.0, 40.0], 1e-4),
            n_particles=200,
            n_steps=30,
            twist="tweedie",
            random_state=0,
        )


@pytest.mark.parametrize(("method", "slope"), [("heun_ode", 2.0), ("euler", 1.0)])
def test_solve_takes_generation_as_an_sde(method, slope):
    law = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.3]], [[0.2]]])
    start = law.sample(50, 20.0, random_state=0)
    levels = (20.0, 0.2)
    end = sample(law, start=start, levels=levels, n_evaluations=400, grid="lambda", jump=False)
    sde = DiffusionSDE(law, churn=0.0)
    errors = [
        rms(solve(sde, start, sde.times(n, levels), method=method).ys[:, -1] - end)
        for n in (80, 160)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(slope, abs=0.2)


@pytest.mark.filterwarnings("ignore:rho_min")
def test_churn_through_solve_keeps_the_law_both_ways():
    law = ring()
    for direction, first, last in (("generate", 5.0, 0.3), ("noise", 0.3, 5.0)):
        sde = DiffusionSDE(law, churn=0.7, direction=direction)
        start = law.sample(2000, first, random_state=0)
        times = sde.times(100, (5.0, 0.3))
        end = solve(sde, start, times, method="euler", random_state=1).ys[:, -1]
        target = law.covariance + last**2 * torch.eye(2)
        assert torch.allclose(torch.cov(end.T), target, rtol=0.1, atol=0.15 + 0.1 * last**2)


def test_gradients_through_generation():
    law = ring()
    start = law.sample(4, 5.0, random_state=0)

    class Shifted(torch.nn.Module):
        mean = law.mean

        def __init__(self):
            super().__init__()
            self.shift = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

        def denoise(self, y, rho):
            return law.denoise(y - self.shift, rho) + self.shift

    gradients = []
    for gradient in ("backprop", "checkpoint"):
        model = Shifted()
        sde = DiffusionSDE(model)
        end = solve(sde, start, sde.times(40, (5.0, 0.1)), method="heun_ode", gradient=gradient)
        gradients.append(torch.autograd.grad(end.ys[:, -1].sum(), model.shift)[0])
    assert torch.allclose(*gradients, atol=1e-12)
    with pytest.raises(IncompatibleSolver, match="unstable"):
        solve(sde, start, sde.times(10, (5.0, 0.1)), method="heun_ode", gradient="adjoint")


LAW = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
START = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sample(LAW, 3, levels=(0.1, 1.0)), "rho_max > rho_min"),
        (lambda: sample(LAW, 3, levels=(1.0, 0.0)), "rho_max > rho_min"),
        (lambda: sample(LAW, 3, grid=[1.0, 2.0, 0.5], n_evaluations=2), "fall"),
        (lambda: sample(LAW, 3, n_evaluations=0), "positive integer"),
        (lambda: sample(LAW, 3, n_evaluations=1, method="bdia"), "pair"),
        (lambda: sample(LAW, 3, n_evaluations=2, method="singlestep", order=3), "allow more"),
        (lambda: sample(LAW, 3, churn=-0.1), "churn"),
        (lambda: sample(LAW, 3, churn=0.1, method="bdia"), "inversion needs the ODE"),
        (lambda: sample(LAW, start=torch.zeros(3, 5)), "width of the denoiser"),
        (lambda: sample(LAW, start=START.half()), "float16"),
        (lambda: sample(LAW), "give n"),
        (lambda: sample(LAW, 3, method="bida"), "did you mean"),
        (lambda: sample(lambda y, r: y, 3, levels=(1.0, 0.1)), "give start"),
        (lambda: sample("law", 3), "expected a denoiser"),
        (lambda: invert(LAW, START), "draws alone"),
        (lambda: LinearObservation([[1.0, 0.0]], [0.0], 0.0), "positive definite"),
        (lambda: condition(LAW, LinearObservation([[1.0]], [0.0], 1.0)), "coordinates"),
        (lambda: condition(LAW, Reward(lambda x: x[:, 0] * np.nan)), "NaN"),
        (lambda: condition(LAW, Reward(lambda x: x[:, 0].detach())), "gradient"),
        (lambda: GaussianMixture([1.0], [[0.0]], [[[-1.0]]]), "smallest eigenvalue"),
        (lambda: OUNoise(0.0), "positive"),
        (lambda: OUNoise(1.0).on([0.0, 2.0, 1.0]), "ascending"),
        (lambda: GaussianMixture.fit(np.ones((20, 2))), "constant"),
        (lambda: langevin(LAW, START, 0.1, step=3.0), "stable"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_noise_of_a_process_restricts_to_fewer_times():
    """OU noise on refined times has the law of OU noise on the times; masked entries stay out."""
    fine = OUNoise(0.4).on(np.linspace(0, 1, 9))
    eye = torch.eye(9, dtype=torch.float64)
    matrix = fine.colour(eye).T @ fine.colour(eye)
    gaps = np.abs(np.subtract.outer(np.linspace(0, 1, 9), np.linspace(0, 1, 9)))
    matrix_exact = torch.as_tensor(np.exp(-gaps / 0.4))
    assert torch.allclose(matrix, matrix_exact, atol=1e-10)
    z = torch.randn(4, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(fine.whiten(fine.colour(z)), z, atol=1e-10)
    assert White().whiten(z) is z
    mask = np.arange(9) % 2 == 0
    masked = OUNoise(0.4).on(np.linspace(0, 1, 9), mask)
    coarse = OUNoise(0.4).on(np.linspace(0, 1, 9)[mask])
    assert torch.allclose(masked.colour(z)[:, mask], coarse.colour(z[:, mask]), atol=1e-12)


def test_a_fit_finds_the_parts():
    law = GaussianMixture([0.3, 0.7], [[-2.0, 0.0], [2.0, 1.0]], [0.1 * np.eye(2), 0.3 * np.eye(2)])
    fitted = GaussianMixture.fit(law.sample(3000, random_state=0), 2)
    assert sorted(fitted.weights.tolist()) == pytest.approx([0.3, 0.7], abs=0.03)
    x = law.sample(1000, random_state=1)
    assert fitted.log_prob(x).mean().item() == pytest.approx(
        law.log_prob(x).mean().item(), abs=0.02
    )
