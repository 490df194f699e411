"""The generator of series as a user meets it: input, sampling, walks, conditions, saving."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import trajinfer
from trajinfer import DirectedChainGenerator, InputError, IrregularSeries
from trajinfer._core.errors import ExtrapolationWarning
from trajinfer.generation import Memory, PathMMD, RelativeRows, TransitionLikelihood

BRIEF = TransitionLikelihood(n_steps=30, batch_size=256)
LITTLE = Memory(half_lives=(3.0,), lags=(1,), hidden=(8,), n_steps=40, burn_in=5, block=20)


def walks(n=60, n_times=12, dim=1, seed=0):
    steps = np.random.default_rng(seed).normal(size=(n, n_times, dim))
    return IrregularSeries.from_arrays(np.arange(n_times) / 4, steps.cumsum(axis=1))


def make(**settings):
    return DirectedChainGenerator(**{"loss": BRIEF, "random_state": 0, **settings})


def bars(n_windows=120, n_times=10):
    rng = np.random.default_rng(0)
    n = n_windows + n_times - 1
    close = 50 * np.exp(0.02 * rng.normal(size=n).cumsum())
    opening = close * np.exp(0.01 * rng.normal(size=n))
    spread = np.exp(0.01 * np.abs(rng.normal(size=(2, n))))
    high, low = np.maximum(opening, close) * spread[0], np.minimum(opening, close) / spread[1]
    rows = np.stack([opening, high, low, close, close, np.exp(rng.normal(9, 0.3, n))], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(rows, n_times, axis=0).transpose(0, 2, 1)
    names = ("open", "high", "low", "close", "adjusted", "volume")
    return IrregularSeries.from_arrays(np.arange(n_times), windows, channels=names)


def days(n_days=40, start="2020-03-01"):
    rng = np.random.default_rng(0)
    hours = np.arange(n_days * 24)
    load = np.exp(1 + 0.5 * np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=len(hours)))
    gas = rng.poisson(np.exp(2 * np.sin(2 * np.pi * hours / 24)))
    rows = np.stack([np.round(load, 2), gas, np.round(load, 2) + gas], axis=-1)
    times = pd.Timestamp(start).to_datetime64() + hours * np.timedelta64(1, "h")
    return IrregularSeries.from_arrays(
        times.reshape(n_days, 24), rows.reshape(n_days, 24, 3), channels=("load", "gas", "sum")
    )


@pytest.mark.parametrize(
    ("series", "settings", "said"),
    [
        (walks(19), {}, "at least 20"),
        (walks(30, n_times=1), {}, "fewer than two times"),
        (IrregularSeries.from_arrays([0.0, 1.0], np.ones((30, 2, 1))), {}, "nothing to learn"),
        (walks(30), {"loss": "gan"}, "unknown loss 'gan'"),
        (walks(30), {"loss": ()}, "no stage"),
        (walks(30), {"neighbour": "two"}, "unknown neighbour"),
        (walks(30), {"transform": "relativ"}, "did you mean 'relative'"),
        (walks(30), {"transform": "relative", "loss": "critic"}, "loss='likelihood'"),
        (walks(30), {"transform": "daily", "loss": "likelihood", "neighbour": "one"}, "standard"),
        (walks(30), {"memory": LITTLE}, "memory= belongs to"),
        (walks(30), {"neighbour": "pool"}, "groups="),
        (walks(30), {"chain_steps": 0}, "chain_steps must be a positive integer"),
        (walks(30), {"transform": "relative", "loss": "likelihood"}, "takes logarithms"),
    ],
)
def test_what_cannot_be_used_is_refused(series, settings, said):
    with pytest.raises(InputError, match=said):
        make(**settings).fit(series)


def test_groups_must_name_every_series():
    with pytest.raises(InputError, match="each of the 60 series"):
        make(neighbour="pool").fit(walks(), groups=np.zeros(3))


def test_mixed_grids_are_taken_by_the_likelihood_and_refused_by_paths():
    whole = walks(60)
    mixed = whole.drop_observations(0.3, 0).compact()
    drawn = make().fit(mixed).sample(5)
    assert np.allclose(drawn.ts, whole.times[0])
    with pytest.raises(InputError, match="complete on the same times"):
        make(loss=PathMMD(n_steps=2)).fit(mixed)


def test_series_of_all_kinds_of_containers_agree():
    series = walks(40)
    paths = trajinfer.Trajectories(series.times[0], series.values, features=series.channels)
    a, b = make().fit(series).sample(4), make().fit(paths).sample(4)
    assert np.array_equal(a.values, b.values)
    with pytest.warns(UserWarning, match="no times were given"):
        make().fit(series.values)


def test_redundant_channels_are_rebuilt_exactly():
    free = walks(40, dim=2).values
    whole = np.concatenate([free, free.sum(-1, keepdims=True), np.full_like(free[..., :1], 5)], -1)
    drawn = make().fit(IrregularSeries.from_arrays(np.arange(12.0), whole)).sample(9).values
    assert (drawn[..., 2] == drawn[..., 0] + drawn[..., 1]).all()
    assert (drawn[..., 3] == 5).all()


def test_sampling_at_other_times_and_beyond_the_data():
    generator = make().fit(walks())
    assert generator.sample(3, [0.3, 0.31, 2.0]).values.shape == (3, 3, 1)
    with pytest.warns(ExtrapolationWarning, match="end at 2.75"):
        generator.sample(3, [0.0, 4.0])
    with pytest.raises(InputError, match="nothing is known before"):
        generator.sample(3, [-1.0, 0.0])


def test_times_in_any_order_repeated_scalar_and_per_series():
    generator = make().fit(walks())
    plain = generator.sample(3, [0.3, 1.0, 2.0])
    mixed = generator.sample(3, [2.0, 0.3, 1.0])
    assert mixed.ts.tolist() == [2.0, 0.3, 1.0]
    np.testing.assert_array_equal(mixed.values, plain.values[:, [2, 0, 1]])
    repeated = generator.sample(3, [1.0, 1.0]).values
    np.testing.assert_array_equal(repeated[:, 0], repeated[:, 1])
    assert generator.sample(3, 1.0).values.shape == (3, 1, 1)
    own = generator.sample(3, [[0.5, 1.0], [1.0, 2.0], [0.0, 2.75]])
    assert own.ts.tolist() == [[0.5, 1.0], [1.0, 2.0], [0.0, 2.75]]
    assert generator.sample().values.shape == (60, 12, 1)
    for empty in ([], np.empty((3, 0))):
        with pytest.raises(InputError, match="empty"):
            generator.sample(3, empty)
    with pytest.raises(InputError, match="one time, a row"):
        generator.sample(3, [[0.5, 1.0]] * 2)


def test_rows_are_asked_for_in_any_order_and_per_series():
    generator = make(transform="relative", loss="likelihood", memory=LITTLE).fit(bars())
    plain = generator.sample(2, [0, 2, 5]).values
    mixed = generator.sample(2, [5, 0, 2]).values
    np.testing.assert_array_equal(mixed, plain[:, [2, 0, 1]])
    np.testing.assert_array_equal(generator.sample(2, [[0, 5], [0, 2]]).values[1], plain[1, :2])
    with pytest.raises(InputError, match="empty"):
        generator.sample(2, [])


def test_it_is_no_transformer_and_keeps_its_setting():
    generator = make(transform="relative", loss="likelihood", memory=LITTLE)
    assert not hasattr(generator, "transform")
    assert clone(generator).get_params()["transform"] == "relative"
    assert generator.set_params(transform="daily").get_params()["transform"] == "daily"
    with pytest.raises(AttributeError, match="get_params"):
        generator.transform  # noqa: B018


def test_former_names_of_transforms_still_import():
    with pytest.warns(FutureWarning, match="now called RelativeRows"):
        former = trajinfer.generation.PriceBars
    with pytest.warns(FutureWarning, match="half_life"):
        assert former(volume_half_life=9.0) == RelativeRows(9.0)


def test_the_fit_says_how_it_went_and_fails_whole():
    series = walks(30)
    generator = make().fit(series)
    assert generator.n_iter_ == BRIEF.n_steps
    assert generator.converged_
    assert generator.seed_ == 0
    assert list(generator.feature_names_in_) == ["x0"]
    assert generator.n_features_in_ == 1
    before = generator.sample(4).values
    with pytest.raises(InputError):
        generator.fit(walks(5))
    np.testing.assert_array_equal(generator.sample(4).values, before)
    with pytest.warns(FutureWarning, match="now called X"):
        generator.fit(series=series)


@pytest.mark.parametrize("neighbour", ["none", "one"])
def test_times_and_values_far_from_zero_keep_their_law(neighbour, tmp_path):
    near = walks(dim=2)
    values = near.values * 0.1 + [1e9, 0.0]
    far = IrregularSeries.from_arrays(1.7e9 + near.times, values)
    model = make(neighbour=neighbour).fit(far)
    plain = make(neighbour=neighbour).fit(
        IrregularSeries.from_arrays(near.times, near.values * 0.1)
    )
    drawn, expected = model.sample(200), plain.sample(200)
    np.testing.assert_array_equal(drawn.ts, far.times[0])
    # as much as double precision keeps of steps of 0.1 at 1e9
    np.testing.assert_allclose(drawn.values - [1e9, 0.0], expected.values, atol=1e-2)
    given = far[:1]
    ts = far.times[0, -1] + np.array([0.25, 0.5])
    with pytest.warns(ExtrapolationWarning):
        on = model.sample(50, ts, given=given).values
    np.testing.assert_allclose(on[:, 0].mean(axis=0), given.values[0, -1], atol=0.2)
    again = trajinfer.load(model.save(tmp_path / "far"))
    np.testing.assert_array_equal(again.sample(200).values, drawn.values)
    if neighbour == "one":
        links = model.walk(5, 1)[0].values - [1e9, 0.0]
        np.testing.assert_allclose(links, plain.walk(5, 1)[0].values, atol=1e-2)


def test_starts_are_given_where_the_data_are():
    def at_data(n, generator):
        return 1e9 + torch.randn(n, 1, generator=generator, dtype=torch.float64)

    near = walks()
    far = IrregularSeries.from_arrays(near.times, near.values + 1e9)
    starts = make(start=at_data).fit(far).sample(500).values[:, 0] - 1e9
    assert abs(starts.mean()) < 0.2
    assert starts.std() == pytest.approx(1.0, abs=0.1)


def test_datetimes_come_back():
    series = walks(30)
    dates = np.datetime64("2021-01-01") + (series.times[0] * 4).astype("timedelta64[D]")
    dated = IrregularSeries.from_arrays(dates, series.values)
    drawn = make().fit(dated).sample(2)
    assert list(drawn.labels) == list(pd.DatetimeIndex(dates))


def test_chains_walk_until_they_forget():
    generator = make(neighbour="one", chain_steps=2).fit(walks())
    links = generator.walk(7, 3)
    assert [link.values.shape for link in links] == [(7, 12, 1)] * 3
    assert generator.chain_steps_ >= 2
    assert len(generator.dependence_.links) == 8
    last = generator.walk(7, generator.chain_steps_)[-1]
    assert np.array_equal(generator.sample(7).values, last.values)
    with pytest.raises(InputError, match="only neighbour='one'"):
        make().fit(walks()).walk(3, 2)


def test_a_walk_that_has_not_forgotten_says_so():
    generator = make(neighbour="one", chain_steps=1).fit(walks())
    object.__setattr__(generator.dependence_, "links", (0.9, 0.0))
    with pytest.warns(UserWarning, match="still correlate with their seeds, by up to 0.900"):
        generator.sample(5, chain_steps=1)
    generator.sample(5, chain_steps=2)


def test_pools_are_simulated_as_systems():
    generator = make(neighbour="pool").fit(walks(60), groups=np.repeat(["a", "b", "c"], 20))
    assert generator.sample(50).values.shape == (50, 12, 1)


def test_paths_go_on_from_what_is_given():
    series = walks(60)
    generator = make().fit(series)
    past = series[:1].until(1.5)
    ahead = generator.sample(200, [1.75, 2.0, 2.75], given=past)
    steps = ahead.values[:, 0, 0] - past.values[0, -1, 0]
    assert abs(steps.mean()) < 1
    assert steps.std() < ahead.values[:, -1, 0].std()
    each = generator.sample(60, [1.75], given=series.until(1.5))
    apart = np.corrcoef(each.values[:, 0, 0], series.until(1.5).values[:, -1, 0])[0, 1]
    assert apart > 0.8
    with pytest.raises(InputError, match="must lie after"):
        generator.sample(2, [1.0, 2.0], given=past)
    with pytest.raises(InputError, match="one series or 3"):
        generator.sample(3, [2.0], given=series[:2].until(1.5))


def test_known_starts_are_drawn():
    def start(n, generator):
        return np.full((n, 1), 2.5)

    generator = make(start=start).fit(walks())
    assert (generator.sample(4).values[:, 0] == 2.5).all()
    with pytest.raises(InputError, match="cannot be saved"):
        generator.save("unused")
    wrong = make(start=lambda n, generator: np.zeros(n)).fit(walks())
    with pytest.raises(InputError, match="must give"):
        wrong.sample(4)


def test_prices_stay_bars_and_begin_elsewhere():
    generator = make(transform="relative", loss="likelihood", memory=LITTLE).fit(bars())
    drawn = generator.sample(50).values
    assert drawn.shape == (50, 10, 6)
    assert (drawn[..., 1] >= drawn[..., [0, 3]].max(-1)).all()
    assert (drawn[..., 2] <= drawn[..., [0, 3]].min(-1)).all()
    assert (drawn[..., 4] == drawn[..., 3]).all()
    assert generator.sample(2, [0, 5, 25]).values.shape == (2, 3, 6)
    with pytest.raises(InputError, match="multiples"):
        generator.sample(2, [0.0, 0.5])
    assert -1 < generator.score(bars(40)) <= 0.1


def test_prices_go_on_from_the_last_close():
    series = bars()
    generator = make(transform=RelativeRows(), loss="likelihood", memory=LITTLE).fit(series)
    ahead = generator.sample(100, [10, 11], given=series[3])
    moves = np.log(ahead.values[:, 0, 3] / series.values[3, -1, 3])
    assert abs(moves).max() < 0.3
    assert 0 < moves.std() < 0.1


def test_a_past_without_a_logarithm_is_refused():
    model = make(loss="likelihood", transform="relative", memory=LITTLE).fit(bars())
    past = bars()[:1]
    values = past.values.copy()
    values[0, -1, 3] = -1.0
    bad = IrregularSeries.from_arrays(past.times, values, channels=past.channels)
    with pytest.raises(InputError, match="cannot take"):
        model.sample(2, [10.0, 11.0], given=bad)


def test_readings_keep_their_day_their_zeros_and_their_sum():
    series = days(90)
    generator = make(transform="daily", loss="likelihood", memory=None)
    generator.set_params(memory=Memory(**{**MEMORY_OF_DAYS, "n_steps": 450})).fit(series)
    drawn = generator.sample(200)
    values, real = drawn.values, series.values
    assert np.allclose(values[..., 2], values[..., 0] + values[..., 1], atol=1e-12)
    assert (values[..., 1] == np.round(values[..., 1])).all()
    night = (values[:, 14:22, 1] == 0).mean() - (real[:, 14:22, 1] == 0).mean()
    day = (values[:, 2:10, 1] == 0).mean() - (real[:, 2:10, 1] == 0).mean()
    assert abs(night) < 0.06
    assert abs(day) < 0.06
    profile = np.corrcoef(values[..., 0].mean(0), real[..., 0].mean(0))[0, 1]
    assert profile > 0.95
    assert drawn.labels[1] == pd.Timedelta("1h")


MEMORY_OF_DAYS = {
    "half_lives": (1.0, 6.0),
    "lags": (1, 24),
    "target": "increment",
    "calendar": trajinfer.generation.Calendar(24, None, True),
    "burn_in": 24,
    "block": 48,
    "hidden": (16,),
}


@pytest.mark.parametrize(
    ("settings", "data", "groups"),
    [
        ({"neighbour": "one", "loss": (BRIEF, PathMMD(n_steps=2, batch_size=16))}, walks(), None),
        ({"neighbour": "pool", "noise": "triangular"}, walks(dim=2), np.arange(60) // 10),
        ({"transform": "relative", "loss": "likelihood", "memory": LITTLE}, bars(), None),
        ({"transform": RelativeRows(9.0), "loss": "likelihood", "memory": LITTLE}, bars(), None),
        ({"transform": "daily", "loss": "likelihood"}, days(), None),
    ],
    ids=["chain", "pool", "relative", "prices", "daily"],
)
def test_what_is_saved_draws_the_same(settings, data, groups, tmp_path):
    if settings.get("transform") == "daily":
        settings = {**settings, "memory": Memory(**{**MEMORY_OF_DAYS, "n_steps": 20})}
    generator = make(**settings).fit(data, groups=groups)
    again = trajinfer.load(generator.save(tmp_path / "model"))
    assert np.array_equal(again.sample(7).values, generator.sample(7).values)
    assert again.get_params()["loss"] == generator.get_params()["loss"]
    assert again.channels_ == generator.channels_


def test_the_score_prefers_the_law_of_the_data():
    series = walks(100)
    good = make(loss=TransitionLikelihood(n_steps=80, batch_size=256, lr=1e-2)).fit(series)
    held_out = walks(100, seed=1)
    apart = IrregularSeries.from_arrays(series.times[0], 3 * series.values)
    bad = make(loss=TransitionLikelihood(n_steps=80, batch_size=256, lr=1e-2)).fit(apart)
    assert good.score(held_out) > bad.score(held_out) + 0.05
