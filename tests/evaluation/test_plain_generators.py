import numpy as np
import pytest

from trajinfer._core.errors import InputError
from trajinfer.evaluation import (
    block_bootstrap,
    gaussian_process,
    nearest_neighbour_markov,
    vector_autoregression,
)

GENERATORS = [block_bootstrap, gaussian_process, nearest_neighbour_markov, vector_autoregression]


@pytest.fixture(scope="module")
def series():
    """Autoregressive paths x' = 0.8 x + e in two channels, the second leaning on the first."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (3000, 2))
    paths = [x]
    for _ in range(14):
        x = x @ [[0.8, 0.3], [0.0, 0.5]] + rng.exponential(1.0, (3000, 2)) - 1
        paths.append(x)
    return np.stack(paths, axis=1)


@pytest.mark.parametrize("generate", GENERATORS)
def test_shape_seed_and_first_moments(generate, series):
    made = generate(series, 4000, random_state=0)
    assert made.shape == (4000, 15, 2)
    np.testing.assert_array_equal(made, generate(series, 4000, random_state=0))
    assert not np.array_equal(made, generate(series, 4000, random_state=1))
    sd = series.std(axis=0)
    assert (np.abs(made.mean(axis=0) - series.mean(axis=0)) < 5 * 2 * sd / np.sqrt(3000)).all()


def test_gaussian_paths_have_the_covariance_of_the_series(series):
    made = gaussian_process(series, 5000, random_state=0).reshape(5000, -1)
    wanted, found = np.cov(series.reshape(3000, -1).T), np.cov(made.T)
    size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.abs((found - wanted) / size).max() < 5 * np.sqrt(2 / 5000)


def test_the_autoregression_is_found_with_its_skewed_noise(series):
    made = vector_autoregression(series, 5000, random_state=0)
    table = np.concatenate([np.ones((5000 * 14, 1)), made[:, :-1].reshape(-1, 2)], axis=1)
    target = made[:, 1:].reshape(-1, 2)
    coefficients = np.linalg.lstsq(table, target, rcond=None)[0]
    np.testing.assert_allclose(coefficients[1:], [[0.8, 0.3], [0.0, 0.5]], atol=0.02)
    residual = target - table @ coefficients
    skewness = (residual**3).mean(axis=0) / residual.std(axis=0) ** 3
    np.testing.assert_allclose(skewness, 2, atol=0.25)


def test_the_bootstrap_keeps_increments_within_a_block_and_not_beyond(series):
    made = block_bootstrap(series, 6000, block=7, random_state=0)
    steps, real = np.diff(made, axis=1)[..., 0], np.diff(series, axis=1)[..., 0]

    def correlation(x, i, j):
        return np.corrcoef(x[:, i], x[:, j])[0, 1]

    bound = 5 * np.sqrt(1 / 6000 + 1 / 3000)
    assert correlation(steps, 2, 3) == pytest.approx(correlation(real, 2, 3), abs=bound)
    assert abs(correlation(steps, 6, 7)) < bound


def test_neighbours_follow_where_an_autoregression_cannot():
    # The sign of the start decides where a path goes: no linear law.
    rng = np.random.default_rng(1)
    start = rng.normal(size=(2000, 1))
    steps = np.sign(start) + 0.1 * rng.normal(size=(2000, 6))
    paths = np.concatenate([start, start + steps.cumsum(axis=1)], axis=1)
    made = nearest_neighbour_markov(paths, 2000, random_state=0)[:, :, 0]
    assert (np.sign(made[:, -1]) == np.sign(made[:, 0])).mean() > 0.97
    assert np.abs(made[:, -1]).min() > 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: block_bootstrap(x, 0), "n must be"),
        (lambda x: block_bootstrap(x, 5, block=0), "block"),
        (lambda x: nearest_neighbour_markov(x[:10], 5), "more than the 10"),
        (lambda x: vector_autoregression(x, 5, order=15), "order"),
        (lambda x: gaussian_process(x * np.nan, 5), "finite"),
    ],
)
def test_bad_input_is_refused(series, call, message):
    with pytest.raises(InputError, match=message):
        call(series)
