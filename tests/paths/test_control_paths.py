"""Control paths against torchcde, against closed forms, and what must not change them."""

import numpy as np
import pytest
import torch
import torchcde
from scipy.interpolate import CubicSpline

from trajinfer._core.errors import InputError
from trajinfer.paths import (
    carried,
    control_path,
    elapsed,
    filled,
    hermite_path,
    intensity,
    linear_path,
    natural_cubic_path,
    rectilinear_path,
)
from trajinfer.paths.natural_cubic import solve_tridiagonal

SCHEMES = ["natural_cubic", "hermite", "linear", "rectilinear"]


@pytest.fixture
def batch(rng):
    """Five series of 12 times of their own, three channels, 40 % missing, one channel unseen."""
    times = np.sort(rng.uniform(0, 10, size=(5, 12)), axis=1)
    values = rng.normal(size=(5, 12, 3))
    values[rng.random(values.shape) < 0.4] = np.nan
    values[0, 0, 1] = values[0, -2:, 2] = np.nan
    values[1, :, 0] = np.nan
    return torch.as_tensor(times), torch.as_tensor(values)


def inside(times, n, rng):
    return times[:, :1] + (times[:, -1:] - times[:, :1]) * torch.as_tensor(
        rng.random((len(times), n))
    )


@pytest.mark.parametrize(
    ("ours", "coefficients", "theirs"),
    [
        (natural_cubic_path, torchcde.natural_cubic_coeffs, torchcde.CubicSpline),
        (
            hermite_path,
            torchcde.hermite_cubic_coefficients_with_backward_differences,
            torchcde.CubicSpline,
        ),
        (linear_path, torchcde.linear_interpolation_coeffs, torchcde.LinearInterpolation),
    ],
)
def test_equals_torchcde(ours, coefficients, theirs, batch, rng):
    times, values = batch
    if ours is natural_cubic_path:
        values = values.nan_to_num()  # holes: see the splines of scipy below
    queries = inside(times, 40, rng)
    path = ours(times, values)
    found, slope = path.evaluate(queries), path.derivative(queries)
    for i, t in enumerate(times):
        data = values[i].clone()
        data[:, data.isnan().all(dim=0)] = 0.0
        oracle = theirs(coefficients(data, t), t)
        expected = torch.stack([oracle.evaluate(q) for q in queries[i]])
        expected_slope = torch.stack([oracle.derivative(q) for q in queries[i]])
        torch.testing.assert_close(found[i], expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(slope[i], expected_slope, rtol=1e-8, atol=1e-8)


def test_natural_cubic_equals_the_splines_of_scipy_through_each_channel(batch, rng):
    times, values = batch
    queries = inside(times, 40, rng)
    path = natural_cubic_path(times, values)
    found, slope = path.evaluate(queries).numpy(), path.derivative(queries).numpy()
    for i, channel in np.ndindex(5, 3):
        data = values[i, :, channel].numpy().copy()
        seen = np.flatnonzero(~np.isnan(data))
        if not len(seen):
            continue
        data[0], data[-1] = data[seen[0]], data[seen[-1]]
        keep = ~np.isnan(data)
        oracle = CubicSpline(times[i].numpy()[keep], data[keep], bc_type="natural")
        np.testing.assert_allclose(found[i, :, channel], oracle(queries[i]), atol=1e-9)
        np.testing.assert_allclose(slope[i, :, channel], oracle(queries[i], 1), atol=1e-8)


def test_rectilinear_has_the_knots_of_torchcde(batch):
    times, values = batch
    values = torch.where(values[:, :1].isnan() & (torch.arange(12) == 0)[:, None], 0.0, values)
    oracle = torchcde.linear_interpolation_coeffs(
        torch.cat([times[:, :, None], values], dim=2), rectilinear=0
    )
    path = rectilinear_path(times, values, clock=times)
    middles = (times[:, 1:] + times[:, :-1]) / 2
    torch.testing.assert_close(path.evaluate(times), oracle[:, ::2])
    torch.testing.assert_close(path.evaluate(middles), oracle[:, 1::2])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_meets_the_observations(scheme, batch):
    times, values = batch
    found = control_path(scheme)(times, values).evaluate(times)
    seen = ~values.isnan()
    torch.testing.assert_close(found[seen], values[seen], rtol=1e-10, atol=1e-10)
    assert bool((found[1, :, 0] == 0).all()), "a channel that was never seen is 0"


@pytest.mark.parametrize(
    ("scheme", "order"), [("natural_cubic", 2), ("hermite", 1), ("linear", 0), ("rectilinear", 0)]
)
def test_is_as_smooth_as_promised(scheme, order, batch):
    times, values = batch
    path = control_path(scheme)(times, values)
    knots, pieces = path.knots, path.coefficients
    h = knots.diff(dim=1)[:, :-1, None]
    factor = torch.ones(pieces.shape[2], dtype=torch.float64)
    for derivative in range(order + 1):
        powers = torch.arange(pieces.shape[2])
        left = sum(
            factor[p] * pieces[:, :-1, p] * h ** (p - derivative)
            for p in range(derivative, pieces.shape[2])
        )
        right = factor[derivative] * pieces[:, 1:, derivative]
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-9)
        factor = factor * (powers - derivative)


def test_natural_ends_have_no_curvature(batch):
    times, values = batch
    path = natural_cubic_path(times, values.nan_to_num())
    h = times.diff(dim=1)[:, -1, None]
    end = 2 * path.coefficients[:, -1, 2] + 6 * h * path.coefficients[:, -1, 3]
    assert path.coefficients[:, 0, 2].abs().max() < 1e-12
    assert end.abs().max() < 1e-9


@pytest.mark.parametrize("scheme", SCHEMES)
def test_slope_is_the_derivative_of_the_value(scheme, batch, rng):
    times, values = batch
    path = control_path(scheme)(times, values, clock=times)
    knots = path.knots
    t = (knots[:, :-1] + knots[:, 1:]) / 2 + 0.1 * knots.diff(dim=1)
    step = 1e-4 * knots.diff(dim=1)
    numeric = (path.evaluate(t + step) - path.evaluate(t - step)) / (2 * step[:, :, None])
    scale = path.derivative(t).abs().max()
    assert (numeric - path.derivative(t)).abs().max() < 1e-6 * scale


@pytest.mark.parametrize("scheme", SCHEMES)
def test_padding_is_inert(scheme, batch, rng):
    times, values = batch
    long_times = torch.cat([times, times[:, -1:].expand(-1, 4)], dim=1)
    long_values = torch.cat([values, torch.full((5, 4, 3), torch.nan, dtype=values.dtype)], dim=1)
    short = control_path(scheme)(times, values, clock=times)
    padded = control_path(scheme)(long_times, long_values, clock=long_times)
    t = torch.cat([inside(times, 30, rng), times[:, -1:]], dim=1)
    torch.testing.assert_close(short.evaluate(t), padded.evaluate(t), rtol=0, atol=1e-12)
    torch.testing.assert_close(short.derivative(t), padded.derivative(t), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_the_mask_hides_does_not_matter(scheme, batch, rng):
    times, values = batch
    mask = ~values.isnan()
    t = inside(times, 20, rng)
    expected = control_path(scheme)(times, values).evaluate(t)
    spoiled = torch.where(mask, values, 1e6)
    assert torch.equal(control_path(scheme)(times, spoiled, mask).evaluate(t), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_series_stands_alone(scheme, batch, rng):
    times, values = batch
    t = inside(times, 20, rng)
    together = control_path(scheme)(times, values).evaluate(t)
    for i in range(len(times)):
        alone = control_path(scheme)(times[i : i + 1], values[i : i + 1])
        torch.testing.assert_close(alone.evaluate(t[i : i + 1])[0], together[i])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_flag_tells_whether_the_future_is_used(scheme, batch):
    times, values = batch
    cut = 6
    later = values.clone()
    later[:, cut + 1 :] = later[:, cut + 1 :] + 5.0
    first, second = (control_path(scheme)(times, v) for v in (values, later))
    t = times[:, : cut + 1]
    same = torch.equal(first.evaluate(t), second.evaluate(t))
    assert same == first.causal == (scheme == "rectilinear")


def test_rectilinear_read_at_the_elapsed_time_knows_nothing_later(batch, rng):
    times, values = batch
    t = inside(times[:, :7], 30, rng)
    later = values.clone()
    later[:, 7:] = 99.0
    first, second = (rectilinear_path(times, v, clock=times) for v in (values, later))
    read = elapsed(times, t)
    assert torch.equal(first.evaluate(read), second.evaluate(read))
    torch.testing.assert_close(first.evaluate(read)[:, :, 0], t)
    held = carried(values)
    newest = torch.searchsorted(times, t, right=True) - 1
    expected = held.gather(1, newest[:, :, None].expand(-1, -1, 3))
    torch.testing.assert_close(first.evaluate(read)[:, :, 1:], expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_observation_gives_a_constant(scheme):
    path = control_path(scheme)(torch.tensor([[2.0]]), torch.tensor([[[3.0, torch.nan]]]))
    assert path.evaluate(torch.tensor([2.0])).tolist() == [[[3.0, 0.0]]]
    assert path.derivative(torch.tensor(2.0)).tolist() == [[0.0, 0.0]]
    assert path.held().evaluate(torch.tensor([-5.0, 9.0])).tolist() == [[[3.0, 0.0]] * 2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_outside_raises_unless_held(scheme, batch):
    times, values = batch
    path = control_path(scheme)(times, values)
    beyond = times[:, -1:] + 1.0
    with pytest.raises(InputError, match=r"lies outside .* series 0 .*held"):
        path.evaluate(beyond)
    with pytest.raises(InputError, match="lies outside"):
        path.derivative(torch.tensor(torch.nan))
    held = path.held()
    torch.testing.assert_close(held.evaluate(beyond), path.evaluate(times[:, -1:]))
    assert bool((held.derivative(torch.cat([beyond, times[:, :1] - 1], dim=1)) == 0).all())
    torch.testing.assert_close(held.derivative(times[:, 3:4]), path.derivative(times[:, 3:4]))


def test_shapes_follow_the_question(batch):
    times, values = batch
    path = linear_path(times, values).held()
    assert path.evaluate(torch.tensor(1.0)).shape == (5, 3)
    assert path.evaluate(torch.tensor([1.0, 2.0])).shape == (5, 2, 3)
    assert path.evaluate(torch.ones(5, 7)).shape == (5, 7, 3)
    with pytest.raises(InputError, match="must be"):
        path.evaluate(torch.ones(4, 7))


def test_gradients_reach_the_observations(batch):
    times, values = batch
    for scheme in SCHEMES:
        data = values.nan_to_num().requires_grad_()
        control_path(scheme)(times, data).evaluate(times).sum().backward()
        torch.testing.assert_close(data.grad, torch.ones_like(data), rtol=1e-8, atol=1e-8)


def test_filling_is_linear_between_and_constant_outside():
    times = torch.tensor([[0.0, 1.0, 3.0, 4.0, 5.0]])
    values = torch.tensor([[torch.nan, 2.0, torch.nan, 5.0, torch.nan]])[:, :, None]
    assert filled(times, values)[0, :, 0].tolist() == [2.0, 2.0, 4.0, 5.0, 5.0]
    assert carried(values)[0, :, 0].tolist() == [0.0, 2.0, 2.0, 5.0, 5.0]


def test_intensity_counts_what_was_seen():
    mask = torch.tensor([[[True, False], [True, True], [False, True]]])
    assert intensity(mask, 2.0).tolist() == [[[0.5, 0.0], [1.0, 0.5], [1.0, 1.0]]]


@pytest.mark.parametrize("n", [1, 2, 3, 8, 37])
def test_tridiagonal_systems(n, rng):
    lower, upper, right = (torch.as_tensor(rng.normal(size=(4, n))) for _ in range(3))
    lower[:, 0] = upper[:, -1] = 0.0
    diagonal = 1.0 + lower.abs() + upper.abs()
    dense = torch.diag_embed(diagonal)
    dense = dense + torch.diag_embed(lower[:, 1:], -1) + torch.diag_embed(upper[:, :-1], 1)
    expected = torch.linalg.solve(dense, right)
    torch.testing.assert_close(solve_tridiagonal(lower, diagonal, upper, right), expected)


def test_what_cannot_be_a_path():
    with pytest.raises(InputError, match="did you mean 'hermite'"):
        control_path("hermit")
    with pytest.raises(InputError, match=r"\(B, T, C\)"):
        linear_path(torch.zeros(2, 3), torch.zeros(2, 4, 1))
    with pytest.raises(InputError, match="must not decrease"):
        linear_path(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2, 1))
