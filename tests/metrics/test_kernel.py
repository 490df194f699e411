import numpy as np
import pytest
from scipy.stats import energy_distance as scipy_energy
from sklearn.metrics.pairwise import rbf_kernel

from trajinfer._core.errors import InputError
from trajinfer.metrics import energy_distance, median_bandwidth, mmd, samples


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(size=(25, 3)), rng.normal(size=(30, 3)) + 0.5


def test_mmd_agrees_with_the_kernel_matrices(clouds):
    x, y = clouds
    h = np.median([((u - v) ** 2).sum() for i, u in enumerate(y) for v in y[:i]])
    assert median_bandwidth(y) == pytest.approx(h)
    k = {
        (i, j): rbf_kernel(u, v, gamma=1 / h)
        for i, u in enumerate(clouds)
        for j, v in enumerate(clouds)
    }
    expected = k[0, 0].mean() + k[1, 1].mean() - 2 * k[0, 1].mean()
    assert mmd(x, y) == pytest.approx(expected, rel=1e-12)
    off = [(k[i, i].sum() - len(z)) / (len(z) * (len(z) - 1)) for i, z in enumerate(clouds)]
    unbiased = sum(off) - 2 * k[0, 1].mean()
    assert mmd(x, y, unbiased=True) == pytest.approx(unbiased, rel=1e-10)


def test_mmd_is_zero_for_equal_samples_and_symmetric_at_one_bandwidth(clouds):
    x, y = clouds
    assert mmd(x, x) == pytest.approx(0, abs=1e-15)
    assert mmd(x, y, bandwidth=2.0) == pytest.approx(mmd(y, x, bandwidth=2.0), rel=1e-12)


def test_unbiased_mmd_has_the_population_value_of_gaussians():
    # E exp(-|z|^2/h) for z ~ N(m, 2 I) in D dimensions is (1 + 4/h)^(-D/2) exp(-|m|^2/(h + 4)).
    h, dim, m = 3.0, 2, np.array([0.6, -0.3])
    same = (1 + 4 / h) ** (-dim / 2)
    truth = 2 * same * (1 - np.exp(-m @ m / (h + 4)))
    rng = np.random.default_rng(1)
    draws = rng.standard_normal((400, 2, 20, dim))
    values = [mmd(x, y + m, bandwidth=h, unbiased=True) for x, y in draws]
    # 4.5 standard errors: false alarms 7e-6; the V-statistic is off by 15.
    assert abs(np.mean(values) - truth) < 4.5 * np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize(
    "distance",
    [
        lambda x, y, w=None: mmd(x, y, bandwidth=1.5, weights=w),
        lambda x, y, w=None: energy_distance(x, y, weights=w),
    ],
)
def test_weights_count_like_repeated_rows(clouds, distance):
    x, y = clouds
    counts = np.random.default_rng(3).integers(0, 4, len(y))
    repeated = distance(x, np.repeat(y, counts, axis=0))
    assert distance(x, y, (None, counts)) == pytest.approx(repeated, rel=1e-10)


def test_energy_agrees_with_scipy_on_the_line():
    rng = np.random.default_rng(4)
    x, y, a, b = rng.normal(size=20), rng.normal(size=35), rng.random(20), rng.random(35)
    expected = scipy_energy(x, y, a, b) ** 2
    assert energy_distance(x, y, weights=(a, b)) == pytest.approx(expected, rel=1e-10)


def test_energy_of_two_points_in_space():
    assert energy_distance([[0.0, 0.0]], [[3.0, 4.0]]) == pytest.approx(10.0)


def test_blocks_change_nothing(clouds, monkeypatch):
    x, y = clouds
    whole = mmd(x, y), energy_distance(x, y)
    monkeypatch.setattr(samples, "BLOCK", 70)
    assert (mmd(x, y), energy_distance(x, y)) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": np.zeros((1, 3))}, "one point"),
        ({"y": np.ones((5, 3))}, "repeated points"),
        ({"bandwidth": 0.0}, "positive"),
        ({"bandwidth": np.nan}, "positive"),
        ({"x": np.ones((1, 3)), "unbiased": True}, "two points"),
        ({"y": np.ones((4, 2))}, "same dimension"),
        ({"x": np.ones((0, 3))}, "empty"),
    ],
)
def test_bad_input_is_refused(clouds, options, message):
    with pytest.raises(InputError, match=message):
        mmd(**{"x": clouds[0], "y": clouds[1], **options})
