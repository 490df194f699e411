"""Closed-form consequences of a rate matrix."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.linalg import expm

from tests.jumps.jump_data import RATES, load
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.markov.rates import as_rates


@pytest.fixture
def rates():
    return RATES.copy()


@pytest.fixture
def ratchet():
    return load


def test_two_states_in_closed_form():
    rates = np.array([[-1.0, 1.0], [3.0, -3.0]])
    assert np.allclose(jumps.stationary_distribution(rates), [0.75, 0.25], atol=1e-15)
    assert np.allclose(jumps.relaxation_times(rates), [0.25])
    assert np.allclose(jumps.mean_first_passage_times(rates), [[0, 1], [1 / 3, 0]])
    assert jumps.entropy_production(rates) == pytest.approx(0.0, abs=1e-15)


def test_stationary_law_of_a_slow_process_keeps_its_digits():
    rates = as_rates(np.array([[0, 1, 1e-9], [1, 0, 0], [1e-9, 0, 0]], dtype=float))
    assert np.allclose(jumps.stationary_distribution(rates), 1 / 3, rtol=1e-12)


def test_driven_cycle_oscillates_and_produces_entropy():
    forward, back = 2.0, 0.5
    rates = np.zeros((3, 3))
    for i in range(3):
        rates[i, (i + 1) % 3], rates[i, (i + 2) % 3] = forward, back
    rates = as_rates(rates)
    assert jumps.oscillating(rates).all()
    expected = (forward - back) * np.log(forward / back)
    assert jumps.entropy_production(rates) == pytest.approx(expected)
    total = jumps.total_entropy_production(rates, np.full(3, 1 / 3), 2.0)
    assert total == pytest.approx(2 * expected)


def test_published_values_of_the_ratchet(ratchet):
    rates = ratchet("dfr_V1")["rates"]
    law = [0.30119, 0.13654, 0.06227, 0.20030, 0.15914, 0.14057]
    assert np.allclose(jumps.stationary_distribution(rates), law, atol=5e-6)
    assert np.allclose(
        jumps.relaxation_times(rates), [0.5, 0.3496, 0.2806, 0.2050, 0.1589], atol=5e-5
    )
    assert jumps.entropy_production(rates) == pytest.approx(0.17919, abs=5e-6)


def test_first_passage_by_integrating_the_survival(rates):
    taboo = rates[:2, :2]
    ts = np.linspace(0, 60, 60_001)
    step = expm(taboo * ts[1])
    survival, now = np.empty((len(ts), 2)), np.eye(2)
    for k in range(len(ts)):
        survival[k] = now.sum(axis=1)
        now = now @ step
    assert np.allclose(
        jumps.mean_first_passage_times(rates)[:2, 2], trapezoid(survival, ts, axis=0), rtol=1e-5
    )


def test_reducible_chains():
    rates = as_rates(np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]], dtype=float))
    assert len(jumps.recurrent_classes(rates)) == 2
    assert np.array_equal(jumps.stationary_laws(rates), [[0, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match="2 recurrent classes"):
        jumps.stationary_distribution(rates)
    times = jumps.mean_first_passage_times(rates)
    assert np.isinf(times[0, 1])
    assert np.isinf(times[1, 0])
    assert np.isinf(jumps.entropy_production(rates, [1, 0, 0]))
    assert jumps.entropy_production(rates, [1, 0, 0], links="bidirectional") == 0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[1.0, 2.0]], "square"),
        ([[0.0, -1.0], [1.0, 0.0]], "negative"),
        ([[-1.0, 3.0], [1.0, -3.0]], "sum to 0"),
        ([[0.0, np.nan], [1.0, 0.0]], "finite"),
    ],
)
def test_bad_rates_are_named(matrix, message):
    with pytest.raises(InputError, match=message):
        jumps.stationary_distribution(matrix)
