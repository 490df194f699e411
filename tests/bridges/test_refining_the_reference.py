"""Refinement finds the dynamics that made the snapshots, and its objective never rises."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from tests.bridges.gaussian import ROTATION
from tests.bridges.gaussian_process_data import grids, samples
from trajinfer._core.errors import InputError, NotConverged
from trajinfer.bridges import SchrodingerBridge, fitting
from trajinfer.bridges.couplings import Couplings
from trajinfer.bridges.refinement import path_round
from trajinfer.data import Snapshots
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    GeometricBrownian,
    LotkaVolterra,
    OrnsteinUhlenbeck,
    PolynomialDrift,
    make_snapshots,
    simulate,
)
from trajinfer.references.dynamics import Reference, frozen_dynamics_of
from trajinfer.references.parameter_vector import ParameterVector
from trajinfer.references.problem import Problem
from trajinfer.references.static_likelihood import (
    RowStatistics,
    negative_log_likelihood,
    pair_cost,
)
from trajinfer.references.transitions import Transitions

A = np.array(ROTATION)
START = ([2.0, 0.0], 0.1 * np.eye(2))
SIGMA = 0.5
TIMES = np.linspace(0, 2, 5)


def relative_error(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


def assert_never_rises(history):
    falls = np.diff(history)
    assert (falls <= 1e-6 * (1 + np.abs(history[:-1]))).all(), history


@pytest.fixture(scope="module")
def exact_marginals():
    return grids(A, TIMES, *START, SIGMA)


# --- recovery -----------------------------------------------------------------------------------


def test_a_rotating_process_is_recovered_from_its_exact_marginals(exact_marginals):
    reference = AffineDrift(2, volatility=SIGMA, ridge=0.0)
    bridge = SchrodingerBridge(reference, tol=1e-6, random_state=0).fit(exact_marginals)
    np.testing.assert_allclose(bridge.parameters_["matrix"], A, atol=1e-3)
    np.testing.assert_allclose(bridge.parameters_["offset"], 0, atol=1e-3)
    assert_never_rises(bridge.objective_history_)
    assert bridge.converged_
    at_truth = SchrodingerBridge(
        AffineDrift(2, A, [0, 0], volatility=SIGMA, ridge=0.0), random_state=0
    ).fit(exact_marginals)
    assert bridge.objective_history_[-1] == pytest.approx(at_truth.objective_history_[-1], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_rotating_process_is_recovered_from_samples(seed):
    """Sampling alone leaves an error of about 2.5 % with 300 individuals per time."""
    snapshots = samples(A, TIMES, *START, SIGMA, 300, seed)
    bridge = SchrodingerBridge(AffineDrift(2, volatility=SIGMA), random_state=0).fit(snapshots)
    assert relative_error(bridge.parameters_["matrix"], A) < 0.05
    assert_never_rises(bridge.objective_history_)


def test_volatility_is_learned_from_exact_marginals():
    coarse = grids(A, TIMES, *START, SIGMA, step=0.6, reach=3.6)
    reference = AffineDrift(2, A, [0, 0], volatility=[0.8, 0.8])
    bridge = SchrodingerBridge(
        reference, volatility="likelihood", n_refinements=100, tol=1e-4, random_state=0
    ).fit(coarse)
    np.testing.assert_allclose(bridge.volatility_, SIGMA, rtol=0.02)
    assert_never_rises(bridge.objective_history_)


@pytest.mark.slow
def test_volatility_of_samples_is_found_with_its_known_bias_upwards():
    snapshots = samples(A, TIMES, *START, [0.3, 0.6], 200, 0)
    bridge = SchrodingerBridge(
        AffineDrift(2), volatility="likelihood", tol=1e-3, n_refinements=60, random_state=0
    ).fit(snapshots)
    ratio = bridge.volatility_ / [0.3, 0.6]
    assert ((ratio > 0.9) & (ratio < 1.4)).all()
    assert relative_error(bridge.parameters_["matrix"], A) < 0.1


def test_rotation_of_a_stationary_population_is_not_identified():
    """The objective is flat along the antisymmetric part, so no fit may claim to know it."""
    theta, sigma = 1.0, 0.5
    snapshots = grids(-theta * np.eye(2), [0.0, 0.5, 1.0], [0, 0], sigma**2 / 2 * np.eye(2), sigma)
    objectives = []
    for turn in (-2.0, 0.0, 1.0, 3.0):
        matrix = -theta * np.eye(2) + turn * np.array([[0, 1], [-1, 0]])
        reference = AffineDrift(2, matrix, [0, 0], volatility=sigma, ridge=0.0)
        bridge = SchrodingerBridge(reference, n_refinements=0).fit(snapshots)
        objectives.append(bridge.objective_history_[-1])
    assert np.ptp(objectives) < 1e-5
    slower = AffineDrift(2, -0.5 * np.eye(2), [0, 0], volatility=sigma, ridge=0.0)
    bridge = SchrodingerBridge(slower, n_refinements=0).fit(snapshots)
    assert bridge.objective_history_[-1] > max(objectives) + 0.05


def test_geometric_growth_is_recovered():
    truth = GeometricBrownian([0.5, -0.3], volatility=0.1)
    paths = simulate(
        truth, lambda g: 1 + torch.rand(600, 2, generator=g).double(), [0, 1, 2], 600, 0
    )
    bridge = SchrodingerBridge(GeometricBrownian(dim=2, volatility=0.1), random_state=0).fit(
        make_snapshots(paths, random_state=0)
    )
    # the rate is known no better than the log-means: sd .3 / sqrt(200) over 2 units of time
    np.testing.assert_allclose(bridge.parameters_["mu"], [0.5, -0.3], atol=5 * 0.02)


def test_values_given_stay_and_the_rest_is_found():
    truth = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.1)
    paths = simulate(
        truth, lambda g: 4 + torch.rand(300, 2, generator=g).double(), [0, 1, 2, 3, 4], 300, 0
    )
    snapshots = make_snapshots(paths, random_state=0)
    reference = LotkaVolterra(alpha=1.0, gamma=0.4, volatility=0.1)
    bridge = SchrodingerBridge(reference, random_state=0).fit(snapshots)
    found = bridge.parameters_
    assert (found["alpha"], found["gamma"]) == (1.0, 0.4)
    assert found["beta"] == pytest.approx(0.4, rel=0.05)
    assert found["delta"] == pytest.approx(0.1, rel=0.05)


def test_a_freed_value_is_the_start():
    snapshots = samples(A, TIMES, *START, SIGMA, 60, 0)
    reference = AffineDrift(2, 0.5 * A, [0.0, 0.0], volatility=SIGMA).learn("matrix")
    bridge = SchrodingerBridge(reference, random_state=0).fit(snapshots)
    assert bridge.history_[0]["kind"] == "start"
    np.testing.assert_array_equal(bridge.history_[0]["parameters"]["matrix"], 0.5 * A)
    assert bridge.parameters_["offset"].tolist() == [0, 0]
    assert relative_error(bridge.parameters_["matrix"], A) < 0.15


def test_a_polynomial_of_degree_one_is_the_affine_drift():
    snapshots = samples(A, TIMES, *START, SIGMA, 60, 0)
    options = {"tol": 1e-6, "n_refinements": 60, "random_state": 0}
    affine = SchrodingerBridge(AffineDrift(2, volatility=SIGMA, ridge=0.0), **options)
    polynomial = SchrodingerBridge(PolynomialDrift(2, 1, volatility=SIGMA, ridge=0.0), **options)
    affine.fit(snapshots), polynomial.fit(snapshots)
    matrix, offset = polynomial.reference_.affine(polynomial.reference_.values())
    np.testing.assert_allclose(matrix.detach(), affine.parameters_["matrix"], atol=5e-3)
    np.testing.assert_allclose(offset.detach(), affine.parameters_["offset"], atol=5e-3)


# --- the iteration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "volatility"),
    [
        (AffineDrift(2), None),
        (AffineDrift(2), "learn"),
        (PolynomialDrift(2, 2), None),
        # the other pairs walk the same branches; test_equivariance.py fits Lotka-Volterra quickly
        pytest.param(LotkaVolterra(), "learn", marks=pytest.mark.slow),
        pytest.param(PolynomialDrift(2, 2), "learn", marks=pytest.mark.slow),
        pytest.param(LotkaVolterra(), None, marks=pytest.mark.slow),
        pytest.param(OrnsteinUhlenbeck(dim=2), None, marks=pytest.mark.slow),
        pytest.param(OrnsteinUhlenbeck(dim=2), "learn", marks=pytest.mark.slow),
    ],
    ids=lambda value: value if value is None or value == "learn" else type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_the_objective_never_rises(reference, volatility):
    truth = LotkaVolterra(1.0, 0.4, 0.1, 0.4, volatility=0.2)
    paths = simulate(
        truth, lambda g: 4 + torch.rand(80, 2, generator=g).double(), [0, 1, 2, 3], 80, 0
    )
    bridge = SchrodingerBridge(
        reference, volatility=volatility, n_refinements=3, random_state=0
    ).fit(make_snapshots(paths, random_state=0))
    assert len(bridge.objective_history_) >= 2
    assert np.isfinite(bridge.objective_history_).all()
    assert_never_rises(bridge.objective_history_)


def test_the_objective_is_the_sum_over_pairs():
    """F = sum pi (log pi - log q), q by torch's multivariate normal."""
    snapshots = samples(A, [0, 0.5, 1.2], *START, SIGMA, 15, 0)
    reference = AffineDrift(2, A, [0, 0], volatility=SIGMA, ridge=0.0)
    bridge = SchrodingerBridge(reference, random_state=0).fit(snapshots)
    total = 0.0
    for k, duration in enumerate((0.5, 0.7)):
        x, y = (torch.tensor(p) for p in snapshots.points[k : k + 2])
        law = Transitions(frozen_dynamics_of(reference), 8)(
            torch.zeros(1).double(), x[None], torch.tensor([duration]).double()
        )
        q = torch.distributions.MultivariateNormal(law.mean[0], law.covariance[0])
        log_q = q.log_prob(y[:, None]).T.numpy()
        plan = bridge.coupling(k)
        total += (plan * (np.log(plan) - log_q)).sum()
    # the covariances carry a jitter of 1e-9 of their trace
    assert bridge.objective_history_[-1] == pytest.approx(total, abs=1e-6)


def test_the_record_of_a_fit():
    snapshots = samples(A, TIMES, *START, SIGMA, 40, 0)
    bridge = SchrodingerBridge(AffineDrift(2, volatility=SIGMA), random_state=5).fit(snapshots)
    history = bridge.history_
    assert [record["round"] for record in history] == list(range(len(history)))
    assert bridge.objective_history_ == [record["objective"] for record in history]
    assert history[0]["seed"] == 5
    assert {"kind", "marginal_error", "seconds", "parameters", "step_share"} <= set(history[0])
    assert history[0]["kind"] == "path"
    assert all(record["marginal_error"] < 1e-6 for record in history)
    np.testing.assert_array_equal(history[-1]["parameters"]["matrix"], bridge.parameters_["matrix"])


def test_no_refinement_keeps_the_reference():
    snapshots = samples(A, TIMES, *START, SIGMA, 40, 0)
    reference = AffineDrift(2, A, [0.0, 0.0], volatility=SIGMA).learn("matrix")
    bridge = SchrodingerBridge(reference, n_refinements=0, random_state=0).fit(snapshots)
    np.testing.assert_array_equal(bridge.parameters_["matrix"], A)
    assert len(bridge.history_) == 1
    assert bridge.converged_


def test_the_number_of_refinements_is_a_bound_and_running_into_it_is_said():
    snapshots = samples(A, TIMES, *START, SIGMA, 40, 0)
    bridge = SchrodingerBridge(AffineDrift(2, volatility=SIGMA), n_refinements=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="still moving after n_refinements=2"):
        bridge.fit(snapshots)
    assert len(bridge.history_) <= 3
    assert not bridge.converged_


def test_the_object_given_is_not_changed():
    snapshots = samples(A, TIMES, *START, SIGMA, 40, 0)
    reference = AffineDrift(2)
    before = copy.deepcopy(reference.state_dict())
    bridge = SchrodingerBridge(reference, random_state=0).fit(snapshots)
    assert bridge.reference is reference
    assert bridge.reference_ is not reference
    assert reference.volatility is None
    assert all(torch.equal(v, before[k]) for k, v in reference.state_dict().items())
    assert reference.coefficients.neutral == {"matrix", "offset"}


def test_a_fit_repeats_itself():
    snapshots = samples(A, TIMES, *START, SIGMA, 15, 0)
    fits = [
        SchrodingerBridge(AffineDrift(2), tol=1e-5, random_state=seed).fit(snapshots)
        for seed in (0, 0, 1)
    ]
    first, again, other = (f.parameters_["matrix"] for f in fits)
    assert np.array_equal(first, again)
    assert fits[0].objective_history_ == fits[1].objective_history_
    # another seed takes another way to the same place
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(first, other, atol=2e-3)


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_second_fit_forgets_the_first():
    first, second = (samples(A, TIMES[:3], *START, SIGMA, 15, seed) for seed in (0, 1))
    options = {"n_refinements": 2, "random_state": 0}
    bridge = SchrodingerBridge(AffineDrift(2), **options)
    fresh = SchrodingerBridge(AffineDrift(2), **options).fit(second)
    twice = bridge.fit(first).fit(second)
    assert np.array_equal(fresh.parameters_["matrix"], twice.parameters_["matrix"])
    assert len(fresh.history_) == len(twice.history_)


def test_a_reference_that_explodes_is_refused():
    cubic = PolynomialDrift(1, 3, [[0.0], [0.0], [0.0], [5.0]], volatility=0.1)
    clouds = [np.full((5, 1), 2.0) + 0.1 * np.arange(5)[:, None] for _ in range(2)]
    with pytest.raises(NotConverged, match=r"no finite transition law.*explodes"):
        SchrodingerBridge(cubic, random_state=0).fit(Snapshots([0, 1], clouds))


# --- its parts ----------------------------------------------------------------------------------


def test_the_path_regression_finds_the_drift_of_its_own_bridges():
    """Bridges of the true process through its own exact marginals: the drift of the mixture is the
    true drift, so the regression returns it up to the error of its draws."""
    truth = AffineDrift(2, A, [0.0, 0.0], volatility=SIGMA, ridge=0.0)
    problem = Problem.of(grids(A, TIMES, *START, SIGMA))
    transitions = Transitions(frozen_dynamics_of(truth), 8)
    costs = [pair_cost(transitions.of(batch), batch.end) for batch in problem.batches]
    couplings = Couplings.solve(problem, costs, None)
    fitted = AffineDrift(2, volatility=SIGMA, ridge=0.0)
    path_round(
        Reference(fitted), transitions, couplings, torch.Generator().manual_seed(0), n_starts=1
    )
    assert relative_error(fitted.parameters_dict()["matrix"], A) < 0.1


def test_row_statistics_give_the_likelihood_of_all_pairs():
    snapshots = samples(A, [0, 0.5, 1.2], *START, SIGMA, 15, 0)
    (batch,) = Problem.of(snapshots).batches
    law = Transitions(frozen_dynamics_of(AffineDrift(2, A, [0.3, 0.0], volatility=SIGMA)), 8).of(
        batch
    )
    plan = torch.rand(2, 15, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = (plan * pair_cost(law, batch.end)).sum()
    found = negative_log_likelihood(law, RowStatistics.of(plan, batch.end))
    assert float(found) == pytest.approx(float(pairs), rel=1e-10)


def test_learnable_numbers_are_one_vector_in_natural_units():
    process = AffineDrift(2, volatility=1.0)
    process.adapt_to(np.array([3.0, 4.0]), np.array([1.0, 1.0]), 2.0)
    state = ParameterVector(process)
    assert len(state) == 6
    state.set(np.arange(6.0))
    np.testing.assert_allclose(state.get(), np.arange(6.0))
    found = process.parameters_dict()
    np.testing.assert_allclose(found["matrix"], np.arange(4.0).reshape(2, 2) / 2)
    assert len(ParameterVector(Brownian(volatility=1.0))) == 0


@pytest.mark.parametrize("volatility", ["lern", "none"])
def test_an_unknown_word_for_the_volatility(volatility):
    with pytest.raises(InputError, match="numbers, a callable, 'learn' or 'likelihood'"):
        SchrodingerBridge(volatility=volatility).fit(samples(A, [0, 1], *START, SIGMA, 5, 0))


@pytest.mark.parametrize(("length", "kept"), [(8.0, "part"), (-1.0, "none")])
def test_a_step_that_would_raise_the_objective_is_damped(monkeypatch, length, kept):
    """A refinement that overshoots is shortened; one in the wrong direction is not taken."""
    snapshots = samples(A, TIMES[:3], *START, SIGMA, 30, 0)
    honest = fitting.static_round

    def overshooting(reference, *args):
        state = ParameterVector(reference.sde)
        start = state.get()
        honest(reference, *args)
        state.set(start + length * (state.get() - start))

    monkeypatch.setattr(fitting, "static_round", overshooting)
    reference = AffineDrift(2, 0.8 * A, [0.0, 0.0], volatility=SIGMA).learn("matrix")
    bridge = SchrodingerBridge(reference, n_refinements=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        bridge.fit(snapshots)
    assert_never_rises(bridge.objective_history_)
    share = bridge.history_[-1]["step_share"]
    if kept == "none":
        assert share == 0.0
        np.testing.assert_array_equal(bridge.parameters_["matrix"], 0.8 * A)
    else:
        assert 0 < share < 1
        assert bridge.objective_history_[-1] < bridge.objective_history_[0]


@pytest.mark.filterwarnings("ignore:the refinement was still moving")
def test_a_round_along_paths_counts():
    """A fit from a neutral start begins with one, and has no record of a start."""
    rng = np.random.default_rng(0)
    data = Snapshots([0, 1, 2], [rng.normal(t, 1.0, (20, 2)) for t in range(3)])
    once = SchrodingerBridge(AffineDrift(2), n_refinements=1, random_state=0).fit(data)
    assert [record["kind"] for record in once.history_] == ["path"]
    assert once.n_iter_ == 1
    assert set(once.parameter_errors()) == {"matrix", "offset"}
    assert SchrodingerBridge(AffineDrift(2), n_refinements=0, random_state=0).fit(data).n_iter_ == 0
