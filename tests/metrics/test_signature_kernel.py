import math

import numpy as np
import pytest
import torch
from scipy.special import iv

from trajinfer._core.errors import InputError
from trajinfer.metrics import (
    SignatureKernel,
    signature_kernel,
    signature_mmd,
    truncated_signature,
)


@pytest.fixture
def paths():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 6, 2, generator=generator, dtype=torch.float64).cumsum(1) / 10


def test_two_straight_lines_have_a_bessel_function():
    # The equation with constant z has the solution I_0(2 sqrt(z)), the sum of z^k / (k!)^2.
    v, w = torch.tensor([0.9, 0.2]).double(), torch.tensor([0.5, -0.4]).double()
    lines = [torch.stack([torch.zeros(2).double(), u])[None] for u in (v, w)]
    z = float(v @ w)
    truth = iv(0, 2 * math.sqrt(z))
    errors = [SignatureKernel(dyadic_order=k).gram(*lines).item() - truth for k in (5, 6)]
    assert abs(errors[1]) < 1e-6
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)


def test_the_kernel_is_the_inner_product_of_deep_signatures(paths):
    deep = truncated_signature(paths, 12)
    truth = 1 + deep @ deep.T
    errors = [
        (SignatureKernel(dyadic_order=order).gram(paths, paths) - truth).abs().max().item()
        for order in (0, 2, 4)
    ]
    assert errors[2] < 1e-6
    # Second order in the step: every halving divides the error by four, two of them by sixteen.
    assert 12 < errors[1] / errors[2] < 18
    assert errors[0] > errors[1] > errors[2]


def test_paths_of_different_lengths_and_repeated_points(paths):
    kernel = SignatureKernel(0.8, dyadic_order=1)
    padded = torch.cat([paths, paths[:, -1:].expand(-1, 3, -1)], dim=1)
    torch.testing.assert_close(kernel.gram(padded, paths), kernel.gram(paths, paths))
    rows = kernel.gram(paths[:, :3], paths)
    torch.testing.assert_close(kernel.gram(paths, paths[:, :3]).T, rows)


def test_the_lifted_kernel_ignores_the_units_of_the_state(paths):
    one = SignatureKernel.of(paths).gram(paths, paths)
    torch.testing.assert_close(SignatureKernel.of(5 * paths).gram(5 * paths, 5 * paths), one)
    assert torch.linalg.eigvalsh(one).min() > -1e-10


@pytest.mark.parametrize("bandwidth", [None, 1.3])
@pytest.mark.parametrize("order", [0, 1])
def test_gradients_agree_with_differences(paths, bandwidth, order):
    kernel = SignatureKernel(bandwidth, dyadic_order=order)
    x, y = paths[:3, :4].clone().requires_grad_(True), paths[3:, :5].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(kernel.gram, (x, y))


def test_one_step_on_either_side(paths):
    kernel = SignatureKernel()
    x = paths[:2, :2].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: kernel.gram(p, paths[:2]), x)
    assert torch.autograd.gradcheck(lambda p: kernel.gram(paths[:2], p), x)


def test_blocks_change_nothing(paths, monkeypatch):
    kernel, x = SignatureKernel(1.0), paths.clone().requires_grad_(True)
    whole = kernel.gram(x, paths)
    (slope,) = torch.autograd.grad(whole.sum(), x)
    monkeypatch.setattr(signature_kernel, "_BLOCK", 60)
    again = kernel.gram(x, paths)
    torch.testing.assert_close(again, whole)
    torch.testing.assert_close(torch.autograd.grad(again.sum(), x)[0], slope)


def test_mmd_is_small_for_one_law_and_large_for_two():
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(5, 2, 40, 12)).cumsum(axis=-1)
    same = [signature_mmd(x, y) for x, y in walks]
    rougher = [signature_mmd(1.6 * x, y) for x, y in walks]
    assert abs(np.mean(same)) < 3 * np.std(same)
    assert min(rougher) > max(same)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: SignatureKernel(0.0), "bandwidth"),
        (lambda x: SignatureKernel(dyadic_order=-1), "dyadic_order"),
        (lambda x: SignatureKernel(engine="fast"), "engine"),
        (lambda x: SignatureKernel().gram(x, x[..., :1]), "shape"),
        (lambda x: SignatureKernel().gram(x[:, :1], x), "two points"),
        (lambda x: SignatureKernel.of(torch.zeros_like(x)), "coincide"),
        (lambda x: signature_mmd(x.numpy()[:1], x.numpy()), "two members"),
        (lambda x: signature_mmd(np.full((3, 4), np.nan), x.numpy()), "finite"),
        (lambda x: signature_mmd(np.ones(4), x.numpy()), "paths"),
    ],
)
def test_bad_input_is_refused(paths, call, message):
    with pytest.raises(InputError, match=message):
        call(paths)


@pytest.mark.parametrize("bandwidth", [None, 1.3])
def test_the_accelerator_agrees(paths, bandwidth):
    pytest.importorskip("pysiglib", reason="pysiglib is not installed")
    own, other = (SignatureKernel(bandwidth, 1, engine) for engine in ("torch", "pysiglib"))
    slopes = []
    for kernel in (own, other):
        x = paths.clone().requires_grad_(True)
        slopes.append(torch.autograd.grad(kernel.gram(x, paths).square().sum(), x)[0])
    torch.testing.assert_close(own.gram(paths, paths), other.gram(paths, paths), rtol=0, atol=1e-12)
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bandwidth", [None, 0.8])
def test_single_precision_is_kept_and_near_enough_far_from_the_origin(paths, bandwidth):
    kernel = SignatureKernel(bandwidth)
    truth = kernel.gram(paths, paths)
    far = (paths + 500).float()
    gram = kernel.gram(far, far)
    assert gram.dtype == torch.float32
    # rounding of the points themselves: 500 * 6e-8 = 3e-5
    torch.testing.assert_close(gram.double(), truth, atol=1e-3, rtol=0)
    assert kernel.gram(far, paths + 500).dtype == torch.float64


@pytest.mark.parametrize("bandwidth", [None, 2.0])
def test_pairs_of_one_sample_are_those_of_two_equal_ones(bandwidth):
    """More paths than a block of rows holds; each pair of one sample is computed once."""
    paths = torch.as_tensor(np.random.default_rng(0).normal(size=(70, 5, 2)).cumsum(axis=1)) / 4
    kernel = SignatureKernel(bandwidth)
    gram = kernel.gram(paths, paths)
    torch.testing.assert_close(gram, kernel.gram(paths, paths.clone()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gram, gram.T, rtol=1e-12, atol=1e-12)
