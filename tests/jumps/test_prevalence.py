"""Prevalence of a cohort: the published table, and how paths are counted."""

import numpy as np
import pytest

from tests.jumps.jump_data import panel_series
from trajinfer.data import JumpSeries
from trajinfer.data.prevalence import carried_states, prevalence_counts
from trajinfer.jumps import MarkovJumpProcess

LINKS = np.zeros((4, 4), dtype=bool)
LINKS[[0, 0, 1, 1, 1, 2, 2], [1, 3, 0, 2, 3, 1, 3]] = True


def test_heart_transplants_refute_constant_rates_late():
    """Observed and expected numbers at years 4, 8 and 12, as published to one decimal."""
    data = panel_series("cav", absorption=3)
    model = MarkovJumpProcess(method="mle", links=LINKS).fit(data)
    table = model.prevalence(data, [4, 8, 12])
    observed = table["observed"].to_numpy().reshape(3, 4)
    assert observed.tolist() == [[330, 37, 24, 90], [117, 44, 21, 161], [26, 11, 12, 221]]
    published = [
        [279.8, 68.6, 38.8, 93.8],
        [129.8, 39.3, 32.9, 141.0],
        [68.6, 22.1, 20.8, 158.5],
    ]
    assert np.allclose(table["expected"].to_numpy().reshape(3, 4), published, atol=0.1)


def test_states_are_carried_to_the_middle_and_the_dead_stay():
    data = JumpSeries.from_arrays(
        [[0.0, 2.0, 3.0], [10.0, 11.0, 16.0], [0.0, 1.0]],
        [["well", "ill", "dead"], ["well", "ill", "well"], ["well", "well"]],
        observation=[["snapshot", "snapshot", "absorption"], ["snapshot"] * 3, ["snapshot"] * 2],
        categories=["well", "ill", "dead"],
    )
    carried = carried_states(data, np.array([0.0, 0.9, 1.0, 2.9, 3.0, 6.0]), carry="middle")
    assert carried.tolist() == [
        [0, 0, 1, 1, 2, 2],  # dead from the very time on, and until the cohort ends
        [0, 1, 1, 1, 1, 0],
        [0, 0, 0, -1, -1, -1],  # nobody knows any more
    ]
    assert prevalence_counts(data, np.array([1.0]), carry="middle").tolist() == [[1, 2, 0]]
    assert prevalence_counts(data, np.array([1.9, 3.0])).tolist() == [[1, 1, 0], [0, 1, 1]]


@pytest.mark.parametrize("ends", [False, True])
def test_expected_shares_meet_the_observed_ones(ends):
    """Paths of the model itself, with rows that go on or end at death: 5 binomial deviations."""
    from tests.jumps.test_hard_data import STAGES, panel

    data = panel(STAGES, ["normal", "low", "dead"], n=400, ends=ends)
    order = [list(data.categories).index(name) for name in ("normal", "low", "dead")]
    rates = np.zeros((3, 3))
    rates[np.ix_(order, order)] = STAGES
    model = MarkovJumpProcess.from_rates(rates, np.eye(3)[order[0]], states=data.categories)
    table = model.prevalence(data, [3.0, 6.0, 9.0])
    share = table["expected"] / 400
    assert (
        abs(table["observed"] - table["expected"]) < 5 * np.sqrt(400 * share * (1 - share))
    ).all()
