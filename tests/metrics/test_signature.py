import math
import sys

import numpy as np
import pytest
import torch

from trajinfer._core.errors import InputError, MissingExtra
from trajinfer.metrics import (
    expected_signature_discrepancy,
    expected_signature_distance,
    from_zero,
    lead_lag,
    scale_levels,
    signature_sizes,
    truncated_signature,
    with_time,
)

DEPTH = 4


@pytest.fixture
def paths():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 7, 2, generator=generator, dtype=torch.float64).cumsum(1) / 3


def as_tensors(signature, dim, depth):
    """Levels 0..depth as full tensors, for an independent tensor algebra in numpy."""
    parts = np.split(signature.numpy(), np.cumsum(signature_sizes(dim, depth))[:-1])
    return [np.ones(()), *(part.reshape((dim,) * k) for k, part in enumerate(parts, start=1))]


def product(a, b):
    return [sum(np.multiply.outer(a[j], b[k - j]) for j in range(k + 1)) for k in range(len(a))]


def levels_of(paths, depth=DEPTH):
    return [as_tensors(s, paths.shape[-1], depth) for s in truncated_signature(paths, depth)]


def assert_equal_levels(left, right, tolerance=1e-12):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)


def test_a_straight_line_has_the_exponential():
    v = torch.tensor([0.7, -1.2, 0.3], dtype=torch.float64)
    line = torch.stack([torch.zeros(3, dtype=torch.float64), 0.25 * v, v])[None]
    tensors = levels_of(line)[0]
    for k in range(1, DEPTH + 1):
        expected = np.ones(())
        for _ in range(k):
            expected = np.multiply.outer(expected, v.numpy())
        np.testing.assert_allclose(tensors[k], expected / math.factorial(k), atol=1e-14)


def test_the_area_of_a_circle_sits_at_level_two():
    angle = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
    circle = torch.stack([torch.cos(angle), torch.sin(angle)], dim=-1)[None]
    level_two = levels_of(circle, 2)[0][2]
    assert 0.5 * (level_two[0, 1] - level_two[1, 0]) == pytest.approx(math.pi, abs=1e-5)


def test_level_one_is_the_increment(paths):
    found = truncated_signature(paths, 3)[:, :2]
    torch.testing.assert_close(found, paths[:, -1] - paths[:, 0])


def test_pieces_are_joined_by_the_tensor_product(paths):
    whole = levels_of(paths)
    left, right = levels_of(paths[:, :4]), levels_of(paths[:, 3:])
    for all_of_it, first, second in zip(whole, left, right, strict=True):
        assert_equal_levels(all_of_it, product(first, second))


def test_the_path_run_backwards_is_the_inverse(paths):
    one = [np.ones(()), *(np.zeros((2,) * k) for k in range(1, DEPTH + 1))]
    for forward, back in zip(levels_of(paths), levels_of(paths.flip(1)), strict=True):
        assert_equal_levels(product(forward, back), one)


def test_words_multiply_by_shuffling(paths):
    for tensors in levels_of(paths):
        one, two, three = tensors[1], tensors[2], tensors[3]
        np.testing.assert_allclose(np.multiply.outer(one, one), two + two.T, atol=1e-12)
        # (i)(jk) = ijk + jik + jki
        left = np.multiply.outer(one, two)
        right = three + three.transpose(1, 0, 2) + three.transpose(2, 0, 1)
        np.testing.assert_allclose(left, right, atol=1e-12)


def test_speed_is_not_seen_until_time_is_a_channel(paths):
    slower = paths.repeat_interleave(3, dim=1)
    torch.testing.assert_close(truncated_signature(slower, 4), truncated_signature(paths, 4))
    ts = torch.linspace(0, 1, 7, dtype=torch.float64)
    timed = truncated_signature(with_time(paths, ts), 3)
    warped = truncated_signature(with_time(paths, ts**2), 3)
    assert (timed - warped).abs().max() > 1e-3


def test_the_start_is_not_seen_until_there_is_a_base_point(paths):
    shifted = paths + 2.0
    torch.testing.assert_close(truncated_signature(shifted, 3), truncated_signature(paths, 3))
    based = truncated_signature(from_zero(shifted), 1)
    torch.testing.assert_close(based, shifted[:, -1])


def test_lead_lag_area_is_the_quadratic_variation(paths):
    x = paths[..., :1]
    for tensors, path in zip(levels_of(lead_lag(x), 2), x, strict=True):
        area = tensors[2][0, 1] - tensors[2][1, 0]
        assert area == pytest.approx(path.diff(dim=0).square().sum().item(), abs=1e-12)


def test_gradients_agree_with_differences(paths):
    x = paths[:2, :4].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: truncated_signature(p, 4), x)


def test_level_weights_are_factorials():
    ones = torch.ones(2 + 4 + 8)
    assert scale_levels(ones, 2, 3, 1.0).tolist() == [1.0] * 2 + [2.0] * 4 + [6.0] * 8
    assert scale_levels(ones, 2, 3, 0.0).tolist() == [1.0] * 14


def test_distance_of_means_is_the_published_formula(paths):
    x, y = paths[:3], paths[3:]
    mean = [truncated_signature(p, 3).mean(0) for p in (x, y)]
    expected = (mean[0] - mean[1]).square().sum().sqrt()
    torch.testing.assert_close(expected_signature_distance(x, y, 3), expected)


def test_the_discrepancy_is_unbiased_where_the_distance_is_not():
    generator = torch.Generator().manual_seed(1)
    walks = torch.randn(200, 40, 6, 1, generator=generator, dtype=torch.float64).cumsum(2) / 2
    ts = torch.linspace(0, 1, 6, dtype=torch.float64)
    values = [
        (
            expected_signature_discrepancy(*pair, 3).item(),
            expected_signature_distance(*pair, 3).item() ** 2,
        )
        for pair in (with_time(w, ts).split(20) for w in walks)
    ]
    unbiased, plug_in = np.array(values).T
    error = unbiased.std() / np.sqrt(len(unbiased))
    assert abs(unbiased.mean()) < 3 * error
    assert plug_in.mean() > 10 * plug_in.std() / np.sqrt(len(plug_in))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: truncated_signature(x[:, :1], 2), "two points"),
        (lambda x: truncated_signature(x, 0), "depth"),
        (lambda x: truncated_signature(x[0], 2), "shape"),
        (lambda x: with_time(x, torch.zeros(3)), "ts must be"),
        (lambda x: expected_signature_discrepancy(x[:1], x, 2), "two members"),
    ],
)
def test_bad_input_is_refused(paths, call, message):
    with pytest.raises(InputError, match=message):
        call(paths)


def test_the_accelerator_agrees(paths):
    pytest.importorskip("pysiglib", reason="pysiglib is not installed")
    slopes = []
    for engine in ("torch", "pysiglib"):
        x = paths.clone().requires_grad_(True)
        found = truncated_signature(x, 5, engine=engine)
        torch.testing.assert_close(found, truncated_signature(paths, 5), rtol=0, atol=1e-12)
        slopes.append(torch.autograd.grad(found.square().sum(), x)[0])
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)


def test_an_engine_that_is_not_installed_is_named(paths, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysiglib", None)
    with pytest.raises(MissingExtra, match="sig"):
        truncated_signature(paths, 2, engine="pysiglib")
