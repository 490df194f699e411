"""Bad questions are refused in words, each with what to do instead; one list over all doors."""

import numpy as np
import pytest
import torch

from trajinfer import InputError, Trajectories
from trajinfer.functionals import (
    Diffusion,
    Functional,
    PathSource,
    ValueFunction,
    above,
    ball,
    below,
    box,
    density,
    discounted,
    estimate,
    exceedance,
    excursion_law,
    expected,
    fate_probabilities,
    hitting_probability,
    hitting_time,
    occupation,
    on_grid,
    outside,
    passage,
    persistence_exponent,
    states,
    stationary,
)
from trajinfer.processes import (
    AffineDrift,
    Brownian,
    DoubleWell,
    FractionalBrownian,
    OrnsteinUhlenbeck,
)

LINE = Brownian(volatility=1.0)
WELL = DoubleWell(1.0, 1.0, volatility=0.5)
FOUR = OrnsteinUhlenbeck(np.ones(4), np.zeros(4), volatility=1.0)
HALF = Diffusion(lambda _, x: -x[:, ::-1], lambda _, x: x * 0 + [0.0, 1.0], 2, diagonal=True)
EXIT = hitting_time(outside(-1, 1))
ESCAPING = AffineDrift(1, [[1.0]], [0.0], volatility=1.0)


def recorded(n_paths=400, start=0.0):
    """Random walks that were recorded."""
    steps = np.random.default_rng(0).normal(0, 0.1, (n_paths, 20, 1)).cumsum(axis=1)
    return Trajectories(np.arange(20) * 0.01, start + steps)


def incoherent():
    """Samples that are right at each time, but no paths."""
    return PathSource(
        lambda x, t, n, seed: np.zeros((1, n, len(t), 1)), "Source", 1, coherent=False
    )


def value(question, process, X=None, **settings):
    return ValueFunction(question, **settings).fit(process, X)


def driven():
    """A spring whose place of rest goes to and fro; at time 0 it is like one that does not."""
    return Diffusion(lambda t, x: np.sin(t) - x, lambda t, x: np.ones_like(x), 1, diagonal=True)


NAMED = Diffusion(
    lambda _, x: -x, lambda _, x: np.ones_like(x), 2, diagonal=True, features=("a", "b")
)
BOX = {"domain": ([-3.0], [3.0]), "resolution": 20}
REFUSED = {
    "time, by formula": (lambda: value(EXIT, driven(), [[0.0]], method="exact"), "take estimate"),
    "time, as usual": (lambda: value(EXIT, driven(), [[0.0]]), "depends on time.* take estimate"),
    "time, on a grid": (
        lambda: value(exceedance(1.0, 1.0), driven(), [[0.0]], method="grid", **BOX),
        "depends on time",
    ),
    "time, along paths": (
        lambda: value(EXIT, driven(), [[0.0]], method="lstd"),
        "depends on time",
    ),
    "time, fates on a grid": (
        lambda: fate_probabilities(driven(), [[0.0]], {"up": above(1.0)}, method="grid", **BOX),
        "depends on time",
    ),
    "time, passage on a grid": (
        lambda: passage(driven(), above(1.0), [[0.0]], ts=[1.0], method="grid"),
        "depends on time",
    ),
    "time, a law at rest": (lambda: stationary(driven(), [[0.0]], **BOX), "depends on time"),
    "time, a later law": (
        lambda: density(driven(), [[0.0]], [1.0], **BOX),
        "depends on time",
    ),
    "time, as a chain": (lambda: on_grid(driven(), ([-3.0], [3.0]), 20), "depends on time"),
    "time, a control": (
        lambda: estimate(EXIT, driven(), [[0.0]], n=10, control="auto"),
        "depends on time",
    ),
    "no end": (lambda: Functional(running=1.0), "would never end: give stop="),
    "discount below 0": (lambda: discounted(1.0, -0.1), "give horizon="),
    "reached with some probability": (
        lambda: value(hitting_time(above(3.0)), ESCAPING, [[1.0]]),
        "with probability .* ask hitting_probability",
    ),
    "infinite mean": (lambda: value(hitting_time(above(1.0)), LINE, [[0.0]]), "is infinite; give"),
    "target and before overlap": (
        lambda: hitting_probability(above(0.0), before=above(1.0)),
        "target and before overlap",
    ),
    "labels overlap": (
        lambda: hitting_probability(states([1, 2]), before=states(2)),
        "target and before overlap",
    ),
    "fates overlap": (
        lambda: fate_probabilities(LINE, [[0.0]], {"a": above(1.0), "b": outside(-2, 2)}),
        "'a' and 'b' overlap",
    ),
    "channel by number": (lambda: value(hitting_time(above(1.0, 2)), WELL), "no channel 2"),
    "channel by name": (lambda: value(hitting_time(above(1.0, "x")), WELL), "no channel 'x'"),
    "channel of data": (
        lambda: excursion_law(recorded(), 0.0, channel=3),
        "no channel 3; the process has 1",
    ),
    "times of data": (
        lambda: excursion_law([0.0, 1.0, 0.0], times=[0.0, 2.0, 1.0]),
        "times must increase",
    ),
    "starts with NaN": (lambda: estimate(EXIT, LINE, [[np.nan]]), "NaN"),
    "starts of another size": (lambda: estimate(EXIT, LINE, [[0.0, 1.0]]), r"states \(n, 1\)"),
    "starts outside the domain": (
        lambda: value(exceedance(0.0, 1.0), WELL, [[5.0]], domain=([-2.0], [2.0])),
        "lie outside domain",
    ),
    "reached with some probability, simulated": (
        lambda: estimate(hitting_time(above(3.0)), ESCAPING, [[1.0]], n=10),
        "with probability .* ask hitting_probability",
    ),
    "infinite mean, simulated": (
        lambda: estimate(hitting_time(above(1.0)), LINE, [[0.0]], n=10),
        "is infinite; give",
    ),
    "balls overlap": (
        lambda: hitting_probability(ball([0, 0], 1.0), before=ball([1.5, 0], 0.6)),
        "target and before overlap",
    ),
    "a ball and a box overlap": (
        lambda: hitting_probability(ball([0, 0], 1.0), before=box([0.5, 0.5], [2, 2])),
        "target and before overlap",
    ),
    "boxes overlap": (
        lambda: hitting_probability(box([0, 0], [1, 1]), before=box([0.9, -3], [2, 3])),
        "target and before overlap",
    ),
    "a ball and a level of a named channel overlap": (
        lambda: value(
            hitting_probability(ball([0, 0], 1.0), before=above(0.9, "b")), NAMED, [[-2, 0]]
        ),
        "target and before overlap",
    ),
    "asked outside the domain": (
        lambda: value(exceedance(0.0, 1.0), WELL, [[0.0]], domain=([-2.0], [2.0])).predict([5.0]),
        "outside the grid, such as",
    ),
    "law outside the domain": (
        lambda: density(WELL, [[5.0]], [1.0], domain=([-2.0], [2.0])),
        "outside domain",
    ),
    "passage from outside the domain": (
        lambda: passage(WELL, above(7.0), [[5.0]], ts=[1.0], domain=([-2.0], [2.0])),
        "outside domain",
    ),
    "fates of four coordinates on a grid": (
        lambda: fate_probabilities(FOUR, np.zeros((1, 4)), {"up": above(1.0)}, method="grid"),
        "3 at most.* 'simulate' of fates",
    ),
    "passage of four coordinates on a grid": (
        lambda: passage(FOUR, above(1.0), np.zeros((1, 4)), ts=[1.0], method="grid"),
        "3 at most.* 'simulate' of fates",
    ),
    "law of four coordinates": (
        lambda: density(FOUR, np.zeros((1, 4)), [1.0]),
        "does not fit on a grid; simulate",
    ),
    "states with NaN": (lambda: value(EXIT, LINE, [[0.0]]).predict([[np.nan]]), "NaN"),
    "fates of NaN": (lambda: fate_probabilities(LINE, [[np.nan]], {"up": above(1.0)}), "NaN"),
    "passage from NaN": (lambda: passage(LINE, above(1.0), [[np.nan]], ts=[1.0]), "NaN"),
    "law from NaN": (lambda: density(LINE, [[np.nan]], [1.0]), "NaN"),
    "too few simulated paths": (
        lambda: value(EXIT, LINE, [[0.0]], method="lstd", n_paths=20),
        "give at least 300",
    ),
    "exponent of a covariance that rises": (
        lambda: persistence_exponent(lambda t: torch.exp(-(t**2) / 8) * torch.cos(2 * t)),
        "rises at lag .* take method='simulate'",
    ),
    "four coordinates on a grid": (
        lambda: value(hitting_time(above(1.0)), FOUR, np.zeros((1, 4)), method="grid"),
        "take method='galerkin'",
    ),
    "grid of four": (lambda: on_grid(FOUR, (-np.ones(4), np.ones(4)), 5), "does not fit"),
    "unknown noise": (
        lambda: value(EXIT, recorded(), method="galerkin"),
        "needs known drift and noise; take method='lstd'",
    ),
    "a horizon in many coordinates": (
        lambda: value(exceedance(1.0, 1.0), FOUR, np.zeros((1, 4))),
        "take estimate",
    ),
    "corners": (
        lambda: value(hitting_time(above(1.0) & above(1.0, 1)), FOUR, np.zeros((1, 4))),
        "corners or no known wall",
    ),
    "noise of some coordinates": (
        lambda: value(EXIT, HALF, [[0.0, 0.0]], method="galerkin"),
        "hypoelliptic.* take method='lstd', or estimate",
    ),
    "samples that are no paths": (
        lambda: estimate(hitting_probability(above(1.0), horizon=1.0), incoherent(), n=10),
        "no paths along them",
    ),
    "memory": (lambda: estimate(EXIT, FractionalBrownian(0.7), [[0.0]]), "remembers its past"),
    "volatility": (lambda: estimate(EXIT, DoubleWell(1.0, 1.0), [[0.0]]), "is not known; give"),
    "covariance that rises": (
        lambda: excursion_law(lambda t: torch.exp(-(t**2) / 8) * torch.cos(2 * t)),
        "rises at lag .* take method='simulate'",
    ),
    "covariance without derivative": (
        lambda: excursion_law(lambda t: torch.exp(-t)),
        "has no derivative",
    ),
    "covariance of another size": (
        lambda: excursion_law(lambda t: 2 * torch.exp(-(t**2) / 2)),
        r"r\(0\) = 1, got 2; divide",
    ),
    "no covariance": (
        lambda: excursion_law(lambda t: torch.exp(-(t**4) - t**2 / 100)),
        "its spectrum is negative",
    ),
    "rough process": (lambda: excursion_law(OrnsteinUhlenbeck(1.0, 0.0)), "have no derivative"),
    "level too high": (
        lambda: excursion_law(lambda t: torch.exp(-(t**2) / 2), 5.0),
        "within 4 standard deviations",
    ),
    "too few paths": (lambda: value(EXIT, recorded(20)), "give at least 300"),
    "paths that were elsewhere": (
        lambda: value(EXIT, recorded(400, 0.1), [[9.0]]),
        "near 0% of the states asked about",
    ),
    "paths that do not move": (
        lambda: value(EXIT, Trajectories(np.arange(20) * 0.01, np.full((400, 20, 1), 0.3))),
        "tell 0 of 60 features apart.* they hardly move",
    ),
    "stays that never ended": (
        lambda: excursion_law(np.arange(9.0), 20.0, times=np.arange(9.0)),
        "take another level",
    ),
    "paths that are too short": (
        lambda: estimate(hitting_probability(above(1.0), horizon=9.0), recorded()),
        "shorten it",
    ),
    "unknown state": (
        lambda: value(hitting_time(states("c")), [[-1.0, 1.0], [1.0, -1.0]]),
        "no state 'c'",
    ),
    "states of a diffusion": (lambda: value(hitting_time(states(1)), WELL, [[0.0]]), "of a chain"),
    "a ball of another size": (lambda: value(hitting_time(ball([0, 0], 1)), WELL), "coordinates"),
    "times in disorder": (lambda: passage(LINE, above(1.0), [0.0], ts=[2.0, 1.0]), "increase"),
    "passage of a diffusion by formula": (
        lambda: passage(LINE, above(1.0), [0.0], ts=[1.0], method="exact"),
        "take 'grid' or 'simulate'",
    ),
    "passage of recorded paths on a grid": (
        lambda: passage(recorded(), above(1.0), ts=[0.1], method="grid"),
        "take 'simulate'",
    ),
    "control and tilt": (
        lambda: estimate(EXIT, LINE, [[0.0]], control="auto", tilt="auto"),
        "not both",
    ),
    "a reward of another shape": (
        lambda: estimate(expected(lambda x: x, 1.0), LINE, [[0.0]], n=10),
        "one number per state",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_words(name):
    ask, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        ask()


NO_REGION = [1.0, "x>=1", [1.0], {"a": 1.0}, np.array([1.0])]
ASKING_A_REGION = {
    "passage": lambda region: passage(LINE, region, [0.0], ts=[1.0]),
    "fates": lambda region: fate_probabilities(LINE, [[0.0]], {"a": region, "b": above(1.0)}),
    "hitting_probability": hitting_probability,
    "before": lambda region: hitting_probability(above(1.0), before=region),
    "hitting_time": hitting_time,
    "occupation": lambda region: occupation(region, 1.0),
    "union": lambda region: above(1.0) | region,
    "intersection": lambda region: above(1.0) & region,
}


@pytest.mark.parametrize("given", NO_REGION, ids=repr)
@pytest.mark.parametrize("ask", ASKING_A_REGION)
def test_what_is_no_region_is_refused_wherever_one_is_asked_for(ask, given):
    with pytest.raises(InputError, match=r"must be a region, got .*make one by above"):
        ASKING_A_REGION[ask](given)


@pytest.mark.parametrize("part", ["terminal", "running", "discount"])
@pytest.mark.parametrize("given", ["x", [1.0], np.nan])
def test_parts_of_a_question_are_numbers_or_functions(part, given):
    with pytest.raises(InputError, match=f"{part} must be a finite number or a function"):
        Functional(**{part: given}, horizon=1.0)


@pytest.mark.parametrize("given", [above(1.0), None, "hitting_time"])
def test_what_is_no_question_is_not_answered(given):
    with pytest.raises(InputError, match="must be a Functional"):
        estimate(given, LINE, [0.0])
    with pytest.raises(InputError, match="must be a Functional"):
        ValueFunction(given).fit(LINE, [[0.0]])


def test_what_changes_in_time_is_simulated():
    """The mean place of rest rises for half a period, and the chance to be above with it."""
    table = fate_probabilities(driven(), [[0.0]], {"up": above(1.0)}, horizon=0.5, n=20)
    assert table.method.startswith("simulate")
    ahead = estimate(expected(lambda x: x[:, 0], np.pi), driven(), [[0.0]], n=2000, random_state=0)
    truth = (1 + np.exp(-np.pi)) / 2  # of x' = sin t - x from 0
    assert abs(ahead.value[0] - truth) < 4 * ahead.std_error[0] + ahead.step_error[0]


def test_regions_of_other_channels_do_not_overlap():
    plane = OrnsteinUhlenbeck(np.ones(2), np.zeros(2), volatility=1.0)
    either = above(1.0) | above(-0.5, 1)
    table = fate_probabilities(
        plane,
        [[0.0, -0.8]],
        {"up": either, "down": below(-1.0)},
        resolution=24,
        domain=([-4.0, -4.0], [4.0, 4.0]),
        horizon=0.2,
    )
    assert table.probabilities.sum() == pytest.approx(1.0)


def test_a_start_that_has_arrived_has_the_value_paid_there():
    question = hitting_probability(above(1.0), before=below(-1.0))
    with pytest.warns(UserWarning, match="already lie in the stopping set"):
        answer = estimate(question, LINE, [[2.0], [-1.0]], n=10, step=0.1, random_state=0)
    assert answer.value.tolist() == [1.0, 0.0]


def test_a_passage_from_inside_the_target_is_told():
    with pytest.warns(UserWarning, match="1 of the starts already lie in the target"):
        law = passage(LINE, above(1.0), [[2.0], [0.0]], ts=[1.0], resolution=40)
    assert law.survival[0, 0] == 0.0 < law.survival[1, 0]


def test_a_chain_that_does_not_stop_for_sure_says_with_which_probability():
    chain = [[-2.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    with pytest.warns(UserWarning, match=r"no finite mean from 2 of 3 states, .* ask hitting_prob"):
        assert value(hitting_time(states(1)), chain).predict([0])[0] == np.inf


def test_what_was_chosen_says_why():
    chain = passage([[-1.0, 1.0], [1.0, -1.0]], states(1), 0, ts=[1.0])
    assert chain.method == "exact: a chain is answered by linear algebra"
    counted = passage(recorded(), above(1.0), ts=[0.1])
    assert counted.method == "simulate: only paths are known, and are counted"
    pushed = Diffusion(lambda _, x: -x, lambda _, x: x * 0 + [0, 1, 1, 1], 4, diagonal=True)
    some = fate_probabilities(pushed, np.zeros((1, 4)), {"up": above(0.5, 1)}, n=20)
    assert some.method.startswith("simulate")
    many = fate_probabilities(FOUR, np.zeros((1, 4)), {"up": above(0.5)}, horizon=0.1, n=20)
    assert many.method.startswith("simulate: no grid fits so many coordinates")
