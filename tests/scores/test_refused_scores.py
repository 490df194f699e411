"""What score models refuse, and in which words."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from trajinfer import InputError, IrregularSeries, NotConverged
from trajinfer.scores import (
    DiffusionSDE,
    GaussianMixture,
    InterpolantSDE,
    InversionState,
    LinearObservation,
    MixtureInterpolant,
    OUNoise,
    Reward,
    ScoreDensity,
    ScoreSeries,
    SolverPlan,
    StochasticInterpolant,
    condition,
    invert,
    log_likelihood,
    sample,
    search_plan,
)

LAW = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
LEVELS = (10.0, 0.1)
PLAN = SolverPlan.fixed(np.geomspace(10, 0.1, 5), LEVELS, 2, corrector=True)
WIDE_PLAN = SolverPlan(PLAN.rhos, PLAN.orders, PLAN.corrections, LEVELS, dim=3)
POINTS = np.random.default_rng(0).normal(size=(40, 2))
WALKS = np.random.default_rng(0).normal(size=(30, 5, 2)).cumsum(axis=1)
SERIES = IrregularSeries.from_arrays(np.arange(5.0), WALKS)
HALVES = np.repeat([0.0, 1.0], 20)
TWO = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [0.01 * np.eye(2)] * 2)
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
    "scale of noise that is no number": (lambda: OUNoise("long"), "OU scale .* got 'long'"),
    "times that are missing": (lambda: OUNoise(1.0).on([0.0, np.nan]), "must be finite"),
    "state that is none": (lambda: invert(LAW, torch.zeros(3, 2)), "state"),
    "state of another width": (
        lambda: invert(LAW, InversionState(*torch.zeros(2, 3, 5), PLAN.rhos)),
        "previous must be .B, 2.",
    ),
    "one snapshot": (
        lambda: StochasticInterpolant().fit(POINTS, np.zeros(40)),
        "at least two snapshots",
    ),
    "snapshots of unequal widths": (
        lambda: StochasticInterpolant().fit([POINTS, POINTS[:, :1]], [0.0, 1.0]),
        "rows of equal length",
    ),
    "an exact coupling with noise": (
        lambda: StochasticInterpolant(coupling="exact", volatility=1.0).fit(POINTS, HALVES),
        "not the bridge's; use coupling='entropic'",
    ),
    "particles that collapse": (
        lambda: condition(TWO, LinearObservation(np.eye(2), [40.0, 0.0], 1e-4), n_particles=100),
        "contradict the model",
    ),
    "channel that is all missing": (
        lambda: ScoreSeries().fit(IrregularSeries.from_arrays(np.arange(5.0), WALKS * [1, np.nan])),
        "never observed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_words(name):
    attempt, words = REFUSED[name]
    with pytest.raises((InputError, NotConverged), match=words):
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


OBSERVED = LinearObservation([[1.0, 0.0]], [0.0], 1.0)
DOORS_OF_LEVELS = {
    "sample": partial(sample, LAW, 3, random_state=0),
    "log_likelihood": partial(log_likelihood, LAW, POINTS, n_evaluations=4),
    "condition": partial(condition, LAW, OBSERVED, n_particles=20, n_steps=2, random_state=0),
    "search_plan": partial(search_plan, LAW, 2, n_starts=2, n_iter=0),
    "DiffusionSDE.times": partial(DiffusionSDE(LAW).times, 4),
}


@pytest.mark.parametrize("door", DOORS_OF_LEVELS)
def test_levels_mean_the_same_at_every_door(door):
    ask = DOORS_OF_LEVELS[door]
    blur = r"rho_min = 1.5 is above .* of the data, 1: .* at most 0.25"
    with pytest.warns(UserWarning, match=blur):
        ask(levels=(10.0, 1.5))
    for levels in ((0.1, 1.0), (1.0, 1.0), (1.0, 0.0), (np.nan, 0.1), (np.inf, 0.1), (1.0,), "a"):
        with pytest.raises(InputError, match="levels must be"):
            ask(levels=levels)


@pytest.mark.parametrize("churn", [-1.0, np.nan, np.inf, "a", None])
def test_churn_means_the_same_at_every_door(churn):
    ends = MixtureInterpolant(LAW)
    doors = [
        partial(sample, LAW, 3),
        partial(DiffusionSDE, LAW),
        partial(InterpolantSDE, ends),
        *(partial(_fit, estimator) for estimator in (ScoreDensity, ScoreSeries)),
    ]
    for ask in doors:
        with pytest.raises(InputError, match="churn must be"):
            ask(churn=churn)


def _fit(estimator, **settings):
    estimator(**settings).fit(POINTS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "bdia", "churn": 1.0}, "needs the ODE"),
        ({"method": "heun", "churn": 1.0}, "churn is for method='multistep'"),
        ({"method": "singlestep", "n_evaluations": 1}, "evaluations a step"),
        ({"method": "multi"}, "did you mean 'multistep'"),
    ],
    ids=str,
)
def test_settings_of_the_sampler_are_refused_before_work(settings, words):
    with pytest.raises(InputError, match=words):
        ScoreDensity(**settings).fit(POINTS)


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


def test_more_shared_times_than_one_covariance_is_for_are_refused():
    walks = np.random.default_rng(0).normal(size=(20, 2600, 2))
    with pytest.raises(InputError, match=r"5200 values .*Windows"):
        ScoreSeries().fit(IrregularSeries.from_arrays(np.arange(2600.0), walks))


def test_more_times_under_a_condition_than_one_covariance_is_for_are_refused():
    ts = np.linspace(0, 4, 2600)
    with pytest.raises(InputError, match="fewer times"):
        FITTED.condition(SERIES[:1], LinearObservation(np.ones((1, 5200)), [0.0], [[1.0]]), ts, 2)
