"""Mixtures of networks and cheap experts: held-out shares, causality."""

import numpy as np
import pytest

from trajinfer import InputError, IrregularSeries, NeuralSDEClassifier, NeuralSDERegressor, load
from trajinfer.regression.mixture import mixture_of_numbers, mixture_of_probabilities
from trajinfer.series.experts.panel import fit_panel, fold_of_each
from trajinfer.series.experts.summaries import summaries

SMALL = {"hidden": 4, "max_epochs": 2, "n_samples": 2, "step": 1.0, "random_state": 0}


def levels(n=45, n_times=12, seed=0):
    """Series whose class is their level, which a summary tells."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    times = np.sort(rng.uniform(0, 5, (n, n_times)), axis=1)
    values = 2.0 * labels[:, None, None] + rng.normal(size=(n, n_times, 2))
    return IrregularSeries.from_arrays(times, values, labels=labels).drop_observations(0.3, seed)


@pytest.fixture(scope="module")
def classifier():
    return NeuralSDEClassifier(**SMALL).fit(levels())


@pytest.fixture(scope="module")
def regressor():
    series = levels()
    return NeuralSDERegressor(**SMALL).fit(series, 5.0 + series.labels)


def test_shares_go_to_the_expert_that_is_right(rng):
    codes = rng.integers(0, 3, 400)
    right = np.where(np.eye(3)[codes] > 0, 0.8, 0.1)
    even = np.full((400, 3), 1 / 3)
    shares = mixture_of_probabilities(np.stack([even, right]), codes, np.ones(400))
    assert shares[1] > 0.9
    target = rng.normal(size=400)
    numbers = np.stack([np.zeros(400), target + 0.1 * rng.normal(size=400)])
    shares = mixture_of_numbers(numbers, target, np.ones(400))
    assert shares.sum() == pytest.approx(1.0)
    # the best convex share of a noisy copy is var / (var + noise) up to the prior
    assert shares[1] == pytest.approx(1 / 1.01, abs=0.02)


def test_parts_hold_every_class():
    codes = np.repeat([0, 1, 2], [20, 7, 3])
    folds = fold_of_each(codes, 3, 0)
    counts = np.array([[np.sum(folds[codes == c] == k) for k in range(3)] for c in range(3)])
    assert (counts.max(1) - counts.min(1) <= 1).all()


def test_what_happens_at_a_known_hour_is_told_where_ends_are_missing(rng):
    hours = np.arange(24.0)
    labels = np.arange(80) % 2
    bumps = np.exp(-((hours - 10 - 1.5 * labels[:, None]) ** 2) / 8)
    values = bumps + 0.1 * rng.normal(size=bumps.shape)
    begins, ends = rng.integers(0, 4, (2, 80))
    rows = [slice(a, 24 - b) for a, b in zip(begins, ends)]
    series = IrregularSeries.from_arrays(
        [hours[row] for row in rows], [v[row, None] for v, row in zip(values, rows)]
    )
    folds = fold_of_each(labels, 4, 0)
    names = ("linear", "kernel", "convolutions")
    _, held_out = fit_panel(series, labels, np.ones(80), folds, 2, names, 0)
    right = (held_out.argmax(2) == labels).mean(1)
    assert (right > 0.9).all(), right  # each over its own span: .84 at most


def test_summaries_are_those_of_the_observed_values():
    values = np.array([[[1.0], [3.0], [np.nan], [2.0], [6.0]]])
    found = summaries(IrregularSeries.from_arrays([0.0, 1.0, 2.0, 3.0, 4.0], values))[0]
    count, mean, std = found[:3]
    assert (count, mean, std) == (4, 3.0, pytest.approx(np.std([1, 3, 2, 6])))
    assert found[4:7].tolist() == [1.75, 2.5, 3.75]
    assert found[7:11].tolist() == [1.0, 0.0, 6.0, 1.0]


def test_a_network_that_knows_nothing_has_no_share(classifier, tmp_path):
    model = classifier
    assert model.shares_["neural"] == 0.0
    assert sum(model.shares_.values()) == pytest.approx(1.0)
    other = levels(seed=1)
    assert model.score(other, other.labels) > 0.9
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict_proba(other), model.predict_proba(other))
    assert again.shares_ == model.shares_


def test_numbers_are_mixed_too(regressor, tmp_path):
    model, other = regressor, levels(seed=1)
    assert model.score(other, 5.0 + other.labels) > 0.8
    again = load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict(other), model.predict(other))


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_what_comes_later_changes_no_answer_at_a_time(kind, request):
    series = levels()
    planted = series.values.copy()
    planted[series.times > 2.5] *= 50.0
    model = request.getfixturevalue(kind)
    ask = getattr(model, "predict_proba", model.predict)
    first, second = (
        ask(series, [2.5, 1.0, -1.0]),
        ask(series.with_values(planted), [2.5, 1.0, -1.0]),
    )
    np.testing.assert_array_equal(first, second)
    assert np.ptp(first[:, 2], axis=0) == pytest.approx(0.0)
    end = ask(series, series.last_times[:, None])[:, 0]
    np.testing.assert_allclose(end, ask(series), atol=1e-6)


def test_series_without_weight_count_for_nothing():
    series = levels(30)
    flipped = np.where(np.arange(30) < 10, (series.labels + 1) % 3, series.labels)
    weights = np.where(np.arange(30) < 10, 0.0, 1.0)
    model = NeuralSDEClassifier(experts=("linear",), **SMALL)
    model.fit(series, flipped, sample_weight=weights)
    assert model.score(levels(seed=2)) > 0.8  # a third of them would be right otherwise
    with pytest.raises(InputError, match="not be negative"):
        model.fit(series, sample_weight=-weights)
    with pytest.raises(InputError, match="experts are linear"):
        NeuralSDEClassifier(experts=("lineer",), **SMALL).fit(series)
