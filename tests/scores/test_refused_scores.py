"""What score models refuse, and in which words."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from trajinfer import InputError, IrregularSeries
from trajinfer.scores import (
    GaussianMixture,
    LinearObservation,
    OUNoise,
    Reward,
    ScoreDensity,
    ScoreSeries,
    SolverPlan,
    condition,
    invert,
    sample,
)

LAW = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
LEVELS = (10.0, 0.1)
PLAN = SolverPlan.fixed(np.geomspace(10, 0.1, 5), LEVELS, 2, corrector=True)
WIDE_PLAN = SolverPlan(PLAN.rhos, PLAN.orders, PLAN.corrections, LEVELS, dim=3)
POINTS = np.random.default_rng(0).normal(size=(40, 2))
WALKS = np.random.default_rng(0).normal(size=(30, 5, 2)).cumsum(axis=1)
SERIES = IrregularSeries.from_arrays(np.arange(5.0), WALKS)
FITTED = ScoreSeries(n_components=1, random_state=0).fit(SERIES)

REFUSED = {
    "levels": (lambda: sample(LAW, 3, levels=(0.1, 1.0)), "rho_max"),
    "grid that rises": (lambda: sample(LAW, 3, grid=[0.1, 1.0], n_evaluations=1), "fall"),
    "no evaluation": (lambda: sample(LAW, 3, n_evaluations=0), "n_evaluations"),
    "one evaluation for a pair": (
        lambda: sample(LAW, 3, n_evaluations=1, method="bdia"),
        "n_evaluations >= 2",
    ),
    "fewer evaluations than stages": (
        lambda: sample(LAW, 3, n_evaluations=2, order=3, method="singlestep"),
        "evaluations a step",
    ),
    "negative churn": (lambda: sample(LAW, 3, churn=-1.0), "churn must be"),
    "churn and inversion": (lambda: sample(LAW, 3, churn=1.0, method="bdia"), "needs the ODE"),
    "plan of another number": (
        lambda: sample(LAW, 3, plan=PLAN, levels=LEVELS, n_evaluations=5),
        "for 4 evaluations",
    ),
    "plan of other levels": (
        lambda: sample(LAW, 3, plan=PLAN, levels=(10.0, 0.2), n_evaluations=4),
        "for levels",
    ),
    "plan of another width": (
        lambda: sample(LAW, 3, plan=WIDE_PLAN, levels=LEVELS, n_evaluations=4),
        "3 dimensions",
    ),
    "start of another width": (lambda: sample(LAW, start=torch.zeros(3, 5)), "width"),
    "half precision": (lambda: sample(LAW, start=torch.zeros(3, 2).half()), "float16"),
    "logarithm of negative values": (
        lambda: ScoreDensity("mixture", transform="log").fit(POINTS),
        "column 0 has [0-9]+ that are not",
    ),
    "constant column": (
        lambda: ScoreDensity("mixture").fit(POINTS * [1.0, 0.0]),
        "drop it or add it after sampling",
    ),
    "error that is no covariance": (
        lambda: LinearObservation(np.eye(2), [0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]),
        "R must be positive definite",
    ),
    "observation of another width": (
        lambda: condition(LAW, LinearObservation([[1.0]], [0.0], 1.0)),
        "observes 1",
    ),
    "observation at times that are not asked for": (
        lambda: FITTED.condition(SERIES[:1], LinearObservation(np.ones((1, 6)), [0.0], 1.0), [4.5]),
        "observes 6",
    ),
    "reward that is not a number": (
        lambda: condition(LAW, Reward(lambda x: x[:, 0] * np.nan)),
        "NaN",
    ),
    "reward without a gradient": (
        lambda: condition(LAW, Reward(lambda x: x[:, 0].detach())),
        "no gradient",
    ),
    "covariance of a part": (
        lambda: GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]]),
        "smallest eigenvalue -1",
    ),
    "scale of noise": (lambda: OUNoise(0.0), "positive"),
    "times that fall": (lambda: OUNoise(1.0).on([1.0, 0.0]), "ascending"),
    "state that is none": (lambda: invert(LAW, torch.zeros(3, 2)), "state"),
    "channel that is all missing": (
        lambda: ScoreSeries().fit(IrregularSeries.from_arrays(np.arange(5.0), WALKS * [1, np.nan])),
        "never observed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words(name):
    attempt, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        attempt()


def test_nothing_is_answered_before_the_fit():
    for ask in (
        lambda: ScoreDensity().search(5),
        lambda: ScoreDensity().score_samples(POINTS),
        lambda: ScoreSeries().anomaly(SERIES),
        lambda: ScoreSeries().condition(SERIES, Reward(lambda x: x[:, 0]), [4.5]),
    ):
        with pytest.raises(NotFittedError):
            ask()


def test_few_rows_and_equal_times_are_not_refused():
    with pytest.warns(UserWarning, match="shrunk"):
        ScoreDensity("mixture").fit(np.random.default_rng(0).normal(size=(12, 8)))
    with pytest.warns(UserWarning, match="1 times repeat"):
        drawn = OUNoise(1.0).draw([0.0, 0.0, 1.0], random_state=0)[0]
    assert abs(drawn[0] - drawn[1]) < 0.01


def test_levels_that_blur_are_said_with_both_numbers():
    with pytest.warns(
        UserWarning, match=r"rho_min = 1.5 is above .* of the data, 1: .* at most 0.25"
    ):
        sample(LAW, 3, levels=(10.0, 1.5), random_state=0)


@pytest.mark.parametrize(("estimator", "data"), [(ScoreDensity, POINTS), (ScoreSeries, SERIES)])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "networks"}, "did you mean 'network'"),
        ({"n_components": "many"}, "n_components must be 'auto' or a number"),
        ({"n_components": 0}, "n_components"),
        ({"hidden": 0}, "hidden"),
        ({"validation": 1.0}, "validation must lie between 0 and 1"),
        ({"lr": -1.0}, "lr must be positive"),
        ({"lr": np.nan}, "lr must be positive"),
        ({"churn": -1.0}, "churn must be 0 or positive"),
    ],
    ids=str,
)
def test_settings_are_refused_before_work(estimator, data, settings, words):
    model = estimator(**{"model": "network", **settings})
    with pytest.raises(InputError, match=words):
        model.fit(data)
    assert not hasattr(model, "model_")
