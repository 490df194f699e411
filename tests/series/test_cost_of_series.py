"""Cost follows the number of observations: counted in steps and elements, never in time."""

import numpy as np
import pytest
import torch

from trajinfer import IrregularSeries, NeuralSDEClassifier, NeuralSDERegressor
from trajinfer.data.grouping import in_groups, similar_lengths
from trajinfer.filling.linear_prior import PriorFamily, fit_prior, pool_of
from trajinfer.filling.linear_smoother import left_out, smooth
from trajinfer.filling.tracks import Tracks
from trajinfer.series.experts import convolutions
from trajinfer.series.network import Shape
from trajinfer.series.series_batch import Scaling
from trajinfer.series.series_rows import SeriesRows
from trajinfer.series.step_grid import step_grid


def ragged(lengths, seed=0):
    rng = np.random.default_rng(seed)
    times = [np.sort(rng.uniform(0, n, n)) for n in lengths]
    values = [rng.normal(size=(n, 2)) for n in lengths]
    return IrregularSeries.from_arrays(times, values, labels=np.arange(len(lengths)) % 2)


@pytest.mark.parametrize("span", [10.0, 300.0])
def test_a_span_far_beyond_the_others_takes_at_most_twice_their_steps(span):
    times = np.sort(np.random.default_rng(0).uniform(0, 1, (100, 10)), axis=1)
    times[0] *= span
    series = IrregularSeries.from_arrays(times, np.sin(times))
    rows = SeriesRows.of(series, Scaling.on_one_axis(series))
    shape = Shape.of(rows.batches(), per_span=20)
    batch = rows.rows(np.arange(100))
    grid = step_grid(batch.times[:, 0], batch.end, None, shape.step, shape.most_steps)
    assert grid.times.shape[1] <= 41
    assert torch.equal(grid.times[:, -1], batch.end)
    # a step that the user gives is kept
    assert Shape.of(rows.batches(), step=0.001).most_steps is None


def test_steps_stay_short_enough_beyond_the_times_of_training():
    end = torch.tensor([1.0, 30.0], dtype=torch.float64)
    grid = step_grid(torch.zeros(2, dtype=torch.float64), end, None, 0.001, 20)
    assert float(grid.times.diff(dim=1).max()) <= 1 / 40 + 1e-12


def test_groups_hold_every_series_once_and_pad_at_most_threefold():
    lengths = np.random.default_rng(0).permutation([3] * 700 + [20] * 30 + [900])
    groups = similar_lengths(lengths)
    assert np.array_equal(np.sort(np.concatenate(groups)), np.arange(len(lengths)))
    assert all(len(g) * lengths[g].max() <= 3 * lengths[g].sum() for g in groups)
    assert max(map(len, groups)) <= 512
    # series that differ little stay together
    assert len(similar_lengths(np.arange(14, 60))) == 1


def test_answers_in_groups_come_in_the_order_of_the_series():
    series = ragged([3, 80, 5, 700, 4])
    means = in_groups(series, lambda part: np.nanmean(part.values, axis=1))
    np.testing.assert_allclose(means, np.nanmean(series.values, axis=1))


def test_rows_are_those_of_a_padded_batch():
    series = ragged([5, 2, 9])
    scaling = Scaling.on_one_axis(series)
    rows, whole = SeriesRows.of(series, scaling), scaling.batch(series)
    index = torch.tensor([2, 1])
    one, other = rows.rows(index), whole.rows(index)
    for name in ("times", "values", "statics", "end"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), equal_nan=True)


@pytest.mark.parametrize(
    "kind",
    # the rows are those of one base class
    [NeuralSDEClassifier, pytest.param(NeuralSDERegressor, marks=pytest.mark.slow)],
)
def test_a_long_series_is_padded_beside_none_of_the_others(kind, monkeypatch):
    """Elements that networks and experts see in a fit and an answer, long series and without."""
    sizes = []
    rows, made = SeriesRows.rows, convolutions.resampled

    def counted(self, index):
        batch = rows(self, index)
        sizes.append(batch.values.numel())
        return batch

    def counted_values(series, n_points, *window):
        sizes.append(series.values.size + len(series) * n_points)
        return made(series, n_points, *window)

    monkeypatch.setattr(SeriesRows, "rows", counted)
    monkeypatch.setattr(convolutions, "resampled", counted_values)
    totals = []
    for lengths in ([10] * 40, [10] * 39 + [400]):
        series = ragged(lengths)
        sizes.clear()
        model = kind(hidden=4, max_epochs=1, n_samples=1, random_state=0).fit(series)
        model.predict(series)
        totals.append(sum(sizes))
    # the second has twice the observations; padded together it would have forty times
    assert totals[1] <= 4 * totals[0]


def test_a_grid_of_convolutions_follows_the_mean_length():
    assert convolutions.Convolutions.of(ragged([10] * 30 + [3000]), 84, 0).grid <= 220
    assert convolutions.Convolutions.of(ragged([12] * 30 + [17]), 84, 0).grid == 17


def test_the_filter_is_the_gaussian_process(rng):
    # tracks of different lengths and kinds, one with a hole, are filtered side by side
    times, weights = np.sort(rng.uniform(0, 9, (4, 40))), rng.uniform(0.5, 2, (4, 40))
    values = 3 + np.sin(2 * times) + 0.2 * rng.normal(size=times.shape)
    values[1, 3:] = np.nan
    values[2, 10:14] = np.nan
    values[3] = rng.normal(size=40).cumsum()
    asked = np.concatenate([times[:, :2], rng.uniform(-1, 10, (4, 20))], axis=1)
    tracks = Tracks.of(times, values, weights)
    alone = PriorFamily()
    law, others, prior = (
        smooth(tracks, asked, alone),
        left_out(tracks, alone),
        fit_prior(tracks, alone),
    )
    assert prior.smoothness[0] == 1
    assert prior.smoothness[3] == 0
    together = PriorFamily(pool_of([tracks], 2))
    pooled = (
        smooth(tracks, asked, together),
        left_out(tracks, together),
        fit_prior(tracks, together),
    )
    assert (pooled[2].certainty > 0).all()
    center = np.tile(together.pool.center, 2)
    for m, known in enumerate(~np.isnan(values)):
        own = (times[m, known], values[m, known], weights[m, known])
        for (at, left, found), outer in (((law, others, prior), 0.0), (pooled, center[m])):
            n = len(own[0])
            place = np.concatenate([at.mean[m], at.std[m], left.mean[m, :n], left.std[m, :n]])
            rest = [getattr(found, name)[m] for name in ("rate", "smoothness", "ratio", "scale")]
            mean = (outer, found.certainty[m], found.center[m])
            np.testing.assert_allclose(place, kriging(*own, asked[m], *rest, *mean), atol=1e-6)


def kriging(
    times, values, weights, asked, rate, smoothness, ratio, scale, outer, certainty, center
):
    """Means and deviations at `asked`, then those of every observation given the others."""

    def law(known, at, noise):
        cross = matern(at, times[known], rate, smoothness)
        inner = matern(times[known], times[known], rate, smoothness)
        inverse = np.linalg.inv(inner + np.diag(ratio * weights[known] + 1e-9))
        total = inverse.sum() + certainty
        level = (inverse.sum(0) @ values[known] + certainty * outer) / total
        variance = 1 - np.einsum("qn,nm,qm->q", cross, inverse, cross) + ratio * noise
        variance += (1 - cross @ inverse.sum(1)) ** 2 / total
        return level + cross @ inverse @ (values[known] - level), np.sqrt(scale * variance), level

    whole = np.ones(len(times), dtype=bool)
    total = law(whole, asked, 1.0)
    assert total[2] == pytest.approx(center)
    single = [law(np.arange(len(times)) != i, times[[i]], weights[i]) for i in range(len(times))]
    others = (np.concatenate(part) for part in list(zip(*single))[:2])
    return np.concatenate([*total[:2], *others])


def matern(a, b, rate, smoothness):
    gaps = np.abs(a[:, None] - b) * rate
    return (1 + smoothness * gaps) * np.exp(-gaps)


def test_a_channel_with_fewer_than_three_observations_has_their_mean_and_spread():
    values = np.array([[np.nan, 2.0, np.nan, 6.0], [np.nan, np.nan, 3.0, np.nan], [np.nan] * 4])
    tracks = Tracks.of(np.tile(np.arange(4.0), (3, 1)), values, np.ones((3, 4)))
    alone = PriorFamily()
    law, others = smooth(tracks, np.full((3, 1), 2.5), alone), left_out(tracks, alone)
    np.testing.assert_array_equal(law.mean[:, 0], [4.0, 3.0, 0.0])
    np.testing.assert_array_equal(law.std[:, 0], [2.0, 1.0, 1.0])
    np.testing.assert_array_equal(others.mean[0], [6.0, 2.0])


def test_many_observations_are_smoothed_step_by_step(rng):
    n = 4000
    times = np.arange(float(n))[None]
    values = np.sin(times / 50) + 0.1 * rng.normal(size=(1, n))
    law = smooth(Tracks.of(times, values, np.ones((1, n))), times, PriorFamily())
    assert np.sqrt(np.mean((law.mean - np.sin(times / 50)) ** 2)) < 0.06
    assert law.std.mean() == pytest.approx(0.1, rel=0.15)
