"""Channels near bounds: shares, percentages, what is never negative, never zero, or clipped."""

import numpy as np
import pytest

from trajinfer import DirectedChainGenerator, IrregularSeries
from trajinfer.generation.schema import ChannelSchema

N, T = 120, 12


def reverting(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=N)]
    for _ in range(T - 1):
        rows.append(0.9 * rows[-1] + np.sqrt(0.19) * rng.normal(size=N))
    return np.stack(rows, axis=1)


def logistic(x):
    return 1 / (1 + np.exp(-x))


CHANNELS = {
    "share": logistic(2 * reverting(0)),
    "percent": 100 * logistic(1.5 * reverting(1) + 1),
    "clipped": np.clip(0.5 + 0.4 * reverting(2), 0, 1),
    "never negative": np.abs(2.5 + reverting(3)),
    "tenths": np.maximum(np.round(2 + reverting(4), 1), 0.1),
    "count from one": 1.0 + np.random.default_rng(5).poisson(6.0, (N, T)),
    "whole percent": np.round(100 * logistic(2 * reverting(6))),
}


@pytest.fixture(scope="module")
def draws():
    series = IrregularSeries.from_arrays(
        np.arange(float(T)), np.stack(list(CHANNELS.values()), axis=-1), channels=list(CHANNELS)
    )
    return DirectedChainGenerator(random_state=0).fit(series).sample(400).values


@pytest.mark.parametrize("name", list(CHANNELS))
def test_bounds_are_reached_by_draws_only_where_values_reach_them(draws, name):
    real, drawn = CHANNELS[name], draws[..., list(CHANNELS).index(name)]
    top = {"share": 1.0, "clipped": 1.0, "percent": 100.0, "whole percent": 100.0}.get(name, np.inf)
    assert drawn.min() >= 0
    assert drawn.max() <= top
    for bound in (0.0, top):
        shares = [(part == bound).mean() for part in (real, drawn)]
        assert (shares[1] > 0) == (shares[0] > 0)
        assert shares[1] == pytest.approx(shares[0], abs=0.04)  # 3 s.e. of 120 series
    assert drawn.std() == pytest.approx(real.std(), rel=0.15)


@pytest.mark.parametrize("transform", ["auto", "rows"])
def test_a_single_channel_at_its_bounds_stays_there(transform):
    series = IrregularSeries.from_arrays(np.arange(float(T)), CHANNELS["clipped"][..., None])
    drawn = DirectedChainGenerator(random_state=0, transform=transform).fit(series).sample(200)
    assert drawn.values.min() == 0
    assert drawn.values.max() == 1


def test_bounds_that_are_given_are_not_reached_where_no_value_is_there():
    x = reverting(7)
    low, high = float(x.min()) - 0.1, float(x.max()) + 0.1
    series = IrregularSeries.from_arrays(np.arange(float(T)), x[..., None], channels=["x"])
    fitted = DirectedChainGenerator(bounds={"x": (low, high)}, random_state=0).fit(series)
    drawn = fitted.sample(400).values
    assert low < drawn.min()
    assert drawn.max() < high


@pytest.mark.parametrize("name", list(CHANNELS))
def test_maps_of_channels_are_inverse_and_know_their_slope(name):
    values = CHANNELS[name]
    kind = ChannelSchema.of(list(values))
    np.testing.assert_allclose(kind.inverse(kind.forward(values)), values, atol=1e-9)
    inside = values[(values > 0) & (values < kind.high)]
    step = 1e-6 * inside
    moved = (kind.forward(inside + step / 2) - kind.forward(inside - step / 2)) / step
    # where a map joins another, half of the step lies on either side
    assert np.quantile(np.abs(np.log(moved) - kind.log_slope(inside)), 0.99) < 1e-4
