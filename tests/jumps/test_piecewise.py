"""Rates that change at a known time."""

import numpy as np
import pytest
from scipy.linalg import expm

from tests.jumps.jump_data import RATES
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer.data import JumpSeries
from trajinfer.jumps import (
    IdentifiabilityWarning,
    MarkovJumpProcess,
    PiecewiseConstantJumpProcess,
)

LATER = np.array([[-0.3, 0.1, 0.2], [1.0, -2.0, 1.0], [0.4, 0.4, -0.8]])


def two_regimes(n=400):
    first = jumps.simulate(RATES, [1, 0, 0], n, np.linspace(0, 2, 9), random_state=0)
    generator = np.random.default_rng(1)
    step = np.cumsum(expm(LATER * 0.25), axis=1)
    states = [first.states[:, k] for k in range(9)]
    for _ in range(8):
        u = generator.random(n)[:, None]
        states.append((u > step[states[-1]]).sum(axis=1))
    return np.arange(17) * 0.25, np.stack(states, axis=1)


def test_both_regimes_are_recovered():
    times, states = two_regimes()
    model = PiecewiseConstantJumpProcess(3, changes=[2.0]).fit((times, states))
    assert np.abs(model.rates_[0] - RATES).max() < 0.15
    assert np.abs(model.rates_[1] - LATER).max() < 0.3
    assert np.array_equal(model.rates_at(1.9), model.rates_[0])
    assert np.array_equal(model.rates_at(2.0), model.rates_[1])
    assert model.score((times, states)) > MarkovJumpProcess(3, method="mle").fit(
        (times, states)
    ).score((times, states))


def test_interval_across_the_change_is_a_product():
    times, states = two_regimes(50)
    model = PiecewiseConstantJumpProcess(3, changes=[2.1]).fit((times, states))
    series = JumpSeries.from_arrays([[2.0, 2.25]], [[0, 1]])
    across = (expm(model.rates_[0] * 0.1) @ expm(model.rates_[1] * 0.15))[0, 1]
    expected = np.log(model.initial_[0] * across)
    assert model.log_likelihood(series) == pytest.approx(expected, rel=1e-10)


def test_no_change_is_the_plain_model():
    times, states = two_regimes(60)
    one = PiecewiseConstantJumpProcess(3, tol=1e-11).fit((times[:9], states[:, :9]))
    two = MarkovJumpProcess(3, method="mle").fit((times[:9], states[:, :9]))
    assert one.log_likelihood_ == pytest.approx(two.log_likelihood_, rel=1e-7)


def test_changes_must_increase():
    with pytest.raises(InputError, match="increase strictly"):
        PiecewiseConstantJumpProcess(3, changes=[2.0, 1.0]).fit(two_regimes(5))


def deaths(n=200):
    """Visits every half unit up to a death whose time is known."""
    rates = np.array([[-1, 0.6, 0.4], [0.5, -1, 0.5], [0, 0, 0.0]])
    paths = jumps.simulate(rates, [1, 0, 0], n, horizon=4.0, random_state=0)
    times, states, kinds = [], [], []
    for t, s, k in zip(paths.times, paths.states, paths.lengths):
        t, s = t[:k], s[:k]
        died = t[s == 2].min(initial=np.inf)
        visits = np.arange(0, min(died, 4.0), 0.5)
        seen = s[np.searchsorted(t, visits, side="right") - 1].tolist()
        dead = bool(died < 4.0)
        times.append([*visits, died] if dead else visits)
        states.append([*seen, 2] if dead else seen)
        kinds.append(["snapshot"] * len(seen) + ["absorption"] * dead)
    return JumpSeries.from_arrays(times, states, observation=kinds)


def test_states_of_an_absorption_are_never_left():
    """The two regimes are the same, so that each rate is near the one of the whole."""
    data = deaths()
    model = PiecewiseConstantJumpProcess(3, changes=[1.25]).fit(data)
    assert (model.rates_[:, 2] == 0).all()
    whole = MarkovJumpProcess(3, method="mle").fit(data)
    assert np.abs(model.rates_ - whole.rates_).max() < 5 * np.nanmax(whole.std_errors_)


def test_states_never_seen_keep_a_typical_rate():
    times, states = two_regimes(60)
    model = PiecewiseConstantJumpProcess(4, changes=[2.0]).fit((times, states))
    assert np.array_equal(model.rates_[0, 3], model.rates_[1, 3])
    assert 0.1 < -model.rates_[0, 3, 3] < 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"links": "select"}, "mask of possible jumps"),
        ({"links": np.eye(3, k=1, dtype=bool)}, "probability 0"),
    ],
)
def test_bad_links_are_named(options, message):
    with pytest.raises(InputError, match=message):
        PiecewiseConstantJumpProcess(3, changes=2.0, **options).fit(two_regimes(5))


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("ends", [False, True])
def test_the_dead_do_not_return(noise, ends):
    """Before, rows that end at death let .08 a year return, and nothing was said."""
    rates = [[-0.3, 0.2, 0.1], [0.1, -0.4, 0.3], [0, 0, 0]]
    frame = jumps.simulate(rates, [1, 0, 0], 80, np.arange(0, 12, 1.5), random_state=0).to_frame()
    gone = frame["state"].eq(2)
    if ends:
        frame = frame[~(gone & gone.groupby(frame["id"]).shift(fill_value=False))]
    data = JumpSeries.from_frame(frame, id="id", time="time", state="state")
    said = PiecewiseConstantJumpProcess(
        changes=[5.0], label_noise=noise, absorbing=2, max_iter=20, tol=1e-3
    ).fit(data)
    assert (said.rates_[:, 2] == 0).all()
    if ends or not noise:
        found = PiecewiseConstantJumpProcess(
            changes=[5.0], label_noise=noise, max_iter=20, tol=1e-3
        )
        with pytest.warns(IdentifiabilityWarning, match=r"absorbing: \[2\]"):
            found.fit(data)
        assert np.allclose(found.rates_, said.rates_)
