"""Chains: linear systems, exponentials, and what is never reached."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from trajinfer import InputError, MarkovJumpProcess
from trajinfer.functionals import (
    Chain,
    Diffusion,
    Functional,
    ValueFunction,
    above,
    estimate,
    fate_probabilities,
    hitting_probability,
    hitting_time,
    passage,
    states,
)
from trajinfer.functionals.methods import flow
from trajinfer.functionals.methods.flow import Flow
from trajinfer.functionals.methods.grid import Grid, grid_rates
from trajinfer.markov import simulate

RATES = np.array([[-1, 0.6, 0.4, 0], [0.5, -1.2, 0.3, 0.4], [0, 0.7, -1, 0.3], [0.2, 0, 0.3, -0.5]])


def value(functional, rates=RATES):
    return ValueFunction(functional).fit(rates).predict(list(range(len(rates))))


def mean_of_passage(question, rates):
    return passage(rates, question.regions[0], ts=[1.0]).mean


def mean_of_estimate(question, rates):
    return estimate(question, rates).value


def test_golden_values():
    committor = value(hitting_probability(states(3), before=states(0)))
    assert committor == pytest.approx([0, 49 / 99, 64 / 99, 1], abs=1e-10)
    assert value(hitting_time(states([0, 3])))[1:3] == pytest.approx([1.313131, 1.919192], abs=1e-6)
    reached = value(hitting_probability(states([0, 3]), horizon=1.0))
    assert reached[1:3] == pytest.approx([0.560795, 0.353668], abs=1e-6)
    rewards = Functional(running=lambda s: np.array([0, 1, 2, 5.0])[s.astype(int)], discount=0.1)
    assert value(rewards) == pytest.approx([20.877773, 22.567249, 23.563001, 27.074092], abs=1e-6)


def test_a_drawn_chain_agrees():
    """Another chain, with labels: shares of simulated paths within 4 standard errors."""
    rng = np.random.default_rng(3)
    rates = rng.exponential(size=(5, 5))
    np.fill_diagonal(rates, 0.0)
    rates -= np.diag(rates.sum(axis=1))
    model = MarkovJumpProcess.from_rates(rates, initial=[1, 0, 0, 0, 0], states=list("abcde"))
    question = hitting_probability(states("e"), before=states(["c"]), horizon=0.6)
    answer = ValueFunction(question).fit(model).predict("a")[0]
    stopped = rates.copy()
    stopped[[2, 4]] = 0.0
    paths = simulate(stopped, [1, 0, 0, 0, 0], 4000, [0.0, 0.6], random_state=0)
    share = (paths.states[:, -1] == 4).mean()
    assert abs(share - answer) < 4 * np.sqrt(answer * (1 - answer) / 4000)


def test_what_is_never_reached_is_infinite_or_zero():
    """States 0 and 1 lead to 2 or 3, which keep."""
    rates = [[-2, 1, 1, 0], [1, -2, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert value(hitting_probability(states(2)), rates) == pytest.approx([2 / 3, 1 / 3, 1, 0])
    told = "no finite mean from 3 of 4 states, such as 3, .* probability 0 alone"
    for ask in (value, mean_of_passage, mean_of_estimate):
        with pytest.warns(UserWarning, match=told):
            assert ask(hitting_time(states(2)), rates).tolist() == [np.inf, np.inf, 0, np.inf]
    assert value(hitting_time(states([2, 3])), rates) == pytest.approx([1, 1, 0, 0])
    assert value(hitting_time(states([2, 3]), power=2), rates) == pytest.approx([2, 2, 0, 0])


def test_sparse_chains_of_many_states():
    """A walk on a ring: the mean time between opposite places is known."""
    n = 2001
    ahead = scipy.sparse.diags_array([1.0, 1.0], offsets=[1, -1], shape=(n, n)).tocsr()
    rates = ahead - scipy.sparse.diags_array(np.asarray(ahead.sum(axis=1)).ravel())
    chain = Chain(scipy.sparse.csr_array(rates), tuple(range(n)))
    model = ValueFunction(hitting_time(states([0, n - 1]))).fit(chain)
    middle = (n - 1) // 2
    assert model.predict(middle)[0] == pytest.approx(middle**2 / 2, rel=1e-10)


def test_estimates_are_exact():
    answer = estimate(hitting_time(states([0, 3])), RATES, [1, 2])
    assert answer.std_error.tolist() == [0.0, 0.0]
    assert answer.value == pytest.approx([1.313131, 1.919192], abs=1e-6)


def test_passage_and_fates_agree_with_the_values():
    law = passage(RATES, states([0, 3]), [1, 2], ts=[1.0, 30.0])
    assert 1 - law.survival[:, 0] == pytest.approx([0.560795, 0.353668], abs=1e-6)
    assert law.mean == pytest.approx([1.313131, 1.919192], abs=1e-6)
    step = 1e-4
    near = passage(RATES, states([0, 3]), [1], ts=[1.0 - step, 1.0, 1.0 + step])
    slope = -(near.survival[0, 2] - near.survival[0, 0]) / (2 * step)
    assert near.density[0, 1] == pytest.approx(slope, rel=1e-6)
    table = fate_probabilities(RATES, [1, 2], {"left": states(0), "right": states(3)})
    assert table.probabilities[:, 1] == pytest.approx([49 / 99, 64 / 99])
    assert table.probabilities.sum(axis=1) == pytest.approx([1, 1])


def test_unknown_states_are_refused():
    with pytest.raises(InputError, match="no state 7"):
        value(hitting_time(states(7)))
    with pytest.raises(InputError, match="holds 9, the states are 0, 1, 2, 3"):
        estimate(hitting_time(states(0)), RATES, [9])


def test_large_exponentials_leave_the_global_generator_alone():
    """Its norm is estimated by scipy with random signs, more of them in wide matrices."""
    n = 3000
    place = np.arange(n)
    rates = scipy.sparse.diags([40.0 + place[1:] % 7, -80.0 - place % 5, 40.0], [-1, 0, 1], (n, n))
    flow, start = Flow(rates.tocsr()), np.eye(1, n, n // 2)[0]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    moved = flow.move(1.0, start)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (flow.move(1.0, start) == moved).all()


def _cells_by_a_wall(turn: float, noise: float) -> scipy.sparse.csr_array:
    """Rates of a plane with a corner cut out, one wall of which lies next to centres of cells."""

    def drift(_: float, x: np.ndarray) -> np.ndarray:
        return np.stack([-x[:, 0] - turn * x[:, 1], turn * x[:, 0] - x[:, 1]], axis=1)

    process = Diffusion(drift, lambda _, x: np.full_like(x, noise), 2, diagonal=True)
    grid = Grid(np.array([-2.0, -2.0]), np.array([2.0, 2.0]), (18, 18))
    return grid_rates(process, grid, above(0.3901, 0) & above(0.2, 1)).rates


@pytest.mark.parametrize(("turn", "noise", "most"), [(0.0, 0.8, 60), (6.0, 0.05, 10)])
def test_many_jumps_are_the_exponential(turn, noise, most, monkeypatch):
    """Also where the vectors are too few for the duration, which is then halved."""
    rates = _cells_by_a_wall(turn, noise)
    start = np.stack([np.ones(rates.shape[0]), np.eye(1, rates.shape[0], 40)[0]], axis=1)
    times = np.array([0.7, 2.0, 4.0])
    polynomials = scipy.sparse.linalg.expm_multiply
    jumps = []

    def counted(matrix, state):
        jumps.append(np.abs(matrix.diagonal()).max())
        return polynomials(matrix, state)

    monkeypatch.setattr(flow, "_DENSE", 100)
    monkeypatch.setattr(flow, "_MANY_JUMPS", 50)
    monkeypatch.setattr(flow, "_MOST", most)
    monkeypatch.setattr(scipy.sparse.linalg, "expm_multiply", counted)
    for matrix in (rates, scipy.sparse.csr_array(rates.T)):
        truth = [scipy.linalg.expm(t * matrix.toarray()) @ start for t in times]
        moved = Flow(matrix).along(times, start)
        assert np.abs(moved - truth).max() < 1e-10
        assert np.abs(Flow(matrix).move(4.0, start) - moved[-1]).max() < 1e-10
    assert 4.0 * np.abs(rates.diagonal()).max() > 200
    assert (most == 60) == (len(jumps) == 0)
    assert max(jumps, default=0) <= 50
