"""Paths and settings of jump processes that cannot be used are refused in words that help."""

import numpy as np
import pytest

from trajinfer import JumpSeries, MarkovJumpProcess, jumps
from trajinfer._core.errors import InputError

TIMES, STATES = [0.0, 1.0, 2.0], [[0, 1, 0], [1, 1, 0]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"states": None}, "states or a signal"),
        ({"states": np.zeros((2, 2, 2), dtype=int)}, r"\(B, T\) or \(T,\)"),
        ({"states": []}, "holds no path"),
        ({"states": STATES, "ids": ["a"]}, "1 ids for 2 paths"),
        ({"states": None, "signal": [[0.0, np.inf, 1.0]]}, "infinite"),
        ({"states": STATES, "observation": [["exact"] * 2] * 2}, "entries per path"),
    ],
    ids=["nothing", "cube", "no paths", "few ids", "infinite", "short observation"],
)
def test_arrays_that_are_no_paths(arguments, says):
    with pytest.raises(InputError, match=says):
        JumpSeries.from_arrays(TIMES, **arguments)


def test_parts_that_do_not_belong_together():
    with pytest.raises(InputError, match="at least one"):
        JumpSeries.concatenate([])
    one = JumpSeries.from_arrays(TIMES, STATES)
    with pytest.raises(InputError, match="different labels"):
        JumpSeries.concatenate([one, JumpSeries.from_arrays(TIMES, [["a", "b", "a"]])])
    with pytest.raises(InputError, match="not among the 1 states"):
        one.recode([0])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n_states": 1}, "at least 2"),
        ({"n_states": True}, "at least 2"),
        ({"links": "selct"}, "did you mean 'select'"),
        ({"links": np.ones((3, 3))}, r"\(2, 2\) of True and False"),
        ({"label_noise": jumps.LabelNoise(np.eye(3))}, r"not \(2, 2\)"),
        ({"links": "select", "method": "bayes"}, "needs method='mle' or 'em'"),
    ],
    ids=["one state", "a truth value", "a typo", "wide links", "wide noise", "select by bayes"],
)
def test_settings_that_do_not_fit_the_states(settings, says):
    with pytest.raises(InputError, match=says):
        MarkovJumpProcess(**settings).fit(JumpSeries.from_arrays(TIMES, STATES))


def test_a_number_of_states_beside_labels_of_text():
    paths = JumpSeries.from_arrays(TIMES, [["u", "v", "u"]])
    with pytest.raises(InputError, match="name them all by categories="):
        MarkovJumpProcess(n_states=3).fit(paths)
