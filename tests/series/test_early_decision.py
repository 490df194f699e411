"""Networks that bring nothing beside cheap experts are given up early."""

import pytest
import torch
from torch import nn

from tests.series.test_mixtures import levels
from trajinfer import NeuralSDEClassifier, NeuralSDERegressor
from trajinfer._core.seeding import seeded
from trajinfer.series.early_decision import EarlyDecision
from trajinfer.training import Loss, Recipe


@pytest.mark.parametrize(
    ("before", "now", "score", "given_up"),
    [
        (0.0, 0.2, -9.0, False),  # too early
        (0.2, 0.25, -0.1, True),
        (0.2, 0.25, 0.1, False),
        (0.25, 0.45, -9.0, False),  # asked already
        (0.45, 0.5, 0.4, True),
        (0.45, 0.5, 0.6, False),
        (0.0, 1.0, 0.4, True),  # both at once: the later one counts
    ],
)
def test_a_gain_is_asked_for_at_a_quarter_and_at_the_middle(before, now, score, given_up):
    assert EarlyDecision(lambda: score)(before, now) is given_up


def test_a_recipe_asks_after_every_validation_and_stops():
    with seeded(0):
        line = nn.Linear(1, 1)
    x = torch.linspace(-1, 1, 20)[:, None]
    asked = []

    def give_up(before, now):
        asked.append((before, now, line.training))
        return now >= 0.5

    report = Recipe(seed=0, epochs=8, batch_size=20, validations=4, average=0.5).fit(
        line, lambda rows, step: Loss(line(x[rows]).square().mean()), 20, lambda: 0.0, give_up
    )
    assert asked == [(0.0, 0.25, False), (0.25, 0.5, False)]
    assert report.n_steps == 4
    assert "promises nothing" in report.stopped


@pytest.mark.parametrize(
    # both decide in one place; the regressor takes its sixty epochs with `make test-all`
    "kind",
    [NeuralSDEClassifier, pytest.param(NeuralSDERegressor, marks=pytest.mark.slow)],
)
def test_where_a_cheap_expert_knows_all_the_networks_are_given_up(kind):
    series = levels(24, 6)
    settings = {"hidden": 2, "layers": 1, "step": 2.5, "n_samples": 1, "random_state": 0}
    model = kind(experts=("linear",), **settings).fit(series, series.labels)
    assert model.n_iter_ <= 60  # of 120 epochs of one step
    assert model.shares_["neural"] == 0.0
    whole = kind(experts=("linear",), max_epochs=4, **settings).fit(series, series.labels)
    assert whole.n_iter_ == 4  # who names a number gets it
