"""Boosted trees as arrays beside those of scikit-learn."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from trajinfer.regression.boosted_trees import BoostedTrees, BoostingSettings

SETTINGS = BoostingSettings(smallest_leaf=3)
OF_SKLEARN = {
    "max_iter": 60,
    "learning_rate": 0.1,
    "max_leaf_nodes": 12,
    "max_depth": 5,
    "max_bins": 64,
    "min_samples_leaf": 3,
    "l2_regularization": 5.0,
    "max_features": 0.4,
    "early_stopping": False,
}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_trees_of_classes_answer_as_those_of_scikit_learn(rng, n_classes):
    x, codes = rng.normal(size=(90, 4)), rng.integers(0, n_classes, 90)
    trees = BoostedTrees.fit(x, codes, np.ones(90), n_classes, SETTINGS, 3)
    model = HistGradientBoostingClassifier(**OF_SKLEARN, random_state=3).fit(x, codes)
    scores = trees(x)
    odds = scores[:, 1] - scores[:, 0] if n_classes == 2 else scores
    np.testing.assert_allclose(odds, model.decision_function(x), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(trees.staged(x, (20, 60))[0], trees.first(20)(x))


def test_trees_of_numbers_answer_as_those_of_scikit_learn(rng):
    x = rng.normal(size=(2000, 4))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * (x[:, 2] > 0)
    trees = BoostedTrees.fit(x, y, None, 0, SETTINGS, 0)
    model = HistGradientBoostingRegressor(**OF_SKLEARN, random_state=0).fit(x, y)
    fresh = rng.normal(size=(9000, 4))  # more rows than are answered at once
    np.testing.assert_allclose(trees(fresh)[:, 0], model.predict(fresh), atol=1e-10)
    truth = np.sin(2 * fresh[:, 0]) + fresh[:, 1] * (fresh[:, 2] > 0)
    assert np.mean((trees(fresh)[:, 0] - truth) ** 2) < 0.1


def test_weighted_trees_answer_nearly_as_those_of_scikit_learn(rng):
    x, weights = rng.normal(size=(400, 3)), rng.uniform(0.2, 2.0, 400)
    codes = (x[:, 0] + x[:, 1] ** 2 > 0.7).astype(int)
    model = HistGradientBoostingClassifier(**OF_SKLEARN, random_state=3)
    model.fit(x, codes, sample_weight=weights)
    other = rng.normal(size=(1000, 3))
    ours = BoostedTrees.fit(x, codes, weights, 2, SETTINGS, 3)(other)
    assert (ours.argmax(1) == model.predict(other)).mean() > 0.95
    # rows without weight do not count
    ignored = np.where(np.arange(400) < 200, 0.0, 1.0)
    flipped = np.where(ignored > 0, codes, 1 - codes)
    answers = BoostedTrees.fit(x, flipped, ignored, 2, SETTINGS, 3)(other).argmax(1)
    assert (answers == model.predict(other)).mean() > 0.85


def test_trees_know_a_class_that_was_left_out(rng):
    x, codes = rng.normal(size=(60, 2)), np.repeat([0, 2], 30)
    scores = BoostedTrees.fit(x, codes, np.ones(60), 3, SETTINGS, 0)(x)
    assert scores.shape == (60, 3)
    assert (scores.argmax(1) != 1).all()


def test_unknown_features_are_read_as_their_mean(rng):
    x = rng.normal(size=(200, 2))
    trees = BoostedTrees.fit(x, x[:, 0], None, 0, SETTINGS, 0)
    holes = np.array([[np.nan, 0.3]])
    np.testing.assert_array_equal(trees(holes), trees(np.array([[x[:, 0].mean(), 0.3]])))
