"""Series: the law in closed form against known answers, what a network adds, every question."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from trajinfer import ExtrapolationWarning, InputError, IrregularSeries
from trajinfer.scores import LinearObservation, Reward, ScoreSeries
from trajinfer.scores.knot_law import reach_of
from trajinfer.scores.series_examples import SeriesExamples, SeriesLaw, hidden_from
from trajinfer.scores.series_network import SeriesNetwork

TIMES = np.arange(8.0)


def walks(n, seed, channels=2):
    """Random walks with steps of variance one."""
    return np.random.default_rng(seed).normal(size=(n, 8, channels)).cumsum(axis=1)


@pytest.fixture(scope="module")
def series():
    return IrregularSeries.from_arrays(TIMES, walks(800, 0))


@pytest.fixture(scope="module")
def closed(series):
    return ScoreSeries("mixture", n_components=1, random_state=0).fit(series)


@pytest.fixture(scope="module")
def irregular():
    """Walks of which 40 % of the values are missing."""
    return IrregularSeries.from_arrays(TIMES, walks(300, 1)).drop_observations(0.4, 0)


@pytest.fixture(scope="module")
def with_holes(irregular):
    return ScoreSeries("mixture", random_state=0).fit(irregular)


def two_kinds(n, seed):
    """Rising or falling lines with noise, half each: at the middle nothing is known."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], n)[:, None, None]
    return sign * np.linspace(0, 2, 8)[None, :, None] + 0.2 * rng.normal(size=(n, 8, 1))


@pytest.fixture(scope="module")
def network():
    """A network that was hardly trained, with a correction that is small and not zero."""
    settings = {"hidden": 8, "layers": 1, "max_epochs": 1, "n_components": 1, "n_evaluations": 4}
    lines = IrregularSeries.from_arrays(TIMES, two_kinds(60, 0))
    model = ScoreSeries("network", random_state=0, **settings).fit(lines)
    made = SeriesNetwork(1, 8, 1, seed=0).eval()
    torch.nn.init.normal_(made.last.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    model.model_ = replace(model.model_, network=made)
    return model


def test_forecasts_of_walks_are_those_of_brownian_motion(closed, series):
    """Mean the last value, variance one per step, within four standard errors of the fit."""
    past = series[:5].until(4.0)
    drawn = closed.forecast(past, [5.0, 7.0], n=2000, random_state=1).samples
    last = past.values[:, 4]
    assert drawn.mean(axis=1) == pytest.approx(np.stack([last, last], 1), abs=0.5)
    assert drawn.var(axis=1) == pytest.approx(
        np.broadcast_to(np.array([1.0, 3.0])[:, None], (5, 2, 2)), rel=0.25
    )


def test_paths_are_coherent(closed, series):
    """Two values of one path differ as steps do, not as two draws of their own."""
    drawn = closed.forecast(series[:1].until(4.0), [6.0, 7.0], n=2000, random_state=1).samples
    step = drawn[0, :, 1] - drawn[0, :, 0]
    assert step.var(axis=0) == pytest.approx([1.0, 1.0], rel=0.2)


def test_gaps_are_filled_by_bridges(closed, series):
    values = np.where((TIMES == 3) | (TIMES == 4), np.nan, series.values[:3].swapaxes(1, 2))
    shown = IrregularSeries.from_arrays(TIMES, values.swapaxes(1, 2))
    drawn = closed.interpolate(shown, [3.0], n=2000, random_state=1).samples[:, :, 0]
    left, right = series.values[:3, 2], series.values[:3, 5]
    assert drawn.mean(axis=1) == pytest.approx(left + (right - left) / 3, abs=0.3)
    assert drawn.var(axis=1) == pytest.approx(np.full((3, 2), 2 / 3), rel=0.2)


def test_observed_values_are_kept(closed, with_holes, series):
    for model in (closed, with_holes):
        drawn = model.interpolate(series[:2], TIMES, n=5).samples
        assert drawn == pytest.approx(np.repeat(series.values[:2, None], 5, axis=1), abs=1e-9)


def test_log_likelihood_of_walks(closed, series):
    """Independent normal steps; 136 numbers of the law are fitted to 800 series."""
    fresh = walks(200, 5)
    steps = np.diff(fresh, axis=1, prepend=0.0)
    exact = -0.5 * (steps**2).sum(axis=(1, 2)) - 8 * np.log(2 * np.pi)
    got = closed.log_likelihood(IrregularSeries.from_arrays(TIMES, fresh))
    assert got.mean() == pytest.approx(exact.mean(), abs=0.3)
    assert np.corrcoef(got, exact)[0, 1] > 0.97


def test_holes_are_learned_around(with_holes):
    """As well as the whole series: walks have no more to say."""
    fresh = IrregularSeries.from_arrays(TIMES, walks(60, 6))
    drawn = with_holes.forecast(fresh.until(4.0), [7.0], n=500, random_state=0).samples
    off = (fresh.values[:, 7] - drawn[:, :, 0].mean(axis=1)) / np.sqrt(3)
    assert (off**2).mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 120) + 0.15)
    assert drawn.var(axis=1).mean() == pytest.approx(3.0, rel=0.25)


def test_a_value_out_of_place_is_surprising(closed, series):
    values = series.values[:4].copy()
    values[0, 3, 1] += 7.0
    surprise = closed.anomaly(IrregularSeries.from_arrays(TIMES, values))
    assert np.unravel_index(surprise.argmax(), surprise.shape) == (0, 3, 1)
    assert np.median(surprise) < 1.0


def test_surprise_is_the_conditional_density(closed, series):
    """Of one Gaussian, against brute force: the tails are those of the law, wider by a factor."""
    past = closed.model_.pasts(series[:1])[0]
    means, covariances = closed.model_.knots.at(past.times, past.channels)
    rest = np.arange(16) != 5
    C, off = covariances[0].numpy(), past.values - means[0].numpy()
    gain = np.linalg.solve(C[rest][:, rest], C[rest, 5])
    variance = C[5, 5] - gain @ C[rest, 5]
    tails = closed.model_.knots.tails
    spread = stats.t(tails.degrees, scale=tails.scale * np.sqrt(variance))
    left = off[5] - gain @ off[rest]
    scores, p_values = closed.model_.oddness(past)
    assert scores[5] == pytest.approx(-spread.logpdf(left), abs=1e-6)
    assert p_values[5] == pytest.approx(2 * spread.sf(abs(left)), rel=1e-4)
    assert 0.8 < tails.scale < 1.2


def test_conditions_need_no_retraining(closed, series):
    """The value at 7 is one above the last, seen with a standard deviation of .1."""
    past = series[:1].until(4.0)
    last = past.values[0, 4]
    asked = LinearObservation([[0.0, 0.0, 1.0, 0.0]], [last[0] + 3.0], 0.01)
    drawn = closed.condition(past, asked, [5.0, 7.0], n=150, random_state=0).samples[0]
    assert drawn[:, 1, 0].mean() == pytest.approx(last[0] + 3.0, abs=0.1)
    assert drawn[:, 0, 0].mean() == pytest.approx(last[0] + 1.0, abs=0.5)
    tilted = closed.condition(past, Reward(lambda x: x[:, 3]), [5.0, 7.0], n=150, random_state=0)
    assert tilted.samples[0, :, 1, 1].mean() == pytest.approx(last[1] + 3.0, abs=0.6)


def test_parts_are_found_where_one_gaussian_is_wrong():
    lines = IrregularSeries.from_arrays(TIMES, two_kinds(200, 0))
    model = ScoreSeries("mixture", random_state=0).fit(lines)
    assert len(model.model_.knots.mixture.weights) > 1
    ends = model.sample(400, random_state=1).values[:, -1, 0]
    assert (np.abs(np.abs(ends) - 2) < 1).mean() > 0.95


def test_a_network_answers_every_question(network):
    lines = IrregularSeries.from_arrays(TIMES, two_kinds(3, 1))
    drawn = network.forecast(lines.until(5.0), [7.0], n=50).samples[:, :, 0, 0]
    assert (np.sign(drawn.mean(axis=1)) == np.sign(lines.values[:, 7, 0])).all()
    assert np.isfinite(network.log_likelihood(lines)).all()
    assert network.score(lines) > -0.5
    assert np.isfinite(network.predict(lines, [2.5])).all()
    assert network.memorisation_ > 0.7
    assert network.losses_["loss"].shape == (12,)


def test_kinds_of_channels_are_kept():
    rng = np.random.default_rng(0)
    count = rng.poisson(20.0, size=(60, 8))
    state = rng.integers(2, size=(60, 8))
    amount = np.exp(rng.normal(size=(60, 8)))
    values = np.stack([count, state, amount], axis=-1).astype(float)
    data = IrregularSeries.from_arrays(TIMES, values, channels=["count", "state", "amount"])
    model = ScoreSeries("mixture", bounds={"amount": (0.0, 30.0)}, random_state=0).fit(data)
    assert model.channel_kinds_ == {"count": "whole", "state": "levels", "amount": "positive"}
    assert model.bounds_["amount"] == (0.0, 30.0)
    drawn = model.sample(50).values
    assert (drawn[..., 0] == np.round(drawn[..., 0])).all()
    assert set(np.unique(drawn[..., 1])) == {0.0, 1.0}
    assert (drawn[..., 2] > 0).all()
    assert (drawn[..., 2] <= 30).all()
    with pytest.raises(InputError, match="not linear"):
        model.condition(data[:1], LinearObservation(np.ones((1, 3)), [1.0], 1.0), [8.0])


def test_densities_count_the_map_of_a_channel():
    """A log-normal channel: the density of x is that of log x over x."""
    values = np.exp(np.random.default_rng(0).normal(size=(400, 2, 1)))
    data = IrregularSeries.from_arrays([0.0, 1.0], values)
    model = ScoreSeries("mixture", n_components=1, random_state=0).fit(data)
    logs = np.log(values[:50])
    exact = (-0.5 * logs**2 - 0.5 * np.log(2 * np.pi) - logs).sum(axis=(1, 2))
    assert model.channel_kinds_ == {"x0": "positive"}
    assert model.log_likelihood(data[:50]).mean() == pytest.approx(exact.mean(), abs=0.15)


def test_beyond_the_data_paths_go_on_as_brownian_motion(closed, series):
    drawn = closed.forecast(series[:1], [8.0, 9.0], n=2000, random_state=0).samples[0]
    with pytest.warns(ExtrapolationWarning, match="Brownian"):
        closed.interpolate(series[:1], [9.0], n=2)
    assert drawn.mean(axis=0) == pytest.approx(np.stack([series.values[0, 7]] * 2), abs=0.2)
    assert drawn.var(axis=0) == pytest.approx(np.array([[1.0] * 2, [2.0] * 2]), rel=0.2)


def test_lines_between_knots():
    reach = reach_of(np.array([0.5, 2.0, -1.0, 9.0]), np.array([0, 1, 0, 1]), TIMES[:3], 2)
    assert reach @ np.arange(6.0) == pytest.approx([1.0, 5.0, 0.0, 5.0])


def test_padding_changes_nothing():
    """A short series in a batch with a long one is denoised as it is alone."""
    holes = np.random.default_rng(1).random((30, 8, 2)) < 0.3
    data = IrregularSeries.from_arrays(TIMES, np.where(holes, np.nan, walks(30, 0)))
    model = ScoreSeries("mixture", random_state=0).fit(data).model_
    network = SeriesNetwork(2, 8, 1, seed=0)
    torch.nn.init.normal_(network.last.weight, generator=torch.Generator().manual_seed(0))
    law = SeriesLaw(model.knots, network.eval(), model.levels)
    pasts = model.pasts(data)
    short = min(range(30), key=lambda i: len(pasts[i].values))
    longest = max(range(30), key=lambda i: len(pasts[i].values))
    both = SeriesExamples.of(law, [pasts[short], pasts[longest]])
    n = len(pasts[short].values)
    known = torch.as_tensor(np.arange(both.values.shape[1]) < 3).repeat(2, 1)
    known |= torch.as_tensor(~both.present)
    y = both.values + 0.3
    together = law.given(both.times, both.channels, known, both.values, both.present)
    one = pasts[short]
    alone = law.given(one.times, one.channels, known[0, :n], torch.as_tensor(one.values)[None])
    a, b = (d.denoise(part, 0.5) for d, part in ((together, y), (alone, y[:1, :n])))
    assert torch.allclose(a[:1, :n], b, atol=1e-5)


def test_every_mask_hides_something():
    generator = torch.Generator().manual_seed(0)
    times = np.tile(np.repeat(TIMES, 2), (5, 1))
    for _ in range(40):
        hidden = hidden_from(times, generator)
        assert hidden.shape == (5, 16)
        assert hidden.any(dim=1).all()


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({"model": "gan"}, walks(30, 0), "no model"),
        ({"hidden": 6}, walks(30, 0), "multiple of four"),
        ({"n_components": "few"}, walks(30, 0), "n_components"),
        ({"hide": 1.0}, walks(30, 0), "hide"),
        ({"churn": -1.0}, walks(30, 0), "churn"),
        ({"bounds": {"y": (0, 1)}}, walks(30, 0), "bounds are given for 'y'"),
        ({"bounds": {"x0": (0, 1)}}, walks(30, 0), "bound"),
        ({}, walks(5, 0), "at least 20"),
        ({}, walks(30, 0) * [1.0, 0.0], "constant"),
        ({}, walks(30, 0) * [1.0, np.nan], "never observed"),
    ],
    ids=lambda value: next(iter(value), "defaults") if isinstance(value, dict) else "",
)
def test_what_cannot_be_fitted_is_refused(settings, data, message):
    with pytest.raises(InputError, match=message):
        ScoreSeries(**settings).fit(IrregularSeries.from_arrays(TIMES, data))


def test_questions_that_cannot_be_answered_are_refused(closed, series):
    with pytest.raises(InputError, match="either ts"):
        closed.forecast(series[:1])
    with pytest.raises(InputError, match="channels"):
        closed.interpolate(IrregularSeries.from_arrays(TIMES, walks(1, 0, 1)), [1.0])
    with pytest.raises(InputError, match="observes 3"):
        closed.condition(series[:1], LinearObservation(np.ones((1, 3)), [1.0], 1.0), [8.0])
    with pytest.raises(InputError, match="must rise"):
        closed.condition(series[:1], Reward(lambda x: x[:, 0]), [7.5, 7.5])
    long = np.random.default_rng(0).normal(size=(20, 150, 2))
    with pytest.raises(InputError, match="256"):
        ScoreSeries("network").fit(IrregularSeries.from_arrays(np.arange(150.0), long))


def test_a_table_is_filled_in_and_levels_stay_levels(closed):
    seen = IrregularSeries.from_arrays(TIMES, walks(40, 3)).drop_observations(0.3, 1)
    table = closed.fill(seen, level=0.5)
    empty = table["x0_filled"].to_numpy()
    np.testing.assert_array_equal(table.loc[~empty, "x0"], seen.to_frame()["x0"].dropna())
    whole = walks(40, 3)[..., 0].reshape(-1)
    inside = (table["x0_low"] < whole) & (whole < table["x0_high"])
    assert abs(inside[empty].mean() - 0.5) < 4 * np.sqrt(0.25 / empty.sum())
    with pytest.raises(InputError, match=r"level must lie between 0 and 1"):
        closed.fill(seen, level=1.0)
    steps = np.where(walks(60, 4, channels=1) > 0, 1.0, 0.0)
    switch = IrregularSeries.from_arrays(TIMES, steps).drop_observations(0.3, 1)
    filled = ScoreSeries(random_state=0).fit(switch).fill(switch)
    assert set(np.unique(filled["x0"])) == {0.0, 1.0}
