"""Kinds of channels: what values show, bounds that are given, maps that keep the order."""

import numpy as np
import pytest

from trajinfer import InputError
from trajinfer.data.channel_kinds import ChannelKinds


def of(*columns, **given):
    return ChannelKinds.of(np.column_stack(columns), **given)


def test_kinds_are_read_off_the_values(rng):
    n = 400
    rain = np.maximum(rng.normal(size=n), 0.0)
    cloud = np.clip(np.round(4 + 4 * rng.normal(size=n)), 0, 8)
    price = np.exp(rng.normal(size=n))
    count = rng.poisson(20.0, n).astype(float)
    kinds = of(rng.normal(size=n), rain, cloud, price, count, rng.integers(0, 2, n) * 5.0)
    assert kinds.names == (
        "real",
        "nonnegative",
        "whole bounded",
        "positive",
        "whole positive",
        "whole bounded",
    )
    assert kinds.bounds[:3] == ((None, None), (0.0, None), (0.0, 8.0))
    assert kinds.bounds[5] == (0.0, 5.0)


def test_few_values_show_no_bound():
    assert of(np.linspace(1.5, 2.5, 19)).bounds == ((None, None),)
    assert of(np.linspace(1.5, 2.5, 20)).bounds == ((0.0, None),)


def test_unobserved_values_count_for_nothing(rng):
    x = np.exp(rng.normal(size=60))
    with_holes = np.append(x, np.full(40, np.nan))
    assert of(with_holes).names == of(x).names == ("positive",)
    assert of(np.full(5, np.nan)).names == ("real",)


def test_a_positive_channel_is_squeezed_smoothly_above_its_bound(rng):
    x = np.exp(rng.normal(size=1000))
    kinds = of(x)
    margin = float(kinds.lower_margin[0])
    assert margin == pytest.approx(np.quantile(x, 0.01))
    asked = np.linspace(-3.0, 3.0, 4001)[:, None]
    moved = kinds.inside(asked)
    assert moved.min() > 0
    assert (np.diff(moved[:, 0]) > 0)[asked[1:, 0] > -10 * margin].all()
    above = asked > margin
    np.testing.assert_array_equal(moved[above], asked[above])
    # value and slope go on where the squeezing begins
    near = margin + 1e-6 * margin * np.array([[-1.0], [1.0]])
    assert np.diff(kinds.inside(near), axis=0).item() == pytest.approx(2e-6 * margin, rel=1e-4)


def test_a_bound_that_is_reached_is_a_wall_and_upper_bounds_are_as_lower_ones(rng):
    x = np.clip(rng.normal(size=200), -0.5, 1.0)
    kinds = of(x)
    assert kinds.bounds == ((-0.5, 1.0),)
    assert kinds.inside(np.array([[-7.0], [0.2], [7.0]])).ravel().tolist() == [-0.5, 0.2, 1.0]
    y = np.exp(rng.normal(size=200))
    mirrored = of(-y, channels=("y",), bounds={"y": (None, 0.0)})
    z = np.linspace(-1.0, 1.0, 50)[:, None]
    np.testing.assert_allclose(mirrored.inside(-z), -of(y).inside(z))


def test_whole_numbers_are_rounded_within_the_bounds(rng):
    kinds = of(rng.poisson(3.0, 300).astype(float))
    drawn = kinds.attainable(rng.normal(0, 5, (1000, 1)))
    assert (drawn == np.round(drawn)).all()
    assert drawn.min() == 0
    # means are not rounded
    assert kinds.inside(np.array([[3.4]])).item() == 3.4
    free = of(rng.integers(-9, 9, 300).astype(float))
    assert not np.signbit(free.attainable(np.array([[-0.3]])).item())


def test_given_bounds_are_kept_and_wrong_ones_refused(rng):
    x = rng.normal(size=50)
    assert of(x, channels=("a",), bounds={"a": (-9, None)}).bounds == ((-9.0, None),)
    for bounds, words in [
        ({"b": (0, 1)}, "the channels are a"),
        ({"a": (1, 1)}, "below the upper one"),
        ({"a": 3}, "pair"),
        ({"a": (0, None)}, "outside the bounds"),
    ]:
        with pytest.raises(InputError, match=words):
            of(x, channels=("a",), bounds=bounds)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_known_values_stay_where_they_are_near_either_bound(sign):
    """A channel bounded on one side, and a series far nearer to that bound than those seen."""
    seen = sign * np.random.default_rng(0).uniform(50, 500, (200, 1))
    bounds = (0.0, None) if sign > 0 else (None, 0.0)
    kinds = ChannelKinds.of(seen, ["x"], {"x": bounds})
    near = sign * np.array([[0.01], [0.02], [0.5]])
    assert (np.abs(kinds.inside(near)) > 10).all()
    reached = kinds.reaching(near.min(axis=0), near.max(axis=0))
    np.testing.assert_array_equal(reached.inside(near), near)
    beyond = reached.inside(-near)
    assert (sign * beyond > 0).all()
    unknown = kinds.reaching(np.array([np.nan]), np.array([np.nan]))
    np.testing.assert_array_equal(unknown.inside(near), kinds.inside(near))
