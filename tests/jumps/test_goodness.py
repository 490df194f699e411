"""Pearson-type test of fits at visits: honest models pass, wrong ones are refuted and named."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm
from scipy.stats import chi2, kstest

import trajinfer
from tests.jumps.jump_data import panel_series
from trajinfer import jumps
from trajinfer._core.errors import InputError
from trajinfer._core.packing import pack, unpack
from trajinfer.data import JumpSeries
from trajinfer.jumps import MarkovJumpProcess
from trajinfer.jumps.visits import LabelledPairs, VisitGroups, visits_of
from trajinfer.markov.replicate import replicate

LINKS = np.zeros((4, 4), dtype=bool)
LINKS[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True
ILL = np.array([[-0.5, 0.4, 0.1], [0.2, -0.5, 0.3], [0, 0, 0.0]])


def cohort(rates, n, seed, *, times=None):
    """Irregular visits of a cohort; the time of death is known and ends a path."""
    generator = np.random.default_rng(seed)
    gaps = generator.choice([0.5, 1.0, 2.0], (n, 8))
    ts = np.concatenate([np.zeros((n, 1)), gaps.cumsum(axis=1)], axis=1) if times is None else times
    visits = JumpSeries.from_arrays(ts, np.zeros((n, ts.shape[1]), int), categories=[0, 1, 2])
    model = MarkovJumpProcess.from_rates(rates, [1, 0, 0])
    dead = np.array([False, False, True])
    return replicate(visits, dead, model.model_.parameters, None, generator)


def test_the_statistic_is_pearsons_sum():
    """By hand, for two gaps and two states, against exponentials."""
    rates = np.array([[-0.4, 0.4], [0.7, -0.7]])
    model = MarkovJumpProcess.from_rates(rates, [0.5, 0.5])
    data = jumps.simulate(rates, [0.5, 0.5], 200, [0.0, 0.5, 2.0], random_state=0)
    report = model.goodness_of_fit(data, n_times=2, n_gaps=1)
    value = 0.0
    for k, gap in enumerate((0.5, 1.5)):
        start, end = data.states[:, k], data.states[:, k + 1]
        for i in (0, 1):
            members = start == i
            expected = members.sum() * expm(rates * gap)[i]
            seen = np.bincount(end[members], minlength=2)
            value += ((seen - expected) ** 2 / expected).sum()
    assert report.statistic == pytest.approx(value, rel=1e-9)
    assert report.degrees == (4, 4)
    assert report.p_values[0] == pytest.approx(chi2.sf(value, 4))


def test_honest_models_are_not_refuted():
    """The true rates of 40 cohorts: p-values are uniform (false alarm 1e-3)."""
    p = []
    for seed in range(40):
        data = cohort(ILL, 120, seed)
        model = MarkovJumpProcess.from_rates(ILL, [1, 0, 0])
        p.append(model.goodness_of_fit(data, n_imputations=3, random_state=seed).p_values[0])
    assert kstest(p, "uniform").pvalue > 1e-3


def test_times_of_death_have_their_law():
    """Share of deaths and times within the gap of those that came from state 0."""
    data = cohort(ILL, 4000, 0, times=np.tile([0.0, 1.5], (4000, 1)))
    died = data.flat_states == 2
    law = expm(ILL * 1.5)[0, 2]
    assert died.sum() / 4000 == pytest.approx(law, abs=4 * np.sqrt(law * (1 - law) / 4000))
    assert (data.flat_observation[died] == 2).all()
    chance = [expm(ILL * t)[0, 2] / law for t in data.flat_times[died]]
    assert kstest(chance, "uniform").pvalue > 1e-3


def test_deaths_are_moved_to_visits_that_come_later():
    data = cohort(ILL, 300, 1)
    visits = visits_of(data, None, np.random.default_rng(0))
    assert visits.flat_observation is None
    died = data.flat_states == 2
    assert (visits.flat_times[~died] == data.flat_times[~died]).all()
    waits = (visits.flat_times - data.flat_times)[died]
    assert (waits >= 0).all()
    gaps = LabelledPairs.of(visits)
    ends = np.isin(gaps.row, np.flatnonzero(died))
    assert np.allclose(np.unique(gaps.gap[ends].round(9)), [0.5, 1.0, 2.0])
    shares = [(gaps.gap[ends].round(9) == g).mean() for g in (0.5, 1.0, 2.0)]
    by_gap = [expm(ILL * g)[:2, 2].mean() for g in (0.5, 1.0, 2.0)]
    assert np.allclose(shares, by_gap / np.sum(by_gap), atol=0.12)  # 4.5 deviations of 250 deaths


def test_groups_hold_equal_numbers():
    pairs = LabelledPairs.of(cohort(ILL, 300, 2))
    groups = VisitGroups.of(pairs, 2, 3)
    period, length = groups.numbers(pairs)
    assert groups.shape[0] == 2
    assert 0.4 < (period == 0).mean() < 0.6
    assert set(length) <= {0, 1, 2}


def changing(n=300):
    """Rates that are eight times as large after time 4."""
    slow = np.array([[-0.15, 0.15], [0.15, -0.15]])
    before = jumps.simulate(slow, [1, 0], n, np.arange(0, 5.0), random_state=0).states
    after = np.empty((n, 5), int)
    for start in (0, 1):
        rows = before[:, -1] == start
        drawn = jumps.simulate(
            8 * slow, np.eye(2)[start], int(rows.sum()), np.arange(0, 6.0), random_state=start
        )
        after[rows] = drawn.states[:, 1:]
    return JumpSeries.from_arrays(np.arange(0, 10.0), np.concatenate([before, after], axis=1))


def test_rates_that_change_are_refuted_and_said():
    report = MarkovJumpProcess(2, method="mle").fit(changing()).goodness_of_fit()
    assert report.refuted
    assert "the model is refuted" in str(report)
    assert "PiecewiseConstantJumpProcess" in str(report)


def test_the_bootstrap_decides_as_the_bounds_do():
    data = changing(60)
    model = MarkovJumpProcess(2, method="mle").fit(data)
    report = model.goodness_of_fit(n_bootstrap=19, random_state=0)
    assert report.p_bootstrap == pytest.approx(0.05)
    assert len(report.statistics) == 19
    honest = jumps.simulate([[-0.3, 0.3], [0.4, -0.4]], [1, 0], 60, np.arange(8.0), random_state=1)
    model = MarkovJumpProcess(2, method="mle").fit(honest)
    assert model.goodness_of_fit(n_bootstrap=19, random_state=0).p_bootstrap > 0.05


def test_labels_with_noise_and_covariates():
    """The law of the next label given all before it; p of the true model is not small."""
    rates = np.array([[-0.4, 0.4], [0.7, -0.7]])
    noisy = jumps.simulate(rates, [1, 0], 300, np.arange(8.0), label_noise=0.1, random_state=2)
    true = MarkovJumpProcess.from_rates(rates, [1, 0], 0.1)
    assert true.goodness_of_fit(noisy).p_values[0] > 1e-3
    assert MarkovJumpProcess.from_rates(rates, [1, 0], 0.01).goodness_of_fit(noisy).refuted
    table = pd.concat(
        [
            jumps.simulate(rates * (1 + k), [1, 0], 100, np.arange(8.0), random_state=k)
            .to_frame()
            .assign(fast=k, id=lambda t, k=k: t["id"] + 1000 * k)
            for k in (0, 1)
        ]
    )
    data = JumpSeries.from_frame(table, id="id", time="time", state="state", covariates=["fast"])
    model = MarkovJumpProcess(covariates="fast").fit(data)
    assert model.goodness_of_fit(n_bootstrap=2).p_values[1] > 1e-3
    assert model.n_parameters_ == 4


def test_reports_can_be_written_and_drawn():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    report = MarkovJumpProcess.from_rates(ILL, [1, 0, 0]).goodness_of_fit(cohort(ILL, 80, 3))
    tensors = {}
    again = unpack(pack(report, tensors, "report"), tensors)
    pd.testing.assert_frame_equal(again.table, report.table)
    axes = trajinfer.plot.goodness_of_fit(report, ax=Figure().subplots())
    assert len(axes.get_yticklabels()) == len(report.table[["from", "to"]].drop_duplicates())
    axes = trajinfer.plot.prevalence(report, ax=Figure().subplots())
    assert len(axes.get_legend().get_texts()) == 3


def test_a_time_asked_twice_has_one_deviation():
    model, data = MarkovJumpProcess.from_rates(ILL, [1, 0, 0]), cohort(ILL, 80, 3)
    z = model.goodness_of_fit(data, ts=[4, 2, 4]).prevalence["z"].to_numpy().reshape(3, 3)
    alone = model.goodness_of_fit(data, ts=4).prevalence["z"].to_numpy()
    assert np.allclose(z[[0, 2]], alone, rtol=1e-12)


def test_what_cannot_be_tested_is_refused():
    exact = jumps.simulate(ILL, [1, 0, 0], 20, horizon=3.0, random_state=0)
    model = MarkovJumpProcess.from_rates(ILL, [1, 0, 0])
    with pytest.raises(InputError, match="exact times of 'jump'"):
        model.goodness_of_fit(exact)
    with pytest.raises(InputError, match="give them as X="):
        model.goodness_of_fit()
    with pytest.raises(InputError, match="at least 1"):
        model.goodness_of_fit(exact, n_gaps=0)


def test_heart_transplants():
    """Published: 101.9 on at most 54 degrees, with groups and imputations of another program."""
    data = panel_series("cav", absorption=3)
    model = MarkovJumpProcess(method="mle", links=LINKS).fit(data)
    report = model.goodness_of_fit(ts=[4, 8, 12], random_state=0)
    assert report.degrees == (47, 54)
    assert 85 < report.statistic < 135
    assert report.refuted
    assert "most of all at 12: 26 in 0, fewer than the 68.6 expected" in str(report)
