"""Statistics by eigenvectors against those by exact exponentials, whatever the rates are."""

from dataclasses import replace

import numpy as np
import pytest

from tests.jumps.jump_data import RATES
from trajinfer import jumps
from trajinfer.jumps.bayes import CubeRoots, Target
from trajinfer.jumps.fit import Search
from trajinfer.jumps.problem import Problem
from trajinfer.jumps.rate_map import LogLinear, Range
from trajinfer.markov.emission import EmissionModel
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.likelihood import CountData
from trajinfer.markov.parameters import GammaPrior, Parameters
from trajinfer.markov.rates import with_diagonal
from trajinfer.markov.regime_counts import RegimeCountData
from trajinfer.markov.spectrum import Spectra

LAW = np.array([0.5, 0.3, 0.2])
CYCLE = with_diagonal(np.array([[0, 1.0, 0.01], [0.02, 0, 1.2], [0.9, 0.03, 0]]))  # complex
EQUAL = with_diagonal(np.ones((3, 3)))  # an eigenvalue twice
CHAIN = with_diagonal(np.array([[0, 0.5, 1e-14], [1e-14, 0, 0.5], [1e-14, 1e-14, 0]]))  # defective
MATRICES = {"plain": RATES, "cycle": CYCLE, "equal": EQUAL, "chain": CHAIN}


@pytest.fixture(scope="module")
def series():
    times = np.cumsum(np.random.default_rng(0).exponential(0.4, (12, 9)), axis=1)
    drawn = jumps.simulate(CHAIN, LAW, 12, times, random_state=0)
    ends = np.cumsum(drawn.layout.lengths) - 1
    kinds = np.zeros(drawn.layout.size, dtype=np.int8)
    kinds[ends] = 2 * (drawn.flat_states[ends] == 2)
    assert (kinds == 2).sum() > 3
    return replace(drawn, flat_observation=kinds)


def agree(one, other, share=1e-8):
    assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-9)
    for name in ("jumps", "dwell", "score"):
        exact = getattr(one, name)
        assert np.allclose(getattr(other, name), exact, rtol=1e-6, atol=share * np.abs(exact).max())


@pytest.mark.parametrize("name", MATRICES)
def test_known_states(series, name):
    data, here = CountData(series, 3), Parameters(MATRICES[name], LAW, EmissionModel(3, 0.0))
    assert data.quick() is not data
    agree(data.expectation(here), data.quick().expectation(here))


def test_several_points_are_those_one_by_one(series):
    data = CountData(series, 3)
    points = [Parameters(m, LAW, EmissionModel(3, 0.0)) for m in MATRICES.values()]
    for several in (data, data.quick()):
        for one, other in zip(points, several.expectations(points), strict=True):
            agree(data.expectation(one), other)


def test_regimes(series):
    regime = np.random.default_rng(1).integers(len(MATRICES), size=series.layout.size)
    rates = np.stack(list(MATRICES.values()))
    data = RegimeCountData(series, 3, regime, len(rates))
    here = Parameters(rates, LAW, EmissionModel(3, 0.0))
    agree(data.expectation(here), data.quick().expectation(here))


@pytest.mark.parametrize("name", MATRICES)
def test_hidden_states(series, name):
    data = HiddenData(series, 3, top=4.0)
    here = Parameters(MATRICES[name], LAW, EmissionModel(3, 0.1))
    agree(data.expectation(here), data.quick().expectation(here))


def test_a_defective_matrix_is_recognised():
    assert Spectra.of(np.stack([RATES, CHAIN])).accurate.tolist() == [True, False]
    assert not Spectra.of(np.full((1, 3, 3), np.inf)).accurate.any()


def test_cube_roots_carry_the_density_and_its_slope(series):
    """Density times |dp/du|, on both sides of 0; the slope against central differences."""
    links = ~np.eye(3, dtype=bool)
    prior = GammaPrior(np.full((3, 3), 2.0), np.ones((3, 3)))
    problem = Problem(CountData(series, 3), LogLinear.of_links(links, Range(1e-6, 1e3)), prior)
    start = Parameters(RATES, LAW, EmissionModel(3, 0.0))
    target = Target(problem, Search().best_of(problem, [start]))
    roots = CubeRoots(target)
    x = roots.mode * np.array([[1.1, 0.8, 1.3, 0.4, 1.2, 0.9], [-0.9, 1.2, 0.7, 1.1, -1.3, 0.8]])
    width = 1e-5
    shifts = width * np.eye(6)
    slopes = [(roots.logs(x + d) - roots.logs(x - d)).sum(axis=1) / (2 * width) for d in shifts]
    values, gradients = roots(x)
    expected = target(roots.logs(x))[0] + np.log(np.abs(slopes)).sum(axis=0)
    assert np.ptp(values - expected) < 1e-6  # a constant is left out
    numeric = np.stack([(roots(x + d)[0] - roots(x - d)[0]) / (2 * width) for d in shifts], axis=1)
    assert np.allclose(gradients, numeric, rtol=1e-5, atol=1e-5 * np.abs(numeric).max())
