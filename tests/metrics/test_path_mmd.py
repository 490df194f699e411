import numpy as np
import pytest
import torch

from trajinfer._core.errors import InputError
from trajinfer.metrics import PathKernel, feature_discrepancy, gram_discrepancy, path_mmd


@pytest.fixture
def walks():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 8, 2)).cumsum(axis=1)


def by_hand(x, y):
    """The definition with loops over pairs."""

    def vector(path):
        return np.concatenate([path.ravel(), np.diff(path, axis=0).ravel()])

    u, v = np.array([vector(p) for p in x]), np.array([vector(p) for p in y])
    scale = v.std(axis=0, ddof=1)
    u, v = u / scale, v / scale
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(v) for b in v[:i]]
    median = torch.tensor(pairs).median().item()

    def kernel(a, b):
        return sum(np.exp(-((a - b) ** 2).sum() / (share * median)) for share in (0.05, 0.2, 1.0))

    def within(z):
        return np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])

    return within(u) + within(v) - 2 * np.mean([kernel(a, b) for a in u for b in v])


def test_the_value_is_the_definition(walks):
    x, y = walks[:15] * 1.2, walks[15:]
    assert path_mmd(x, y) == pytest.approx(by_hand(x, y), rel=1e-10)


def test_features_and_gram_matrices_give_the_same(walks):
    x, y = torch.tensor(walks[:15]).flatten(1), torch.tensor(walks[15:]).flatten(1)
    torch.testing.assert_close(
        feature_discrepancy(x, y), gram_discrepancy(x @ x.T, y @ y.T, x @ y.T)
    )


def test_units_and_constant_channels_change_nothing(walks):
    x, y = walks[:20] + 0.3, walks[20:]
    value = path_mmd(x, y)
    assert path_mmd(100 * x, 100 * y) == pytest.approx(value, rel=1e-9)
    flat = np.full((20, 8, 1), 7.0)
    assert path_mmd(np.append(x, flat, 2), np.append(y, flat, 2)) == pytest.approx(value, rel=1e-9)


def test_no_bias_between_samples_of_one_law():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(150, 2, 30, 6)).cumsum(axis=-1)
    kernel = PathKernel.of(torch.tensor(rng.normal(size=(300, 6, 1)).cumsum(axis=1)))
    values = [kernel.discrepancy(*torch.tensor(pair)[..., None]).item() for pair in samples]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_roughness_hidden_in_the_increments_is_seen(walks):
    rng = np.random.default_rng(2)
    smooth = np.sin(np.linspace(0, 3, 40) + rng.uniform(0, 6, (400, 1)))
    noisy = smooth[:200] + rng.normal(0, 0.02, (200, 40))
    assert path_mmd(noisy, smooth[200:]) > 20 * abs(path_mmd(smooth[:200], smooth[200:]))


def test_gradients_agree_with_differences(walks):
    y = torch.tensor(walks[4:8, :4])
    kernel = PathKernel.of(torch.tensor(walks[:, :4]))
    x = torch.tensor(walks[:3, :4], requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: kernel.discrepancy(p, y), x)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((1, 5, 1)), None, "two members"),
        (np.ones((4, 5, 2)), None, "agree"),
        (np.ones((4, 8, 2)), np.ones((4, 8, 2)), "coincide"),
        (np.ones((4, 8, 2)), np.ones((1, 8, 2)), "two paths"),
        (np.zeros((0, 8, 2)), None, "shape"),
    ],
)
def test_bad_input_is_refused(walks, x, y, message):
    if message == "two members":
        x = walks[:1]
    with pytest.raises(InputError, match=message):
        path_mmd(x, walks if y is None else y)
