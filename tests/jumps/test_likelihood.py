"""The likelihood against published values of panel data, and its derivatives."""

import numpy as np
import pandas as pd
import pytest

from tests.jumps.jump_data import RATES, load, panel_series
from trajinfer import jumps
from trajinfer.data import JumpSeries
from trajinfer.jumps import GaussianEmission, MarkovJumpProcess
from trajinfer.markov.emission import EmissionModel
from trajinfer.markov.hidden import HiddenData
from trajinfer.markov.likelihood import CountData
from trajinfer.markov.parameters import Parameters
from trajinfer.markov.rates import with_diagonal


@pytest.fixture
def rates():
    return RATES.copy()


@pytest.fixture
def panel():
    return panel_series


REL = 1e-9  # the published digits; the bar is 1e-6


def matrix(n, **entries):
    rates = np.zeros((n, n))
    for name, value in entries.items():
        rates[int(name[1]), int(name[2])] = value
    return with_diagonal(rates)


CAV = matrix(4, F01=0.25, F03=0.25, F10=0.166, F12=0.166, F13=0.166, F21=0.25, F23=0.25)


def minus_two(rates, series, **options):
    return -2 * MarkovJumpProcess.from_rates(rates, **options).log_likelihood(series)


@pytest.mark.parametrize(("absorption", "value"), [(3, 4908.81676837903), (None, 4833.00640639644)])
def test_heart_transplant_panel(panel, absorption, value):
    series = panel("cav", absorption=absorption)
    first = np.eye(4)[0]
    assert minus_two(CAV, series) == pytest.approx(value, rel=REL)
    assert minus_two(CAV, series, initial=first) == pytest.approx(value, rel=REL)
    hidden = HiddenData(series, 4, top=1.0)
    found = hidden.log_likelihood(Parameters(CAV, first, EmissionModel(4)))
    assert -2 * found == pytest.approx(value, rel=REL)


def test_heart_transplant_panel_with_misclassification(panel):
    rates = matrix(4, F01=0.148, F03=0.0171, F12=0.202, F13=0.081, F23=0.126)
    noise = [[0.9, 0.1, 0, 0], [0.1, 0.8, 0.1, 0], [0, 0.1, 0.9, 0], [0, 0, 0, 1]]
    found = minus_two(
        rates, panel("cav", absorption=3), initial=[1, 0, 0, 0], label_noise=np.array(noise)
    )
    assert found == pytest.approx(4296.9155995778, rel=REL)


def test_jump_times_known_exactly(panel):
    rates = matrix(5, F01=0.01, F04=0.002, F12=0.07, F14=0.01, F23=0.07, F24=0.02, F34=0.03)
    assert minus_two(rates, panel("bos", kind="jump")) == pytest.approx(3057.85781916437, rel=REL)


def test_gaussian_signal_with_exact_death():
    data = load("panel_fev")
    dead = data["fev"] == 999
    df = pd.DataFrame({"id": data["subject"], "t": data["times"]})
    df["s"] = np.where(dead, 2.0, np.nan)
    df["x"] = np.where(dead, np.nan, data["fev"])
    df["o"] = np.where(dead, "absorption", "snapshot")
    series = JumpSeries.from_frame(
        df, id="id", time="t", state="s", signal="x", observation="o", categories=[0, 1, 2]
    )
    rates = matrix(3, F01=np.exp(-6), F02=np.exp(-9), F12=np.exp(-6))
    emission = GaussianEmission([100, 54, np.nan], [16, 18, 1])
    found = minus_two(rates, series, initial=[1, 0, 0], emission=emission)
    assert found == pytest.approx(52388.7381942858, rel=REL)


def mixed_series(rates, seed=0):
    """Snapshots, exact jumps, absorptions and sets of states at irregular times."""
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.exponential(0.7, (60, 12)) + 0.01, axis=1)
    clean = jumps.simulate(rates, [1, 0, 0], 60, times, random_state=seed)
    frame = clean.to_frame()
    kind = generator.choice(
        ["snapshot", "jump", "absorption", "censored"], len(frame), p=[0.5, 0.2, 0.1, 0.2]
    )
    kind[frame["id"].diff() != 0] = "snapshot"
    same = frame["state"].diff() == 0
    kind[(kind == "absorption") & same] = "snapshot"
    states = frame["state"].astype(object)
    for row in np.flatnonzero(kind == "censored"):
        states[row] = [states[row], (states[row] + 1) % 3]
    frame["state"], frame["kind"] = states, kind
    return JumpSeries.from_frame(frame, id="id", time="time", state="state", observation="kind")


def numeric_slope(value, rates, width=1e-5):
    slope = np.zeros_like(rates)
    for i, j in np.argwhere(~np.eye(len(rates), dtype=bool)):
        shift = np.zeros_like(rates)
        shift[i, j], shift[i, i] = width, -width
        f = [value(rates + k * shift) for k in (-2, -1, 1, 2)]
        slope[i, j] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * width)
    return slope


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_expected_statistics_give_the_gradient(rates, noise):
    """Fisher's identity holds to rounding, whatever was observed."""
    series = mixed_series(rates)
    data = HiddenData(series, 3, top=2.0)
    emission, first = EmissionModel(3, noise), np.array([0.8, 0.1, 0.1])
    found = data.expectation(Parameters(rates, first, emission))
    slope = numeric_slope(lambda f: data.log_likelihood(Parameters(f, first, emission)), rates)
    off = ~np.eye(3, dtype=bool)
    assert np.allclose(found.score[0][off], slope[off], rtol=1e-8, atol=1e-8 * np.abs(slope).max())
    span = (series.times[:, -1] - series.times[:, 0]).sum()
    assert found.dwell.sum() == pytest.approx(span, rel=1e-8)


@pytest.mark.parametrize("longest", [1, 3, 7])
@pytest.mark.parametrize("changes", [None, np.array([0.4, 1.1])])
def test_cutting_paths_into_pieces_changes_nothing(rates, longest, changes):
    series = mixed_series(rates)
    if changes is not None:
        times = np.cumsum(np.random.default_rng(4).exponential(0.3, (3, 12)) + 0.01, axis=1)
        series = jumps.simulate(rates, [1, 0, 0], 3, times, label_noise=0.1, random_state=4)
    whole, cut = (
        HiddenData(series, 3, top=2.0, changes=changes, longest=k) for k in (10**6, longest)
    )
    assert cut.n_pieces > whole.n_pieces == cut.n_paths
    emission, first = EmissionModel(3, 0.1), np.array([0.8, 0.1, 0.1])
    several = rates if changes is None else np.stack([rates, 2 * rates, 0.5 * rates])
    a, b = (data.expectation(Parameters(several, first, emission)) for data in (whole, cut))
    assert b.log_likelihood == pytest.approx(a.log_likelihood, rel=1e-12)
    for name in ("jumps", "dwell", "score", "first", "labels"):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-10, atol=1e-10)
    a, b = (data.posterior(Parameters(several, first, emission)) for data in (whole, cut))
    np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)


def test_one_long_recording_is_cut():
    rates = matrix(2, F01=0.3, F10=0.2)
    series = jumps.simulate(rates, [1, 0], 1, np.arange(5000.0), label_noise=0.1, random_state=0)
    data, whole = (HiddenData(series, 2, top=1.0, longest=k) for k in (None, 10**6))
    assert data.n_pieces > 10
    emission, first = EmissionModel(2, 0.1), np.array([1.0, 0.0])
    found, expected = (d.log_likelihood(Parameters(rates, first, emission)) for d in (data, whole))
    assert found == pytest.approx(expected, rel=1e-12)


def test_count_gradient_and_hidden_gradient_agree(rates):
    times = np.cumsum(np.random.default_rng(3).exponential(0.5, (40, 30)) + 0.01, axis=1)
    series = jumps.simulate(rates, [1, 0, 0], 40, times, random_state=3)
    first = np.array([1.0, 0, 0])
    counts, hidden = CountData(series, 3), HiddenData(series, 3, top=2.0)
    assert not counts.exact
    direct = CountData(series, 3, compress=False)
    a, b, c = (
        d.expectation(Parameters(rates, first, EmissionModel(3))) for d in (counts, hidden, direct)
    )
    assert a.log_likelihood == pytest.approx(c.log_likelihood, rel=1e-12)
    assert b.log_likelihood == pytest.approx(c.log_likelihood, rel=1e-10)
    for other in (a, b):
        assert np.allclose(other.score, c.score, rtol=1e-8)
        assert np.allclose(other.jumps, c.jumps, rtol=1e-8)
    slope = numeric_slope(
        lambda f: direct.log_likelihood(Parameters(f, first, EmissionModel(3))), rates
    )
    off = ~np.eye(3, dtype=bool)
    assert np.allclose(c.score[0][off], slope[off], rtol=1e-8)


def test_complete_observation_is_counts_over_dwell(rates):
    series = jumps.simulate(rates, [1, 0, 0], 50, horizon=8.0, random_state=1)
    data = CountData(series, 3)
    expected = data.expectation(Parameters(rates, np.array([1.0, 0, 0]), EmissionModel(3)))
    steps = np.diff(series.times, axis=1)
    dwell = [steps[(series.states[:, :-1] == i) & series.present[:, 1:]].sum() for i in range(3)]
    assert np.allclose(expected.dwell[0], dwell)
    value = (expected.jumps[0] * np.log(np.where(rates > 0, rates, 1))).sum()
    value += np.diag(rates) @ dwell
    assert expected.log_likelihood == pytest.approx(value)


def test_missing_and_impossible_observations(rates):
    seen = JumpSeries.from_arrays([0.0, 2.0], [[0, 1]])
    gap = JumpSeries.from_arrays([0.0, 1.0, 2.0], [[0, None, 1]])
    model = MarkovJumpProcess.from_rates(rates)
    assert model.log_likelihood(gap) == pytest.approx(model.log_likelihood(seen), abs=1e-13)
    noisy = MarkovJumpProcess.from_rates(rates, label_noise=0.1)
    assert noisy.log_likelihood(gap) == pytest.approx(noisy.log_likelihood(seen), abs=1e-12)


def test_a_set_of_states_sums_over_its_members(rates):
    """Also in the first place, and where several different sets occur."""
    model = MarkovJumpProcess.from_rates(rates, initial=[0.5, 0.3, 0.2])
    times = [0.0, 0.7, 1.1, 2.0]
    censored = JumpSeries.from_arrays([times], [[[0, 2], 1, [1, 2], 0]])
    total = sum(
        np.exp(model.log_likelihood(JumpSeries.from_arrays([times], [[a, 1, b, 0]])))
        for a in (0, 2)
        for b in (1, 2)
    )
    assert model.log_likelihood(censored) == pytest.approx(np.log(total), rel=1e-10)
