"""Densities of points: the law in closed form, what a network adds, and every question."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.scores.laws import ring, sixteen
from trajinfer import InputError, load
from trajinfer.scores import (
    GaussianMixture,
    LinearObservation,
    Reward,
    ScoreDensity,
    WienerDenoiser,
    search_plan,
)
from trajinfer.scores.memorisation import Memorisation, nearest_ratio
from trajinfer.scores.mixture_choice import choose_mixture, levels_for
from trajinfer.scores.point_examples import PointLaw


def sickle(n, seed):
    """Points on a bent curve with noise: no mixture of few Gaussians."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.stack([x, x**2 + 0.3 * rng.normal(size=n)], 1)


@pytest.fixture(scope="module")
def network():
    """A small network on a small set; its first law has one part, so that there is work."""
    settings = {"hidden": 32, "layers": 1, "max_epochs": 100, "lr": 5e-3, "batch_size": 128}
    return ScoreDensity(n_components=1, random_state=0, **settings).fit(sickle(600, 0))


@pytest.fixture(scope="module")
def mixture():
    return ScoreDensity("mixture", random_state=0).fit(sickle(600, 0))


def law_of(mixture):
    return PointLaw(mixture, None, (10.0, 0.01))


def test_the_law_of_rows_is_that_of_the_mixture():
    law = sixteen()
    y = law.sample(7, 0.5, random_state=0)
    rhos = torch.linspace(0.2, 2.0, 7).double()[:, None]
    mean, sd = law_of(law).whole(7).moments(y, rhos)
    assert torch.allclose(mean, law.denoise(y, rhos), atol=1e-10)
    wiener = WienerDenoiser(law.mean, law.covariance)
    one = law_of(law.moments_matched()).whole(7)
    assert torch.allclose(one.moments(y, rhos)[1], wiener.posterior_sd(y, rhos), atol=1e-10)
    assert (sd < one.moments(y, rhos)[1].max()).all()


def test_known_entries_condition_the_law():
    law, known = sixteen(), torch.arange(16) < 4
    values = law.sample(3, random_state=1)
    given = law_of(law).given(known, values)
    for i in range(3):
        exact = law.posterior(LinearObservation(np.eye(4, 16), values[i, :4], 1e-9))
        y = law.sample(3, 0.3, random_state=2)
        got = given.denoise(y, 0.3)[i : i + 1]
        assert torch.allclose(got[:, :4], values[i : i + 1, :4], atol=1e-12)
        y[i, :4] = values[i, :4]
        expected = exact.denoise(y[i : i + 1], torch.tensor([1e-4] * 4 + [0.3] * 12))
        assert torch.allclose(got[:, 4:], expected[:, 4:], atol=1e-4)
    first = law_of(law).given(known, values[:1])
    exact = law.posterior(LinearObservation(np.eye(4, 16), values[0, :4], 1e-9))
    assert torch.allclose(first.mean, exact.mean, atol=1e-5)
    assert torch.allclose(first.covariance[4:, 4:], exact.covariance[4:, 4:], atol=1e-5)


def test_the_finest_level_sees_narrow_parts():
    high, low = levels_for(ring())
    assert low <= 0.08 / 4 + 1e-9
    assert high >= 10 * 1.5


def test_a_network_improves_on_the_gaussian_it_starts_from(network):
    assert network.model_.network is not None
    assert network.losses_["loss"].mean() < 0.95
    assert network.memorisation_ > 0.7
    fresh = sickle(200, 1)
    plain = ScoreDensity("mixture", n_components=1, random_state=0).fit(sickle(600, 0))
    assert network.score(fresh) > plain.score(fresh) + 0.2


def test_densities_of_a_network_integrate_to_one(network):
    """Midpoints of cells of .25 by .35 over a box that holds all but e-4 of the mass."""
    x, y = np.arange(-4, 4, 0.25), np.arange(-2, 12, 0.35)
    cells = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    total = np.exp(network.score_samples(cells)).sum() * 0.25 * 0.35
    assert total == pytest.approx(1.0, abs=0.06)


def test_draws_and_densities_are_of_one_law(network):
    draws = network.sample(500, random_state=1)
    real = sickle(5000, 2)
    scale = real.std(0) / np.sqrt(500)
    assert (np.abs(draws.mean(0) - real.mean(0)) < 6 * scale).all()
    bend = [np.corrcoef(part[:, 0] ** 2, part[:, 1])[0, 1] for part in (draws, real)]
    assert bend[0] > 0.7 * bend[1]


def test_missing_coordinates_follow_from_the_known(network, mixture):
    for model in (network, mixture):
        drawn = model.impute([[1.5, np.nan], [0.0, np.nan], [0.5, 0.25]], n=200)
        assert (drawn[:, :, 0] == [1.5, 0.0, 0.5]).all()
        assert (drawn[:, 2, 1] == 0.25).all()
        assert drawn[:, :2, 1].mean(0) == pytest.approx([2.25, 0.0], abs=0.5)


def test_log_densities_of_a_mixture_are_exact():
    """Against one Gaussian, whose parameters are known."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2)) @ [[1.0, 0.5], [0.0, 2.0]] + [3.0, -1.0]
    model = ScoreDensity("mixture", n_components=1, random_state=0).fit(X)
    normal = torch.distributions.MultivariateNormal(
        torch.as_tensor(X.mean(0)), torch.as_tensor(np.cov(X.T, bias=True))
    )
    exact = normal.log_prob(torch.as_tensor(X[:20])).numpy()
    assert model.score_samples(X[:20]) == pytest.approx(exact, abs=1e-4)
    assert model.score(X[:20]) == pytest.approx(exact.mean() + np.log(X.std(0)).sum(), abs=1e-4)


def test_positive_data_stay_positive_and_densities_count_the_logarithm():
    X = np.exp(np.random.default_rng(0).normal(size=(500, 1)))
    model = ScoreDensity("mixture", transform="log", n_components=1, random_state=0).fit(X)
    assert (model.sample(1000) > 0).all()
    edges = np.geomspace(1e-3, 1e3, 400)
    middle = np.sqrt(edges[1:] * edges[:-1])[:, None]
    assert (np.exp(model.score_samples(middle)) * np.diff(edges)).sum() == pytest.approx(
        1, abs=0.01
    )


def test_an_observation_is_answered_in_the_unit_of_the_data():
    X = np.random.default_rng(0).normal([10.0, -5.0], [2.0, 3.0], size=(3000, 2))
    model = ScoreDensity("mixture", n_components=1, random_state=0).fit(X)
    given = model.sample_given(LinearObservation([[1.0, 0.0]], [14.0], 4.0), 500, random_state=0)
    assert given.mean().numpy() == pytest.approx([12.0, -5.0], abs=0.5)
    tilted = model.sample_given(Reward(lambda x: x[:, 1], 0.2), 500, random_state=0)
    assert tilted.mean()[1].item() == pytest.approx(-5 + 0.2 * 9, abs=0.8)


def test_copies_are_seen_and_stop_a_training():
    rows, held = sickle(300, 0), sickle(100, 1)
    assert nearest_ratio(sickle(100, 2), rows, held) == pytest.approx(1, abs=0.3)

    class Run:
        epoch, step, n_steps, figures, reason = 3, 3, 9, None, None

        def record(self, **figures):
            self.figures = figures

        def stop(self, reason):
            self.reason = reason

    for draws, stops in ((rows[:100] + 1e-4, True), (sickle(100, 2), False)):
        run, hook = Run(), Memorisation(lambda draws=draws: draws, rows, held, every=3)
        hook.on_epoch(run)
        assert run.figures == {"memorisation": hook.ratio}
        assert (run.reason is not None) == stops


@pytest.mark.parametrize(
    ("settings", "X", "message"),
    [
        ({"model": "flow"}, sickle(30, 0), "no model"),
        ({"transform": "log"}, sickle(30, 0), "positive values"),
        ({"transform": "sqrt"}, sickle(30, 0), "transform"),
        ({"n_components": "many"}, sickle(30, 0), "n_components"),
        ({"churn": -1.0}, sickle(30, 0), "churn"),
        ({"validation": 1.0}, sickle(30, 0), "validation"),
        ({"hidden": 0}, sickle(30, 0), "hidden"),
        ({}, np.ones((30, 2)), "drop it or add it after sampling"),
        ({}, sickle(5, 0), "at least 10"),
        ({}, np.full((30, 2), np.nan), "X"),
    ],
    ids=lambda value: next(iter(value), "defaults") if isinstance(value, dict) else "",
)
def test_what_cannot_be_fitted_is_refused(settings, X, message):
    with pytest.raises(InputError, match=message):
        ScoreDensity(**settings).fit(X)


def test_few_rows_are_shrunk_with_a_warning():
    X = np.random.default_rng(0).normal(size=(12, 8))
    with pytest.warns(UserWarning, match="shrunk"):
        ScoreDensity("mixture", random_state=0).fit(X)


def test_questions_that_cannot_be_answered_are_refused(mixture):
    with pytest.raises(InputError, match="observes 3"):
        mixture.sample_given(LinearObservation([[1.0, 0.0, 0.0]], [1.0], 1.0))
    with pytest.raises(InputError, match="LinearObservation"):
        mixture.sample_given([1.0])
    with pytest.raises(InputError):
        mixture.score_samples([[np.nan, 1.0]])
    log = ScoreDensity("mixture", transform="log", random_state=0).fit(np.exp(sickle(50, 0)))
    with pytest.raises(InputError, match="not linear"):
        log.sample_given(LinearObservation([[1.0, 0.0]], [1.0], 1.0))


def test_a_plan_is_searched_for_the_network_and_saved(network, mixture, tmp_path):
    planned = copy.deepcopy(network)
    planned.model_ = replace(network.model_, plan=search_plan(network.denoiser_, 4, n_iter=3))
    drawn = planned.sample(20, random_state=0)
    assert planned.plan_.n_evaluations == 4
    assert np.isfinite(drawn).all()
    again = load(planned.save(tmp_path / "model"))
    assert np.array_equal(again.sample(20, random_state=0), drawn)
    with pytest.raises(InputError, match="nothing to plan"):
        mixture.search(4)


def test_the_denoiser_is_for_the_functions_of_the_room(mixture, network):
    assert isinstance(mixture.denoiser_, GaussianMixture)
    y = torch.zeros(3, 2).double()
    assert network.denoiser_.denoise(y[:1], 0.5).shape == (1, 2)


def test_parts_that_differ_in_shape_are_shrunk_less():
    """Narrow parts, each along axes of its own: 60 rows of the pooled covariance blow them up."""
    rows, held, fresh = (sixteen().sample(n, random_state=n).numpy() for n in (500, 90, 2000))
    chosen = choose_mixture(rows, held, 5, 0, unseen=True)
    usual = GaussianMixture.fit(rows, 5, random_state=0)
    gain = (chosen.log_prob(fresh) - usual.log_prob(fresh)).mean()
    assert gain > 1.0
    again = choose_mixture(rows, held, 5, 0, unseen=False)
    assert again.log_prob(fresh).mean() > chosen.log_prob(fresh).mean() - 0.1
    one = np.random.default_rng(0).normal(size=(300, 3))
    alike = choose_mixture(one, one[:20], 2, 0, unseen=True)
    expected = GaussianMixture.fit(one, 2, random_state=0)
    assert torch.equal(alike.covariances, expected.covariances)
    with pytest.raises(InputError, match="shrinkage must be a positive number"):
        GaussianMixture.fit(one, 2, shrinkage=0.0)
