import numpy as np
import pytest
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from trajinfer._core.errors import InputError
from trajinfer.metrics import (
    Memorisation,
    autocorrelation_error,
    channel_correlation_error,
    crossing_counts,
    crossing_intervals,
    increment_autocorrelation,
    independent_dependence,
    marginal_ks,
    path_dependence,
    time_above,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def walks(rng, n, steps=12, dim=2):
    return rng.normal(size=(n, steps, dim)).cumsum(axis=1)


def test_every_marginal_is_that_of_scipy(rng):
    x, y = walks(rng, 40).round(1), walks(rng, 55).round(1)
    expected = [[ks_2samp(x[:, t, c], y[:, t, c]).statistic for c in range(2)] for t in range(12)]
    np.testing.assert_allclose(marginal_ks(x, y), expected, atol=1e-12)
    assert not marginal_ks(x, x).any()


def test_autocorrelation_of_a_moving_average(rng):
    # d_t = e_t + a e_{t-1} has correlation a / (1 + a^2) at lag 1 and none beyond.
    noise = rng.normal(size=(4000, 40, 1))
    paths = (noise[:, 1:] + 0.5 * noise[:, :-1]).cumsum(axis=1)
    found = increment_autocorrelation(paths, 3)[:, 0]
    np.testing.assert_allclose(found, [0.4, 0, 0], atol=4 / np.sqrt(4000 * 36))


def test_clusters_of_volatility_show_in_the_sizes(rng):
    size = np.exp(rng.normal(size=(3000, 1, 1)))
    paths = (size * rng.normal(size=(3000, 20, 1))).cumsum(axis=1)
    plain = increment_autocorrelation(paths, 1).item()
    assert increment_autocorrelation(paths, 1, absolute=True).item() > 0.3 > abs(plain)
    steady = walks(rng, 3000, 20, 1)
    assert autocorrelation_error(paths, steady, absolute=True) > 0.25


def test_correlations_of_channels(rng):
    mixed = walks(rng, 5000)
    mixed[:, :, 1] = 0.6 * mixed[:, :, 0] + 0.8 * mixed[:, :, 1]
    error = channel_correlation_error(mixed, walks(rng, 5000))
    assert error == pytest.approx(0.6, abs=4 / np.sqrt(5000))
    assert channel_correlation_error(mixed[:, :, :1], mixed[:, :, :1]) == 0
    flat = np.ones((20, 12, 2))
    assert channel_correlation_error(flat, flat) == 0


def test_excursions_of_paths_written_out():
    x = np.array([[1.0, -1, -1, 1, 1, -1], [-1.0, -1, -1, -1, -1, -1]])
    np.testing.assert_allclose(time_above(x, 0)[:, 0], [0.5, 0])
    assert crossing_counts(x, 0)[:, 0].tolist() == [3, 0]
    assert crossing_intervals(x, 0).tolist() == [2, 2]


def test_a_copy_has_ratio_zero_and_a_fresh_sample_one(rng):
    train, held, fresh = (walks(rng, n) for n in (600, 300, 400))
    copied = Memorisation.of(train, held, train[:200])
    assert copied.ratio == 0
    assert copied.copy_share == 1
    assert copied.membership_auc > 0.6
    honest = Memorisation.of(train, held, fresh)
    assert honest.ratio == pytest.approx(1, abs=0.06)
    assert honest.copy_share < 0.04
    assert honest.membership_auc == pytest.approx(0.5, abs=0.08)


def test_distances_and_membership_are_the_definitions(rng):
    train, held, fake = (walks(rng, n) for n in (30, 20, 25))
    found = Memorisation.of(train, held, fake)
    scale = train.std(axis=0)
    gaps = np.linalg.norm(((fake[:, None] - train[None]) / scale).reshape(25, 30, -1), axis=2)
    np.testing.assert_allclose(found.synthetic, gaps.min(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.back_train, gaps.min(axis=0), rtol=1e-5)
    score = -np.concatenate([found.back_train, found.back_hold_out])
    truth = np.repeat([1, 0], [30, 20])
    assert found.membership_auc == pytest.approx(roc_auc_score(truth, score))


def test_dependence_that_comes_late_is_seen(rng):
    partner, own = walks(rng, 3000), walks(rng, 3000)
    own[:, 6:, 0] = 0.6 * own[:, 6:, 0] + 0.8 * partner[:, 6:, 1]
    null = independent_dependence(own, partner, 99, rng)
    assert path_dependence(own, partner) == pytest.approx(0.8, abs=0.05)
    assert path_dependence(own[:, :6], partner[:, :6]) < null.max() < 0.12
    assert null.min() > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: marginal_ks(x, x[:, :5]), "agree"),
        (lambda x: increment_autocorrelation(x[:, :3], 5), "lags"),
        (lambda x: path_dependence(x, x[:-1]), "one partner"),
        (lambda x: time_above(x * np.nan, 0), "finite"),
    ],
)
def test_bad_input_is_refused(rng, call, message):
    with pytest.raises(InputError, match=message):
        call(walks(rng, 30))
