"""Interpolants between snapshots: closed forms, the equation of continuity, and the estimator."""

import numpy as np
import pandas as pd
import pytest
import torch

import trajinfer
from tests.scores.laws import ring
from trajinfer import SchrodingerBridge, Snapshots, StochasticInterpolant, solve
from trajinfer._core.errors import ExtrapolationWarning, InputError
from trajinfer.evaluation import leave_one_snapshot_out
from trajinfer.metrics import wasserstein
from trajinfer.scores import (
    GaussianMixture,
    InterpolantPath,
    InterpolantSDE,
    MixtureInterpolant,
)
from trajinfer.scores.interpolant_field import FieldNetwork, InterpolantField
from trajinfer.scores.interpolant_model import angle_grid

ENTROPIC = (np.sqrt(1.0 * 0.25 + 0.25) - 0.5).item()  # cross covariance for sigma = 1


def line(cross=ENTROPIC):
    """N(0, 1) to N(3, 1/4), sigma = 1."""
    covariance = [[[1.0, cross], [cross, 0.25]]]
    return MixtureInterpolant(GaussianMixture([1.0], [[0.0, 3.0]], covariance), volatility=1.0)


def parts(path):
    """Three parts whose ends are correlated, in two dimensions."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(3, 4, 4))
    covariances = 0.1 * roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(4)
    ends = GaussianMixture([0.2, 0.5, 0.3], rng.normal(size=(3, 4)), covariances)
    return MixtureInterpolant(ends, volatility=[0.7, 0.4], path=path)


def log_density(law, x, u):
    """Of positions x (B, D) at u, from the parts."""
    at = law.at(torch.tensor([u], dtype=torch.float64))
    covariances = at.factor[0] @ at.factor[0].mT
    return GaussianMixture(at.log_weights.exp(), at.means[0], covariances).log_prob(x)


PATHS = [
    InterpolantPath(shape, noise)
    for shape in ("straight", "cosine")
    for noise in ("bridge", "smooth")
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.shape}-{path.noise}")
@pytest.mark.parametrize("u", [0.07, 0.5, 0.93])
def test_velocity_and_score_meet_the_equation_of_continuity(path, u):
    # d/du log p + div b + b . s = 0 holds for the law of x_u and its velocity alone
    law, h = parts(path), 1e-4
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x.requires_grad_()
    velocity, score = law.velocity_and_score(x, u)
    (slope,) = torch.autograd.grad(log_density(law, x, u).sum(), x)
    torch.testing.assert_close(score, slope, rtol=1e-9, atol=1e-9)
    divergence = sum(
        torch.autograd.grad(velocity[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(2)
    )
    change = (log_density(law, x, u + h) - log_density(law, x, u - h)) / (2 * h)
    rest = change + divergence + (velocity * score).sum(1)
    assert rest.abs().max() < 1e-5 * change.abs().max()


def test_ends_of_the_path_are_the_ends():
    law = parts(InterpolantPath("cosine", "smooth"))
    start, end, z = torch.randn(3, 1, 5, 2, generator=torch.Generator().manual_seed(2)).double()
    for u, expected in ((0.0, start), (1.0, end)):
        found, _ = law.place(start, end, z, torch.tensor([u], dtype=torch.float64))
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.shape}-{path.noise}")
def test_drawn_positions_and_slopes_have_the_law_of_the_closed_form(path):
    law, n, u = parts(path), 20_000, torch.tensor([0.3], dtype=torch.float64)
    start, end = law.ends.sample(n, random_state=1)[None].split(2, -1)
    z = torch.randn(1, n, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x, slope = law.place(start, end, z, u)
    mean, score = law.at(u).moments(x)
    noise = law.path.at(u).variance.sqrt() * law.volatility
    # what is left over of slope and noise is orthogonal to every function of the position
    for left in (slope - mean, z + noise * score):
        for function in (torch.ones_like(x), x, x.sin(), x.square()):
            product = (left * function)[0]
            assert (product.mean(0).abs() < 4.5 * product.std(0) / n**0.5).all()


def test_noise_of_the_sde_is_one_thing_by_all_doors():
    law, churn = parts(PATHS[0]), torch.tensor([0.3, 0.8], dtype=torch.float64)
    y, v = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    sde = InterpolantSDE(law, churn=churn)
    expected = (2 * churn).sqrt() * v
    torch.testing.assert_close(sde.g_prod(torch.tensor(0.5), y, v), expected)
    torch.testing.assert_close((sde.g(torch.tensor(0.5), y) @ v[..., None])[..., 0], expected)


@pytest.mark.parametrize("churn", [0.0, 0.5])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_the_law_in_the_middle_is_that_of_the_bridge(churn, direction):
    law, n = line(), 20_000
    assert law.at(torch.tensor([0.5])).factor.square().item() == pytest.approx(0.666053, abs=1e-6)
    mean, sd = (0.0, 1.0) if direction == "forward" else (3.0, 0.5)
    x = mean + sd * torch.randn(n, 1, generator=torch.Generator().manual_seed(3)).double()
    grid = torch.as_tensor(angle_grid(np.array([0.0, 0.5]), 20)[0])
    sde = InterpolantSDE(law, churn=churn, direction=direction)
    middle = solve(sde, x, grid, method="sea" if churn else "heun_ode", random_state=4).ys[:, -1]
    assert abs(middle.mean().item() - 1.5) < 4 * np.sqrt(0.666 / n)
    assert abs(middle.var().item() / 0.666053 - 1) < 0.01 + 4 * np.sqrt(2 / n)


def test_control_energy_is_least_at_the_entropic_coupling():
    # E int |drift|^2 / 2 over u along the law is the divergence from Brownian motion, for the
    # entropic coupling that of the ends: log densities of x_1 given x_0
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    turn, share = np.polynomial.legendre.leggauss(60)
    energies = []
    for cross in (0.0, 0.1036, ENTROPIC, 0.45):
        law, total = line(cross), 0.0
        for u, w in zip((turn + 1) / 2, share / 2, strict=True):
            at = law.at(torch.tensor([u], dtype=torch.float64))
            x = at.means[0, 0] + at.factor[0, 0] * torch.as_tensor(nodes)
            velocity, score = law.velocity_and_score(x.T, float(u))
            drift = (velocity + score / 2)[:, 0].numpy()
            total += w * (weights * drift**2).sum() / weights.sum() / 2
        energies.append(total)
    left = 0.25 - ENTROPIC**2
    divergence = ((9 + 1.25 - 2 * ENTROPIC) - 1 - np.log(left)) / 2
    assert energies[2] == pytest.approx(divergence, abs=1e-6)
    assert min(energies[0], energies[1], energies[3]) > energies[2] + 2e-3


def test_parts_go_over_into_narrow_parts_in_thirty_steps():
    three = GaussianMixture(
        [0.3, 0.4, 0.3], [[-1.5, 0.0], [1.5, 0.5], [0.0, -1.5]], 0.2 * np.eye(2)[None].repeat(3, 0)
    )
    eight = ring()
    pairs = [(p, q) for p in range(3) for q in range(8)]
    law = MixtureInterpolant(
        GaussianMixture(
            [three.weights[p] * eight.weights[q] for p, q in pairs],
            torch.stack([torch.cat([three.means[p], eight.means[q]]) for p, q in pairs]),
            torch.stack(
                [torch.block_diag(three.covariances[p], eight.covariances[q]) for p, q in pairs]
            ),
        )
    )
    grid = torch.as_tensor(angle_grid(np.array([0.0, 1.0]), 30)[0])
    floors, found = [], []
    for seed in range(4):
        truth, other = (eight.sample(1000, random_state=10 + 2 * seed + i) for i in range(2))
        start = three.sample(1000, random_state=seed)
        sde = InterpolantSDE(law, churn=0.5)
        end = solve(sde, start, grid, method="sea", random_state=seed).ys[:, -1]
        floors.append(sliced(truth, other))
        found.append(sliced(truth, end))
    assert np.mean(found) < 1.1 * np.mean(floors) + 0.02


def sliced(x, y):
    """Sliced W2 of two samples of one size."""
    turns = np.random.default_rng(0).uniform(0, 2 * np.pi, 100)
    directions = np.stack([np.cos(turns), np.sin(turns)])
    off = np.sort(np.asarray(x) @ directions, 0) - np.sort(np.asarray(y) @ directions, 0)
    return np.sqrt((off**2).mean(0)).mean()


@pytest.fixture(scope="module")
def gaussian_ends():
    """1000 points each of N(0, 1) and N(3, 1/4), two units of time apart."""
    rng = np.random.default_rng(0)
    return Snapshots([0.0, 2.0], [rng.normal(0, 1, (1000, 1)), rng.normal(3, 0.5, (1000, 1))])


@pytest.fixture(scope="module")
def fitted(gaussian_ends):
    """With sigma^2 T = 1."""
    settings = {"model": "mixture", "n_components": 1, "random_state": 0}
    return StochasticInterpolant(volatility=np.sqrt(0.5), **settings).fit(gaussian_ends)


def test_estimator_has_the_law_of_the_bridge_between_gaussians(fitted):
    middle = fitted.marginal(1.0, 4000)[:, 0]
    assert abs(middle.mean() - 1.5) < 4 * np.sqrt(0.666 / 1000)
    assert abs(middle.var() / 0.666053 - 1) < 0.05 + 4 * np.sqrt(2 / 4000)
    x = np.linspace(0.0, 3.0, 7)[:, None]
    exact, law = line(), torch.as_tensor(x)
    velocity, score = (v.numpy() for v in exact.velocity_and_score(law, 0.5))
    np.testing.assert_allclose(fitted.velocity(x, 1.0), (velocity + score / 2) / 2, atol=0.12)
    np.testing.assert_allclose(fitted.score_function(x, 1.0), score, atol=0.15)


def test_estimator_agrees_with_the_bridge(fitted, gaussian_ends):
    bridge = SchrodingerBridge(volatility=np.sqrt(0.5), random_state=0).fit(gaussian_ends)
    for t in (0.5, 1.0, 1.5):
        drawn = bridge.marginal(t)
        assert wasserstein(fitted.marginal(t), drawn) < 0.08
        x = np.quantile(drawn, [0.2, 0.5, 0.8], axis=0)
        np.testing.assert_allclose(fitted.velocity(x, t), bridge.velocity(x, t), atol=0.15)
    x = np.array([[-0.5], [0.0], [0.5]])
    np.testing.assert_allclose(
        fitted.predict(x, 0.0, [1.0, 2.0]), bridge.predict(x, 0.0, [1.0, 2.0]), atol=0.2
    )


def test_paths_go_through_every_snapshot_and_the_flow_has_the_same_laws():
    rng = np.random.default_rng(1)
    points = [rng.normal(m, s, (200, 2)) for m, s in ((0.0, 1.0), (2.0, 0.5), (1.0, 1.5))]
    data = Snapshots([0.0, 1.0, 3.0], points)
    settings = {"model": "mixture", "random_state": 0}
    for churn, coupling in ((1.0, "entropic"), (0.0, "entropic"), (0.0, "exact")):
        model = StochasticInterpolant(coupling=coupling, churn=churn, **settings).fit(data)
        paths = model.sample(1000, [0.0, 1.0, 3.0]).values
        for k, cloud in enumerate(points):
            np.testing.assert_allclose(paths[:, k].mean(0), cloud.mean(0), atol=0.2)
            np.testing.assert_allclose(paths[:, k].std(0), cloud.std(0), rtol=0.15)


SETTINGS = {"n_components": 1, "hidden": 16, "layers": 2, "max_epochs": 100, "random_state": 0}


@pytest.fixture(scope="module")
def forked():
    """One narrow part, and 1 later two."""
    rng = np.random.default_rng(2)
    start = rng.normal(0, 0.3, (400, 1))
    end = np.where(rng.random((400, 1)) < 0.5, -2.0, 2.0) + rng.normal(0, 0.1, (400, 1))
    return Snapshots([0.0, 1.0], [start, end])


@pytest.fixture(scope="module")
def network(forked):
    return StochasticInterpolant(lr=3e-3, **SETTINGS).fit(forked)


def test_network_learns_what_the_closed_form_does_not_hold(forked, network, tmp_path):
    model, start = network, forked.points[0]
    assert model.model_.network is not None
    assert model.losses_["loss"].mean() < 0.9
    drawn = model.sample(1000, [1.0]).values[:, 0, 0]
    one_part = StochasticInterpolant(model="mixture", **SETTINGS).fit(forked)
    without = one_part.sample(1000, [1.0]).values[:, 0, 0]
    assert (np.abs(np.abs(drawn) - 2) > 0.6).mean() < 0.5 * (
        np.abs(np.abs(without) - 2) > 0.6
    ).mean()
    again = trajinfer.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.velocity(start[:5], 0.4), model.velocity(start[:5], 0.4))


def test_held_out_snapshots_are_scored_as_those_of_a_bridge():
    rng = np.random.default_rng(3)
    data = Snapshots([0, 1, 2], [rng.normal(t, 1.0, (60, 2)) for t in (0, 1, 2)])
    model = StochasticInterpolant(model="mixture", n_components=1, random_state=0)
    table = leave_one_snapshot_out(model, data)
    inside = table[~table["extrapolation"]]
    assert (inside["estimator"] < 2 * inside["sampling_floor"]).all()


def test_tables_with_dates_are_read_and_times_outside_are_said():
    rng = np.random.default_rng(4)
    days = pd.to_datetime(["2020-01-01", "2020-01-03"]).repeat(20)
    table = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"]).assign(day=days)
    model = StochasticInterpolant(model="mixture", n_components=1, random_state=0)
    model.fit(table, time="day")
    drawn = model.sample(3, pd.to_datetime(["2020-01-02", "2020-01-01"]))
    assert drawn.to_frame().columns.tolist()[-2:] == ["a", "b"]
    with pytest.warns(ExtrapolationWarning, match="outside the snapshots"):
        wider = model.marginal(pd.Timestamp("2020-01-09"), 500)
    assert wider.std() > model.marginal(pd.Timestamp("2020-01-03"), 500).std()
    with pytest.raises(InputError, match="use marginal"):
        model.sample(3, pd.to_datetime(["2020-01-09"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coupling": "nearest"}, "no coupling 'nearest'"),
        ({"path": "curved"}, "no path 'curved'"),
        ({"noise": "loud"}, "no noise 'loud'"),
        ({"coupling": "exact", "volatility": 1.0}, "not the bridge's; use coupling='entropic'"),
        ({"volatility": -1.0}, "volatility must be positive"),
        ({"volatility": "learn"}, "volatility must be a positive number"),
        ({"churn": -1.0}, "churn must be 0 or positive"),
        ({"max_samples": 1}, "max_samples must be"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message, gaussian_ends):
    with pytest.raises(InputError, match=message):
        StochasticInterpolant(**settings).fit(gaussian_ends)


def test_data_that_cannot_be_used_are_refused(gaussian_ends):
    with pytest.raises(InputError, match="at least two snapshots"):
        StochasticInterpolant().fit(Snapshots([0.0], [np.zeros((5, 1))]))
    few = Snapshots([0.0, 1.0], [np.zeros((5, 1)), np.ones((2, 1))])
    with pytest.raises(InputError, match=r"at time .* has 2 points of positive weight"):
        StochasticInterpolant().fit(few)
    exact = StochasticInterpolant(model="mixture", coupling="exact").fit(gaussian_ends)
    with pytest.raises(InputError, match="no score is learned"):
        exact.score_function([[0.0]], 1.0)


def test_a_snapshot_may_be_one_point():
    rng = np.random.default_rng(5)
    data = Snapshots([0.0, 1.0], [np.full((50, 2), 3.0), rng.normal(size=(50, 2))])
    model = StochasticInterpolant(model="mixture", n_components=1, random_state=0).fit(data)
    paths = model.sample(200, [0.0, 1.0]).values
    np.testing.assert_array_equal(paths[:, 0], 3.0)
    np.testing.assert_allclose(paths[:, 1].std(0), data.points[1].std(0), rtol=0.3)


@pytest.mark.parametrize("u", [0.0, 0.1, 0.45, 0.8, 1.0])
def test_log_densities_are_those_of_the_parts_also_along_the_flow(u):
    """A network that begins at zero moves nothing: its flow carries the law of an end to u."""
    law = parts(PATHS[0])
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    exact = log_density(law, x, u)
    torch.testing.assert_close(law.log_prob(x, u), exact, rtol=1e-9, atol=1e-9)
    field = InterpolantField(law, FieldNetwork(2, 8, 1, seed=0), (0.0, 1.0))
    torch.testing.assert_close(field.log_density(x, u), exact, rtol=0, atol=2e-5)


def test_densities_of_the_population_count_its_unit(fitted, network):
    x = np.linspace(-6.0, 9.0, 301)[:, None]
    for t in (0.0, 1.0, 2.0):
        density = np.exp(fitted.score_samples(x, t))
        assert np.trapezoid(density, x[:, 0]) == pytest.approx(1.0, abs=1e-3)
    middle = np.exp(fitted.score_samples(x, 1.0))
    truth = np.exp(-0.5 * (x[:, 0] - 1.5) ** 2 / 0.666053) / np.sqrt(2 * np.pi * 0.666053)
    assert np.abs(middle - truth).max() < 0.1 * truth.max()
    x = np.linspace(-4.0, 4.0, 161)[:, None]
    density = np.exp(network.score_samples(x, 0.4))
    assert np.trapezoid(density, x[:, 0]) == pytest.approx(1.0, abs=5e-3)
    drawn = network.marginal(0.4, 4000)[:, 0]
    counted = np.histogram(drawn, np.linspace(-2.5, 2.5, 11))[0] / 4000
    edges = np.interp(np.linspace(-2.5, 2.5, 11), x[:, 0] + 0.025, np.cumsum(density) * 0.05)
    np.testing.assert_allclose(counted, np.diff(edges), atol=0.05)
    with pytest.raises(InputError, match="outside"):
        fitted.score_samples(x, 5.0)
